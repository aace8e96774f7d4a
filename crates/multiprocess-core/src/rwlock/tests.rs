//! What the lock does step by step, with an environment that answers as it is told.

use super::*;
extern crate std;
use std::vec::Vec;

/// A process; those of `dead` have died.
struct Told {
    me: Owner,
    dead: Vec<Owner>,
}

impl Told {
    fn new(slot: u32) -> Told {
        Told { me: Owner::new(slot, 1), dead: Vec::new() }
    }

    fn knowing_dead(self, dead: Owner) -> Told {
        Told { dead: Vec::from([dead]), ..self }
    }
}

impl Environment for Told {
    fn me(&self) -> Owner {
        self.me
    }

    fn is_alive(&self, owner: Owner) -> bool {
        owner.slot().is_some_and(|slot| slot < 4) && owner.generation() < 9 && !self.dead.contains(&owner)
    }

    fn wake(&self, _word: &AtomicU64, _count: u32) -> u32 {
        0
    }

    fn pid_of(&self, owner: Owner) -> u32 {
        owner.slot().map_or(0, |slot| 1000 + slot)
    }
}

/// No patience; it has used its probe up if `.0`.
struct Impatient(bool);

impl Wait for Impatient {
    fn step(&mut self) -> Step {
        if core::mem::replace(&mut self.0, true) { Step::TimedOut } else { Step::Probe }
    }

    fn sleep(&mut self, _word: &AtomicU64, _expected: u64) {
        unreachable!("it never says so");
    }
}

fn words() -> [AtomicU64; 4] {
    [const { AtomicU64::new(0) }; 4]
}

fn now() -> Impatient {
    Impatient(false)
}

#[test]
fn readers_share_and_writers_do_not() {
    let (a, b, readers, lock) = (Told::new(0), Told::new(3), words(), RwLock::new());
    let first = lock.read(&readers, &a, &mut now()).unwrap();
    let second = lock.read(&readers, &b, &mut now()).unwrap();
    let third = lock.read(&readers, &b, &mut now()).unwrap();
    assert_eq!(lock.readers(&readers, &a), 3);
    lock.end_read(&readers, &a, first);
    lock.end_read(&readers, &b, second);
    assert_eq!(lock.write(&readers, &a, &mut now(), false), Err(Refused::TimedOut));
    lock.end_read(&readers, &b, third);
    let held = lock.write(&readers, &a, &mut now(), false).unwrap();
    assert_eq!(lock.read(&readers, &b, &mut now()), Err(Refused::TimedOut));
    assert_eq!(lock.write(&readers, &b, &mut now(), true), Err(Refused::TimedOut));
    assert_eq!(lock.readers(&readers, &a), 0, "who failed counts no longer");
    lock.end_write(&a, held, false);
    assert!(lock.read(&readers, &b, &mut now()).is_ok());
}

#[test]
fn a_dead_reader_leaves_no_trace() {
    let (gone, readers, lock) = (Told::new(1), words(), RwLock::new());
    lock.read(&readers, &gone, &mut now()).unwrap();
    let here = Told::new(0).knowing_dead(gone.me);
    // Also if the probe of a call without patience was spent on something else.
    let held = lock.write(&readers, &here, &mut Impatient(true), false).unwrap();
    assert!(!held.recovered());
    lock.end_write(&here, held, false);
    let newcomer = Told { me: Owner::new(1, 2), dead: Vec::new() };
    readers[1].store(5 | generation_of(gone.me), Ordering::Relaxed);
    lock.read(&readers, &newcomer, &mut now()).unwrap();
    assert_eq!(readers[1].load(Ordering::Relaxed), 1 | generation_of(newcomer.me));
}

#[test]
fn only_a_writer_that_had_the_lock_leaves_a_mark() {
    let (gone, reader, readers, lock) = (Told::new(1), Told::new(2), words(), RwLock::new());
    let here = Told::new(0).knowing_dead(gone.me);
    let _waiting = lock.writer.lock(&gone, &mut now(), Mode::Harmless).unwrap();
    let counted = lock.read(&readers, &here, &mut now()).unwrap();
    lock.end_read(&readers, &here, counted);
    let _writing = lock.write(&readers, &gone, &mut now(), false).unwrap();
    for _ in 0..2 {
        assert_eq!(lock.read(&readers, &here, &mut now()), Err(Refused::Died(1001)));
        assert_eq!(lock.write(&readers, &here, &mut now(), false), Err(Refused::Died(1001)));
        assert_eq!(lock.read(&readers, &reader, &mut now()), Err(Refused::Died(1001)));
    }
    let held = lock.write(&readers, &here, &mut now(), true).unwrap();
    assert!(held.recovered());
    lock.end_write(&here, held, false);
    assert!(lock.read(&readers, &reader, &mut now()).is_ok());
}

#[test]
fn a_recovery_that_gives_up_keeps_the_mark() {
    let (a, b, readers, lock) = (Told::new(0), Told::new(1), words(), RwLock::new());
    let held = lock.write(&readers, &a, &mut now(), false).unwrap();
    lock.end_write(&a, held, true);
    lock.count(&readers, b.me);
    assert_eq!(lock.write(&readers, &a, &mut now(), true), Err(Refused::TimedOut));
    assert_eq!(lock.read(&readers, &a, &mut now()), Err(Refused::Died(1000)));
}

#[test]
fn a_reader_passes_a_reader_that_takes_its_turn() {
    let (a, b, readers, lock) = (Told::new(0), Told::new(1), words(), RwLock::new());
    let held = lock.writer.lock(&a, &mut now(), Mode::Passing).unwrap();
    assert!(lock.read(&readers, &b, &mut now()).is_ok());
    lock.writer.unlock(&a, held);
}

#[test]
fn damaged_words_stop_nobody() {
    let (here, readers, lock) = (Told::new(0), words(), RwLock::new());
    readers.iter().for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
    lock.end.store(u64::MAX, Ordering::Relaxed);
    let held = lock.write(&readers, &here, &mut now(), true).unwrap();
    lock.end_write(&here, held, false);
    readers[0].store(generation_of(here.me) | COUNT, Ordering::Relaxed);
    let counted = lock.read(&readers, &here, &mut now()).unwrap();
    lock.end_read(&readers, &here, counted);
    readers[0].store(0, Ordering::Relaxed);
    lock.end_read(&readers, &here, counted);
}
