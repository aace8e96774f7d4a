//! Why a message was not sent: crossbeam-channel's reasons, and the one that processes add. The value comes back; where several were sent,
//! the number of those that were.

use multiprocess_sys::{Error, ErrorKind};
use std::fmt;

/// Why [`send`](crate::Sender::send) sent nothing, or [`send_many`](crate::Sender::send_many) not all.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::SendError;
///
/// let error = SendError::Disconnected("a job");
/// assert_eq!(error.to_string(), "sending on a disconnected channel");
/// assert_eq!(error.into_inner(), "a job");
/// ```
#[non_exhaustive]
pub enum SendError<T> {
    /// Every receiver is gone, however it went.
    Disconnected(T),
    /// The value cannot travel this way: it is too large, holds a handle, or cannot be encoded.
    Failed(T, Error),
}

/// Why [`try_send`](crate::Sender::try_send) sent nothing, or [`try_send_many`](crate::Sender::try_send_many) not all.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::TrySendError;
///
/// assert!(TrySendError::Full(1).is_full());
/// assert!(TrySendError::Disconnected(1).is_disconnected());
/// ```
#[non_exhaustive]
pub enum TrySendError<T> {
    /// There is no room at this moment.
    Full(T),
    /// Every receiver is gone, however it went.
    Disconnected(T),
    /// The value cannot travel this way: it is too large, holds a handle, or cannot be encoded.
    Failed(T, Error),
}

/// Why [`send_timeout`](crate::Sender::send_timeout) sent nothing, or
/// [`send_many_timeout`](crate::Sender::send_many_timeout) not all.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::SendTimeoutError;
///
/// assert!(SendTimeoutError::Timeout(1).is_timeout());
/// ```
#[non_exhaustive]
pub enum SendTimeoutError<T> {
    /// There was no room until the time ran out.
    Timeout(T),
    /// Every receiver is gone, however it went.
    Disconnected(T),
    /// The value cannot travel this way: it is too large, holds a handle, or cannot be encoded.
    Failed(T, Error),
}

/// What the three have in common; `$only` is the variant that the others do not have.
macro_rules! send_error {
    ($Name:ident $(, $Only:ident $kind:ident $is_only:ident $text:literal)?) => {
        impl<T> $Name<T> {
            /// The value that was not sent; of a call for several, how many were.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use multiprocess_channel::", stringify!($Name), ";")]
            ///
            #[doc = concat!("assert_eq!(", stringify!($Name), "::Disconnected(7).into_inner(), 7);")]
            /// ```
            pub fn into_inner(self) -> T {
                match self {
                    $($Name::$Only(value) => value,)?
                    $Name::Disconnected(value) | $Name::Failed(value, _) => value,
                }
            }

            /// Whether every receiver is gone.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use multiprocess_channel::", stringify!($Name), ";")]
            ///
            #[doc = concat!("assert!(", stringify!($Name), "::Disconnected(7).is_disconnected());")]
            /// ```
            pub fn is_disconnected(&self) -> bool {
                matches!(self, $Name::Disconnected(_))
            }

            $(
                /// Whether it was for want of room.
                ///
                /// # Examples
                ///
                /// ```
                #[doc = concat!("use multiprocess_channel::", stringify!($Name), ";")]
                ///
                #[doc = concat!("assert!(", stringify!($Name), "::", stringify!($Only), "(7).", stringify!($is_only), "());")]
                /// ```
                pub fn $is_only(&self) -> bool {
                    matches!(self, $Name::$Only(_))
                }
            )?
        }

        /// Without the value, which need not be `Debug`.
        impl<T> fmt::Debug for $Name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($Name::$Only(_) => f.write_str(concat!(stringify!($Only), "(..)")),)?
                    $Name::Disconnected(_) => f.write_str("Disconnected(..)"),
                    $Name::Failed(_, error) => write!(f, "Failed(.., {error:?})"),
                }
            }
        }

        impl<T> fmt::Display for $Name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($Name::$Only(_) => f.write_str($text),)?
                    $Name::Disconnected(_) => f.write_str("sending on a disconnected channel"),
                    $Name::Failed(_, error) => error.fmt(f),
                }
            }
        }

        /// The cause of a failed sending is said by the text already, so what follows is the cause of that.
        impl<T> std::error::Error for $Name<T> {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    $Name::Failed(_, error) => error.source(),
                    _ => None,
                }
            }
        }

        impl<T> From<$Name<T>> for Error {
            fn from(error: $Name<T>) -> Error {
                match error {
                    $($Name::$Only(_) => Error::new(ErrorKind::$kind, $text),)?
                    $Name::Disconnected(_) => Error::new(ErrorKind::Disconnected, "sending on a disconnected channel"),
                    $Name::Failed(_, error) => error,
                }
            }
        }
    };
}

send_error!(SendError);
send_error!(TrySendError, Full Other is_full "sending on a full channel");
send_error!(SendTimeoutError, Timeout TimedOut is_timeout "sending on a channel that stayed full");

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> TrySendError<T> {
        match error {
            SendError::Disconnected(value) => TrySendError::Disconnected(value),
            SendError::Failed(value, error) => TrySendError::Failed(value, error),
        }
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(error: SendError<T>) -> SendTimeoutError<T> {
        match error {
            SendError::Disconnected(value) => SendTimeoutError::Disconnected(value),
            SendError::Failed(value, error) => SendTimeoutError::Failed(value, error),
        }
    }
}
