//! Why no message was received: crossbeam-channel's reasons, and the one that processes add.

use multiprocess_sys::{Error, ErrorKind};
use std::fmt;

/// Why [`recv`](crate::Receiver::recv) gave no message.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::RecvError;
///
/// assert!(RecvError::Disconnected.is_disconnected());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// There is no message, and every sender is gone, however it went.
    Disconnected,
    /// A message came that is no value of this type. It is lost; the channel goes on.
    Failed(Error),
}

/// Why [`try_recv`](crate::Receiver::try_recv) gave no message.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::TryRecvError;
///
/// assert!(TryRecvError::Empty.is_empty());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is no message at this moment.
    Empty,
    /// There is no message, and every sender is gone, however it went.
    Disconnected,
    /// A message came that is no value of this type. It is lost; the channel goes on.
    Failed(Error),
}

/// Why [`recv_timeout`](crate::Receiver::recv_timeout) gave no message.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::RecvTimeoutError;
///
/// assert!(RecvTimeoutError::Timeout.is_timeout());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// No message came until the time ran out.
    Timeout,
    /// There is no message, and every sender is gone, however it went.
    Disconnected,
    /// A message came that is no value of this type. It is lost; the channel goes on.
    Failed(Error),
}

/// What the three have in common; `$Only` is the variant that the others do not have.
macro_rules! recv_error {
    ($Name:ident $(, $Only:ident $kind:ident $is_only:ident $text:literal)?) => {
        impl $Name {
            /// Whether every sender is gone.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use multiprocess_channel::", stringify!($Name), ";")]
            ///
            #[doc = concat!("assert!(", stringify!($Name), "::Disconnected.is_disconnected());")]
            /// ```
            pub fn is_disconnected(&self) -> bool {
                matches!(self, $Name::Disconnected)
            }

            $(
                /// Whether there was no message in time.
                ///
                /// # Examples
                ///
                /// ```
                #[doc = concat!("use multiprocess_channel::", stringify!($Name), ";")]
                ///
                #[doc = concat!("assert!(", stringify!($Name), "::", stringify!($Only), ".", stringify!($is_only), "());")]
                /// ```
                pub fn $is_only(&self) -> bool {
                    matches!(self, $Name::$Only)
                }
            )?
        }

        impl fmt::Display for $Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($Name::$Only => f.write_str($text),)?
                    $Name::Disconnected => f.write_str("receiving on an empty and disconnected channel"),
                    $Name::Failed(error) => error.fmt(f),
                }
            }
        }

        /// The cause of a failed receiving is said by the text already, so what follows is the cause of that.
        impl std::error::Error for $Name {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    $Name::Failed(error) => error.source(),
                    _ => None,
                }
            }
        }

        impl From<$Name> for Error {
            fn from(error: $Name) -> Error {
                match error {
                    $($Name::$Only => Error::new(ErrorKind::$kind, $text),)?
                    $Name::Disconnected => {
                        Error::new(ErrorKind::Disconnected, "receiving on an empty and disconnected channel")
                    }
                    $Name::Failed(error) => error,
                }
            }
        }
    };
}

recv_error!(RecvError);
recv_error!(TryRecvError, Empty Other is_empty "receiving on an empty channel");
recv_error!(RecvTimeoutError, Timeout TimedOut is_timeout "receiving on a channel that stayed empty");

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> TryRecvError {
        match error {
            RecvError::Disconnected => TryRecvError::Disconnected,
            RecvError::Failed(error) => TryRecvError::Failed(error),
        }
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(error: RecvError) -> RecvTimeoutError {
        match error {
            RecvError::Disconnected => RecvTimeoutError::Disconnected,
            RecvError::Failed(error) => RecvTimeoutError::Failed(error),
        }
    }
}
