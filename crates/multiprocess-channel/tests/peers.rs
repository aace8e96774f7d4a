//! Who is there: both sides learn of the other's end, however it came.

use multiprocess_channel::{Queue, Receiver, RecvError, SendError, Sender, TrySendError, bounded};
use multiprocess_process::spawn;
use std::time::{Duration, Instant};

/// No promise is about more than 200 ms; the machine may be busy.
const SOON: Duration = Duration::from_secs(5);

fn send_all(tx: Sender<u64>, range: (u64, u64)) {
    for number in range.0..range.1 {
        tx.send(number).unwrap();
    }
}

fn sum(rx: Receiver<u64>) -> (u64, u64) {
    rx.iter().fold((0, 0), |(count, sum), number| (count + 1, sum + number))
}

/// Says that it is there, and waits until it is killed.
fn stay<T>(ready: Sender<()>, _held: T) {
    ready.send(()).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn each_message_goes_to_one_of_many() {
    const EACH: u64 = 20_000;
    let (tx, rx) = bounded::<u64>(16).unwrap();
    let receivers: Vec<_> = (0..3).map(|_| spawn(sum, (rx.clone(),)).unwrap()).collect();
    let senders: Vec<_> = (0..3).map(|i| spawn(send_all, (tx.clone(), (i * EACH, (i + 1) * EACH))).unwrap()).collect();
    drop((tx, rx));
    senders.into_iter().for_each(|child| child.join().unwrap());
    let (count, total) = receivers
        .into_iter()
        .map(|child| child.join().unwrap())
        .fold((0, 0), |(count, total), (c, t)| (count + c, total + t));
    assert_eq!((count, total), (3 * EACH, 3 * EACH * (3 * EACH - 1) / 2));
}

#[test]
fn messages_of_one_sender_keep_their_order() {
    let (tx, rx) = bounded::<u64>(4).unwrap();
    let child = spawn(send_all, (tx, (0, 10_000))).unwrap();
    assert!(rx.iter().eq(0..10_000));
    child.join().unwrap();
}

#[test]
fn the_last_sender_that_returns_ends_the_channel() {
    let (tx, rx) = bounded::<u64>(4).unwrap();
    let child = spawn(send_all, (tx, (0, 3))).unwrap();
    assert_eq!(rx.iter().collect::<Vec<_>>(), [0, 1, 2]);
    assert!(matches!(rx.recv(), Err(RecvError::Disconnected)));
    assert!(rx.try_recv().unwrap_err().is_disconnected());
    assert!(rx.recv_timeout(SOON).unwrap_err().is_disconnected());
    child.join().unwrap();
}

#[test]
fn the_last_sender_that_exits_without_dropping_ends_the_channel() {
    fn exits(tx: Sender<u64>) {
        tx.send(7).unwrap();
        std::process::exit(3);
    }
    let (tx, rx) = bounded::<u64>(4).unwrap();
    let child = spawn(exits, (tx,)).unwrap();
    assert_eq!(rx.iter().collect::<Vec<_>>(), [7]);
    assert!(child.join().is_err());
}

#[test]
fn the_last_sender_that_is_killed_ends_the_channel() {
    let (tx, rx) = bounded::<u64>(4).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    tx.send(7).unwrap();
    let child = spawn(stay, (ready, tx)).unwrap();
    is_ready.recv().unwrap();
    assert_eq!(rx.recv().unwrap(), 7);
    assert!(rx.try_recv().unwrap_err().is_empty());
    let waiting = std::thread::spawn({
        let rx = rx.clone();
        move || rx.recv()
    });
    child.kill().unwrap();
    let killed = Instant::now();
    assert!(child.join().is_err());
    assert!(rx.try_recv().unwrap_err().is_disconnected());
    assert!(matches!(waiting.join().unwrap(), Err(RecvError::Disconnected)));
    assert!(killed.elapsed() < SOON);
}

#[test]
fn the_last_receiver_that_is_killed_ends_the_channel_also_for_a_sender_that_waits() {
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    let child = spawn(stay, (ready, rx)).unwrap();
    is_ready.recv().unwrap();
    tx.send(1).unwrap();
    assert!(matches!(tx.try_send(2), Err(TrySendError::Full(2))));
    let waiting = std::thread::spawn({
        let tx = tx.clone();
        move || tx.send(3)
    });
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(matches!(tx.try_send(4), Err(TrySendError::Disconnected(4))));
    assert!(matches!(waiting.join().unwrap(), Err(SendError::Disconnected(3))));
}

#[test]
fn a_sender_that_never_waits_learns_of_a_killed_receiver() {
    let (tx, rx) = bounded::<u64>(1 << 20).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    let child = spawn(stay, (ready, rx)).unwrap();
    is_ready.recv().unwrap();
    tx.send(1).unwrap();
    child.kill().unwrap();
    assert!(child.join().is_err());
    let start = Instant::now();
    while tx.send(1).is_ok() {
        assert!(start.elapsed() < SOON);
        std::thread::yield_now();
    }
}

#[test]
fn who_has_seen_the_last_receiver_end_sends_nothing_more() {
    let (tx, rx) = bounded::<u64>(1 << 10).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    let child = spawn(stay, (ready, rx)).unwrap();
    is_ready.recv().unwrap();
    // So many that it does not look at the clock each time.
    for number in 0..100 {
        tx.send(number).unwrap();
    }
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(matches!(tx.send(100), Err(SendError::Disconnected(100))));
}

#[test]
fn who_is_left_in_this_process_counts() {
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let (other, last) = (tx.clone(), rx.clone());
    drop((tx, rx));
    assert!(last.try_recv().unwrap_err().is_empty());
    other.send(1).unwrap();
    drop(last);
    assert!(matches!(other.send(2), Err(SendError::Disconnected(2))));
    assert!(other.try_send(2).unwrap_err().is_disconnected());
    assert!(other.send_timeout(2, SOON).unwrap_err().is_disconnected());
}

#[test]
fn a_drop_wakes_who_waits_in_another_process() {
    fn wait(rx: Receiver<u64>, ready: Sender<()>) -> Duration {
        ready.send(()).unwrap();
        assert!(rx.recv().unwrap_err().is_disconnected());
        Duration::ZERO
    }
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    let child = spawn(wait, (rx, ready)).unwrap();
    is_ready.recv().unwrap();
    drop(tx);
    child.join().unwrap();
}

#[test]
fn closing_lets_every_worker_finish() {
    fn work(queue: Queue<u64>) -> u64 {
        queue.iter().sum()
    }
    let queue = Queue::<u64>::bounded(8).unwrap();
    let workers: Vec<_> = (0..3).map(|_| spawn(work, (queue.clone(),)).unwrap()).collect();
    (1..=1000).for_each(|number| queue.send(number).unwrap());
    queue.close();
    assert!(queue.send(1).unwrap_err().is_disconnected());
    assert_eq!(workers.into_iter().map(|child| child.join().unwrap()).sum::<u64>(), 500_500);
}

#[test]
fn what_was_sent_while_the_queue_was_closed_is_received() {
    fn put(queue: Queue<u64>) -> u64 {
        let mut sent = 0;
        while queue.send(1).is_ok() {
            sent += 1;
        }
        sent
    }
    fn take(queue: Queue<u64>) -> u64 {
        queue.iter().sum()
    }
    for round in 0..20 {
        let queue = Queue::<u64>::bounded(1 + round % 4).unwrap();
        let senders = [(); 2].map(|()| spawn(put, (queue.clone(),)).unwrap());
        let receivers = [(); 2].map(|()| spawn(take, (queue.clone(),)).unwrap());
        let some: u64 = (0..100).map(|_| queue.recv().unwrap()).sum();
        queue.close();
        let sent: u64 = senders.into_iter().map(|child| child.join().unwrap()).sum();
        let received: u64 = receivers.into_iter().map(|child| child.join().unwrap()).sum();
        assert_eq!(sent, received + some);
        assert!(queue.is_empty());
    }
}

#[test]
fn a_consumer_that_is_killed_while_it_waits_leaves_the_item_to_others() {
    fn take(rx: Receiver<u64>, ready: Sender<()>) {
        ready.send(()).unwrap();
        let _ = rx.recv();
    }
    for _ in 0..10 {
        let (tx, rx) = bounded::<u64>(4).unwrap();
        let (ready, is_ready) = bounded(1).unwrap();
        let child = spawn(take, (rx.clone(), ready)).unwrap();
        is_ready.recv().unwrap();
        child.kill().unwrap();
        assert!(child.join().is_err());
        tx.send(7).unwrap();
        assert_eq!(rx.recv_timeout(SOON).unwrap(), 7);
    }
}
