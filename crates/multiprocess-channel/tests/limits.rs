//! What runs out: an error from the call that failed, and nothing left of it.

use multiprocess_channel::{Queue, Receiver, Sender, bounded};
use multiprocess_parcel::{pack, unpack};
use multiprocess_process::spawn;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::File;

/// Takes all descriptors that there may be.
fn take_all() -> Vec<File> {
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn without_descriptors_calls_fail_and_channels_go_on() {
    fn hungry(tx: Sender<Vec<u8>>, rx: Receiver<Vec<u8>>) {
        let before = descriptors();
        let parcel = pack(&tx).unwrap();
        let mut files = take_all();
        for _ in 0..3 {
            assert!(bounded::<u8>(1).is_err() && Queue::<u8>::bounded(1).is_err());
            assert_eq!(pack(&tx).unwrap_err().raw_os_error(), Some(24));
            // What is there already needs none.
            tx.send(vec![7; 100_000]).unwrap();
            assert_eq!(rx.recv().unwrap().len(), 100_000);
            assert!(rx.try_recv().unwrap_err().is_empty());
        }
        files.truncate(files.len() - 1);
        let _: Sender<Vec<u8>> = unpack(parcel).unwrap();
        drop(files);
        assert_eq!(descriptors(), before);
    }
    let (tx, rx) = bounded(4).unwrap();
    let own = tx.clone();
    spawn(hungry, (tx, rx.clone())).unwrap().join().unwrap();
    own.send(vec![1]).unwrap();
    assert_eq!(rx.recv().unwrap(), [1]);
}

#[test]
fn a_handle_that_cannot_arrive_is_an_error_and_counts_no_more() {
    let (tx, rx) = bounded::<u8>(4).unwrap();
    let parcel = pack(&tx).unwrap();
    drop(tx);
    let error = unpack::<Queue<u8>>(multiprocess_parcel::Parcel { bytes: vec![9, 0], ..parcel }).unwrap_err();
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
