//! Models of the event: no wake-up is lost, and what was written before a `set` is seen after it.
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;
use model::{Kill, Patient, World, check, killed};
use multiprocess_core::event::Event;
use multiprocess_core::{Step, Wait};
use std::sync::Arc;

/// An event and what it tells of.
struct Shared {
    event: Event,
    data: UnsafeCell<u32>,
    number: AtomicU64,
    world: World,
}

// SAFETY: loom checks each access to the cell against all others, which is what these models are for.
unsafe impl Send for Shared {}
// SAFETY: a race on the cell is a failed model, so no interleaving that passes has one.
unsafe impl Sync for Shared {}

fn shared() -> Arc<Shared> {
    Arc::new(Shared { event: Event::new(), data: UnsafeCell::new(0), number: AtomicU64::new(0), world: World::new(3) })
}

impl Shared {
    fn write(&self) {
        // SAFETY: loom reports the access if it is not ordered after all others.
        self.data.with_mut(|data| unsafe { *data = 1 });
    }

    fn read(&self) -> u32 {
        // SAFETY: loom reports the access if it is not ordered after all writes.
        self.data.with(|data| unsafe { *data })
    }
}

#[test]
fn a_waiter_sees_what_was_written_before_the_set() {
    check(3, || {
        let shared = shared();
        let (setter, waiter) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.write();
            other.event.set(&setter);
        });
        assert!(shared.event.wait(&mut waiter.patient()));
        assert_eq!(shared.read(), 1);
        thread.join().unwrap();
    });
}

/// A patience that calls the setter once the waiter has looked for the first time.
struct Late<F> {
    patient: Patient,
    setter: Option<F>,
    thread: Option<thread::JoinHandle<()>>,
}

impl<F: FnOnce() + 'static> Wait for Late<F> {
    fn step(&mut self) -> Step {
        if let Some(setter) = self.setter.take() {
            self.thread = Some(thread::spawn(setter));
        }
        self.patient.step()
    }
    fn sleep(&mut self, word: &AtomicU64, expected: u64) {
        self.patient.sleep(word, expected);
    }
}

#[test]
fn a_waiter_returns_although_clear_follows_at_once() {
    check(3, || {
        let shared = shared();
        let (setter, waiter) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let set_and_clear = move || {
            other.write();
            other.event.set(&setter);
            other.event.clear();
        };
        let mut late = Late { patient: waiter.patient(), setter: Some(set_and_clear), thread: None };
        assert!(shared.event.wait(&mut late));
        assert_eq!(shared.read(), 1);
        late.thread.unwrap().join().unwrap();
        assert!(!shared.event.is_set());
    });
}

#[test]
fn whoever_takes_a_set_away_sees_what_it_told_of() {
    check(3, || {
        let shared = shared();
        let (setter, clearer) = (shared.world.join(0), shared.world.join(1));
        shared.event.set(&clearer);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.number.store(1, Relaxed);
            // The event may be set already: this set counts all the same.
            other.event.set(&setter);
        });
        shared.event.clear();
        let seen = shared.number.load(Relaxed);
        thread.join().unwrap();
        assert!(shared.event.is_set() || seen == 1);
    });
}

#[test]
fn whoever_finds_it_cleared_comes_after_the_clearer() {
    check(3, || {
        let shared = shared();
        shared.event.set(&shared.world.join(0));
        let other = shared.clone();
        // Who looks is the thread: loom forgets a look that precedes both the look and the exchange of `clear`.
        let thread = thread::spawn(move || {
            if !other.event.is_set() {
                assert_eq!(other.read(), 1);
            }
        });
        shared.write();
        shared.event.clear();
        thread.join().unwrap();
    });
}

#[test]
fn a_setter_that_dies_before_it_wakes_leaves_nobody_asleep() {
    check(3, || {
        let shared = shared();
        let (setter, waiter) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            killed(&setter, || other.event.set(&setter.doomed(Kill::Wake)));
        });
        assert!(shared.event.wait(&mut waiter.patient()));
        thread.join().unwrap();
    });
}

#[test]
fn a_waiter_that_is_killed_takes_no_other_one_s_wake_up() {
    check(2, || {
        let shared = shared();
        let (setter, waiter, victim) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        let (first, second) = (shared.clone(), shared.clone());
        let dying = thread::spawn(move || {
            killed(&victim, || first.event.wait(&mut victim.doomed(Kill::Sleep).patient()));
        });
        let setting = thread::spawn(move || second.event.set(&setter));
        assert!(shared.event.wait(&mut waiter.patient()));
        dying.join().unwrap();
        setting.join().unwrap();
    });
}
