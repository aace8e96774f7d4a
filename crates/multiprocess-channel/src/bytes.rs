//! Messages that are bytes, sent from where they are and received into a vector that is there: one copy on each side, and no
//! memory asked for.

use crate::encoding;
use crate::end::{Unreceived, Unsent};
use crate::{Queue, Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError};
use crate::{SendError, SendTimeoutError, TrySendError};
use multiprocess_shm::Patience;
use multiprocess_sys::clock::Deadline;
use std::time::Duration;

/// The methods that send borrowed bytes. `$new` makes `tx` and `rx` in the examples.
macro_rules! sends_bytes {
    ($new:literal) => {
        /// Sends a copy of these bytes, as [`send`](Self::send) does with a vector of them: for a buffer that is to be used
        /// again. Receivers see no difference.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.send_bytes(b"seven")?;
        /// assert_eq!(rx.recv()?, b"seven");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// As [`send`](Self::send).
        ///
        /// # Crash
        ///
        /// As [`send`](Self::send).
        pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
            encoding::send_bytes(&self.end, bytes, Patience::forever).map_err(|unsent| match unsent {
                Unsent::Failed(error) => SendError::Failed((), error),
                Unsent::Disconnected | Unsent::Full => SendError::Disconnected(()),
            })
        }

        /// Sends a copy of these bytes if there is room for it now.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.try_send_bytes(b"seven")?;
        /// assert!(tx.try_send_bytes(b"eight").unwrap_err().is_full());
        /// # drop(rx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// As [`try_send`](Self::try_send).
        ///
        /// # Crash
        ///
        /// As [`send`](Self::send).
        pub fn try_send_bytes(&self, bytes: &[u8]) -> Result<(), TrySendError<()>> {
            encoding::send_bytes(&self.end, bytes, Patience::none).map_err(|unsent| match unsent {
                Unsent::Full => TrySendError::Full(()),
                Unsent::Disconnected => TrySendError::Disconnected(()),
                Unsent::Failed(error) => TrySendError::Failed((), error),
            })
        }

        /// Sends a copy of these bytes, and waits for room at most for that long.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// let brief = std::time::Duration::from_millis(10);
        /// tx.send_bytes_timeout(b"seven", brief)?;
        /// assert!(tx.send_bytes_timeout(b"eight", brief).unwrap_err().is_timeout());
        /// # drop(rx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// As [`send_timeout`](Self::send_timeout).
        ///
        /// # Crash
        ///
        /// As [`send`](Self::send).
        pub fn send_bytes_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), SendTimeoutError<()>> {
            let deadline = Deadline::after(timeout);
            encoding::send_bytes(&self.end, bytes, || Patience::until(deadline)).map_err(|unsent| match unsent {
                Unsent::Full => SendTimeoutError::Timeout(()),
                Unsent::Disconnected => SendTimeoutError::Disconnected(()),
                Unsent::Failed(error) => SendTimeoutError::Failed((), error),
            })
        }
    };
}

/// The methods that receive into a vector.
macro_rules! receives_into {
    ($new:literal) => {
        /// Takes the next message, and waits for it as long as it takes. It replaces what is in `bytes`, whose memory is used
        /// again if it is enough. After an error `bytes` is empty.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// let mut bytes = Vec::with_capacity(1024);
        /// tx.send(b"seven".to_vec())?;
        /// rx.recv_into(&mut bytes)?;
        /// assert_eq!(bytes, b"seven");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// As [`recv`](Self::recv).
        ///
        /// # Crash
        ///
        /// As [`recv`](Self::recv).
        pub fn recv_into(&self, bytes: &mut Vec<u8>) -> Result<(), RecvError> {
            encoding::receive_into(&self.end, bytes, Patience::forever).map_err(|unreceived| match unreceived {
                Unreceived::Failed(error) => RecvError::Failed(error),
                Unreceived::Disconnected | Unreceived::Empty => RecvError::Disconnected,
            })
        }

        /// Takes the next message if there is one now, as [`recv_into`](Self::recv_into).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// let mut bytes = Vec::new();
        /// assert!(rx.try_recv_into(&mut bytes).unwrap_err().is_empty());
        /// # drop(tx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// As [`try_recv`](Self::try_recv).
        ///
        /// # Crash
        ///
        /// As [`recv`](Self::recv).
        pub fn try_recv_into(&self, bytes: &mut Vec<u8>) -> Result<(), TryRecvError> {
            encoding::receive_into(&self.end, bytes, Patience::none).map_err(|unreceived| match unreceived {
                Unreceived::Empty => TryRecvError::Empty,
                Unreceived::Disconnected => TryRecvError::Disconnected,
                Unreceived::Failed(error) => TryRecvError::Failed(error),
            })
        }

        /// Takes the next message, and waits for it at most for that long, as [`recv_into`](Self::recv_into).
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// let mut bytes = Vec::new();
        /// let error = rx.recv_into_timeout(&mut bytes, std::time::Duration::from_millis(10)).unwrap_err();
        /// assert!(error.is_timeout());
        /// # drop(tx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// As [`recv_timeout`](Self::recv_timeout).
        ///
        /// # Crash
        ///
        /// As [`recv`](Self::recv).
        pub fn recv_into_timeout(&self, bytes: &mut Vec<u8>, timeout: Duration) -> Result<(), RecvTimeoutError> {
            let deadline = Deadline::after(timeout);
            encoding::receive_into(&self.end, bytes, || Patience::until(deadline)).map_err(
                |unreceived| match unreceived {
                    Unreceived::Empty => RecvTimeoutError::Timeout,
                    Unreceived::Disconnected => RecvTimeoutError::Disconnected,
                    Unreceived::Failed(error) => RecvTimeoutError::Failed(error),
                },
            )
        }
    };
}

impl Sender<Vec<u8>> {
    sends_bytes!("let (tx, rx) = multiprocess_channel::bounded::<Vec<u8>>(1)?;");
}

impl Receiver<Vec<u8>> {
    receives_into!("let (tx, rx) = multiprocess_channel::bounded::<Vec<u8>>(1)?;");
}

impl Queue<Vec<u8>> {
    sends_bytes!("let queue = multiprocess_channel::Queue::<Vec<u8>>::bounded(1)?;\nlet (tx, rx) = (&queue, &queue);");
    receives_into!(
        "let queue = multiprocess_channel::Queue::<Vec<u8>>::bounded(1)?;\nlet (tx, rx) = (&queue, &queue);"
    );
}
