//! Both ends of a channel in one handle, and an end that can be said.

use crate::channel::{Channel, Flavour};
use crate::encoding;
use crate::end::{End, Sides, Unreceived, Unsent};
use crate::operations::{handle, measures, receives, sends};
use crate::several::{self, receives_many, sends_many};
use crate::{Iter, Receiver, RecvError, RecvTimeoutError, Sender, TryIter, TryRecvError};
use crate::{SendError, SendTimeoutError, TrySendError};
use multiprocess_shm::Patience;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A channel whose one handle both sends and receives, as Python's `Queue`.
///
/// Whoever has a queue could still send. So a worker that waits in [`recv`](Queue::recv) while others (or it itself) have a
/// queue never sees [`Disconnected`](RecvError::Disconnected) by itself: say the end with [`close`](Queue::close), which lets the
/// workers take what is there and then see it. Or give workers the two ends apart, [`receiver`](Queue::receiver) to those who take
/// and [`sender`](Queue::sender) to those who put, drop the queue, and have the end said by itself.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::Queue;
///
/// let queue = Queue::<u32>::bounded(16)?;
/// let worker = std::thread::spawn({
///     let queue = queue.clone(); // or pass it to a process
///     move || queue.iter().sum::<u32>()
/// });
/// for number in 1..=10 {
///     queue.send(number)?;
/// }
/// queue.close(); // or the worker would wait for more
/// assert_eq!(worker.join().unwrap(), 55);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// As for [`bounded`](crate::bounded). A queue that nobody has closed stays open for whoever has it; one whose other users were
/// all killed does not end a [`recv`](Queue::recv), since the caller's own handle could send.
pub struct Queue<T> {
    pub(crate) end: Arc<End>,
    message: PhantomData<fn(T) -> T>,
}

handle!(Queue, Both);

const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    // Whatever is sent: a queue holds bytes.
    is_shared::<(Queue<*const u8>, Sender<*const u8>, Receiver<*const u8>)>();
};

impl<T> Queue<T> {
    /// A queue with room for `capacity` messages.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = multiprocess_channel::Queue::<String>::bounded(16)?;
    /// assert!(queue.is_empty());
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`bounded`](crate::bounded).
    pub fn bounded(capacity: usize) -> Result<Self, Error> {
        Channel::new(capacity, Flavour::Queue).map(|channel| Queue::of(End::new(channel, Sides::Both)))
    }

    /// A handle that only sends.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = multiprocess_channel::Queue::<u32>::bounded(16)?;
    /// let tx = queue.sender();
    /// let rx = queue.receiver();
    /// drop(queue);
    /// tx.send(7)?;
    /// drop(tx);
    /// assert_eq!(rx.iter().collect::<Vec<_>>(), [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sender(&self) -> Sender<T> {
        Sender::of(self.end.split(Sides::Sender))
    }

    /// A handle that only receives.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = multiprocess_channel::Queue::<u32>::bounded(16)?;
    /// queue.send(7)?;
    /// assert_eq!(queue.receiver().recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receiver(&self) -> Receiver<T> {
        Receiver::of(self.end.split(Sides::Receiver))
    }

    /// The end of the stream, for everybody: nothing more goes in, receivers take what is there and then see
    /// [`Disconnected`](RecvError::Disconnected). What a `send` has put in that returned `Ok` is received before that, also when it
    /// ran at the same time. To close twice is no error.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = multiprocess_channel::Queue::<u32>::bounded(16)?;
    /// queue.send(7)?;
    /// queue.close();
    /// assert!(queue.send(8).unwrap_err().is_disconnected());
    /// assert_eq!(queue.recv()?, 7);
    /// assert!(queue.recv().unwrap_err().is_disconnected());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Crash
    ///
    /// It is closed or not. Who sleeps and was not woken looks by itself within 100 ms.
    pub fn close(&self) {
        self.end.close();
    }

    measures!("let queue = multiprocess_channel::Queue::<u32>::bounded(1)?;\nlet (tx, rx) = (&queue, &queue);");
}

impl<T: Serialize> Queue<T> {
    sends!("let queue = multiprocess_channel::Queue::<u32>::bounded(1)?;\nlet (tx, rx) = (&queue, &queue);");
    sends_many!("let queue = multiprocess_channel::Queue::<u32>::bounded(1)?;\nlet (tx, rx) = (&queue, &queue);");
}

impl<T: DeserializeOwned> Queue<T> {
    receives!("let queue = multiprocess_channel::Queue::<u32>::bounded(1)?;\nlet (tx, rx) = (&queue, &queue);");
    receives_many!("let queue = multiprocess_channel::Queue::<u32>::bounded(1)?;\nlet (tx, rx) = (&queue, &queue);");
}

/// As [`iter`](Queue::iter).
impl<'a, T: DeserializeOwned> IntoIterator for &'a Queue<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.end.debug(f, "Queue")
    }
}
