//! Bytes that are borrowed, and vectors that are used again.

use multiprocess_channel::{Queue, Receiver, bounded};
use multiprocess_parcel::{pack, unpack};
use std::time::Duration;

/// Lengths on both sides of each limit: what fits into a cell, into a block of each size, into several.
const LENGTHS: [usize; 12] = [0, 1, 46, 47, 48, 127, 128, 1149, 8446, 40_000, 69_630, 1 << 20];

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 5 + at) as u8).collect()
}

#[test]
fn borrowed_bytes_are_a_vector_to_who_receives_them_and_the_other_way_round() {
    let (tx, rx) = bounded::<Vec<u8>>(4).unwrap();
    let mut room = vec![9; 3];
    for length in LENGTHS {
        let message = bytes(length);
        tx.send_bytes(&message).unwrap();
        tx.try_send_bytes(&message).unwrap();
        tx.send_bytes_timeout(&message, Duration::from_secs(60)).unwrap();
        tx.send(message.clone()).unwrap();
        assert!(tx.try_send_bytes(&message).unwrap_err().is_full());
        assert_eq!(rx.recv().unwrap(), message);
        rx.recv_into(&mut room).unwrap();
        assert_eq!(room, message);
        rx.try_recv_into(&mut room).unwrap();
        assert_eq!(room, message);
        rx.recv_into_timeout(&mut room, Duration::from_secs(60)).unwrap();
        assert_eq!(room, message);
    }
}

#[test]
fn a_vector_that_is_long_enough_is_used_again() {
    let (tx, rx) = bounded::<Vec<u8>>(1).unwrap();
    let mut room = Vec::with_capacity(100_000);
    let place = room.as_ptr();
    for length in [100_000, 10, 0, 70_000] {
        tx.send_bytes(&bytes(length)).unwrap();
        rx.recv_into(&mut room).unwrap();
        assert_eq!((room.len(), room.as_ptr(), room.capacity()), (length, place, 100_000));
    }
}

#[test]
fn after_an_error_the_vector_is_empty() {
    let (tx, rx) = bounded::<u64>(2).unwrap();
    let as_bytes: Receiver<Vec<u8>> = unpack(pack(&rx).unwrap()).unwrap();
    let mut room = bytes(5);
    assert!(as_bytes.try_recv_into(&mut room).unwrap_err().is_empty());
    assert!(room.is_empty());
    tx.send(300).unwrap();
    room.push(1);
    let error = as_bytes.recv_into(&mut room).unwrap_err();
    assert!(error.to_string().contains("Vec<u8>"), "{error}");
    assert!(room.is_empty());
    drop(tx);
    room.push(1);
    assert!(as_bytes.recv_into(&mut room).unwrap_err().is_disconnected());
    assert!(room.is_empty());
}

#[test]
fn a_queue_has_them_too_and_refuses_when_it_is_closed() {
    let queue = Queue::<Vec<u8>>::bounded(2).unwrap();
    queue.send_bytes(b"one").unwrap();
    queue.close();
    assert!(queue.send_bytes(b"two").unwrap_err().is_disconnected());
    let mut room = Vec::new();
    queue.recv_into(&mut room).unwrap();
    assert_eq!(room, b"one");
    assert!(queue.recv_into(&mut room).unwrap_err().is_disconnected());
}
