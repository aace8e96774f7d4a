//! Models of the tasks of a queue: none is given up that somebody has, and who waits sees what was done.
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Relaxed, Ordering::Release};
use loom::thread;
use model::{Process, World, check};
use multiprocess_core::Environment;
use multiprocess_core::peers::{Peer, Peers, SPREAD, Side, Table};
use multiprocess_core::tasks::{Joined, Tasks};
use std::sync::Arc;

/// A queue of tasks, of which only their number matters.
struct Shared {
    peers: Peers,
    words: Vec<Peer>,
    tasks: Tasks,
    queue: AtomicU64,
    data: [UnsafeCell<u32>; 2],
    world: World,
}

// SAFETY: loom checks each access to the cells against all others, which is what these models are for.
unsafe impl Send for Shared {}
// SAFETY: a race on a cell is a failed model, so no interleaving that passes has one.
unsafe impl Sync for Shared {}

fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        peers: Peers::new(),
        words: (0..SPREAD).map(|_| Peer::default()).collect(),
        tasks: Tasks::new(),
        queue: AtomicU64::new(0),
        data: [UnsafeCell::new(0), UnsafeCell::new(0)],
        world: World::new(3),
    })
}

impl Shared {
    fn table(&self) -> Table<'_> {
        Table::new(&self.words)
    }

    fn process(&self, slot: u32) -> Process {
        let process = self.world.join(slot);
        self.peers.join(self.table(), Side::Receivers, process.me());
        process
    }

    fn put(&self, process: &Process) {
        assert!(self.peers.begin_sending(self.table(), process.me()));
        self.tasks.put();
        self.queue.fetch_add(1, Release);
        self.peers.end_sending(self.table(), process.me());
    }

    /// As the ring does it: what says that it is empty is written without an order.
    fn take(&self, process: &Process) -> bool {
        self.tasks.take(self.table(), process.me());
        if self.queue.compare_exchange(1, 2, AcqRel, Relaxed).is_ok() {
            self.queue.store(0, Relaxed);
            return true;
        }
        self.tasks.give_back(self.table(), process.me());
        false
    }

    fn done(&self, process: &Process) -> bool {
        self.tasks.done(self.table(), process.me(), process)
    }

    fn join(&self, process: &Process, wait: &mut impl multiprocess_core::Wait) -> Joined {
        self.tasks.join(&self.peers, self.table(), process, wait, || self.queue.load(Relaxed) != 0)
    }

    fn write(&self, place: usize) {
        // SAFETY: loom reports the access if it is not ordered after all others.
        self.data[place].with_mut(|data| unsafe { *data = 1 });
    }

    fn read(&self, place: usize) -> u32 {
        // SAFETY: loom reports the access if it is not ordered after all writes.
        self.data[place].with(|data| unsafe { *data })
    }
}

#[test]
fn who_waits_sees_what_was_done() {
    check(2, || {
        let shared = shared();
        let [one, other, waiter] = [0, 1, 2].map(|slot| shared.process(slot));
        for process in [&one, &other] {
            shared.put(process);
            assert!(shared.take(process));
        }
        let workers = [(one, 0), (other, 1)].map(|(process, place)| {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.write(place);
                assert!(shared.done(&process));
            })
        });
        assert_eq!(shared.join(&waiter, &mut waiter.patient()), Joined::Finished);
        assert_eq!((shared.read(0), shared.read(1)), (1, 1));
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

#[test]
fn a_task_that_moves_is_not_given_up() {
    check(3, || {
        let shared = shared();
        let [sender, taker, waiter] = [0, 1, 2].map(|slot| shared.process(slot));
        let sending = thread::spawn({
            let shared = shared.clone();
            move || shared.put(&sender)
        });
        let taking = thread::spawn({
            let shared = shared.clone();
            move || shared.take(&taker)
        });
        assert!(!matches!(shared.join(&waiter, &mut waiter.hasty(0)), Joined::Lost(_)));
        sending.join().unwrap();
        taking.join().unwrap();
    });
}

#[test]
fn a_task_that_is_taken_is_not_given_up() {
    check(3, || {
        let shared = shared();
        let [taker, waiter] = [0, 1].map(|slot| shared.process(slot));
        shared.put(&taker);
        let taking = thread::spawn({
            let shared = shared.clone();
            move || shared.take(&taker)
        });
        assert_eq!(shared.join(&waiter, &mut waiter.hasty(0)), Joined::TimedOut);
        assert!(taking.join().unwrap());
    });
}

#[test]
fn a_task_in_the_place_of_another_is_not_given_up() {
    check(3, || {
        let shared = shared();
        let [sender, taker, waiter] = [0, 1, 2].map(|slot| shared.process(slot));
        shared.put(&sender);
        let taking = thread::spawn({
            let shared = shared.clone();
            move || {
                assert!(shared.take(&taker));
                // A second one comes before the first is done.
                shared.put(&sender);
                assert!(shared.done(&taker));
            }
        });
        assert_eq!(shared.join(&waiter, &mut waiter.hasty(0)), Joined::TimedOut);
        taking.join().unwrap();
        assert_eq!(shared.tasks.unfinished(), 1);
    });
}

#[test]
fn a_task_of_another_sender_is_not_given_up() {
    check(3, || {
        let shared = shared();
        let [sender, taker, waiter] = [0, 1, 2].map(|slot| shared.process(slot));
        shared.put(&taker);
        assert!(shared.take(&taker));
        let sending = thread::spawn({
            let shared = shared.clone();
            move || shared.put(&sender)
        });
        let working = thread::spawn({
            let shared = shared.clone();
            move || assert!(shared.done(&taker))
        });
        assert!(!matches!(shared.join(&waiter, &mut waiter.hasty(0)), Joined::Lost(_)));
        sending.join().unwrap();
        working.join().unwrap();
        assert_eq!(shared.tasks.unfinished(), 1);
    });
}

#[test]
fn tasks_of_the_dead_are_given_up() {
    check(2, || {
        let shared = shared();
        let [taker, waiter] = [0, 1].map(|slot| shared.process(slot));
        shared.put(&taker);
        let dying = thread::spawn({
            let shared = shared.clone();
            move || {
                assert!(shared.take(&taker));
                taker.die();
            }
        });
        assert_eq!(shared.join(&waiter, &mut waiter.patient()), Joined::Lost(1));
        dying.join().unwrap();
    });
}
