//! One packet of a message socket: some bytes, and as many handles as the kernel takes at once.

use super::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use crate::{Error, ErrorKind, seam};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;

/// The most handles that one packet carries (`SCM_MAX_FD` of unix(7)).
pub(super) const HANDLES_MAX: usize = 253;

/// Room for so many handles needs no allocation.
const FEW: usize = 8;

/// Whether a call may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It waits, unless somebody has told the socket never to.
    Allowed,
    /// It returns at once.
    Forbidden,
}

/// Why no packet was taken.
pub(super) enum Failure {
    /// Nothing is there.
    Nothing,
    /// The other end is closed.
    Reset,
    /// Anything else.
    Error(Error),
}

/// What came is nothing that this library sends.
pub(super) fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::Damaged, format!("receiving a message from another process: {what}"))
}

/// Sends one packet, whole or not at all; `false` if there is no room.
pub(super) fn send(
    socket: &impl AsHandle,
    slices: &[IoSlice<'_>],
    handles: &[BorrowedHandle<'_>],
    waiting: Waiting,
) -> Result<bool, Error> {
    let mut small = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FEW))];
    let mut large;
    let space: &mut [MaybeUninit<u8>] = match handles.len() <= FEW {
        true => &mut small,
        false => {
            large = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDLES_MAX))];
            &mut large
        }
    };
    let mut control = SendAncillaryBuffer::new(space);
    if !handles.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(handles));
    }
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, waiting == Waiting::Forbidden);
    let doing = "sending a message to another process";
    match seam::retry("sendmsg", || rustix::net::sendmsg(socket, slices, &mut control, flags)) {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN) => Ok(false),
        // Older kernels say so in the moment in which the other end is being closed.
        Err(e @ (Errno::CONNREFUSED | Errno::NOTCONN)) => {
            Err(Error::new(ErrorKind::Disconnected, doing).with_source(std::io::Error::from(e)))
        }
        Err(e) => Err(Error::os(doing, e)),
    }
}

/// Takes one packet into `buffer` and `handles`; how many bytes came. None without a handle is the end.
pub(super) fn receive(
    socket: &impl AsHandle,
    buffer: &mut [u8],
    handles: &mut Vec<OwnedHandle>,
    waiting: Waiting,
) -> Result<usize, Failure> {
    // Somebody who has the socket too may have asked for credentials, which then come with each packet.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HANDLES_MAX), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut flags = RecvFlags::CMSG_CLOEXEC;
    flags.set(RecvFlags::DONTWAIT, waiting == Waiting::Forbidden);
    let receive = |control: &mut RecvAncillaryBuffer<'_>, buffer: &mut [u8]| {
        seam::retry("recvmsg", || rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], control, flags))
    };
    let mut received = receive(&mut control, buffer);
    if matches!(received, Err(Errno::CONNRESET)) {
        // Said once, when the peer has closed its end without reading all; what it sent before is still there.
        received = receive(&mut control, buffer);
    }
    let received = received.map_err(|e| match e {
        Errno::AGAIN => Failure::Nothing,
        Errno::CONNRESET => Failure::Reset,
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
