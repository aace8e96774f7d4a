//! A queue of tasks that can be waited for until all are done, also when a worker is killed.

use crate::channel::{Channel, Flavour};
use crate::end::{End, Sides};
use crate::{Iter, Queue};
use multiprocess_core::tasks::Joined;
use multiprocess_shm::Patience;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::{Error, ErrorKind};
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

/// A [`Queue`] that counts tasks: each message is one, until somebody says [`task_done`](JoinableQueue::task_done).
///
/// The process that took a task should also say that it is done. That way a task is known to be lost when its worker dies: then
/// [`join`](JoinableQueue::join) does not wait for it for ever, but says so.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::JoinableQueue;
///
/// let queue = JoinableQueue::<u32>::bounded(16)?;
/// let worker = std::thread::spawn({
///     let queue = queue.clone(); // or pass it to a process
///     move || {
///         for task in queue.iter() {
///             println!("{task}");
///             queue.task_done().unwrap();
///         }
///     }
/// });
/// for task in 0..20 {
///     queue.send(task)?;
/// }
/// queue.join()?; // all twenty are printed
/// queue.close();
/// worker.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// Tasks that a killed process had taken and not reported are lost. A `join` that waits for them says how many, once no live process
/// has a task in hand and none is in the queue; from then on they count no more.
pub struct JoinableQueue<T>(Queue<T>);

impl<T> JoinableQueue<T> {
    /// A queue with room for `capacity` tasks that nobody has taken. Those that were taken and are not done take no room.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = multiprocess_channel::JoinableQueue::<String>::bounded(16)?;
    /// queue.join()?; // no task is unfinished
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`bounded`](crate::bounded).
    pub fn bounded(capacity: usize) -> Result<Self, Error> {
        let channel = Channel::new(capacity, Flavour::Joinable)?;
        Ok(JoinableQueue(Queue::of(End::new(channel, Sides::Both))))
    }

    /// One of the tasks that this process took is done.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = multiprocess_channel::JoinableQueue::<u32>::bounded(16)?;
    /// queue.send(7)?;
    /// queue.recv()?;
    /// queue.task_done()?;
    /// assert!(queue.task_done().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// More tasks are done than were put.
    ///
    /// # Crash
    ///
    /// The task is done, or lost.
    pub fn task_done(&self) -> Result<(), Error> {
        if self.0.end.task_done() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Other, "saying that a task of a queue is done, more often than tasks were put"))
    }

    /// Waits until all tasks that were put are done: until there was a moment without an unfinished one.
    ///
    /// # Examples
    ///
    /// ```
    /// let queue = multiprocess_channel::JoinableQueue::<u32>::bounded(16)?;
    /// queue.send(7)?;
    /// std::thread::spawn({
    ///     let queue = queue.clone();
    ///     move || {
    ///         queue.recv().unwrap();
    ///         queue.task_done().unwrap();
    ///     }
    /// });
    /// queue.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// All that can be done are done, and others are lost: the processes that had taken them ended without saying that they were
    /// done ([`ErrorKind::Task`]). Everybody who waits at that moment gets this error, and the lost tasks count no more.
    ///
    /// # Crash
    ///
    /// Nobody notices.
    pub fn join(&self) -> Result<(), Error> {
        self.wait(Patience::forever()).map(|_| ())
    }

    /// As [`join`](JoinableQueue::join), at most for that long. `false`: the time is over.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = multiprocess_channel::JoinableQueue::<u32>::bounded(16)?;
    /// assert!(queue.join_timeout(Duration::ZERO)?);
    /// queue.send(7)?;
    /// assert!(!queue.join_timeout(Duration::from_millis(10))?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`join`](JoinableQueue::join).
    ///
    /// # Crash
    ///
    /// Nobody notices.
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool, Error> {
        self.wait(Patience::until(Deadline::after(timeout)))
    }

    fn wait(&self, mut patience: Patience) -> Result<bool, Error> {
        self.0.end.me();
        let channel = self.0.end.channel();
        let (peers, table, segment) = (channel.peers(), channel.table(), channel.segment());
        let is_queued = || {
            // What a killed process left unfinished is no task, and may hide one.
            channel.ring().probe(segment);
            let count = channel.ring().len();
            count > 0 || !channel.ring().is_empty()
        };
        match channel.tasks().join(peers, table, segment, &mut patience, is_queued) {
            Joined::Finished => Ok(true),
            Joined::TimedOut => Ok(false),
            Joined::Lost(count) => {
                let tasks = if count == 1 { "1 task was".to_owned() } else { format!("{count} tasks were") };
                let text = format!("waiting for the tasks of a queue: {tasks} lost with processes that died");
                Err(Error::new(ErrorKind::Task, text))
            }
        }
    }
}

/// All that a queue can do. The [`sender`](Queue::sender) and [`receiver`](Queue::receiver) of a joinable queue count tasks too.
impl<T> Deref for JoinableQueue<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.0
    }
}

/// As [`iter`](Queue::iter).
impl<'a, T: DeserializeOwned> IntoIterator for &'a JoinableQueue<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Another handle of the same queue.
impl<T> Clone for JoinableQueue<T> {
    fn clone(&self) -> Self {
        JoinableQueue(self.0.clone())
    }
}

/// As a [`Queue`].
impl<T> Serialize for JoinableQueue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for JoinableQueue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let queue = Queue::deserialize(deserializer)?;
        if queue.end.channel().flavour() != Flavour::Joinable {
            let noun = queue.end.channel().flavour().noun();
            let error = Error::new(ErrorKind::WrongKind, format!("opening a joinable queue that is {noun}"));
            return Err(de::Error::custom(error));
        }
        Ok(JoinableQueue(queue))
    }
}

impl<T> fmt::Debug for JoinableQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.end.debug(f, "JoinableQueue")
    }
}
