//! Why a child gave no value.

use crate::birth::PANICKED_CODE;
use multiprocess_parcel::{PanicReport, RemoteError};
use multiprocess_sys::{Error, ErrorKind};
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Why there is no value.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{JoinError, spawn};
///
/// let error = spawn(|| std::process::exit(3), ()).map(|child: multiprocess_process::Child<()>| child.join())?.unwrap_err();
/// assert!(matches!(error, JoinError::Exited(status) if status.code() == Some(3)));
///
/// let error = spawn(|| panic!("no luck"), ()).map(|child: multiprocess_process::Child<()>| child.join())?.unwrap_err();
/// assert_eq!(error.panic_message(), Some("no luck"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum JoinError {
    /// The function panicked.
    Panicked(PanicReport),
    /// The process ended without a result: it exited itself, or a signal killed it.
    Exited(ExitStatus),
    /// The child could not take its arguments, or not send its result, or the result could not be read.
    Transfer(RemoteError),
}

impl JoinError {
    pub(crate) fn transfer(error: Error) -> JoinError {
        JoinError::Transfer(RemoteError::new(error))
    }

    /// How the process ended; 101 for a panic, as in every Rust program, also in one that is built with `panic = "abort"` (there
    /// [`Child::wait`](crate::Child::wait) tells the signal).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Child, spawn};
    ///
    /// let child: Child<()> = spawn(|| std::process::exit(3), ())?;
    /// assert_eq!(child.join().unwrap_err().exit_status().and_then(|status| status.code()), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "exitcode")]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        match self {
            JoinError::Panicked(_) => Some(ExitStatus::from_raw(PANICKED_CODE << 8)),
            JoinError::Exited(status) => Some(*status),
            JoinError::Transfer(_) => None,
        }
    }

    /// What the panic said, if it was one.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Child, spawn};
    ///
    /// let child: Child<()> = spawn(|| panic!("no luck"), ())?;
    /// assert_eq!(child.join().unwrap_err().panic_message(), Some("no luck"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn panic_message(&self) -> Option<&str> {
        match self {
            JoinError::Panicked(report) => Some(report.message()),
            _ => None,
        }
    }

    /// The signal that killed the process, if one did.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// child.kill()?;
    /// assert_eq!(child.join().unwrap_err().signal(), Some(9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn signal(&self) -> Option<i32> {
        self.exit_status().and_then(|status| status.signal())
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(report) => report.fmt(f),
            JoinError::Exited(status) => write!(f, "the process ended without a result ({status})"),
            JoinError::Transfer(error) => write!(f, "the process could not hand over its result: {error}"),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Error {
        Error::new(ErrorKind::Child, "waiting for a child's result").with_source(error)
    }
}
