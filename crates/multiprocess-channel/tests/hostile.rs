//! A peer that writes to the socket without this library: whatever comes is an error, and the pipe goes on.

use multiprocess_channel::{Connection, RecvError, pipe};
use multiprocess_parcel::{pack, unpack};
use multiprocess_process::{Fd, spawn};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};

/// The raw socket of an end.
fn raw<S, R>(end: &Connection<S, R>) -> File {
    File::from(end.as_fd().try_clone_to_owned().unwrap())
}

/// A frame as the library makes one, to damage: by a real one that is read raw.
fn frame(value: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let (near, far) = pipe::<Vec<u8>, ()>().unwrap();
    near.send(value.to_vec()).unwrap();
    let mut packet = vec![0; 10_000];
    let length = raw(&far).read(&mut packet).unwrap();
    packet.truncate(length);
    packet
}

#[test]
fn foreign_packets_are_errors_and_nothing_more() {
    let good = frame(b"good");
    let (near, far) = pipe::<(), Vec<u8>>().unwrap();
    let mut writer = raw(&far);
    let mut packets: Vec<Vec<u8>> =
        vec![b"x".to_vec(), vec![0; 24], vec![0xff; 24], vec![0xff; 3000], vec![1; 100_000]];
    for at in 0..24 {
        for flip in [0x01, 0x80, 0xff] {
            let mut packet = good.clone();
            packet[at] ^= flip;
            packets.push(packet);
        }
    }
    packets.extend((1..good.len()).map(|length| good[..length].to_vec()));
    packets.push([good.as_slice(), b"more"].concat());
    for packet in packets {
        writer.write_all(&packet).unwrap();
        match near.recv() {
            Err(RecvError::Failed(_)) => {}
            other => panic!("{packet:?} gave {other:?}"),
        }
        writer.write_all(&good).unwrap();
        assert_eq!(near.recv().unwrap(), b"good", "after {packet:?}");
    }
}

/// Bytes that claim to be a long list do not make the receiver reserve memory for one.
#[test]
fn claimed_lengths_reserve_nothing() {
    let (near, far) = pipe::<(), Vec<u64>>().unwrap();
    let bytes: Connection<(u64, u64), ()> = unpack(pack(&far).unwrap()).unwrap();
    bytes.send((u64::MAX, u64::MAX)).unwrap();
    assert!(matches!(near.recv(), Err(RecvError::Failed(_))));
}

/// The hostile peer is another process, which writes at random while a good one sends through the same end.
#[test]
fn a_good_sender_beside_a_hostile_one_is_heard() {
    let (near, far) = pipe::<(), Vec<u8>>().unwrap();
    let flood = |socket: Fd<File>| {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut socket = socket.into_inner();
        for _ in 0..2000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let length = 1 + (state >> 33) as usize % 200;
            let bytes: Vec<u8> = (0..length).map(|i| (state >> (i % 56)) as u8).collect();
            socket.write_all(&bytes).unwrap();
        }
    };
    let hostile = spawn(flood, (Fd(File::from(far.as_fd().try_clone_to_owned().unwrap())),)).unwrap();
    let good = |end: Connection<Vec<u8>, ()>| (0..200u8).for_each(|n| end.send(vec![n; 10]).unwrap());
    let good = spawn(good, (far,)).unwrap();
    let mut heard = Vec::new();
    loop {
        match near.recv() {
            Ok(value) => heard.push(value[0]),
            Err(RecvError::Disconnected) => break,
            Err(_) => {}
        }
    }
    assert_eq!(heard, (0..200).collect::<Vec<u8>>());
    hostile.join().unwrap();
    good.join().unwrap();
}

/// Handles that nobody asked for are closed.
#[test]
fn unasked_handles_are_closed() {
    let (near, far) = pipe::<(u32, Fd), ()>().unwrap();
    let other: Connection<(), (u32, u32)> = unpack(pack(&far).unwrap()).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    near.send((1, Fd(OwnedFd::from(writer)))).unwrap();
    assert!(matches!(other.recv(), Err(RecvError::Failed(_))));
    assert_eq!(std::io::Read::read(&mut reader, &mut [0]).unwrap(), 0);
}
