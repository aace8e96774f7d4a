//! A pipe, a client and a listener whose other end belongs to somebody who writes what he likes: every call returns, and what is
//! received is a value or an error.
//!
//! The first byte chooses who reads. Then come packets, each behind a byte that says how it is made: as the bytes say, or framed
//! as this library does it, with a body, a kind and a number of handles that may be lies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use multiprocess_channel::{TryRecvError, fuzzing, pipe};
use multiprocess_parcel::Fd;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, OwnedHandle};
use multiprocess_sys::transport::Socket;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

/// A value of many parts.
#[derive(Debug, Serialize, Deserialize)]
enum Value {
    Bytes(Vec<u8>),
    Map(BTreeMap<String, Option<u64>>),
    Handles(Vec<Fd>, char),
    Nothing,
}

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((0..=127, rest)) => receive(rest),
        Some((128..=191, rest)) => with_socket(rest, |socket| fuzzing::introduce(&socket)),
        Some((_, rest)) => with_socket(rest, fuzzing::examine),
        None => {}
    }
});

fn receive(bytes: &[u8]) {
    let (near, far) = pipe::<(), Value>().expect("a pipe can be made");
    let far = far.as_fd().try_clone_to_owned().expect("a handle can be duplicated");
    write(far, bytes);
    loop {
        match near.try_recv() {
            Ok(_) | Err(TryRecvError::Failed(_)) => {}
            Err(TryRecvError::Disconnected) | Err(TryRecvError::Empty) => break,
            Err(_) => unreachable!("there are no other errors"),
        }
    }
}

fn with_socket(bytes: &[u8], read: impl FnOnce(Socket)) {
    let (near, far) = Socket::pair().expect("sockets can be made");
    write(far.into(), bytes);
    read(near);
}

/// Writes the packets, as many as fit.
fn write(socket: OwnedHandle, mut bytes: &[u8]) {
    let framed = Socket::from_handle(socket.try_clone().expect("a handle can be duplicated"));
    // What is written to a socket as to a file is one packet, and no frame stands around it.
    let mut raw = File::from(socket);
    let kinds = [1, 0x6b01, 0x6b02, 0x6b03, 0x6b04, 0x6b05, 0, u32::MAX];
    for _ in 0..8 {
        let Some(([how, length], rest)) = bytes.split_first_chunk() else { break };
        let (packet, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes = rest;
        if how & 1 == 0 {
            let _ = raw.write(packet);
        } else {
            let handles = vec![raw.as_fd(); usize::from(how >> 1 & 3)];
            let kind = kinds[usize::from(how >> 3 & 7)];
            // One in four is as large as a body that lies in memory.
            let body = if how >> 6 == 3 { packet.repeat(100) } else { packet.to_vec() };
            let _ = framed.send_until(kind, &[&body], &handles, Deadline::now());
        }
    }
}
