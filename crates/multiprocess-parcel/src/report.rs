//! What another process has to say about its failure, as text that travels.

use std::error::Error as StdError;
use std::fmt;

use multiprocess_sys::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// A chain of causes that is longer than this is cut: an error may name itself as its cause.
const CAUSES_MAX: usize = 128;

/// Any error as text with its chain of causes, so that it can travel: `Result<T, RemoteError>` is a good result of a
/// function that runs in another process.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{RemoteError, pack, unpack};
///
/// fn parse(text: &str) -> Result<u32, RemoteError> {
///     text.parse().map_err(RemoteError::new)
/// }
///
/// let parcel = pack(&parse("many"))?;
/// let error = unpack::<Result<u32, RemoteError>>(parcel)?.unwrap_err();
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteError(Vec<String>);

impl RemoteError {
    /// Keeps the text of `error` and of all its causes. An error that already repeats its cause at its own end does not
    /// make it appear twice.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_parcel::RemoteError;
    ///
    /// let error = RemoteError::new("no such job");
    /// assert_eq!(error.to_string(), "no such job");
    /// ```
    pub fn new<E: Into<Box<dyn StdError + Send + Sync>>>(error: E) -> RemoteError {
        let error = error.into();
        let mut texts = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause
            && texts.len() < CAUSES_MAX
        {
            let text = error.to_string();
            if let Some(last) = texts.last_mut()
                && let Some(own) = last.strip_suffix(&text).and_then(|rest| rest.strip_suffix(": "))
            {
                last.truncate(own.len());
            }
            texts.push(text);
            cause = error.source();
        }
        RemoteError(texts)
    }

    /// The error's own text, then those of its causes.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_parcel::RemoteError;
    ///
    /// let cause = std::io::Error::other("the disk is full");
    /// let error = RemoteError::new(multiprocess_sys::Error::os("saving a job", cause));
    /// assert_eq!(error.causes().collect::<Vec<_>>(), ["saving a job", "the disk is full"]);
    /// ```
    pub fn causes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, text) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ": " })?;
            f.write_str(text)?;
        }
        Ok(())
    }
}

impl StdError for RemoteError {}

impl From<RemoteError> for Error {
    fn from(error: RemoteError) -> Error {
        Error::new(ErrorKind::Other, error.to_string())
    }
}

/// What a panic in another process said.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::PanicReport;
///
/// let report = PanicReport::new("index out of bounds", Some("src/job.rs:7:5".to_owned()), None, "adder".to_owned());
/// assert_eq!(report.to_string(), "process \"adder\" panicked at src/job.rs:7:5: index out of bounds");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicReport {
    message: String,
    location: Option<String>,
    backtrace: Option<String>,
    process: String,
}

impl PanicReport {
    /// A report of a panic with `message` in the process of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_parcel::PanicReport;
    ///
    /// let report = PanicReport::new("out of ideas", None, None, "thinker".to_owned());
    /// assert_eq!(report.message(), "out of ideas");
    /// ```
    pub fn new(
        message: impl Into<String>,
        location: Option<String>,
        backtrace: Option<String>,
        process: String,
    ) -> PanicReport {
        PanicReport { message: message.into(), location, backtrace, process }
    }

    /// What the panic said.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_parcel::PanicReport;
    /// assert_eq!(PanicReport::new("no", None, None, "a".to_owned()).message(), "no");
    /// ```
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The file, line and column of the panic.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_parcel::PanicReport;
    /// assert_eq!(PanicReport::new("no", None, None, "a".to_owned()).location(), None);
    /// ```
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// The calls that led to the panic, where backtraces were enabled in that process.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_parcel::PanicReport;
    /// assert_eq!(PanicReport::new("no", None, None, "a".to_owned()).backtrace(), None);
    /// ```
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }

    /// The name of the process that panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_parcel::PanicReport;
    /// assert_eq!(PanicReport::new("no", None, None, "a".to_owned()).process(), "a");
    /// ```
    pub fn process(&self) -> &str {
        &self.process
    }
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {:?} panicked", self.process)?;
        if let Some(location) = &self.location {
            write!(f, " at {location}")?;
        }
        write!(f, ": {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pack, unpack};
    use std::io;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn chain_is_kept_and_joined() {
        let error = RemoteError::new(Outer(io::Error::other("inner")));
        assert_eq!(error.causes().collect::<Vec<_>>(), ["outer", "inner"]);
        assert_eq!(error.to_string(), "outer: inner");
        assert!(error.source().is_none());
    }

    #[test]
    fn cause_that_its_error_repeats_appears_once() {
        let inner = Error::os("c", io::Error::other("d"));
        let error = RemoteError::new(Error::new(ErrorKind::Other, "b").with_source(inner));
        assert_eq!(error.causes().collect::<Vec<_>>(), ["b", "c", "d"]);
        assert_eq!(Error::from(error).to_string(), "b: c: d");
    }

    #[test]
    fn endless_chain_is_cut() {
        #[derive(Debug)]
        struct Ouroboros;
        impl fmt::Display for Ouroboros {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tail")
            }
        }
        impl StdError for Ouroboros {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(self)
            }
        }
        assert_eq!(RemoteError::new(Ouroboros).causes().count(), CAUSES_MAX);
    }

    #[test]
    fn reports_travel() {
        let report = PanicReport::new("m", Some("l".to_owned()), Some("b".to_owned()), "p".to_owned());
        let arrived: PanicReport = unpack(pack(&report).unwrap()).unwrap();
        assert_eq!(arrived, report);
        assert_eq!((arrived.location(), arrived.backtrace()), (Some("l"), Some("b")));
        let error = Error::from(RemoteError::new("text"));
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Other, "text"));
    }
}
