//! Handles in messages: they count while they are on their way, and no longer.

use multiprocess_channel::{ErrorKind, JoinableQueue, Queue, Receiver, Sender, bounded};
use multiprocess_parcel::{Fd, pack, pack_data, unpack};
use multiprocess_process::spawn;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_sender_that_is_given_away_lives_on_the_way() {
    fn late(tx: Sender<u64>, go: Receiver<()>) {
        go.recv().unwrap();
        tx.send(7).unwrap();
    }
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let (go, gone) = bounded::<()>(1).unwrap();
    let child = spawn(late, (tx, gone)).unwrap();
    assert!(rx.recv_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
    go.send(()).unwrap();
    assert_eq!(rx.recv().unwrap(), 7);
    child.join().unwrap();
    assert!(rx.recv().unwrap_err().is_disconnected());
}

#[test]
fn a_message_that_nobody_reads_counts_until_it_is_dropped() {
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let parcel = pack(&tx).unwrap();
    drop(tx);
    assert!(rx.try_recv().unwrap_err().is_empty());
    drop(parcel);
    assert!(rx.try_recv().unwrap_err().is_disconnected());

    let (tx, rx) = bounded::<u64>(1).unwrap();
    let parcel = pack(&rx).unwrap();
    drop(rx);
    tx.try_send(1).unwrap();
    assert!(tx.try_send(2).unwrap_err().is_full());
    drop(parcel);
    assert!(tx.send(3).unwrap_err().is_disconnected());
}

#[test]
fn each_side_counts_as_what_it_is() {
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let parcel = pack(&rx).unwrap();
    drop(tx);
    assert!(rx.try_recv().unwrap_err().is_disconnected(), "a receiver on its way is no sender");
    drop(parcel);
}

#[test]
fn both_ends_and_many_clones_in_one_message() {
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let queue = Queue::<u64>::bounded(4).unwrap();
    let many: Vec<_> = (0..2000).map(|_| tx.clone()).collect();
    let parcel = pack(&(&rx, &many, &tx, &rx, &queue, &queue, queue.sender())).unwrap();
    assert_eq!(parcel.handles.len(), 4);
    drop((tx, rx, many));
    type Arrived = (Receiver<u64>, Vec<Sender<u64>>, Sender<u64>, Receiver<u64>, Queue<u64>, Queue<u64>, Sender<u64>);
    let (rx, many, tx, other, first, second, last): Arrived = unpack(parcel).unwrap();
    many[1999].send(7).unwrap();
    assert_eq!(other.recv().unwrap(), 7);
    drop((many, other));
    assert!(tx.same_channel(&tx.clone()) && rx.same_channel(&rx.clone()));
    tx.send(8).unwrap();
    drop(tx);
    assert_eq!(rx.iter().collect::<Vec<_>>(), [8]);
    last.send(9).unwrap();
    assert_eq!((first.recv().unwrap(), second.len()), (9, 0));
}

#[test]
fn handles_come_back_as_results() {
    fn make() -> (Sender<String>, Receiver<String>) {
        let (tx, rx) = bounded(4).unwrap();
        tx.send("made there".to_owned()).unwrap();
        (tx, rx)
    }
    let (tx, rx) = spawn(make, ()).unwrap().join().unwrap();
    assert_eq!(rx.recv().unwrap(), "made there");
    drop(tx);
    assert!(rx.recv().unwrap_err().is_disconnected());
}

#[test]
fn a_child_that_dies_before_it_reads_frees_what_it_was_sent() {
    /// Reading it ends the process.
    #[derive(serde::Serialize)]
    struct Bomb;
    impl<'de> serde::Deserialize<'de> for Bomb {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Bomb, D::Error> {
            std::process::abort()
        }
    }
    fn never(_: Bomb, _: Sender<u64>) {}
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let child = spawn(never, (Bomb, tx)).unwrap();
    assert!(rx.recv_timeout(SOON).unwrap_err().is_disconnected());
    assert!(child.join().is_err());
}

#[test]
fn a_parent_that_is_killed_after_sending_has_sent() {
    fn work(tx: Sender<u64>, go: Receiver<()>) {
        let _ = go.recv();
        tx.send(7).unwrap();
    }
    fn parent(tx: Sender<u64>, go: Receiver<()>, ready: Sender<()>) {
        let _child = spawn(work, (tx, go)).unwrap();
        ready.send(()).unwrap();
        loop {
            std::thread::park();
        }
    }
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    let (go, gone) = bounded(1).unwrap();
    let child = spawn(parent, (tx, gone, ready)).unwrap();
    is_ready.recv().unwrap();
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(rx.try_recv().unwrap_err().is_empty());
    go.send(()).unwrap();
    assert_eq!(rx.recv_timeout(SOON).unwrap(), 7);
    assert!(rx.recv_timeout(SOON).unwrap_err().is_disconnected());
}

#[test]
fn a_child_that_sends_a_mebibyte_can_be_joined_first() {
    fn send(tx: Sender<Vec<u8>>) {
        tx.send(vec![7; 1 << 20]).unwrap();
    }
    let (tx, rx) = bounded(1).unwrap();
    spawn(send, (tx,)).unwrap().join().unwrap();
    assert_eq!(rx.recv().unwrap(), vec![7; 1 << 20]);
    assert!(rx.recv().unwrap_err().is_disconnected());
}

#[test]
fn handles_are_refused_in_messages_and_the_value_comes_back() {
    let (tx, _rx) = bounded::<Fd<std::io::PipeReader>>(1).unwrap();
    let error = tx.send(Fd(std::io::pipe().unwrap().0)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("handles travel in arguments, pool initialisers and pipes, not in a queue"), "{text}");
    let _: Fd<std::io::PipeReader> = error.into_inner();
    assert!(tx.is_empty());
    let (outer, _rx) = bounded::<Sender<u8>>(1).unwrap();
    let text = outer.send(bounded(1).unwrap().0).unwrap_err().to_string();
    assert!(text.contains("handles travel in arguments") && text.contains("a queue"), "{text}");
    assert!(pack_data(&bounded::<u8>(1).unwrap().0, "a queue").is_err());
}

#[test]
fn what_is_no_channel_is_refused() {
    use multiprocess_shm::{Segment, Shape};
    let shape = Shape { kind: 7, length: 4096, reserved: 4096, parameters: [1, 0, 0, 0] };
    let other = Segment::anonymous(shape, |_| {}).unwrap();
    let error = unpack::<Sender<u8>>(pack(&other).unwrap()).unwrap_err();
    assert!(error.to_string().contains("opening a channel that is something else"), "{error}");
    for parameters in [[0, 0, 0, 0], [1, 9, 0, 0], [1, 0, 0, 0], [u64::MAX, 0, 0, 0], [1 << 61, 1, 0, 0]] {
        let shape = Shape { kind: 48, length: 1 << 16, reserved: 4096, parameters };
        let other = Segment::anonymous(shape, |_| {}).unwrap();
        let error = unpack::<Queue<u8>>(pack(&other).unwrap()).unwrap_err();
        assert!(error.to_string().contains("opening a channel: its size is impossible"), "{error}");
    }
    let error = unpack::<JoinableQueue<u8>>(pack(&Queue::<u8>::bounded(1).unwrap()).unwrap()).unwrap_err();
    assert!(error.to_string().contains("opening a joinable queue that is a queue"), "{error}");
    unpack::<Queue<u8>>(pack(&JoinableQueue::<u8>::bounded(1).unwrap()).unwrap()).unwrap();
    assert_eq!(bounded::<u8>(0).unwrap_err().kind(), ErrorKind::Other);
    assert!(bounded::<u8>(usize::MAX).is_err());
}
