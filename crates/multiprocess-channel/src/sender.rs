//! The end of a channel that sends.

use crate::channel::{Channel, Flavour};
use crate::encoding;
use crate::end::{End, Sides, Unsent};
use crate::operations::{handle, measures, sends};
use crate::several::{self, sends_many};
use crate::{Receiver, SendError, SendTimeoutError, TrySendError};
use multiprocess_shm::Patience;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use serde::Serialize;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A channel with room for `capacity` messages: many senders, many receivers, in any processes.
///
/// Messages are data, and are encoded when they are sent. A handle in a message (a [`Fd`](multiprocess_parcel::Fd), a lock without a
/// name, a sender) is refused by `send`, since nobody could say which of the receivers should get it; handles travel in
/// arguments, pool initialisers and pipes.
///
/// Bytes travel fastest as a `Vec<u8>`: copied in and copied out. [`send_bytes`](Sender::send_bytes) takes them from where they are,
/// [`recv_into`](Receiver::recv_into) puts them into a vector that is there. Inside of other values they are read one by one,
/// unless they are in a type that says that they are bytes, as those of `serde_bytes` do.
///
/// A channel keeps the memory that its messages have needed at once; where many have more than a kilobyte, up to 4 MiB more (and no
/// more than half a megabyte for each message that it holds) for those up to 32 KiB, and as much for those up to 128 KiB.
/// A message has up to a gibibyte, and those of a channel that are longer than 128 KiB have 2 to 8 GiB together: of the longest, one or a few
/// find room at a time, although [`is_full`](Sender::is_full) still says no. A program that may map only so much (RLIMIT_AS,
/// setrlimit(2)) gets a channel with half of that, or a quarter, and so on, which takes no more than a sixteenth of what it may map,
/// and shorter messages where that is less than a gibibyte. Each process that has a channel maps it in two or three places
/// (`vm.max_map_count` limits how many there can be, proc_sys_vm(5)).
///
/// # Examples
///
/// ```
/// let (tx, rx) = multiprocess_channel::bounded::<(u32, String)>(16)?;
/// let worker = std::thread::spawn(move || rx.iter().map(|(number, _)| number).sum::<u32>()); // or pass `rx` to a process
/// tx.send((1, "one".to_owned()))?;
/// tx.send((2, "two".to_owned()))?;
/// drop(tx); // the last sender: the iterator ends
/// assert_eq!(worker.join().unwrap(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Out of descriptors or memory; a capacity that no memory can have; a capacity of 0: a sender and a receiver that meet without
/// anything in between would both have to live at the moment when the message changes hands, and neither can be sure of the other.
///
/// # Crash
///
/// Every message whose `send` has returned is received once while its receiver lives. Whoever is killed in the middle disturbs nobody;
/// the death of the last peer is `Disconnected` for the other side, at the latest after 200 ms. Nothing is left of a channel
/// when the last process is gone that has it.
pub fn bounded<T>(capacity: usize) -> Result<(Sender<T>, Receiver<T>), Error> {
    let channel = Channel::new(capacity, Flavour::Plain)?;
    let sender = Sender::of(End::new(channel.clone(), Sides::Sender));
    Ok((sender, Receiver::of(End::new(channel, Sides::Receiver))))
}

/// The end of a channel that sends; made by [`bounded`]. A clone is another sender.
///
/// It travels to other processes in arguments, results and pipes. Receivers know the end when the last sender is gone, however it
/// went: dropped, or with its process. One that is in a message that nobody has read yet counts too.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::{Sender, bounded};
/// use multiprocess_parcel::{pack, unpack};
///
/// let (tx, rx) = bounded::<u32>(4)?;
/// let travelling = pack(&tx)?; // as an argument does
/// drop(tx);
/// assert!(rx.try_recv().unwrap_err().is_empty()); // there is a sender on its way
/// let tx: Sender<u32> = unpack(travelling)?;
/// tx.send(7)?;
/// assert_eq!(rx.recv()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// The senders of a process that ends count no more; what they have sent is there.
///
/// # Platform
///
/// A copy of the process that the program makes with its own `fork` has copies of its handles; they count from their first use on.
pub struct Sender<T> {
    pub(crate) end: Arc<End>,
    message: PhantomData<fn(T)>,
}

handle!(Sender, Sender);

impl<T: Serialize> Sender<T> {
    sends!("let (tx, rx) = multiprocess_channel::bounded::<u32>(1)?;");
    sends_many!("let (tx, rx) = multiprocess_channel::bounded::<u32>(1)?;");
}

impl<T> Sender<T> {
    measures!("let (tx, rx) = multiprocess_channel::bounded::<u32>(1)?;");

    /// Whether both send into the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::bounded;
    ///
    /// let (tx, _rx) = bounded::<u32>(1)?;
    /// assert!(tx.same_channel(&tx.clone()));
    /// assert!(!tx.same_channel(&bounded(1)?.0));
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        self.end.channel().segment().is_same(other.end.channel().segment())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.end.debug(f, "Sender")
    }
}
