//! A message socket: a `SOCK_SEQPACKET` pair, so that one send is one message and a peer's end is noticed.
//!
//! # The frame
//!
//! | offset | size | field | meaning |
//! | --- | --- | --- | --- |
//! | 0 | 4 | magic | [`MAGIC`]; anything else is damage |
//! | 4 | 4 | kind | chosen by the protocol above |
//! | 8 | 8 | length | of the body in bytes |
//! | 16 | 4 | handles | how many travel with the message, without the one that carries the body |
//! | 20 | 4 | flags | bit 0: the body lies in a sealed memory object, the first handle of the packet; bit 1: the handles lie in bundles |
//!
//! A body of at most [`INLINE_MAX`] bytes follows its header in the same packet; a larger one travels as a sealed memory
//! object, so that neither side ever waits for the other to take it in pieces, and large messages that nobody reads do not
//! fill the socket. Between sides that agree on it ([`Socket::send_bulk_until`]), one of up to [`BULK_MAX`] bytes goes the first way
//! while the socket is nearly empty. More handles than a packet carries travel in
//! bundles (`crates/multiprocess-sys/src/linux/bundle.rs`).
//!
//! So **a message is one packet**, which the kernel sends and delivers whole. It follows that
//!
//! * a message is there or it is not: a sender that is stopped or killed while it makes a large one has sent nothing yet;
//! * a send that does not want to wait sends all or nothing;
//! * threads and processes that send through one end mix their messages, never parts of them, and each message of those who
//!   receive from one end goes to one of them.
//!
//! # Death
//!
//! | Death of | when | then |
//! | --- | --- | --- |
//! | the sender | before its packet is sent | memory and bundles go with it, the receiver sees nothing |
//! | the sender | after that | the message is in the socket |
//! | the receiver | before it takes the packet | the next one who has this end takes it; without one, the kernel closes all handles |
//! | the receiver | after that | this message is lost with it |
//!
//! A message that cannot be taken (no free descriptors, damage) is lost, its handles are closed, and the next one comes.

use super::bundle;
use super::handle::{self, AsHandle, BorrowedHandle, OwnedHandle};
use super::memory;
use super::packet::{self, Failure, HANDLES_MAX, Waiting, damaged};
use crate::clock::Deadline;
use crate::{Error, ErrorKind};
use std::cell::Cell;
use std::io::IoSlice;
use std::time::Duration;

const MAGIC: u32 = 0x6d70_6d32;
const HEADER: usize = 24;
const IN_MEMORY: u32 = 1;
const IN_BUNDLES: u32 = 2;
/// The largest body that is always copied through the socket.
const INLINE_MAX: usize = 3 << 10;
/// The largest body that is copied through the socket if both sides agree on it and there is plenty of room: up to here that is
/// quicker than making a memory object. A `Vec` of 128 KiB with its length is below it.
const BULK_MAX: usize = (128 << 10) + 64;
/// The largest body of a small message.
const SMALL_MAX: usize = 40;
/// The most handles of one message: more than any process may have open, so a count above it is damage.
const MESSAGE_HANDLES_MAX: u32 = 1 << 20;

thread_local! {
    /// Where messages of middling size arrive. It is taken from the system when a thread first receives one, page by page.
    static BULK: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// One end of a pair of connected message sockets.
#[derive(Debug)]
pub struct Socket(OwnedHandle);

/// A message as it was received.
#[derive(Debug, Default)]
pub struct Message {
    /// What the protocol calls it.
    pub kind: u32,
    /// Its bytes.
    pub body: Vec<u8>,
    /// The handles that travelled with it.
    pub handles: Vec<OwnedHandle>,
}

/// What a receive found.
#[derive(Debug)]
pub enum Received {
    /// A whole message.
    Message(Message),
    /// Nothing yet (only where the caller did not want to wait).
    Nothing,
    /// The peer's end is closed and everything it sent was read.
    End,
}

impl Socket {
    /// Two connected ends.
    ///
    /// # Errors
    ///
    /// Out of descriptors or memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::transport::{Received, Socket};
    ///
    /// let (a, b) = Socket::pair()?;
    /// a.send(7, &[b"hello"], &[])?;
    /// let Received::Message(message) = b.receive()? else { panic!() };
    /// assert_eq!((message.kind, message.body.as_slice()), (7, b"hello".as_slice()));
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn pair() -> Result<(Socket, Socket), Error> {
        bundle::pair().map(|(a, b)| (Socket(a), Socket(b)))
    }

    /// Sends one message: its body in `parts`, and `handles`. Waits while the peer's buffer is full.
    ///
    /// # Errors
    ///
    /// The peer's end is closed ([`ErrorKind::Disconnected`]), or there is no memory or descriptor for a large message.
    ///
    /// # Crash
    ///
    /// A sender that dies sends the whole message or nothing of it.
    pub fn send(&self, kind: u32, parts: &[&[u8]], handles: &[BorrowedHandle<'_>]) -> Result<(), Error> {
        self.send_until(kind, parts, handles, Deadline::NEVER).map(drop)
    }

    /// As [`send`](Socket::send), but waits no longer than until `deadline`; `false` if there was no room until then, and nothing
    /// was sent. With a deadline that has passed it does not wait at all.
    ///
    /// # Errors
    ///
    /// As [`send`](Socket::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::{clock::Deadline, transport::Socket};
    ///
    /// let (a, _b) = Socket::pair()?;
    /// while a.send_until(1, &[b"fill it"], &[], Deadline::now())? {}
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn send_until(
        &self,
        kind: u32,
        parts: &[&[u8]],
        handles: &[BorrowedHandle<'_>],
        deadline: Deadline,
    ) -> Result<bool, Error> {
        self.send_with(kind, parts, handles, deadline, false)
    }

    /// As [`send_until`](Socket::send_until), for a peer who receives by [`receive_bulk_until`](Socket::receive_bulk_until): messages of
    /// middling size are quicker.
    ///
    /// # Errors
    ///
    /// As [`send`](Socket::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::{clock::Deadline, transport::{Received, Socket}};
    ///
    /// let (a, b) = Socket::pair()?;
    /// a.send_bulk_until(1, &[&[7; 50_000]], &[], Deadline::NEVER)?;
    /// let Received::Message(message) = b.receive_bulk_until(Deadline::NEVER)? else { panic!() };
    /// assert_eq!(message.body, [7; 50_000]);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn send_bulk_until(
        &self,
        kind: u32,
        parts: &[&[u8]],
        handles: &[BorrowedHandle<'_>],
        deadline: Deadline,
    ) -> Result<bool, Error> {
        self.send_with(kind, parts, handles, deadline, true)
    }

    fn send_with(
        &self,
        kind: u32,
        parts: &[&[u8]],
        handles: &[BorrowedHandle<'_>],
        deadline: Deadline,
        bulk: bool,
    ) -> Result<bool, Error> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let count = u32::try_from(handles.len()).ok().filter(|&n| n <= MESSAGE_HANDLES_MAX);
        let count =
            count.ok_or_else(|| Error::new(ErrorKind::TooLarge, "sending more handles than a process may have"))?;
        if bulk && (INLINE_MAX + 1..=BULK_MAX).contains(&length) && handles.len() <= HANDLES_MAX {
            let header = header(kind, length as u64, count, 0);
            if self.send_in_passing(&slices(&header, parts), handles)? {
                return Ok(true);
            }
        }
        let large = match length > INLINE_MAX {
            true => Some(memory::seal(parts)?),
            false => None,
        };
        let bundles = match handles.len() + usize::from(large.is_some()) > HANDLES_MAX {
            true => Some(bundle::pack(handles)?),
            false => None,
        };
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = flag(large.is_some(), IN_MEMORY) | flag(bundles.is_some(), IN_BUNDLES);
        let header = header(kind, length as u64, count, flags);
        let mut carried: Vec<BorrowedHandle<'_>> = large.iter().map(AsHandle::as_fd).collect();
        match &bundles {
            Some(bundles) => carried.extend(bundles.iter().map(AsHandle::as_fd)),
            None => carried.extend_from_slice(handles),
        }
        self.send_packet(&slices(&header, if large.is_some() { &[] } else { parts }), &carried, deadline)
    }

    /// Sends a packet of middling size if there is plenty of room, as the kernel says when it says that one may write.
    fn send_in_passing(&self, slices: &[IoSlice<'_>], handles: &[BorrowedHandle<'_>]) -> Result<bool, Error> {
        if !handle::writable(self.0.as_fd(), Deadline::now())? {
            return Ok(false);
        }
        match packet::send(&self.0, slices, handles, Waiting::Forbidden) {
            // Too large for a socket whose buffer somebody has made smaller, or memory is short: there is the other way.
            Err(error) if error.kind() != ErrorKind::Disconnected => Ok(false),
            result => result,
        }
    }

    fn send_packet(
        &self,
        slices: &[IoSlice<'_>],
        handles: &[BorrowedHandle<'_>],
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let waiting = waiting(deadline);
        loop {
            if packet::send(&self.0, slices, handles, waiting)? {
                return Ok(true);
            }
            if deadline.has_passed() {
                return Ok(false);
            }
            // The kernel says that there is room only when there is plenty, so time may pass in vain: the loop tries once more.
            handle::writable(self.0.as_fd(), deadline)?;
        }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// What came is no message of this library, is cut short, or could not be taken (no free descriptors).
    ///
    /// # Crash
    ///
    /// A receiver that dies loses the message in its hands and nothing else.
    pub fn receive(&self) -> Result<Received, Error> {
        self.receive_with(&mut [0; HEADER + INLINE_MAX], Deadline::NEVER)
    }

    /// As [`receive`](Socket::receive), for who expects only messages of a few bytes and wants to touch no more memory than they take.
    ///
    /// # Errors
    ///
    /// As [`receive`](Socket::receive); a larger message is damage.
    pub fn receive_small(&self) -> Result<Received, Error> {
        self.receive_small_until(Deadline::NEVER)
    }

    /// As [`receive_small`](Socket::receive_small), but waits no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`receive_small`](Socket::receive_small).
    pub fn receive_small_until(&self, deadline: Deadline) -> Result<Received, Error> {
        self.receive_with(&mut [0; HEADER + SMALL_MAX], deadline)
    }

    /// The next message if it is there already.
    ///
    /// # Errors
    ///
    /// As [`receive`](Socket::receive).
    pub fn try_receive(&self) -> Result<Received, Error> {
        self.receive_until(Deadline::now())
    }

    /// As [`receive`](Socket::receive), but waits no longer than until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`receive`](Socket::receive).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::clock::Deadline;
    /// use multiprocess_sys::transport::{Received, Socket};
    /// use std::time::Duration;
    ///
    /// let (a, _b) = Socket::pair()?;
    /// assert!(matches!(a.receive_until(Deadline::after(Duration::from_millis(1)))?, Received::Nothing));
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn receive_until(&self, deadline: Deadline) -> Result<Received, Error> {
        self.receive_with(&mut [0; HEADER + INLINE_MAX], deadline)
    }

    /// As [`receive_until`](Socket::receive_until), for messages that were sent by [`send_bulk_until`](Socket::send_bulk_until).
    ///
    /// # Errors
    ///
    /// As [`receive`](Socket::receive).
    pub fn receive_bulk_until(&self, deadline: Deadline) -> Result<Received, Error> {
        // Taken and put back: a thread that is at its end, or has none, makes one for this call.
        let mut buffer = BULK.try_with(Cell::take).unwrap_or_default();
        if buffer.is_empty() {
            buffer = vec![0; HEADER + BULK_MAX];
        }
        let received = self.receive_with(&mut buffer, deadline);
        let _ = BULK.try_with(|place| place.set(buffer));
        received
    }

    fn receive_with(&self, buffer: &mut [u8], deadline: Deadline) -> Result<Received, Error> {
        let mut handles = Vec::new();
        let waiting = waiting(deadline);
        let bytes = loop {
            match packet::receive(&self.0, buffer, &mut handles, waiting) {
                Ok(0) if handles.is_empty() => return Ok(Received::End),
                Ok(bytes) => break bytes,
                Err(Failure::Nothing) if deadline.has_passed() => return Ok(Received::Nothing),
                // Whoever has this end too may be faster: then the loop waits again.
                Err(Failure::Nothing) => drop(handle::readable([self.0.as_fd()], deadline)?),
                Err(Failure::Reset) => return Ok(Received::End),
                Err(Failure::Error(error)) => return Err(error),
            }
        };
        let header = Header::parse(&buffer[..bytes])?;
        let body = if header.in_memory {
            if handles.is_empty() {
                return Err(damaged("its body is missing"));
            }
            let memory = handles.remove(0);
            if buffer.len() < HEADER + INLINE_MAX {
                return Err(damaged("it is larger than what is expected"));
            }
            memory::unseal(memory, header.length)?
        } else {
            if header.length != (bytes - HEADER) as u64 {
                return Err(damaged("its length is wrong"));
            }
            buffer[HEADER..bytes].to_vec()
        };
        if header.in_bundles {
            handles = bundle::unpack(handles, header.handles)?;
        }
        if handles.len() != header.handles {
            return Err(damaged("it does not carry as many handles as it says"));
        }
        Ok(Received::Message(Message { kind: header.kind, body, handles }))
    }

    /// Takes the socket's handle as a socket of this kind.
    pub fn from_handle(handle: OwnedHandle) -> Socket {
        Socket(handle)
    }

    /// Takes the handle of a message socket that came from another process.
    ///
    /// # Errors
    ///
    /// It is the handle of something else.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::{ErrorKind, transport::Socket};
    ///
    /// let (reader, _) = std::io::pipe()?;
    /// assert_eq!(Socket::from_foreign(reader.into()).unwrap_err().kind(), ErrorKind::WrongKind);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_foreign(handle: OwnedHandle) -> Result<Socket, Error> {
        match is_message_socket(handle.as_fd()) {
            true => Ok(Socket(handle)),
            false => Err(Error::new(ErrorKind::WrongKind, "taking the end of a pipe: the handle is of something else")),
        }
    }
}

/// Whether this is a message socket at all.
pub(super) fn is_message_socket(socket: BorrowedHandle<'_>) -> bool {
    let domain = rustix::net::sockopt::socket_domain(socket);
    let kind = rustix::net::sockopt::socket_type(socket);
    domain == Ok(rustix::net::AddressFamily::UNIX) && kind == Ok(rustix::net::SocketType::SEQPACKET)
}

/// How long the end of a maker that is not our parent any more may take to be told.
const PARTING: Duration = Duration::from_secs(1);

/// Whether the other end of this message socket was made by this process's parent, or by one that has ended since.
pub(super) fn is_from_parent(socket: BorrowedHandle<'_>) -> bool {
    let maker = rustix::net::sockopt::socket_peercred(socket);
    let parent = rustix::process::Pid::as_raw(rustix::process::getppid());
    // One that nobody has reaped yet still has its number. The kernel gives its children away a moment before it says that it has
    // ended, so that is waited for.
    let open = |pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
    let has_ended = |pid: OwnedHandle| super::handle::readable([pid.as_fd()], Deadline::after(PARTING));
    let is_gone = |pid| open(pid).map_or(true, |pid| has_ended(pid).is_ok_and(|[ended]| ended));
    maker.is_ok_and(|maker| rustix::process::Pid::as_raw(Some(maker.pid)) == parent || is_gone(maker.pid))
}

impl AsHandle for Socket {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.0.as_fd()
    }
}

impl From<Socket> for OwnedHandle {
    fn from(socket: Socket) -> OwnedHandle {
        socket.0
    }
}

/// A header and what follows it.
fn slices<'a>(header: &'a [u8], parts: &[&'a [u8]]) -> Vec<IoSlice<'a>> {
    [header].iter().chain(parts).map(|part| IoSlice::new(part)).collect()
}

/// A call may wait by itself if it may wait for ever; otherwise whoever waits looks at the clock.
fn waiting(deadline: Deadline) -> Waiting {
    if deadline == Deadline::NEVER { Waiting::Allowed } else { Waiting::Forbidden }
}

fn header(kind: u32, length: u64, handles: u32, flags: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..4].copy_from_slice(&MAGIC.to_ne_bytes());
    header[4..8].copy_from_slice(&kind.to_ne_bytes());
    header[8..16].copy_from_slice(&length.to_ne_bytes());
    header[16..20].copy_from_slice(&handles.to_ne_bytes());
    header[20..24].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// What a packet says about its message.
struct Header {
    kind: u32,
    length: u64,
    handles: usize,
    in_memory: bool,
    in_bundles: bool,
}

impl Header {
    fn parse(packet: &[u8]) -> Result<Header, Error> {
        let Some((header, _)) = packet.split_first_chunk::<HEADER>() else {
            return Err(damaged("it is shorter than its header"));
        };
        let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (magic, handles, flags) = (word(0), word(16), word(20));
        if magic != MAGIC || flags & !(IN_MEMORY | IN_BUNDLES) != 0 || handles > MESSAGE_HANDLES_MAX {
            return Err(damaged("its header is not of this library"));
        }
        Ok(Header {
            kind: word(4),
            length: u64::from_ne_bytes([
                header[8], header[9], header[10], header[11], header[12], header[13], header[14], header[15],
            ]),
            handles: handles as usize,
            in_memory: flags & IN_MEMORY != 0,
            in_bundles: flags & IN_BUNDLES != 0,
        })
    }
}

#[cfg(test)]
mod tests;
