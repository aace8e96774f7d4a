//! What the lock does step by step, with an environment that answers as it is told.

use super::*;
use core::cell::{Cell, RefCell};
extern crate std;
use std::vec::Vec;

/// Processes of which some are dead, and a list of the wake-ups.
struct Told {
    me: Owner,
    dead: RefCell<Vec<Owner>>,
    woken: RefCell<Vec<u32>>,
}

impl Told {
    fn new(slot: u32) -> Told {
        Told { me: Owner::new(slot, 1), dead: RefCell::default(), woken: RefCell::default() }
    }

    fn kill(&self, owner: Owner) {
        self.dead.borrow_mut().push(owner);
    }
}

impl Environment for Told {
    fn me(&self) -> Owner {
        self.me
    }

    fn is_alive(&self, owner: Owner) -> bool {
        owner.slot().is_some_and(|slot| slot < 8) && !self.dead.borrow().contains(&owner)
    }

    fn wake(&self, _word: &AtomicU64, count: u32) -> u32 {
        self.woken.borrow_mut().push(count);
        0
    }

    fn pid_of(&self, owner: Owner) -> u32 {
        owner.slot().map_or(0, |slot| 1000 + slot)
    }
}

/// Steps that were listed, then `TimedOut`; `at_sleep` happens in each sleep.
struct Listed<'a> {
    steps: Vec<Step>,
    at_sleep: &'a dyn Fn(&AtomicU64, u64),
}

impl Wait for Listed<'_> {
    fn step(&mut self) -> Step {
        if self.steps.is_empty() { Step::TimedOut } else { self.steps.remove(0) }
    }

    fn sleep(&mut self, word: &AtomicU64, expected: u64) {
        (self.at_sleep)(word, expected);
    }
}

fn no_patience() -> Listed<'static> {
    Listed { steps: Vec::from([Step::Probe]), at_sleep: &|_, _| {} }
}

#[test]
fn a_free_one_is_taken_once() {
    let here = Told::new(0);
    let mutex = Mutex::new();
    let held = mutex.lock(&here, &mut no_patience(), Mode::Plain).unwrap();
    assert!(!held.recovered() && mutex.is_locked(&here));
    for mode in [Mode::Plain, Mode::Recover, Mode::Ignore, Mode::Harmless, Mode::Whole, Mode::Passing] {
        assert_eq!(mutex.lock(&Told::new(1), &mut no_patience(), mode), Err(Refused::TimedOut));
    }
    mutex.unlock(&here, held);
    assert!(!mutex.is_locked(&here));
    assert_eq!(*here.woken.borrow(), [], "nobody waited");
}

#[test]
fn the_mark_of_a_dead_holder_stays_until_it_is_recovered() {
    let (gone, here) = (Told::new(1), Told::new(0));
    let mutex = Mutex::new();
    let _lost = mutex.lock(&gone, &mut no_patience(), Mode::Plain).unwrap();
    here.kill(gone.me);
    for _ in 0..2 {
        assert_eq!(mutex.lock(&here, &mut no_patience(), Mode::Plain), Err(Refused::Died(1001)));
        assert_eq!(mutex.lock(&here, &mut no_patience(), Mode::Harmless), Err(Refused::Died(1001)));
        assert_eq!(mutex.died(), Some(1001));
        for mode in [Mode::Whole, Mode::Ignore] {
            let held = mutex.lock(&here, &mut no_patience(), mode).unwrap();
            assert!(!held.recovered());
            mutex.unlock(&here, held);
        }
    }
    let held = mutex.lock(&here, &mut no_patience(), Mode::Recover).unwrap();
    assert!(held.recovered());
    mutex.unlock(&here, held);
    assert_eq!(mutex.died(), None);
    assert!(mutex.lock(&here, &mut no_patience(), Mode::Plain).is_ok());
}

#[test]
fn a_harmless_death_leaves_what_was_there() {
    let (gone, here) = (Told::new(1), Told::new(0));
    here.kill(gone.me);
    let mutex = Mutex::new();
    let _lost = mutex.lock(&gone, &mut no_patience(), Mode::Whole).unwrap();
    let held = mutex.lock(&here, &mut no_patience(), Mode::Plain).unwrap();
    mutex.unlock_as_dead(&here, held);
    assert_eq!(mutex.died(), Some(1000));
    let _lost = mutex.lock(&gone, &mut no_patience(), Mode::Whole).unwrap();
    assert_eq!(mutex.lock(&here, &mut no_patience(), Mode::Plain), Err(Refused::Died(1001)));
}

#[test]
fn a_hardened_one_is_marked_by_death_and_clears_an_old_mark() {
    let (gone, here) = (Told::new(1), Told::new(0));
    here.kill(gone.me);
    let mutex = Mutex::new();
    let held = mutex.lock(&gone, &mut no_patience(), Mode::Harmless).unwrap();
    assert!(!mutex.harden(held).recovered());
    let held = mutex.lock(&here, &mut no_patience(), Mode::Whole).unwrap();
    let held = mutex.harden(held);
    assert!(held.recovered());
    mutex.unlock(&here, held);
    assert_eq!(mutex.word(), Word::FREE);
}

#[test]
fn a_sleeper_announces_itself_and_is_woken() {
    let (first, second) = (Told::new(0), Told::new(1));
    let mutex = Mutex::new();
    let held = Cell::new(Some(mutex.lock(&first, &mut no_patience(), Mode::Plain).unwrap()));
    let slept = Cell::new(0);
    let mut wait = Listed {
        steps: Vec::from([Step::Probe, Step::Retry, Step::Sleep]),
        at_sleep: &|word, expected| {
            assert_eq!(word.load(Ordering::Relaxed), expected);
            slept.set(slept.get() + 1);
            mutex.unlock(&first, held.take().unwrap());
        },
    };
    let held = mutex.lock(&second, &mut wait, Mode::Plain).unwrap();
    assert_eq!(slept.get(), 1);
    assert_eq!(*first.woken.borrow(), [1]);
    assert!(mutex.word().has_waiters(), "others may sleep behind who has slept");
    mutex.unlock(&second, held);
    assert_eq!(*second.woken.borrow(), [1]);
}

#[test]
fn who_gives_up_after_a_sleep_passes_the_announcement_on() {
    let (first, third, here) = (Told::new(0), Told::new(2), Told::new(1));
    let mutex = Mutex::new();
    let held = Cell::new(Some(mutex.lock(&first, &mut no_patience(), Mode::Plain).unwrap()));
    let mut wait = Listed {
        steps: Vec::from([Step::Sleep, Step::Probe]),
        at_sleep: &|_, _| {
            mutex.unlock(&first, held.take().unwrap());
            held.set(Some(mutex.lock(&third, &mut no_patience(), Mode::Plain).unwrap()));
        },
    };
    assert_eq!(mutex.lock(&here, &mut wait, Mode::Plain), Err(Refused::TimedOut));
    assert!(mutex.word().has_waiters());
}

#[test]
fn a_damaged_word_is_found_dead_and_never_given_back() {
    let here = Told::new(0);
    let mutex = Mutex::new();
    mutex.word.store(0x1234_5678_9abc_ffff, Ordering::Relaxed);
    assert!(!mutex.is_locked(&here));
    assert!(matches!(mutex.lock(&here, &mut no_patience(), Mode::Plain), Err(Refused::Died(_))));
    let held = mutex.lock(&here, &mut no_patience(), Mode::Recover).unwrap();
    let other = Word::held_by(Owner::new(3, 9));
    mutex.word.store(other.0, Ordering::Relaxed);
    mutex.unlock(&here, held);
    assert_eq!(mutex.word(), other);
}

#[test]
fn giving_back_without_a_comparison_wakes_keeps_marks_and_puts_damage_back() {
    let here = Told::new(0);
    let me = NonZeroU64::new(Word::held_by(here.me).0).unwrap();
    let give_back = |meanwhile: Word| {
        let mutex = Mutex::new();
        let held = mutex.lock_at_once_as(me).unwrap();
        mutex.word.store(meanwhile.0, Ordering::Relaxed);
        let found = mutex.unlock_at_once();
        if found != me.get() {
            mutex.unlocked(&here, held, found);
        }
        (mutex.word(), here.woken.take())
    };
    let mine = Word(me.get());
    assert_eq!(give_back(mine), (Word::FREE, Vec::new()));
    assert_eq!(give_back(mine.with_waiters()), (Word::FREE, Vec::from([1])));
    assert_eq!(give_back(mine.marked()), (left_by(1000), Vec::from([u32::MAX])));
    let other = Word::held_by(Owner::new(3, 9)).with_waiters();
    assert_eq!(give_back(other), (other, Vec::new()));
}

#[test]
fn a_recursive_one_counts_for_its_thread() {
    let here = Told::new(0);
    let lock = Recursive::new();
    for depth in 1..=3 {
        assert_eq!(lock.lock(&here, &mut no_patience(), Mode::Plain, 7), Ok(false));
        assert_eq!(lock.depth(), depth);
    }
    assert_eq!(lock.lock(&here, &mut no_patience(), Mode::Plain, 8), Err(Refused::TimedOut));
    lock.unlock(&here, here.me, 8, false);
    for _ in 0..3 {
        assert!(lock.is_held_by(here.me, 7));
        lock.unlock(&here, here.me, 7, false);
    }
    assert_eq!(lock.lock(&here, &mut no_patience(), Mode::Plain, 8), Ok(false));
}

#[test]
fn a_panic_under_an_inner_guard_marks_at_the_last_unlock() {
    let here = Told::new(0);
    let lock = Recursive::new();
    assert_eq!(lock.lock(&here, &mut no_patience(), Mode::Plain, 7), Ok(false));
    assert_eq!(lock.lock(&here, &mut no_patience(), Mode::Plain, 7), Ok(false));
    lock.unlock(&here, here.me, 7, true);
    assert!(lock.is_held_by(here.me, 7));
    lock.unlock(&here, here.me, 7, false);
    assert_eq!(lock.lock(&here, &mut no_patience(), Mode::Plain, 7), Err(Refused::Died(1000)));
    assert_eq!(lock.lock(&here, &mut no_patience(), Mode::Recover, 7), Ok(true));
}

#[test]
fn a_newcomers_thread_is_not_taken_for_a_dead_one_of_its_number() {
    let gone = Told { me: Owner::new(4, 1), ..Told::new(0) };
    let newcomer = Told { me: Owner::new(4, 2), ..Told::new(0) };
    newcomer.kill(gone.me);
    let lock = Recursive::new();
    assert_eq!(lock.lock(&gone, &mut no_patience(), Mode::Plain, 7), Ok(false));
    // The newcomer's other thread has taken the mutex and not written itself down yet.
    assert!(lock.mutex().lock(&newcomer, &mut no_patience(), Mode::Recover).unwrap().recovered());
    assert!(!lock.is_held_by(newcomer.me, 7));
    assert_eq!(lock.lock(&newcomer, &mut no_patience(), Mode::Plain, 7), Err(Refused::TimedOut));
}
