//! What cannot be sent or received is an error, and nothing is left of it. (What runs out fails in the suite of faults.)

use multiprocess_channel::{Queue, Sender, bounded};
use multiprocess_parcel::{Parcel, pack, unpack};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_handle_that_cannot_arrive_is_an_error_and_counts_no_more() {
    let (tx, rx) = bounded::<u8>(4).unwrap();
    let parcel = pack(&tx).unwrap();
    drop(tx);
    let error = unpack::<Queue<u8>>(Parcel { bytes: vec![9, 0], ..parcel }).unwrap_err();
    assert!(error.to_string().contains("unpacking"), "{error}");
    assert!(rx.recv().unwrap_err().is_disconnected());
}

#[test]
fn too_large_a_message_comes_back() {
    let (tx, rx) = bounded::<Vec<u8>>(1).unwrap();
    let error = tx.send(vec![0; (1 << 30) + 1]).unwrap_err();
    assert!(error.to_string().contains("sending a message of 1073741830 bytes, where a channel takes"), "{error}");
    assert_eq!(error.into_inner().len(), (1 << 30) + 1);
    assert!(rx.is_empty());
}

#[test]
fn a_process_is_attached_once_however_many_handles_it_has() {
    let (tx, rx) = bounded::<u32>(4).unwrap();
    let before = descriptors();
    let many: Vec<_> = (0..1000).map(|_| (tx.clone(), rx.clone())).collect();
    let copies: Vec<Sender<u32>> = many.iter().map(|(tx, _)| unpack(pack(tx).unwrap()).unwrap()).collect();
    assert_eq!(descriptors(), before);
    drop((many, tx));
    copies[7].send(7).unwrap();
    assert_eq!(rx.recv().unwrap(), 7);
    drop(copies);
    assert!(rx.recv().unwrap_err().is_disconnected());
}
