//! Every interleaving of the mutex: exclusion, wake-ups, deaths at each step, newcomers in a dead holder's slot.
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::thread;
use model::{Kill, Patient, Process, World, check, killed};
use multiprocess_core::mutex::{Held, Mode, Mutex, Refused};
use multiprocess_core::{Environment, Word};
use std::sync::Arc;

/// A lock and what it guards; loom reports accesses that nothing orders.
struct Guarded {
    mutex: Mutex,
    data: UnsafeCell<u32>,
}

// SAFETY: the data is touched by whoever holds the lock alone; that this is so is what the models check.
unsafe impl Sync for Guarded {}

// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Guarded {}

impl Guarded {
    fn new() -> Arc<Guarded> {
        Arc::new(Guarded { mutex: Mutex::new(), data: UnsafeCell::new(0) })
    }

    fn lock(&self, process: &Process, mode: Mode) -> Result<Held, Refused> {
        self.mutex.lock(process, &mut process.patient(), mode)
    }

    /// To be called by the holder.
    fn add(&self, amount: u32) -> u32 {
        self.data.with_mut(|data| {
            // SAFETY: the caller holds the lock, and loom checks that nobody else touches the cell.
            let data = unsafe { &mut *data };
            *data += amount;
            *data
        })
    }

    fn locked_add(&self, process: &Process) {
        let held = self.lock(process, Mode::Plain).unwrap();
        self.add(1);
        self.mutex.unlock(process, held);
    }
}

impl Guarded {
    /// As [`locked_add`](Guarded::locked_add), in the way of a guard of a lock that is free.
    fn quick_add(&self, process: &Process) {
        let me = std::num::NonZeroU64::new(Word::held_by(process.me()).0).unwrap();
        let Some(held) = self.mutex.lock_at_once_as(me) else { return self.locked_add(process) };
        self.add(1);
        let found = self.mutex.unlock_at_once();
        if found != held.word().0 {
            self.mutex.unlocked(process, held, found);
        }
    }
}

#[test]
fn who_gives_back_without_a_comparison_loses_nobody() {
    check(3, || {
        let (world, shared) = (World::new(2), Guarded::new());
        let (first, second) = (world.join(0), world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.quick_add(&first);
            other.quick_add(&first);
        });
        shared.quick_add(&second);
        thread.join().unwrap();
        let held = shared.lock(&second, Mode::Plain).unwrap();
        assert_eq!(shared.add(0), 3);
        shared.mutex.unlock(&second, held);
    });
}

#[test]
fn no_wake_up_is_lost_without_a_comparison() {
    check(2, || {
        let (world, shared) = (World::new(3), Guarded::new());
        let threads = [0, 1].map(|slot| {
            let (process, shared) = (world.join(slot), shared.clone());
            thread::spawn(move || shared.quick_add(&process))
        });
        shared.quick_add(&world.join(2));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn two_exclude_each_other() {
    check(3, || {
        let (world, shared) = (World::new(2), Guarded::new());
        let (first, second) = (world.join(0), world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.locked_add(&first);
            other.locked_add(&first);
        });
        shared.locked_add(&second);
        thread.join().unwrap();
        let held = shared.lock(&second, Mode::Plain).unwrap();
        assert_eq!(shared.add(0), 3);
        shared.mutex.unlock(&second, held);
    });
}

#[test]
fn no_wake_up_is_lost_among_three() {
    check(2, || {
        let (world, shared) = (World::new(3), Guarded::new());
        let threads = [0, 1].map(|slot| {
            let (process, shared) = (world.join(slot), shared.clone());
            thread::spawn(move || shared.locked_add(&process))
        });
        shared.locked_add(&world.join(2));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// One that is woken and gives up must not keep the wake-up from the one behind it.
#[test]
fn no_wake_up_is_lost_by_who_gives_up() {
    check(2, || {
        let (world, shared) = (World::new(3), Guarded::new());
        let (hasty, patient, holder) = (world.join(0), world.join(1), world.join(2));
        let held = shared.lock(&holder, Mode::Plain).unwrap();
        let threads = [(hasty, true), (patient, false)].map(|(process, is_hasty)| {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut wait: Patient = if is_hasty { process.hasty(1) } else { process.patient() };
                match shared.mutex.lock(&process, &mut wait, Mode::Plain) {
                    Ok(held) => shared.mutex.unlock(&process, held),
                    Err(refused) => assert!(is_hasty && refused == Refused::TimedOut),
                }
            })
        });
        shared.mutex.unlock(&holder, held);
        shared.locked_add(&holder);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// Takes the lock, repairs after a death, gives back; returns whether a death was reported to it.
fn survive(shared: &Guarded, process: &Process) -> bool {
    let (held, died) = match shared.lock(process, Mode::Plain) {
        Ok(held) => (held, false),
        Err(Refused::Died(_)) => (shared.lock(process, Mode::Recover).unwrap(), true),
        Err(Refused::TimedOut) => unreachable!("a patient call"),
    };
    let recovered = held.recovered();
    assert!(died || !recovered);
    shared.add(1);
    shared.mutex.unlock(process, held);
    recovered
}

#[test]
fn the_death_of_a_holder_is_reported_and_recovered_once() {
    check(3, || {
        let (world, shared) = (World::new(3), Guarded::new());
        let (dying, rival) = (world.join(0), world.join(1));
        let threads = [(dying, true), (rival, false)].map(|(process, dies)| {
            let shared = shared.clone();
            thread::spawn(move || {
                if dies {
                    let _taken = shared.lock(&process, Mode::Plain).map(|_held| shared.add(1));
                    process.die();
                    return false;
                }
                survive(&shared, &process)
            })
        });
        let here = world.join(2);
        let recovered = survive(&shared, &here);
        let others = threads.map(|thread| thread.join().unwrap());
        // Who was first of all three saw no death; then there is one to recover still.
        let left = survive(&shared, &here);
        assert_eq!([recovered, others[1], left].iter().filter(|&&recovered| recovered).count(), 1);
    });
}

/// The wake-up of an unlock goes to somebody who is killed before it looks.
#[test]
fn a_swallowed_wake_up_delays_only() {
    check(3, || {
        let (world, shared) = (World::new(3), Guarded::new());
        let (holder, dying, here) = (world.join(0), world.join(1), world.join(2));
        let held = shared.lock(&holder, Mode::Plain).unwrap();
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let doomed = dying.doomed(Kill::Sleep);
            killed(&dying, || other.mutex.lock(&doomed, &mut doomed.patient(), Mode::Plain).is_ok());
        });
        let other = shared.clone();
        let waiter = thread::spawn(move || survive(&other, &here));
        shared.mutex.unlock(&holder, held);
        thread.join().unwrap();
        waiter.join().unwrap();
    });
}

/// A holder dies; a newcomer takes its slot and the lock, while two survivors look and bury at any time.
#[test]
fn a_newcomer_in_the_slot_is_not_robbed() {
    check(3, || {
        let (world, shared) = (World::new(2), Guarded::new());
        let dying = world.join(0);
        let newcomers = (world.clone(), shared.clone());
        let thread = thread::spawn(move || {
            let (world, shared) = newcomers;
            let _taken = shared.lock(&dying, Mode::Plain).map(|_held| shared.add(1));
            dying.die();
            let newcomer = world.join(0);
            survive(&shared, &newcomer)
        });
        let here = world.join(1);
        let recovered = survive(&shared, &here);
        let others = thread.join().unwrap();
        let left = survive(&shared, &here);
        assert_eq!([recovered, others, left].iter().filter(|&&recovered| recovered).count(), 1);
    });
}

#[test]
fn a_death_between_the_steps_of_unlock_delays_only() {
    check(3, || {
        let (world, shared) = (World::new(2), Guarded::new());
        let (dying, here) = (world.join(0), world.join(1));
        let held = shared.lock(&dying, Mode::Plain).unwrap();
        let other = shared.clone();
        let thread = thread::spawn(move || survive(&other, &here));
        shared.add(1);
        killed(&dying, || shared.mutex.unlock(&dying.doomed(Kill::Wake), held));
        assert!(!thread.join().unwrap(), "the unlock was done");
    });
}

#[test]
fn a_death_between_the_steps_of_bury_delays_only() {
    check(3, || {
        let (world, shared) = (World::new(3), Guarded::new());
        let (gone, dying, here) = (world.join(0), world.join(1), world.join(2));
        let _lost = shared.lock(&gone, Mode::Plain).unwrap();
        shared.add(1);
        let other = shared.clone();
        let thread = thread::spawn(move || survive(&other, &here));
        gone.die();
        let doomed = dying.doomed(Kill::Wake);
        killed(&dying, || shared.mutex.lock(&doomed, &mut dying.hasty(0), Mode::Plain).is_ok());
        assert!(thread.join().unwrap());
    });
}

/// After a panic everybody who waits is told, and the one that recovers sees what was written.
#[test]
fn an_unlock_after_a_panic_wakes_everybody() {
    check(2, || {
        let (world, shared) = (World::new(3), Guarded::new());
        let panicking = world.join(2);
        let held = shared.lock(&panicking, Mode::Plain).unwrap();
        let threads = [0, 1].map(|slot| {
            let (process, shared) = (world.join(slot), shared.clone());
            thread::spawn(move || survive(&shared, &process))
        });
        shared.add(1);
        shared.mutex.unlock_as_dead(&panicking, held);
        let recovered = threads.map(|thread| thread.join().unwrap());
        assert!(recovered[0] ^ recovered[1]);
    });
}
