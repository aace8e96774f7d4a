//! Bundles: more handles than one packet carries, in one packet.
//!
//! The kernel takes [`HANDLES_MAX`] handles with a packet, and a message must be one packet: then it is there or not, no sender
//! that is stopped in the middle makes a receiver wait, and the messages of several senders do not mix. So the handles of a
//! large message are put into sockets first, and those travel:
//!
//! ```text
//! bundle: a pair of sockets, one end filled by packets of one byte and HANDLES_MAX handles, then closed
//! packet: header, body, and as handles the other ends of the bundles
//! ```
//!
//! | Step | If the sender dies or fails right after it |
//! | --- | --- |
//! | a pair is made | both ends are closed |
//! | it is filled, by sends that never wait | the kernel closes what lies in it together with its last end |
//! | its near end is closed | the same |
//! | the packet is sent | the message is there whole; it can be emptied without waiting, whatever the sender does |
//!
//! A receiver that dies while it empties one loses this message and no other.

use super::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use super::packet::{self, Failure, HANDLES_MAX, Waiting, damaged};
use crate::{Error, ErrorKind, seam};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io::IoSlice;

/// Two connected ends of a message socket.
pub(super) fn pair() -> Result<(OwnedHandle, OwnedHandle), Error> {
    seam::call("socketpair", || socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None))
        .map_err(|e| Error::os("making a pair of sockets", e))
}

/// Puts the handles into as few bundles as take them.
pub(super) fn pack(handles: &[BorrowedHandle<'_>]) -> Result<Vec<OwnedHandle>, Error> {
    let mut bundles = Vec::new();
    let mut rest = handles;
    while !rest.is_empty() {
        let (near, far) = pair()?;
        let before = rest.len();
        while let Some((now, later)) =
            rest.split_at_checked(rest.len().min(HANDLES_MAX)).filter(|(now, _)| !now.is_empty())
        {
            if !packet::send(&near, &[IoSlice::new(&[0])], now, Waiting::Forbidden)? {
                break;
            }
            rest = later;
        }
        if rest.len() == before {
            return Err(Error::new(ErrorKind::Os, "sending many handles: a new socket takes none"));
        }
        bundles.push(far);
    }
    Ok(bundles)
}

/// Takes `count` handles out of the bundles. It never waits: what is not there by now is missing.
pub(super) fn unpack(bundles: Vec<OwnedHandle>, count: usize) -> Result<Vec<OwnedHandle>, Error> {
    let missing = || damaged("some of its handles are missing");
    let mut handles = Vec::new();
    for bundle in bundles {
        // Whatever came may be anything: no other object that can be received from is one of ours.
        if !super::transport::is_message_socket(bundle.as_fd()) {
            return Err(damaged("what should hold its handles is no message socket"));
        }
        while handles.len() < count {
            let before = handles.len();
            match packet::receive(&bundle, &mut [0; 2], &mut handles, Waiting::Forbidden) {
                Ok(1) if handles.len() > before => {}
                Ok(0) if handles.len() == before => break,
                Ok(_) | Err(Failure::Reset | Failure::Nothing) => return Err(missing()),
                Err(Failure::Error(error)) => return Err(error),
            }
        }
    }
    match handles.len().cmp(&count) {
        std::cmp::Ordering::Less => Err(missing()),
        std::cmp::Ordering::Equal => Ok(handles),
        std::cmp::Ordering::Greater => Err(damaged("it carries more handles than it says")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than one socket holds, in a process that may not have so many of its own: the same one again and again.
    #[test]
    fn more_than_one_bundle_holds_come_in_order() {
        let (reader, writer) = std::io::pipe().unwrap();
        let handles: Vec<_> = (0..1000).map(|i| if i % 3 == 0 { reader.as_fd() } else { writer.as_fd() }).collect();
        let got = unpack(pack(&handles).unwrap(), 1000).unwrap();
        for (sent, got) in handles.iter().zip(&got) {
            assert_eq!(rustix::fs::fstat(sent).unwrap().st_ino, rustix::fs::fstat(got).unwrap().st_ino);
            let access = |h: BorrowedHandle<'_>| rustix::fs::fcntl_getfl(h).unwrap() & rustix::fs::OFlags::RWMODE;
            assert_eq!(access(*sent), access(got.as_fd()));
        }
    }

    #[test]
    fn what_is_no_bundle_or_holds_another_number_is_damage() {
        let (reader, _) = std::io::pipe().unwrap();
        let handles = [reader.as_fd(); 300];
        for count in [1, 252, 254, 299, 301] {
            let bundles = pack(&handles).unwrap();
            assert_eq!(unpack(bundles, count).unwrap_err().kind(), ErrorKind::Damaged, "{count}");
        }
        let (open, far) = pair().unwrap();
        assert_eq!(
            unpack(vec![far], 1).unwrap_err().kind(),
            ErrorKind::Damaged,
            "nothing is in it, and its end is open"
        );
        drop(open);
        assert_eq!(unpack(vec![reader.into()], 1).unwrap_err().kind(), ErrorKind::Damaged);
        assert_eq!(unpack(Vec::new(), 1).unwrap_err().kind(), ErrorKind::Damaged);
    }
}
