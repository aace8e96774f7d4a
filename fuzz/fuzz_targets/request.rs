//! What program, fork server and child say to each other, from somebody who is none of them: every reader returns.
//!
//! The first byte chooses the way in: a body under a kind, a good request with a few bytes changed, packets with nothing right
//! about them on a socket, or the text of the marker.
#![no_main]

use libfuzzer_sys::fuzz_target;
use multiprocess_process::fuzzing;
use multiprocess_sys::handle::OwnedHandle;
use multiprocess_sys::transport::{Message, Received, Socket};
use std::fs::File;
use std::io::Write;

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((0..=63, rest)) => body(rest),
        Some((64..=127, rest)) => damaged(rest),
        Some((128..=223, rest)) => packets(rest),
        Some((_, rest)) => drop(std::str::from_utf8(rest).map(fuzzing::marker)),
        None => {}
    }
});

/// A message of the kind that the first byte says, with as many handles as the second one says.
fn body(bytes: &[u8]) {
    let Some(([kind, count], body)) = bytes.split_first_chunk() else { return };
    fuzzing::read(Message { kind: u32::from(*kind), body: body.to_vec(), handles: handles(count % 4) });
}

/// A good request after the changes that the bytes say, three for each: where, what, and the new byte.
fn damaged(bytes: &[u8]) {
    let (kind, mut body) = fuzzing::request();
    for [place, change, byte] in bytes.as_chunks().0 {
        let place = usize::from(*place) % body.len().max(1);
        match change % 4 {
            0 => body.insert(place, *byte),
            1 if !body.is_empty() => drop(body.drain(place..body.len().min(place + usize::from(*byte)))),
            _ => body.get_mut(place).into_iter().for_each(|old| *old = *byte),
        }
    }
    fuzzing::read(Message { kind, body, handles: handles(1) });
}

/// Handles of no use.
fn handles(count: u8) -> Vec<OwnedHandle> {
    let (reader, _) = std::io::pipe().expect("a pipe can be made");
    (0..count).map(|_| reader.try_clone().expect("a handle can be duplicated").into()).collect()
}

/// Up to four packets, each as long as the byte before it says, all the rest in the last one.
fn packets(mut bytes: &[u8]) {
    let (near, socket) = Socket::pair().expect("sockets can be made");
    // What is written to a socket as to a file is one packet, and no frame stands around it.
    let mut near = File::from(OwnedHandle::from(near));
    for last in [false, false, false, true] {
        let Some((length, rest)) = bytes.split_first() else { break };
        let (packet, rest) = rest.split_at(if last { rest.len() } else { rest.len().min(usize::from(*length)) });
        // What does not fit into a packet is not sent.
        let _ = near.write(packet);
        bytes = rest;
    }
    drop(near);
    loop {
        match socket.try_receive() {
            Ok(Received::Message(message)) => fuzzing::read(message),
            Ok(Received::Nothing | Received::End) => break,
            Err(_) => {}
        }
    }
}
