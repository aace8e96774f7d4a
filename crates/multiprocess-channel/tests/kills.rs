//! Senders and receivers that are killed in the middle, again and again: nothing that was acknowledged is lost or repeated.

use multiprocess_channel::{JoinableQueue, Receiver, Sender, bounded};
use multiprocess_process::{Child, spawn};
use multiprocess_shm::SharedMemory;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How many messages one sender can send.
const EACH: usize = 1 << 18;
const SENDERS: usize = 24;
const KILLS: usize = 60;

/// The word behind the last message's: how many were received at all.
const PASSED: usize = 2 * EACH * SENDERS;

/// For each message two words: how often it was acknowledged, and how often received.
fn ledger(memory: &SharedMemory) -> &[AtomicU64] {
    memory.as_atomics::<AtomicU64>()
}

/// Sends numbers from `first` on. Every other one is longer, so that it takes memory of its own.
fn send(tx: Sender<(u64, Vec<u8>)>, memory: SharedMemory, first: u64) {
    for number in first..first + EACH as u64 {
        let filling = if number.is_multiple_of(2) { 0 } else { 700 };
        tx.send((number, vec![number as u8; filling])).unwrap();
        ledger(&memory)[2 * number as usize].fetch_add(1, Relaxed);
    }
}

fn receive(rx: Receiver<(u64, Vec<u8>)>, memory: SharedMemory) {
    for (number, filling) in rx.iter() {
        assert!(filling.iter().all(|byte| *byte == number as u8), "message {number} is torn");
        ledger(&memory)[2 * number as usize + 1].fetch_add(1, Relaxed);
        ledger(&memory)[PASSED].fetch_add(1, Relaxed);
    }
}

fn replace<R>(child: &mut Child<R>, with: Child<R>) {
    child.kill().unwrap();
    assert!(child.wait_timeout(Duration::from_secs(10)).unwrap().is_some());
    *child = with;
}

#[test]
fn what_was_acknowledged_is_received_once() {
    let memory = SharedMemory::new(8 * (PASSED + 1)).unwrap();
    let (tx, rx) = bounded::<(u64, Vec<u8>)>(7).unwrap();
    let mut next_first = 0;
    let mut new_sender = || {
        next_first += EACH as u64;
        spawn(send, (tx.clone(), memory.clone(), next_first - EACH as u64)).unwrap()
    };
    let new_receiver = || spawn(receive, (rx.clone(), memory.clone())).unwrap();
    let mut senders = [new_sender(), new_sender()];
    let mut receivers = [new_receiver(), new_receiver(), new_receiver()];
    let mut receiver_kills = 0;
    let passed = &ledger(&memory)[PASSED];
    for kill in 0..KILLS {
        // In the middle of traffic: not before some more messages have passed.
        let (start, goal) = (Instant::now(), passed.load(Relaxed) + 20 + 37 * (kill as u64 % 11));
        while passed.load(Relaxed) < goal {
            assert!(start.elapsed() < Duration::from_secs(30), "no message passes after {kill} kills");
            std::thread::yield_now();
        }
        match kill % 3 {
            0 if kill / 3 + 2 < SENDERS => replace(&mut senders[kill / 3 % 2], new_sender()),
            _ => {
                replace(&mut receivers[kill % 3], new_receiver());
                receiver_kills += 1;
            }
        }
    }
    senders.into_iter().for_each(|child| {
        child.kill().unwrap();
        assert!(child.join().is_err());
    });
    drop(tx);
    receivers.into_iter().for_each(|child| child.join().unwrap());
    assert!(rx.recv().unwrap_err().is_disconnected());
    let (mut acknowledged, mut lost, mut received) = (0, 0, 0u64);
    for (number, pair) in ledger(&memory)[..PASSED].chunks(2).enumerate() {
        let (sent, got) = (pair[0].load(Relaxed), pair[1].load(Relaxed));
        assert!(sent <= 1 && got <= 1, "message {number} was acknowledged {sent} times and received {got} times");
        acknowledged += sent;
        received += got;
        lost += u64::from(sent > got);
    }
    println!(
        "{acknowledged} acknowledged, {received} received, {lost} in the hands of {receiver_kills} killed receivers"
    );
    assert!(acknowledged > 1000 && lost <= receiver_kills, "{lost} of {acknowledged} are lost");
}

/// Does tasks; for each one a word says how often it was done.
fn work(queue: JoinableQueue<u64>, memory: SharedMemory) {
    for task in queue.iter() {
        ledger(&memory)[task as usize].fetch_add(1, Relaxed);
        // It takes a while, so that some are killed with a task in hand.
        (0..2000).for_each(|_| std::hint::spin_loop());
        queue.task_done().unwrap();
    }
}

#[test]
fn join_ends_whichever_worker_is_killed() {
    const TASKS: u64 = 400;
    const ROUNDS: usize = 40;
    let queue = JoinableQueue::<u64>::bounded(5).unwrap();
    let mut lost = 0;
    for round in 0..ROUNDS {
        let memory = SharedMemory::new(8 * TASKS as usize).unwrap();
        let new_worker = || spawn(work, (queue.clone(), memory.clone())).unwrap();
        let mut workers = [new_worker(), new_worker()];
        let putting = std::thread::spawn({
            let queue = queue.clone();
            move || (0..TASKS).for_each(|task| queue.send(task).unwrap())
        });
        let done = || ledger(&memory).iter().map(|word| word.load(Relaxed)).sum::<u64>();
        for kill in 1..=3 {
            while done() < kill * (60 + round as u64) {
                std::thread::yield_now();
            }
            replace(&mut workers[kill as usize % 2], new_worker());
        }
        putting.join().unwrap();
        let start = Instant::now();
        // Each of the killed may have had a task in hand.
        while queue.join().is_err() {
            lost += 1;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "round {round}: join took {:?}", start.elapsed());
        assert!(queue.is_empty() && done() + 3 >= TASKS && done() <= TASKS);
        assert!(ledger(&memory).iter().all(|word| word.load(Relaxed) <= 1));
        workers.into_iter().for_each(|child| {
            child.kill().unwrap();
            assert!(child.join().is_err());
        });
    }
    println!("{lost} of {ROUNDS} rounds lost tasks");
}
