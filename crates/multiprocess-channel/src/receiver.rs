//! The end of a channel that receives.

use crate::encoding;
use crate::end::{End, Unreceived};
use crate::operations::{handle, measures, receives};
use crate::several::{self, receives_many};
use crate::{IntoIter, Iter, RecvError, RecvTimeoutError, TryIter, TryRecvError};
use multiprocess_shm::Patience;
use multiprocess_sys::clock::Deadline;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The end of a channel that receives; made by [`bounded`](crate::bounded). A clone is another receiver: each message goes to one
/// of them.
///
/// It travels to other processes in arguments, results and pipes. Senders are refused when the last receiver is gone, however it
/// went; one that is in a message that nobody has read yet counts too.
///
/// # Examples
///
/// ```
/// let (tx, rx) = multiprocess_channel::bounded::<u32>(4)?;
/// tx.send(7)?;
/// drop(tx);
/// assert_eq!(rx.recv()?, 7); // what was sent is there
/// assert!(rx.recv().unwrap_err().is_disconnected());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// The receivers of a process that ends count no more. A message that it was about to take goes to another receiver, or is lost
/// with it.
///
/// # Platform
///
/// A copy of the process that the program makes with its own `fork` has copies of its handles; they count from their first use on.
pub struct Receiver<T> {
    pub(crate) end: Arc<End>,
    message: PhantomData<fn() -> T>,
}

handle!(Receiver, Receiver);

impl<T: DeserializeOwned> Receiver<T> {
    receives!("let (tx, rx) = multiprocess_channel::bounded::<u32>(1)?;");
    receives_many!("let (tx, rx) = multiprocess_channel::bounded::<u32>(1)?;");

    /// Takes the next message, and waits for it in a future of tokio. One that is dropped before it is ready has taken nothing.
    ///
    /// The wait itself is in a thread of tokio's pool for what blocks: each receiver that waits so takes one of them.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = multiprocess_channel::bounded::<u32>(1)?;
    /// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// std::thread::spawn(move || tx.send(7)); // or a process
    /// assert_eq!(runtime.block_on(rx.recv_async())?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// If it is polled outside of a tokio runtime.
    ///
    /// # Crash
    ///
    /// As [`recv`](Self::recv).
    #[cfg(feature = "tokio")]
    pub async fn recv_async(&self) -> Result<T, RecvError> {
        loop {
            match self.try_recv() {
                Ok(value) => return Ok(value),
                Err(TryRecvError::Empty) => crate::readiness::ready(&self.end).await,
                Err(TryRecvError::Disconnected) => return Err(RecvError::Disconnected),
                Err(TryRecvError::Failed(error)) => return Err(RecvError::Failed(error)),
            }
        }
    }
}

impl<T> Receiver<T> {
    measures!("let (tx, rx) = multiprocess_channel::bounded::<u32>(1)?;");

    /// Whether both receive from the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::bounded;
    ///
    /// let (_tx, rx) = bounded::<u32>(1)?;
    /// assert!(rx.same_channel(&rx.clone()));
    /// assert!(!rx.same_channel(&bounded(1)?.1));
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        self.end.channel().segment().is_same(other.end.channel().segment())
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.end.debug(f, "Receiver")
    }
}

impl<T: DeserializeOwned> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter::new(self.end)
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
