//! Several messages in one call: all of them, once and in order; and when not all of them, how many.

use multiprocess_channel::{ErrorKind, JoinableQueue, Queue, Receiver, RecvError, Sender, TryRecvError, bounded};
use multiprocess_parcel::{pack, unpack};
use multiprocess_process::spawn;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);

/// Takes all messages, several at a time.
fn take_all(rx: Receiver<u64>, limit: usize) -> Vec<u64> {
    let mut values = vec![];
    loop {
        let before = values.len();
        match rx.recv_many(&mut values, limit) {
            Ok(count) => assert!((1..=limit).contains(&count) && values.len() == before + count),
            Err(error) => break assert!(error.is_disconnected()),
        }
    }
    values
}

#[test]
fn they_arrive_once_and_in_order_in_another_process() {
    for (capacity, at_once, limit) in [(1, 5, 5), (3, 100, 1), (7, 1, 100), (128, 64, 64), (2000, 1500, 700)] {
        let (tx, rx) = bounded(capacity).unwrap();
        let child = spawn(take_all, (rx, limit)).unwrap();
        let values: Vec<u64> = (0..6000).map(|number| number << (number % 50)).collect();
        values.chunks(at_once).for_each(|values| tx.send_many(values).unwrap());
        drop(tx);
        assert_eq!(child.join().unwrap(), values, "{capacity}, {at_once}, {limit}");
    }
}

#[test]
fn many_senders_and_receivers_share_them() {
    let (tx, rx) = bounded(16).unwrap();
    let receivers: Vec<_> = [1, 10, 100].map(|limit| spawn(take_all, (rx.clone(), limit)).unwrap()).into();
    drop(rx);
    let send = |tx: Sender<u64>, first: u64| {
        let values: Vec<u64> = (first..first + 10_000).collect();
        values.chunks(40).for_each(|values| tx.send_many(values).unwrap());
    };
    let senders: Vec<_> = [0, 10_000, 20_000].map(|first| spawn(send, (tx.clone(), first)).unwrap()).into();
    drop(tx);
    senders.into_iter().for_each(|child| child.join().unwrap());
    let mut all = vec![];
    for receiver in receivers {
        let values = receiver.join().unwrap();
        for first in [0, 10_000, 20_000] {
            assert!(values.iter().filter(|value| **value / 10_000 == first / 10_000).is_sorted());
        }
        all.extend(values);
    }
    all.sort_unstable();
    assert_eq!(all, (0..30_000).collect::<Vec<_>>());
}

#[test]
fn all_who_wait_hear_of_them() {
    let (tx, rx) = bounded::<u64>(64).unwrap();
    let (back, answers) = bounded(64).unwrap();
    let answer = |rx: Receiver<u64>, back: Sender<u64>| {
        rx.iter().for_each(|value| back.send(value + 1).unwrap());
    };
    let children: Vec<_> = (0..3).map(|_| spawn(answer, (rx.clone(), back.clone())).unwrap()).collect();
    drop((rx, back));
    for _ in 0..500 {
        tx.send_many(&[10, 20, 30]).unwrap();
        let mut values = vec![];
        while values.len() < 3 {
            assert!(answers.recv_many_timeout(&mut values, 9, SOON).unwrap() > 0);
        }
        values.sort_unstable();
        assert_eq!(values, [11, 21, 31]);
    }
    drop(tx);
    children.into_iter().for_each(|child| child.join().unwrap());
}

#[test]
fn values_of_all_kinds_and_lengths_travel() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Job {
        Stop,
        Text(String),
        Raw(Vec<u8>),
    }
    let (tx, rx) = bounded(100).unwrap();
    for lengths in [[0, 1, 30], [60, 0, 40], [5000, 3, 200_000], [1, 100, 1]] {
        let jobs: Vec<Job> = (0..60)
            .map(|number| match number % 4 {
                0 => Job::Stop,
                kind @ 1..3 => Job::Text("x".repeat(lengths[kind])),
                _ => Job::Raw(vec![number as u8; lengths[2]]),
            })
            .collect();
        let mut values = vec![];
        for jobs in jobs.chunks(11) {
            tx.send_many(jobs).unwrap();
            while values.len() < jobs.len() {
                rx.recv_many(&mut values, 100).unwrap();
            }
            assert_eq!(std::mem::take(&mut values), jobs);
        }
    }
    let (tx, rx) = bounded(100).unwrap();
    let all: Vec<Vec<u8>> = [0, 1, 47, 48, 49, 2000, 100_000].map(|length| vec![length as u8; length]).into();
    tx.send_many(&all).unwrap();
    let mut values = vec![];
    assert_eq!((rx.recv_many(&mut values, 100).unwrap(), values), (all.len(), all));
    let (tx, rx) = bounded(100).unwrap();
    tx.send_many(&[(); 50]).unwrap();
    assert_eq!((rx.len(), rx.recv_many(&mut vec![], 100).unwrap()), (50, 50));
}

#[test]
fn a_call_says_how_many_it_has_sent() {
    let (tx, rx) = bounded::<u64>(20).unwrap();
    let values: Vec<u64> = (0..30).collect();
    let error = tx.try_send_many(&values).unwrap_err();
    assert!(error.is_full());
    assert_eq!((error.into_inner(), tx.len()), (20, 20));
    let start = Instant::now();
    let error = tx.send_many_timeout(&values, Duration::from_millis(30)).unwrap_err();
    assert!(error.is_timeout() && start.elapsed() >= Duration::from_millis(30));
    assert_eq!((error.into_inner(), tx.len()), (0, 20));
    let mut got = vec![];
    assert_eq!((rx.recv_many(&mut got, 7).unwrap(), rx.len()), (7, 13));
    let error = tx.send_many_timeout(&values[20..], Duration::ZERO).unwrap_err();
    assert_eq!(error.into_inner(), 7);
    assert_eq!((rx.recv_many(&mut got, 100).unwrap(), rx.len()), (20, 0));
    assert_eq!(got, values[..27]);
    drop(rx);
    let error = tx.send_many(&values).unwrap_err();
    assert!(error.is_disconnected());
    assert_eq!(error.into_inner(), 0);
    assert!(tx.send_many(&[]).is_ok() && tx.try_send_many(&[]).is_ok());
}

#[test]
fn nothing_is_taken_that_is_not_there() {
    let (tx, rx) = bounded::<u64>(4).unwrap();
    let mut values = vec![7];
    assert!(matches!(rx.try_recv_many(&mut values, 3), Err(TryRecvError::Empty)));
    let limit = Duration::from_millis(20);
    let start = Instant::now();
    assert!(rx.recv_many_timeout(&mut values, 3, limit).unwrap_err().is_timeout());
    assert!(start.elapsed() >= limit);
    assert_eq!((rx.recv_many(&mut values, 0).unwrap(), rx.try_recv_many(&mut values, 0).unwrap()), (0, 0));
    tx.send_many(&[8, 9]).unwrap();
    assert_eq!(rx.recv_many(&mut values, 0).unwrap(), 0);
    drop(tx);
    assert_eq!(rx.try_recv_many(&mut values, 9).unwrap(), 2);
    assert_eq!(values, [7, 8, 9]);
    assert!(matches!(rx.recv_many(&mut values, 9), Err(RecvError::Disconnected)));
    assert!(matches!(rx.try_recv_many(&mut values, 9), Err(TryRecvError::Disconnected)));
}

#[test]
fn a_message_that_cannot_be_read_is_lost_alone() {
    let (tx, rx) = bounded::<u8>(9).unwrap();
    let rx: Receiver<bool> = unpack(pack(&rx).unwrap()).unwrap();
    tx.send_many(&[1, 0, 7, 1, 9]).unwrap();
    let mut values = vec![];
    let Err(RecvError::Failed(error)) = rx.recv_many(&mut values, 9) else { panic!("7 is no truth value") };
    assert_eq!((error.kind(), &values[..]), (ErrorKind::Decode, &[true, false][..]));
    assert!(matches!(rx.try_recv_many(&mut values, 9), Err(TryRecvError::Failed(_))));
    assert_eq!(values, [true, false, true]);
    assert!(rx.try_recv_many(&mut values, 9).unwrap_err().is_empty());
}

#[test]
fn a_value_that_cannot_be_sent_ends_the_call() {
    struct Number<'a>(u8, &'a Cell<u32>);
    impl Serialize for Number<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.1.set(self.1.get() + 1);
            if self.0 == 9 { Err(serde::ser::Error::custom("no way")) } else { self.0.serialize(serializer) }
        }
    }
    let times = Cell::new(0);
    let number = |number| Number(number, &times);
    let (tx, rx) = bounded::<Number<'_>>(9).unwrap();
    let rx: Receiver<u8> = unpack(pack(&rx).unwrap()).unwrap();
    let error = tx.send_many(&[number(1), number(2), number(9), number(3)]).unwrap_err();
    assert!(error.to_string().contains("no way"), "{error}");
    assert_eq!((error.into_inner(), times.get()), (2, 3));
    let mut values = vec![];
    rx.recv_many(&mut values, 9).unwrap();
    assert_eq!(values, [1, 2]);
    // Each is encoded once, whether there is room or not.
    times.set(0);
    assert_eq!(tx.try_send_many(&[1; 12].map(number)).unwrap_err().into_inner(), 9);
    assert_eq!(times.get(), 12);
}

#[test]
fn queues_do_the_same() {
    let queue = Queue::<u64>::bounded(50).unwrap();
    let child = spawn(
        |queue: Queue<u64>| {
            let mut values = vec![];
            while queue.recv_many(&mut values, 20).is_ok() {}
            values
        },
        (queue.clone(),),
    )
    .unwrap();
    let values: Vec<u64> = (0..500).collect();
    queue.send_many(&values).unwrap();
    queue.close();
    assert_eq!(child.join().unwrap(), values);
    let error = queue.send_many(&values).unwrap_err();
    assert!(error.is_disconnected());
    assert_eq!(error.into_inner(), 0);
}

#[test]
fn tasks_are_counted_one_by_one() {
    let queue = JoinableQueue::<u64>::bounded(50).unwrap();
    let worker = |queue: JoinableQueue<u64>| {
        let mut values = vec![];
        while let Ok(count) = queue.recv_many(&mut values, 7) {
            (0..count).for_each(|_| queue.task_done().unwrap());
        }
        values.len()
    };
    let children: Vec<_> = (0..2).map(|_| spawn(worker, (queue.clone(),)).unwrap()).collect();
    for _ in 0..20 {
        queue.send_many(&[3; 100]).unwrap();
        queue.join().unwrap();
        assert!(queue.is_empty());
    }
    assert!(queue.task_done().is_err());
    queue.close();
    assert_eq!(children.into_iter().map(|child| child.join().unwrap()).sum::<usize>(), 2000);
}

/// What a killed receiver had not taken goes to another one.
#[test]
fn a_killed_receiver_takes_no_more_than_it_has_asked_for() {
    fn hold(rx: Receiver<u64>, ready: Sender<u64>) {
        let mut values = vec![];
        ready.send(rx.recv_many(&mut values, 40).unwrap() as u64).unwrap();
        loop {
            std::thread::park();
        }
    }
    let (tx, rx) = bounded::<u64>(100).unwrap();
    let (ready, is_ready) = bounded::<u64>(1).unwrap();
    let values: Vec<u64> = (0..100).collect();
    tx.send_many(&values).unwrap();
    let child = spawn(hold, (rx.clone(), ready)).unwrap();
    assert_eq!(is_ready.recv().unwrap(), 40);
    child.kill().unwrap();
    assert!(child.join().is_err());
    let mut left = vec![];
    assert_eq!(rx.recv_many(&mut left, 100).unwrap(), 60);
    assert_eq!(left, values[40..]);
}
