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
//! | 20 | 4 | flags | bit 0: the body lies in a sealed memory object, the first handle of the packet |
//!
//! A body of at most [`INLINE_MAX`] bytes follows its header in the same packet; a larger one travels as a sealed memory
//! object, so that neither side ever waits for the other to take it in pieces. One packet carries at most [`PACKET_HANDLES_MAX`]
//! handles (`SCM_MAX_FD` of unix(7)); the rest follow in packets of one byte, which belong to the message before them.
//!
//! # Death
//!
//! A sender that dies before a packet sends nothing of it; one that dies between the packets of a message leaves its end
//! closed, which the receiver reports as damage instead of waiting. Handles of a packet that nobody reads are closed by the kernel.

use super::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use super::memory;
use crate::clock::Deadline;
use crate::{Error, ErrorKind, seam};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::time::Duration;

const MAGIC: u32 = 0x6d70_6d31;
const HEADER: usize = 24;
const IN_MEMORY: u32 = 1;
/// The largest body that is copied through the socket.
pub const INLINE_MAX: usize = 3 << 10;
/// The largest body of a small message.
const SMALL_MAX: usize = 40;
/// The most handles that one packet carries.
pub const PACKET_HANDLES_MAX: usize = 253;
/// The most handles of one message: more than any process may have open, so a count above it is damage.
const MESSAGE_HANDLES_MAX: u32 = 1 << 20;

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
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let (a, b) = seam::call("socketpair", || {
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        })
        .map_err(|e| Error::os("making a pair of sockets", e))?;
        Ok((Socket(a), Socket(b)))
    }

    /// Sends one message: its body in `parts`, and `handles`. Waits while the peer's buffer is full.
    ///
    /// # Errors
    ///
    /// The peer's end is closed ([`ErrorKind::Disconnected`]), or there is no memory or descriptor for a large body.
    ///
    /// # Crash
    ///
    /// A sender that dies sends the whole packet or nothing of it.
    pub fn send(&self, kind: u32, parts: &[&[u8]], handles: &[BorrowedHandle<'_>]) -> Result<(), Error> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let large = match length > INLINE_MAX {
            true => Some(memory::seal(parts)?),
            false => None,
        };
        let count = u32::try_from(handles.len()).ok().filter(|&n| n <= MESSAGE_HANDLES_MAX);
        let count =
            count.ok_or_else(|| Error::new(ErrorKind::TooLarge, "sending more handles than a process may have"))?;
        let header = header(kind, length as u64, count, if large.is_some() { IN_MEMORY } else { 0 });

        let mut first: Vec<BorrowedHandle<'_>> = large.iter().map(|memory| memory.as_fd()).collect();
        let (now, later) = handles.split_at(handles.len().min(PACKET_HANDLES_MAX - first.len()));
        first.extend_from_slice(now);
        let mut slices = vec![IoSlice::new(&header)];
        if large.is_none() {
            slices.extend(parts.iter().map(|part| IoSlice::new(part)));
        }
        self.send_packet(&slices, &first)?;
        later.chunks(PACKET_HANDLES_MAX).try_for_each(|chunk| self.send_packet(&[IoSlice::new(&[0])], chunk))
    }

    fn send_packet(&self, slices: &[IoSlice<'_>], handles: &[BorrowedHandle<'_>]) -> Result<(), Error> {
        let mut small = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut large;
        let space: &mut [MaybeUninit<u8>] = match handles.len() <= 8 {
            true => &mut small,
            false => {
                large = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_HANDLES_MAX))];
                &mut large
            }
        };
        let mut control = SendAncillaryBuffer::new(space);
        if !handles.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(handles));
        }
        seam::retry("sendmsg", || rustix::net::sendmsg(&self.0, slices, &mut control, SendFlags::NOSIGNAL))
            .map(drop)
            .map_err(|e| Error::os("sending a message to another process", e))
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
        self.receive_with(&mut [0; HEADER + INLINE_MAX], RecvFlags::empty())
    }

    /// As [`receive`](Socket::receive), for who expects only messages of a few bytes and wants to touch no more memory than they take.
    ///
    /// # Errors
    ///
    /// As [`receive`](Socket::receive); a larger message is damage.
    pub fn receive_small(&self) -> Result<Received, Error> {
        self.receive_with(&mut [0; HEADER + SMALL_MAX], RecvFlags::empty())
    }

    /// The next message if it is there already.
    ///
    /// # Errors
    ///
    /// As [`receive`](Socket::receive).
    pub fn try_receive(&self) -> Result<Received, Error> {
        self.receive_with(&mut [0; HEADER + INLINE_MAX], RecvFlags::DONTWAIT)
    }

    fn receive_with(&self, buffer: &mut [u8], flags: RecvFlags) -> Result<Received, Error> {
        let mut handles = Vec::new();
        let bytes = match self.receive_packet(buffer, &mut handles, flags) {
            Ok(0) if handles.is_empty() => return Ok(Received::End),
            Ok(bytes) => bytes,
            Err(Failure::WouldBlock) if flags.contains(RecvFlags::DONTWAIT) => return Ok(Received::Nothing),
            Err(Failure::WouldBlock) => {
                return Err(Error::os("receiving a message from another process", rustix::io::Errno::AGAIN));
            }
            Err(Failure::Reset) => return Ok(Received::End),
            Err(Failure::Error(error)) => return Err(error),
        };
        let (kind, length, count, in_memory) = parse_header(&buffer[..bytes])?;
        let body = if in_memory {
            if handles.is_empty() {
                return Err(damaged("its body is missing"));
            }
            memory::unseal(handles.remove(0), length)?
        } else {
            if length != (bytes - HEADER) as u64 {
                return Err(damaged("its length is wrong"));
            }
            buffer[HEADER..bytes].to_vec()
        };
        while handles.len() < count as usize {
            let before = handles.len();
            match self.receive_packet(&mut [0u8; 2], &mut handles, RecvFlags::empty()) {
                Ok(1) if handles.len() > before => {}
                Ok(_) | Err(Failure::Reset | Failure::WouldBlock) => {
                    return Err(damaged("the rest of its handles is missing"));
                }
                Err(Failure::Error(error)) => return Err(error),
            }
        }
        if handles.len() != count as usize {
            return Err(damaged("it carries more handles than it says"));
        }
        Ok(Received::Message(Message { kind, body, handles }))
    }

    fn receive_packet(
        &self,
        buffer: &mut [u8],
        handles: &mut Vec<OwnedHandle>,
        flags: RecvFlags,
    ) -> Result<usize, Failure> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_HANDLES_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let receive = |control: &mut RecvAncillaryBuffer<'_>, buffer: &mut [u8]| {
            seam::retry("recvmsg", || rustix::net::recvmsg(&self.0, &mut [IoSliceMut::new(buffer)], control, flags))
        };
        let mut received = receive(&mut control, buffer);
        if matches!(received, Err(rustix::io::Errno::CONNRESET)) {
            // Said once, when the peer has closed its end without reading all; what it sent before is still there.
            received = receive(&mut control, buffer);
        }
        let received = received.map_err(|e| match e {
            rustix::io::Errno::AGAIN => Failure::WouldBlock,
            rustix::io::Errno::CONNRESET => Failure::Reset,
            e => Failure::Error(Error::os("receiving a message from another process", e)),
        })?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                handles.extend(rights);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            let what = "receiving a message whose handles do not fit this process's descriptor table";
            return Err(Failure::Error(Error::new(ErrorKind::Os, what)));
        }
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(Failure::Error(damaged("it is longer than a packet may be")));
        }
        Ok(received.bytes)
    }

    /// Takes the socket's handle as a socket of this kind.
    pub fn from_handle(handle: OwnedHandle) -> Socket {
        Socket(handle)
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

/// Why no packet was taken.
enum Failure {
    WouldBlock,
    Reset,
    Error(Error),
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Damaged, format!("receiving a message from another process: {what}"))
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

/// Kind, length of the body, number of handles, and whether the body lies in memory.
fn parse_header(packet: &[u8]) -> Result<(u32, u64, u32, bool), Error> {
    let Some((header, _)) = packet.split_first_chunk::<HEADER>() else {
        return Err(damaged("it is shorter than its header"));
    };
    let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = u64::from_ne_bytes([
        header[8], header[9], header[10], header[11], header[12], header[13], header[14], header[15],
    ]);
    if word(0) != MAGIC || word(20) > IN_MEMORY || word(16) > MESSAGE_HANDLES_MAX {
        return Err(damaged("its header is not of this library"));
    }
    Ok((word(4), length, word(16), word(20) == IN_MEMORY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(socket: &Socket) -> Message {
        match socket.receive().unwrap() {
            Received::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bodies_of_every_size_arrive() {
        let (a, b) = Socket::pair().unwrap();
        for length in [0, 1, INLINE_MAX - 1, INLINE_MAX, INLINE_MAX + 1, 3 << 20] {
            let body: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let (left, right) = body.split_at(length / 3);
            a.send(5, &[left, right], &[]).unwrap();
            assert_eq!(message(&b).body, body);
        }
    }

    #[test]
    fn more_handles_than_a_packet_takes_arrive_in_order() {
        let (a, b) = Socket::pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        for count in [0, 1, 8, 9, 252, 253, 254, 600] {
            let handles: Vec<_> =
                (0..count).map(|i| if i % 2 == 0 { reader.as_fd() } else { writer.as_fd() }).collect();
            a.send(1, &[b"x"], &handles).unwrap();
            let got = message(&b).handles;
            assert_eq!(got.len(), count);
            for (sent, got) in handles.iter().zip(&got) {
                assert_eq!(rustix::fs::fstat(sent).unwrap().st_ino, rustix::fs::fstat(got).unwrap().st_ino);
            }
        }
    }

    #[test]
    fn the_end_is_noticed_after_what_was_sent() {
        let (a, b) = Socket::pair().unwrap();
        assert!(matches!(b.try_receive().unwrap(), Received::Nothing));
        a.send(1, &[b"last"], &[]).unwrap();
        drop(a);
        assert_eq!(message(&b).body, b"last");
        assert!(matches!(b.receive().unwrap(), Received::End));
        assert_eq!(b.send(1, &[b"x"], &[]).unwrap_err().kind(), ErrorKind::Disconnected);
    }

    #[test]
    fn foreign_packets_are_damage() {
        let (a, b) = Socket::pair().unwrap();
        let mut wrong = header(1, 4, 0, 0).to_vec();
        wrong.extend_from_slice(b"12345");
        let mut memory_missing = header(1, 4, 0, IN_MEMORY).to_vec();
        memory_missing.push(0);
        let many = header(1, 0, u32::MAX, 0).to_vec();
        for packet in
            [b"short".to_vec(), vec![0; HEADER], vec![0xff; 100], wrong, memory_missing, many, vec![7; 20_000]]
        {
            a.send_packet(&[IoSlice::new(&packet)], &[]).unwrap();
            assert_eq!(b.receive().unwrap_err().kind(), ErrorKind::Damaged, "{packet:?}");
        }
        a.send_packet(&[IoSlice::new(&header(1, 0, 3, 0))], &[std::io::stdin().as_fd()]).unwrap();
        drop(a);
        assert_eq!(b.receive().unwrap_err().kind(), ErrorKind::Damaged);
    }
}
