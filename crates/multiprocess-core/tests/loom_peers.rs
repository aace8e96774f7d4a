//! Models of the peers of a channel: nobody is given up who is there, and who is gone is missed.
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;
use model::{Process, World, check};
use multiprocess_core::Owner;
use multiprocess_core::peers::{Found, Peer, Peers, SPREAD, Side::Senders, Table};
use std::sync::Arc;

/// Peers, and what one of them does before it goes.
struct Shared {
    peers: Peers,
    words: Vec<Peer>,
    data: UnsafeCell<u32>,
    there: AtomicU64,
    world: World,
}

// SAFETY: loom checks each access to the cell against all others, which is what these models are for.
unsafe impl Send for Shared {}
// SAFETY: a race on the cell is a failed model, so no interleaving that passes has one.
unsafe impl Sync for Shared {}

fn shared() -> Arc<Shared> {
    let words = (0..SPREAD).map(|_| Peer::default()).collect();
    let (data, there) = (UnsafeCell::new(0), AtomicU64::new(0));
    Arc::new(Shared { peers: Peers::new(), words, data, there, world: World::new(3) })
}

impl Shared {
    fn table(&self) -> Table<'_> {
        Table::new(&self.words)
    }

    fn join(&self, process: &Process) {
        self.peers.join(self.table(), Senders, who(process));
    }

    fn leave(&self, process: &Process) {
        self.peers.leave(self.table(), Senders, who(process), process);
    }

    fn look(&self, process: &Process) -> Found {
        self.peers.look(self.table(), Senders, Owner::NOBODY, process)
    }

    fn write(&self) {
        // SAFETY: loom reports the access if it is not ordered after all others.
        self.data.with_mut(|data| unsafe { *data = 1 });
    }

    fn read(&self) -> u32 {
        // SAFETY: loom reports the access if it is not ordered after all writes.
        self.data.with(|data| unsafe { *data })
    }
}

fn who(process: &Process) -> Owner {
    multiprocess_core::Environment::me(process)
}

#[test]
fn a_sender_that_moves_is_found() {
    check(3, || {
        let shared = shared();
        // The new place is looked at before the old one.
        let [new, old, looker] = [0, 1, 2].map(|slot| shared.world.join(slot));
        shared.join(&old);
        let moving = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.join(&new);
                shared.leave(&old);
            }
        });
        assert_ne!(shared.look(&looker), Found::Nobody);
        moving.join().unwrap();
        assert!(!shared.peers.is_gone(Senders));
    });
}

#[test]
fn a_sender_that_moves_and_dies_is_found() {
    check(3, || {
        let shared = shared();
        let [new, old, looker] = [0, 1, 2].map(|slot| shared.world.join(slot));
        shared.join(&old);
        let moving = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.join(&new);
                old.die();
            }
        });
        assert_ne!(shared.look(&looker), Found::Nobody);
        moving.join().unwrap();
        assert!(!shared.peers.is_gone(Senders));
    });
}

#[test]
fn of_two_who_leave_at_once_one_is_the_last() {
    check(3, || {
        let shared = shared();
        let [one, other] = [0, 1].map(|slot| shared.world.join(slot));
        shared.join(&one);
        shared.join(&other);
        let leaving = thread::spawn({
            let shared = shared.clone();
            move || shared.leave(&one)
        });
        shared.leave(&other);
        leaving.join().unwrap();
        assert!(shared.peers.is_gone(Senders));
    });
}

#[test]
fn what_the_last_one_did_is_seen_by_who_misses_it() {
    check(3, || {
        let shared = shared();
        let [sender, looker] = [0, 1].map(|slot| shared.world.join(slot));
        shared.join(&sender);
        let leaving = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.write();
                shared.leave(&sender);
            }
        });
        if shared.look(&looker) == Found::Nobody {
            assert_eq!(shared.read(), 1);
        }
        leaving.join().unwrap();
    });
}

#[test]
fn what_a_dead_one_did_is_seen_by_whom_others_tell() {
    check(3, || {
        let shared = shared();
        let [sender, looker] = [0, 1].map(|slot| shared.world.join(slot));
        shared.join(&sender);
        let dying = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.write();
                sender.die();
            }
        });
        let looking = thread::spawn({
            let shared = shared.clone();
            move || shared.look(&looker)
        });
        if shared.peers.is_gone(Senders) {
            assert_eq!(shared.read(), 1);
        }
        dying.join().unwrap();
        looking.join().unwrap();
    });
}

#[test]
fn a_copy_that_comes_late_counts() {
    check(3, || {
        let shared = shared();
        let [copy, looker] = [0, 1].map(|slot| shared.world.join(slot));
        let joining = thread::spawn({
            let shared = shared.clone();
            move || shared.join(&copy)
        });
        shared.look(&looker);
        joining.join().unwrap();
        assert!(!shared.peers.is_gone(Senders));
    });
}

#[test]
fn what_is_sent_while_it_is_closed_is_there_at_the_end() {
    check(3, || {
        let shared = shared();
        let [sender, receiver] = [0, 1].map(|slot| shared.world.join(slot));
        shared.join(&sender);
        let sending = thread::spawn({
            let shared = shared.clone();
            move || {
                let begun = shared.peers.begin_sending(shared.table(), who(&sender));
                if begun {
                    shared.there.store(1, Relaxed);
                    shared.peers.end_sending(shared.table(), who(&sender));
                }
                begun
            }
        });
        shared.peers.close();
        let quiet = shared.peers.is_quiet(shared.table(), &receiver);
        let found = shared.there.load(Relaxed);
        let begun = sending.join().unwrap();
        assert!(!quiet || found == u64::from(begun));
    });
}

#[test]
fn what_was_done_before_closing_is_seen_after_it() {
    check(3, || {
        let shared = shared();
        let closing = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.write();
                shared.peers.close();
            }
        });
        if shared.peers.is_closed() {
            assert_eq!(shared.read(), 1);
        }
        closing.join().unwrap();
    });
}
