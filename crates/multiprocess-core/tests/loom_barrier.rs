//! Models of the barrier: every interleaving of a few parties, one of which may die.
#![cfg(loom)]

#[path = "model/mod.rs"]
mod model;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU64;
use loom::thread;
use model::{Kill, Process, World, check, killed};
use multiprocess_core::barrier::{Barrier, Broken};
use std::sync::Arc; // nothing is counted on its orderings

struct Shared {
    barrier: Barrier,
    places: Vec<AtomicU64>,
    /// What each party did before it waited.
    done: Vec<UnsafeCell<u32>>,
}

impl Shared {
    fn new(parties: usize) -> Arc<Shared> {
        Arc::new(Shared {
            barrier: Barrier::new(),
            places: (0..parties).map(|_| AtomicU64::new(0)).collect(),
            done: (0..parties).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    fn wait(&self, process: &Process) -> Result<u32, Broken> {
        self.barrier.wait(&self.places, process, &mut process.patient())
    }

    fn write(&self, party: usize) {
        // SAFETY: only this party writes before the barrier, and the model checker finds anybody else.
        self.done[party].with_mut(|done| unsafe { *done += 1 });
    }

    fn read(&self, party: usize) -> u32 {
        // SAFETY: after the barrier nobody writes, and the model checker finds whoever does.
        self.done[party].with(|done| unsafe { *done })
    }
}

/// All go on, with different numbers, and each sees what the others did before.
#[test]
fn all_parties_go_on_and_see_each_other() {
    check(3, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let process = world.join(0);
        let other = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || {
                shared.write(1);
                let index = shared.wait(&world.join(1)).unwrap();
                assert_eq!(shared.read(0), 1);
                index
            }
        });
        shared.write(0);
        let index = shared.wait(&process).unwrap();
        assert_eq!(shared.read(1), 1);
        assert_eq!(index + other.join().unwrap(), 1);
    });
}

/// A party may be slow to leave one phase while the next one runs.
#[test]
fn the_next_phase_is_not_disturbed() {
    check(2, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let process = world.join(0);
        let other = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || {
                let process = world.join(1);
                [shared.wait(&process).unwrap(), shared.wait(&process).unwrap()]
            }
        });
        let mine = [shared.wait(&process).unwrap(), shared.wait(&process).unwrap()];
        let theirs = other.join().unwrap();
        assert_eq!([mine[0] + theirs[0], mine[1] + theirs[1]], [1, 1]);
        assert_eq!(shared.barrier.waiting(), 0);
    });
}

/// A reset may break the other's wait, and then that one comes again. Nobody hangs, no number is given twice.
#[test]
fn a_reset_meets_a_wait() {
    check(3, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let process = world.join(0);
        let other = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || {
                let process = world.join(1);
                shared.wait(&process).or_else(|Broken| shared.wait(&process)).unwrap()
            }
        });
        shared.barrier.reset(&process);
        let mine = shared.wait(&process).unwrap();
        assert_eq!(mine + other.join().unwrap(), 1);
        assert!(!shared.barrier.is_broken());
    });
}

/// An abort ends the wait of whoever has arrived, and of whoever comes later.
#[test]
fn an_abort_ends_every_wait() {
    check(3, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let process = world.join(0);
        let other = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || shared.wait(&world.join(1))
        });
        shared.barrier.abort(&process);
        assert_eq!(other.join().unwrap(), Err(Broken));
        assert_eq!(shared.wait(&process), Err(Broken));
    });
}

/// The time of one party runs out while the last one arrives: completed for both or broken for both.
#[test]
fn a_timeout_meets_the_last_arrival() {
    check(3, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let process = world.join(0);
        let other = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || shared.wait(&world.join(1)).is_ok()
        });
        let mine = shared.barrier.wait(&shared.places, &process, &mut process.hasty(0)).is_ok();
        assert_eq!(mine, other.join().unwrap());
        assert_eq!(shared.barrier.is_broken(), !mine);
    });
}

/// A party is killed in its sleep, and a newcomer takes its slot: the other one is told. Only if the death meets the last arrival
/// the phase may be complete.
#[test]
fn the_death_of_a_party_breaks_its_phase() {
    check(2, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let process = world.join(0);
        let doomed = world.join(1);
        let other = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || {
                let mut patience = doomed.doomed(Kill::Sleep).patient();
                let result = killed(&doomed, || shared.barrier.wait(&shared.places, &doomed, &mut patience));
                _ = world.join(1);
                result
            }
        });
        let mine = shared.wait(&process);
        if let Some(theirs) = other.join().unwrap() {
            assert_eq!(mine.is_ok(), theirs.is_ok());
        }
        assert_eq!(mine.is_err(), shared.barrier.is_broken());
    });
}

/// A party is killed in its sleep before the other two come: neither waits in vain.
#[test]
fn the_death_of_a_party_is_noticed_by_those_who_come_later() {
    check(2, || {
        let (world, shared) = (World::new(3), Shared::new(3));
        let [process, doomed] = [0, 1].map(|slot| world.join(slot));
        let mut patience = doomed.doomed(Kill::Sleep).patient();
        killed(&doomed, || shared.barrier.wait(&shared.places, &doomed, &mut patience));
        let other = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || shared.wait(&world.join(2))
        });
        assert_eq!(shared.wait(&process), Err(Broken));
        assert_eq!(other.join().unwrap(), Err(Broken));
    });
}

/// A party that has only just come is not taken for a dead one that had its slot before.
#[test]
fn a_newcomer_is_not_taken_for_dead() {
    check(2, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let process = world.join(0);
        world.join(1).die();
        let other = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || shared.wait(&world.join(1))
        });
        assert!(shared.wait(&process).is_ok());
        assert!(other.join().unwrap().is_ok());
    });
}

/// The last party is killed before it wakes anybody: the phase is complete.
#[test]
fn the_death_of_the_last_arrival_breaks_nothing() {
    check(3, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let process = world.join(0);
        let other = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || {
                let process = world.join(1);
                let last = process.doomed(Kill::Wake);
                killed(&process, || shared.barrier.wait(&shared.places, &last, &mut process.patient()))
            }
        });
        assert!(shared.wait(&process).is_ok());
        assert!(other.join().unwrap().is_none_or(|result| result.is_ok()));
    });
}
