//! Several values in one call.
//!
//! | Step | Does |
//! | --- | --- |
//! | burst | sends, or takes, what goes on at once, up to a limit; wakes those who wait at its end |
//! | single | the value at which a burst came to its end: as a call for one does, with its wait and its errors |
//!
//! Values that are sent are encoded before the burst, so that nothing of the program's own runs in it. Those that are taken are decoded one by
//! one within, because one that panics would take the others with it; so who sleeps until there is room may sleep as long as a few of them
//! take, and no longer than a slice.

use crate::channel::Flavour;
use crate::encoding;
use crate::end::{End, Unreceived, Unsent};
use multiprocess_core::ring::SHORT;
use multiprocess_shm::Patience;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most messages of a burst. Who sleeps is woken at its end.
const BURST: usize = 16;

/// Sends all of `values`, in their order; or tells how many were sent before one was not.
pub(crate) fn send<T: Serialize>(
    end: &End,
    values: &[T],
    patience: impl Fn() -> Patience,
) -> Result<(), (usize, Unsent)> {
    let (mut burst, mut sent) = (Burst::new(), 0);
    while sent < values.len() {
        let next = burst.encode(end, &values[sent..]);
        burst.send(end, &patience, &mut sent).map_err(|unsent| (sent, unsent))?;
        let single = match next {
            Next::Burst => continue,
            Next::Single => encoding::send(end, &values[sent], &patience),
            Next::Long(bytes) => encoding::send_long(end, bytes, &patience),
            Next::Failed(unsent) => Err(unsent),
        };
        single.map_err(|unsent| (sent, unsent))?;
        sent += 1;
    }
    Ok(())
}

/// Messages of a burst.
struct Burst {
    /// Each with its length.
    messages: [([u8; SHORT], usize); BURST],
    count: usize,
}

/// What comes behind the messages of a burst.
enum Next {
    /// No value, or another burst.
    Burst,
    /// A value that is sent on its own.
    Single,
    /// A value of these bytes, which are not short.
    Long(Vec<u8>),
    /// A value that cannot be sent.
    Failed(Unsent),
}

impl Burst {
    fn new() -> Burst {
        Burst { messages: [([0; SHORT], 0); BURST], count: 0 }
    }

    /// Encodes the first ones of `values`, as far as they are short.
    #[inline]
    fn encode<T: Serialize>(&mut self, end: &End, values: &[T]) -> Next {
        self.count = 0;
        if is_joinable(end) || !encoding::expects_short::<T>(end) {
            return Next::Single;
        }
        for (value, (room, length)) in values.iter().zip(&mut self.messages) {
            let mut long = Vec::new();
            match encoding::encode(value, room, &mut long) {
                Ok(Some(short)) => *length = short,
                Ok(None) => return Next::Long(long),
                Err(unsent) => return Next::Failed(unsent),
            }
            self.count += 1;
        }
        Next::Burst
    }

    /// Sends them, and counts each.
    #[inline]
    fn send(&self, end: &End, patience: &impl Fn() -> Patience, sent: &mut usize) -> Result<(), Unsent> {
        let mut messages = &self.messages[..self.count];
        while !messages.is_empty() {
            let now = end.send_burst(messages.len(), |sending| {
                messages.iter().take_while(|(room, length)| sending.send_now(room, *length)).count()
            })?;
            *sent += now;
            messages = &messages[now..];
            if let Some(((room, length), rest)) = messages.split_first() {
                end.send_short(room, *length, patience)?;
                *sent += 1;
                messages = rest;
            }
        }
        Ok(())
    }
}

/// A burst would have to count each task where a call for one does.
fn is_joinable(end: &End) -> bool {
    end.channel().flavour() == Flavour::Joinable
}

/// Appends messages to `values`, `limit` at the most: those that are there, or the next one, which is waited for. How many.
pub(crate) fn receive<T: DeserializeOwned>(
    end: &End,
    values: &mut Vec<T>,
    limit: usize,
    patience: impl Fn() -> Patience,
) -> Result<usize, Unreceived> {
    // Who sends as fast as this receives would keep it here.
    let limit = limit.min(end.channel().capacity());
    let mut taken = 0;
    while taken < limit {
        let now = receive_burst(end, values, (limit - taken).min(BURST))?;
        taken += now;
        if taken > 0 && now < BURST {
            break;
        }
        if taken == 0 {
            values.push(encoding::receive(end, &patience)?);
            taken = 1;
        }
    }
    Ok(taken)
}

/// Appends those that are there; how many.
#[inline]
fn receive_burst<T: DeserializeOwned>(end: &End, values: &mut Vec<T>, limit: usize) -> Result<usize, Unreceived> {
    let before = values.len();
    let last = if is_joinable(end) {
        append(values, limit, || encoding::receive(end, Patience::none))
    } else {
        end.receive_burst(limit, |receiving| append(values, limit, || encoding::receive_by(end, &mut *receiving)))
    };
    match last {
        Err(Unreceived::Failed(error)) => Err(Unreceived::Failed(error)),
        Ok(()) | Err(Unreceived::Empty | Unreceived::Disconnected) => Ok(values.len() - before),
    }
}

#[inline]
fn append<T, E>(values: &mut Vec<T>, limit: usize, mut next: impl FnMut() -> Result<T, E>) -> Result<(), E> {
    for _ in 0..limit {
        values.push(next()?);
    }
    Ok(())
}

/// The methods that send several.
macro_rules! sends_many {
    ($new:literal) => {
        /// Sends messages one after the other, as [`send`](Self::send) does each, and faster than so many calls where they are short:
        /// receivers that sleep are woken for several of them at once.
        ///
        /// Other senders' messages may come in between. Some of the values are encoded before the first of them is sent, 16 at the most.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// std::thread::scope(|scope| {
        ///     scope.spawn(|| tx.send_many(&[7, 8, 9])); // or a process
        ///     assert_eq!(rx.iter().take(3).collect::<Vec<_>>(), [7, 8, 9]);
        /// });
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// With the number of messages that were sent: those of [`send`](Self::send), for the next one. That nobody is left to receive
        /// them is noticed once for some of them, 16 at the most.
        ///
        /// # Crash
        ///
        /// If the caller is killed in here, the first messages are there, as many as it came to.
        #[doc(alias = "send_all")]
        pub fn send_many(&self, values: &[T]) -> Result<(), SendError<usize>> {
            several::send(&self.end, values, Patience::forever).map_err(|(sent, unsent)| match unsent {
                Unsent::Failed(error) => SendError::Failed(sent, error),
                Unsent::Disconnected | Unsent::Full => SendError::Disconnected(sent),
            })
        }

        /// The same as far as there is room now.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// let error = tx.try_send_many(&[7, 8, 9]).unwrap_err();
        /// assert!(error.is_full());
        /// assert_eq!(error.into_inner(), 1); // one was sent
        /// # drop(rx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// With the number of messages that were sent: [`Full`](TrySendError::Full), and those of [`send`](Self::send).
        ///
        /// # Crash
        ///
        /// As [`send_many`](Self::send_many).
        pub fn try_send_many(&self, values: &[T]) -> Result<(), TrySendError<usize>> {
            several::send(&self.end, values, Patience::none).map_err(|(sent, unsent)| match unsent {
                Unsent::Full => TrySendError::Full(sent),
                Unsent::Disconnected => TrySendError::Disconnected(sent),
                Unsent::Failed(error) => TrySendError::Failed(sent, error),
            })
        }

        /// The same, with a wait for room of that long at the most, for all of them together.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// let error = tx.send_many_timeout(&[7, 8], std::time::Duration::from_millis(10)).unwrap_err();
        /// assert!(error.is_timeout());
        /// assert_eq!(error.into_inner(), 1); // one was sent
        /// # drop(rx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// With the number of messages that were sent: [`Timeout`](SendTimeoutError::Timeout), and those of
        /// [`send`](Self::send).
        ///
        /// # Crash
        ///
        /// As [`send_many`](Self::send_many).
        pub fn send_many_timeout(&self, values: &[T], timeout: Duration) -> Result<(), SendTimeoutError<usize>> {
            let deadline = Deadline::after(timeout);
            let patience = || Patience::until(deadline);
            several::send(&self.end, values, patience).map_err(|(sent, unsent)| match unsent {
                Unsent::Full => SendTimeoutError::Timeout(sent),
                Unsent::Disconnected => SendTimeoutError::Disconnected(sent),
                Unsent::Failed(error) => SendTimeoutError::Failed(sent, error),
            })
        }
    };
}

/// The methods that receive several.
macro_rules! receives_many {
    ($new:literal) => {
        /// Appends the messages that are there to `values`, `limit` at the most and no more than the channel holds, and waits as long as it
        /// takes if there is none. How many there were: 0 only for a limit of 0.
        ///
        /// Faster than a call for each where they are short; and other receivers get what is left.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// tx.send(7)?;
        /// let mut values = vec![];
        /// assert_eq!(rx.recv_many(&mut values, 100)?, 1);
        /// assert_eq!(values, [7]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// Those of [`recv`](Self::recv). Where a message came that is no `T`, those that came before it have been appended.
        ///
        /// # Crash
        ///
        /// If the caller is killed in here, the messages that it has taken are lost, `limit` at the most; no other message is.
        #[doc(alias = "drain")]
        pub fn recv_many(&self, values: &mut Vec<T>, limit: usize) -> Result<usize, RecvError> {
            several::receive(&self.end, values, limit, Patience::forever).map_err(|unreceived| match unreceived {
                Unreceived::Failed(error) => RecvError::Failed(error),
                Unreceived::Disconnected | Unreceived::Empty => RecvError::Disconnected,
            })
        }

        /// The same without a wait.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// let mut values = vec![];
        /// assert!(rx.try_recv_many(&mut values, 100).unwrap_err().is_empty());
        /// tx.send(7)?;
        /// assert_eq!(rx.try_recv_many(&mut values, 100)?, 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`Empty`](TryRecvError::Empty), and those of [`recv_many`](Self::recv_many).
        ///
        /// # Crash
        ///
        /// As [`recv_many`](Self::recv_many).
        pub fn try_recv_many(&self, values: &mut Vec<T>, limit: usize) -> Result<usize, TryRecvError> {
            several::receive(&self.end, values, limit, Patience::none).map_err(|unreceived| match unreceived {
                Unreceived::Empty => TryRecvError::Empty,
                Unreceived::Disconnected => TryRecvError::Disconnected,
                Unreceived::Failed(error) => TryRecvError::Failed(error),
            })
        }

        /// The same, with a wait of that long at the most if there is none.
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $new]
        ///
        /// let mut values = vec![];
        /// let error = rx.recv_many_timeout(&mut values, 100, std::time::Duration::from_millis(10)).unwrap_err();
        /// assert!(error.is_timeout());
        /// # drop(tx);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`Timeout`](RecvTimeoutError::Timeout), and those of [`recv_many`](Self::recv_many).
        ///
        /// # Crash
        ///
        /// As [`recv_many`](Self::recv_many).
        pub fn recv_many_timeout(
            &self,
            values: &mut Vec<T>,
            limit: usize,
            timeout: Duration,
        ) -> Result<usize, RecvTimeoutError> {
            let deadline = Deadline::after(timeout);
            let patience = || Patience::until(deadline);
            several::receive(&self.end, values, limit, patience).map_err(|unreceived| match unreceived {
                Unreceived::Empty => RecvTimeoutError::Timeout,
                Unreceived::Disconnected => RecvTimeoutError::Disconnected,
                Unreceived::Failed(error) => RecvTimeoutError::Failed(error),
            })
        }
    };
}

pub(crate) use {receives_many, sends_many};
