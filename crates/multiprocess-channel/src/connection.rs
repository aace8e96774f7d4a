//! Pipes: two connected ends, each of which sends and receives.
//!
//! A message is one packet of a socket (`multiprocess_sys::transport`), whatever it carries, so everything that the kernel promises
//! for packets holds for values: they are sent whole or not at all, and received whole. That is why the methods take `&self`,
//! and why an end may be used by many threads and, sent to them, by many processes.

use crate::encoding;
use crate::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use multiprocess_parcel::{Parcel, deserialize_handle, pack, serialize_handle, unpack, varint};
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle, readable};
use multiprocess_sys::listener::Credentials;
use multiprocess_sys::transport::{Message, Received, Socket};
use multiprocess_sys::waitable::{Source, Waitable};
use multiprocess_sys::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// A message of this kind is a value; the others belong to the introduction of a client to a [`Listener`](crate::Listener).
pub(crate) const VALUE: u32 = 1;

/// One end of a duplex pipe: sends `S`, receives `R`.
///
/// It is made by [`pipe`], or by a [`Listener`](crate::Listener) and a [`Client`](crate::Client). It travels in the arguments of a
/// process and through other pipes; both processes then have this end, and each message goes to one of them. The other end
/// notices the end of the conversation when the last copy is dropped or its process has ended, however it ended: so whoever
/// passes an end on drops its own (an argument that is moved into `spawn` is dropped there).
///
/// Everything of this workspace travels in a message, and any descriptor as an [`Fd`](multiprocess_parcel::Fd). Bytes are best sent
/// as a `Vec<u8>`. A value of any size is sent without waiting for a receiver; what makes a sender wait is that some hundreds
/// of messages lie unread.
///
/// For a pipe of one direction let the other one be of a type that has no value, such as [`Infallible`](std::convert::Infallible):
/// then the compiler refuses to send, or to receive, on the wrong end.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::{Connection, pipe};
/// use multiprocess_process::spawn;
///
/// fn double(requests: Connection<u64, u64>) {
///     while let Ok(number) = requests.recv() {
///         requests.send(2 * number).expect("somebody listens");
///     }
/// }
///
/// let (near, far) = pipe::<u64, u64>()?;
/// let child = spawn(double, (far,))?;
/// near.send(21)?;
/// assert_eq!(near.recv()?, 42);
/// drop(near); // the child sees the end
/// child.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// A process that dies while it sends has sent the whole value or nothing. One that dies while it receives may lose the message
/// in its hands. The other end is [`Disconnected`](RecvError::Disconnected) when nobody has this one any more, after it has received
/// what was sent.
///
/// # Platform
///
/// On Linux this is a `SOCK_SEQPACKET` socket of unix(7). The descriptor can be read when there is a message, or the other end is
/// closed, so it goes into poll, mio or tokio; if one of those makes it non-blocking, the methods here wait all the same. A process may
/// have as many descriptors in unread messages as it may have open.
pub struct Connection<S, R> {
    socket: Socket,
    types: PhantomData<fn(S) -> R>,
}

/// A pipe: two connected ends. What one sends the other one receives.
///
/// # Examples
///
/// ```
/// let (a, b) = multiprocess_channel::pipe::<&str, String>()?;
/// drop(b);
/// assert!(a.recv().unwrap_err().is_disconnected());
/// # Ok::<(), multiprocess_channel::Error>(())
/// ```
///
/// # Errors
///
/// The process has no free descriptor.
#[doc(alias = "Pipe")]
#[expect(clippy::type_complexity, reason = "both ends, each with its types, is what a pipe is")]
pub fn pipe<S, R>() -> Result<(Connection<S, R>, Connection<R, S>), Error> {
    let (a, b) = Socket::pair()?;
    Ok((Connection::over(a), Connection::over(b)))
}

/// Why a value was not sent.
enum Unsent {
    NoRoom,
    Disconnected,
    Failed(Error),
}

/// Why no value came.
enum Missing {
    Nothing,
    Disconnected,
    Failed(Error),
}

impl<S, R> Connection<S, R> {
    pub(crate) fn over(socket: Socket) -> Connection<S, R> {
        Connection { socket, types: PhantomData }
    }

    /// Whether there is a message to receive, or the other end is closed; `None` waits for ever, `Some(Duration::ZERO)` not at
    /// all. What it finds, another user of this end may take first.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (a, b) = multiprocess_channel::pipe::<u8, u8>()?;
    /// assert!(!b.poll(Some(Duration::ZERO))?);
    /// a.send(1)?;
    /// assert!(b.poll(None)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The operating system refused: there is no memory.
    pub fn poll(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
        readable([self.socket.as_fd()], deadline).map(|[ready]| ready)
    }

    /// Who made the other end: the process that called [`pipe`], that [connected](crate::Client), or that
    /// [listened](crate::Listener). The kernel says it, so nobody can pretend; but an end may have been passed on since.
    ///
    /// # Examples
    ///
    /// ```
    /// let (a, _b) = multiprocess_channel::pipe::<u8, u8>()?;
    /// assert_eq!(a.peer()?.process(), std::process::id());
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The operating system does not say.
    #[doc(alias = "last_accepted")]
    pub fn peer(&self) -> Result<Credentials, Error> {
        self.socket.peer()
    }
}

impl<S: Serialize, R> Connection<S, R> {
    /// Sends a value; waits while too many messages lie unread.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::{SendError, pipe};
    ///
    /// let (a, b) = pipe::<Vec<u8>, ()>()?;
    /// a.send(vec![7; 1 << 20])?; // nobody receives yet
    /// assert_eq!(b.recv()?.len(), 1 << 20);
    /// drop(b);
    /// assert_eq!(a.send(vec![1, 2]).unwrap_err().into_inner(), [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The other end is closed, or the value cannot travel. The value comes back in the error.
    ///
    /// # Crash
    ///
    /// If this process dies here, the other end receives the whole value or nothing of it.
    pub fn send(&self, value: S) -> Result<(), SendError<S>> {
        loop {
            match self.push(&value, Deadline::NEVER) {
                Ok(()) => return Ok(()),
                Err(Unsent::NoRoom) => {}
                Err(Unsent::Disconnected) => return Err(SendError::Disconnected(value)),
                Err(Unsent::Failed(error)) => return Err(SendError::Failed(value, error)),
            }
        }
    }

    /// Sends a value if that takes no waiting. A value of any size and with any number of handles is sent whole, or not at all.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::{TrySendError, pipe};
    ///
    /// let (a, _b) = pipe::<u64, ()>()?;
    /// let unsent = (0..).map(|n| a.try_send(n)).find_map(Result::err);
    /// assert!(unsent.is_some_and(|error| error.is_full()));
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Connection::send), and if too many messages lie unread.
    pub fn try_send(&self, value: S) -> Result<(), TrySendError<S>> {
        self.push(&value, Deadline::now()).map_err(|unsent| match unsent {
            Unsent::NoRoom => TrySendError::Full(value),
            Unsent::Disconnected => TrySendError::Disconnected(value),
            Unsent::Failed(error) => TrySendError::Failed(value, error),
        })
    }

    /// As [`send`](Connection::send), but waits no longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (a, _b) = multiprocess_channel::pipe::<u64, ()>()?;
    /// a.send_timeout(1, Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send`](Connection::send), and if the time is over.
    pub fn send_timeout(&self, value: S, timeout: Duration) -> Result<(), SendTimeoutError<S>> {
        self.push(&value, Deadline::after(timeout)).map_err(|unsent| match unsent {
            Unsent::NoRoom => SendTimeoutError::Timeout(value),
            Unsent::Disconnected => SendTimeoutError::Disconnected(value),
            Unsent::Failed(error) => SendTimeoutError::Failed(value, error),
        })
    }

    fn push(&self, value: &S, deadline: Deadline) -> Result<(), Unsent> {
        let sent = if let Some(bytes) = encoding::as_bytes(value) {
            let mut prefix = [0; varint::MAX];
            let prefix = varint::write(bytes.len() as u64, &mut prefix);
            self.socket.send_bulk_until(VALUE, &[prefix, bytes], &[], deadline)
        } else {
            // Lives until its handles are sent; what the sender keeps for them goes after them.
            let parcel = pack(value).map_err(Unsent::Failed)?;
            let handles: Vec<BorrowedHandle<'_>> = parcel.handles.iter().map(AsHandle::as_fd).collect();
            self.socket.send_bulk_until(VALUE, &[&parcel.bytes], &handles, deadline)
        };
        match sent {
            Ok(true) => Ok(()),
            Ok(false) => Err(Unsent::NoRoom),
            Err(error) if error.kind() == ErrorKind::Disconnected => Err(Unsent::Disconnected),
            Err(error) => Err(Unsent::Failed(error)),
        }
    }
}

impl<S, R: DeserializeOwned> Connection<S, R> {
    /// Waits for the next value.
    ///
    /// # Examples
    ///
    /// ```
    /// let (a, b) = multiprocess_channel::pipe::<String, ()>()?;
    /// a.send("hello".to_owned())?;
    /// drop(a);
    /// assert_eq!(b.recv()?, "hello");
    /// assert!(b.recv().unwrap_err().is_disconnected());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The other end is closed and all that it sent was received. Or what came cannot be read as a value of this type, or its
    /// handles do not fit into this process's table of descriptors: then that message is lost, its handles are closed, and the
    /// pipe goes on.
    ///
    /// # Crash
    ///
    /// If this process dies here, it may take one message with it.
    pub fn recv(&self) -> Result<R, RecvError> {
        loop {
            match self.take(Deadline::NEVER) {
                Ok(value) => return Ok(value),
                Err(Missing::Nothing) => {}
                Err(Missing::Disconnected) => return Err(RecvError::Disconnected),
                Err(Missing::Failed(error)) => return Err(RecvError::Failed(error)),
            }
        }
    }

    /// The next value if it is there. A sender that is in the middle of sending, or was stopped there, has sent nothing yet.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_a, b) = multiprocess_channel::pipe::<String, ()>()?;
    /// assert!(b.try_recv().unwrap_err().is_empty());
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Connection::recv), and if there is none.
    pub fn try_recv(&self) -> Result<R, TryRecvError> {
        self.take(Deadline::now()).map_err(|missing| match missing {
            Missing::Nothing => TryRecvError::Empty,
            Missing::Disconnected => TryRecvError::Disconnected,
            Missing::Failed(error) => TryRecvError::Failed(error),
        })
    }

    /// As [`recv`](Connection::recv), but waits no longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_a, b) = multiprocess_channel::pipe::<String, ()>()?;
    /// assert!(b.recv_timeout(Duration::from_millis(5)).unwrap_err().is_timeout());
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Connection::recv), and if the time is over.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, RecvTimeoutError> {
        self.take(Deadline::after(timeout)).map_err(|missing| match missing {
            Missing::Nothing => RecvTimeoutError::Timeout,
            Missing::Disconnected => RecvTimeoutError::Disconnected,
            Missing::Failed(error) => RecvTimeoutError::Failed(error),
        })
    }

    fn take(&self, deadline: Deadline) -> Result<R, Missing> {
        match self.socket.receive_bulk_until(deadline) {
            Ok(Received::Message(message)) => value(message).map_err(Missing::Failed),
            Ok(Received::Nothing) => Err(Missing::Nothing),
            Ok(Received::End) => Err(Missing::Disconnected),
            Err(error) => Err(Missing::Failed(error)),
        }
    }
}

/// The value in a message; it may come from anybody.
pub(crate) fn value<R: DeserializeOwned>(message: Message) -> Result<R, Error> {
    match message.kind {
        VALUE if encoding::is_bytes::<R>() && message.handles.is_empty() => bytes(message.body)
            .map(encoding::of_bytes)
            .map_err(|error| Error::new(error.kind(), "receiving a value of type `Vec<u8>`").with_source(error)),
        VALUE => unpack(Parcel { bytes: message.body, handles: message.handles, ..Parcel::default() }),
        kind => Err(crate::handshake::unexpected(kind)),
    }
}

/// The bytes behind their length, in the memory that they came in.
fn bytes(mut body: Vec<u8>) -> Result<Vec<u8>, Error> {
    match varint::read(&body) {
        Some((length, prefix)) if u64::try_from(body.len() - prefix).ok() == Some(length) => {
            body.drain(..prefix);
            Ok(body)
        }
        _ => Err(encoding::malformed()),
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("fd", &self.as_raw_fd())
            .field("sends", &type_name::<S>())
            .field("receives", &type_name::<R>())
            .finish()
    }
}

/// The message has a copy of this end.
impl<S, R> Serialize for Connection<S, R> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serialize_handle(self.socket.as_fd(), serializer)
    }
}

impl<'de, S, R> Deserialize<'de> for Connection<S, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let socket = Socket::from_foreign(deserialize_handle(deserializer)?).map_err(de::Error::custom)?;
        Ok(Connection::over(socket))
    }
}

impl<S, R> AsFd for Connection<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<S, R> AsRawFd for Connection<S, R> {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_fd().as_raw_fd()
    }
}

/// Ready when there is a message, or the other end is closed.
impl<S, R> Waitable for Connection<S, R> {
    fn source(&self) -> Result<Source<'_>, Error> {
        Ok(Source::Handle(self.socket.as_fd()))
    }
}
