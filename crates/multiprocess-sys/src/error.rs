//! The one opaque error of the workspace: what was being done, to what, and why it failed.
//!
//! Where a caller must choose, a crate has a small enum of its own whose variants are the choices; everything else is an
//! [`Error`]. It is opaque on purpose: its [`kind`](Error::kind) tells which reaction fits, its text tells a person what
//! happened, and neither pins down which system call was used.

use std::error::Error as StdError;
use std::{fmt, io};

/// Any failure of an operation on a process, a shared object or a message.
///
/// The text says what was being done to what; the cause, where there is one, follows through
/// [`source`](std::error::Error::source).
///
/// # Examples
///
/// ```
/// use multiprocess_sys::{Error, ErrorKind};
///
/// let error = Error::os("opening shared memory", std::io::Error::from_raw_os_error(2)).with_object("jobs");
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.object(), Some("jobs"));
/// assert!(error.to_string().starts_with("opening shared memory \"jobs\""));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: String,
    object: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What sort of failure an [`Error`] is: the choices a caller may react to.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::{Error, ErrorKind};
///
/// assert_eq!(Error::new(ErrorKind::TimedOut, "waiting for the fork server").kind(), ErrorKind::TimedOut);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no object of that name.
    NotFound,
    /// There is an object of that name already.
    AlreadyExists,
    /// The name is empty, too long, or holds a character that names may not have.
    InvalidName,
    /// The name belongs to an object of another kind.
    WrongKind,
    /// The object was made by another version of this library.
    WrongVersion,
    /// What was read from another process is not what this library writes.
    Damaged,
    /// A value could not be turned into a message.
    Encode,
    /// A message could not be turned back into a value.
    Decode,
    /// A message is larger than its carrier takes.
    TooLarge,
    /// A function lies outside the program's executable, so another process cannot find it.
    OutsideExecutable,
    /// The process that held a lock died.
    OwnerDied,
    /// Every peer of a channel is gone.
    Disconnected,
    /// The time allowed has passed.
    TimedOut,
    /// The other side did not prove that it knows the key, or is a user that is not served.
    Authentication,
    /// A child process failed.
    Child,
    /// A task of a pool failed.
    Task,
    /// The object was closed here.
    Closed,
    /// The operating system refused, for a reason that is none of the others.
    Os,
    /// None of the above.
    Other,
}

impl Error {
    /// An error of `kind` while doing `operation` (a lower-case phrase without a full stop).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Closed, "sending on a closed connection");
    /// assert_eq!(error.to_string(), "sending on a closed connection");
    /// ```
    pub fn new(kind: ErrorKind, operation: impl Into<String>) -> Error {
        Error(Box::new(Inner { kind, operation: operation.into(), object: None, source: None }))
    }

    /// The operating system's refusal of `operation`; the kind follows from its code.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::Error;
    ///
    /// let error = Error::os("making a socket pair", std::io::Error::from_raw_os_error(24));
    /// assert_eq!(error.raw_os_error(), Some(24));
    /// ```
    pub fn os(operation: impl Into<String>, cause: impl Into<io::Error>) -> Error {
        let cause = cause.into();
        Error::new(kind_of(&cause), operation).with_source(cause)
    }

    /// Names the object concerned.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::WrongKind, "opening a lock").with_object("jobs");
    /// assert_eq!(error.to_string(), "opening a lock \"jobs\"");
    /// ```
    #[must_use]
    pub fn with_object(mut self, name: impl Into<String>) -> Error {
        self.0.object = Some(name.into());
        self
    }

    /// Adds the cause. The text says it too, because many programs print nothing else; who prints a whole chain sees it twice.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::{Error, ErrorKind};
    /// use std::error::Error as _;
    ///
    /// let error = Error::new(ErrorKind::Decode, "reading a message").with_source("unexpected end");
    /// assert_eq!(error.to_string(), "reading a message: unexpected end");
    /// assert_eq!(error.source().unwrap().to_string(), "unexpected end");
    /// ```
    #[must_use]
    pub fn with_source(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.0.source = Some(cause.into());
        self
    }

    /// What sort of failure this is.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_sys::{Error, ErrorKind};
    /// assert_eq!(Error::new(ErrorKind::Damaged, "reading a header").kind(), ErrorKind::Damaged);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The name of the object concerned, if it has one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_sys::{Error, ErrorKind};
    /// assert_eq!(Error::new(ErrorKind::Damaged, "reading a header").object(), None);
    /// ```
    pub fn object(&self) -> Option<&str> {
        self.0.object.as_deref()
    }

    /// The operating system's code, if it was the operating system that refused.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_sys::{Error, ErrorKind};
    /// assert_eq!(Error::new(ErrorKind::Damaged, "reading a header").raw_os_error(), None);
    /// ```
    pub fn raw_os_error(&self) -> Option<i32> {
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            cause = match error.downcast_ref::<io::Error>() {
                Some(system) if system.raw_os_error().is_some() => return system.raw_os_error(),
                // Its `source` is behind what it carries.
                Some(system) => system.get_ref().map(|carried| carried as _),
                None => error.source(),
            };
        }
        None
    }
}

fn kind_of(cause: &io::Error) -> ErrorKind {
    match cause.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ErrorKind::Disconnected,
        _ => ErrorKind::Os,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.operation)?;
        if let Some(object) = &self.0.object {
            write!(f, " {object:?}")?;
        }
        match &self.0.source {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, object, source } = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", kind).field("operation", operation);
        if let Some(object) = object {
            debug.field("object", object);
        }
        if let Some(source) = source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|cause| cause as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match error.kind() {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::Disconnected => io::ErrorKind::BrokenPipe,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        if error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
            let inner = error.into_inner().and_then(|inner| inner.downcast::<Error>().ok());
            return *inner.unwrap_or_else(|| Box::new(Error::new(ErrorKind::Other, "an input or output operation")));
        }
        Error::os("an input or output operation", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_sendable_and_small() {
        fn sendable<T: Send + Sync + 'static>() {}
        sendable::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn survives_a_trip_through_io_error() {
        let there: io::Error = Error::new(ErrorKind::WrongKind, "opening a lock").with_object("a").into();
        let back: Error = there.into();
        assert_eq!(back.kind(), ErrorKind::WrongKind);
        assert_eq!(back.object(), Some("a"));
    }

    #[test]
    fn finds_the_code_behind_a_chain() {
        let inner = Error::os("a", io::Error::from_raw_os_error(11));
        let outer = Error::new(ErrorKind::Other, "b").with_source(inner);
        assert_eq!(outer.raw_os_error(), Some(11));
        let around = Error::new(ErrorKind::Other, "c").with_source(io::Error::from(outer));
        assert_eq!(around.raw_os_error(), Some(11));
    }
}
