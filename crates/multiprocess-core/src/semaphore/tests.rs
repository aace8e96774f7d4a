//! Each rule of the semaphore on its own, with a world in which processes die on command.

extern crate std;

use super::*;
use crate::staged::{ME, OTHER, Staged, Steps, none, process};
use core::cell::Cell;
use std::vec::Vec;

fn words<const N: usize>() -> [AtomicU64; N] {
    [const { AtomicU64::new(0) }; N]
}

fn release(semaphore: &Semaphore, words: &[AtomicU64], permits: u32, world: &Staged) -> Result<(), Refused> {
    semaphore.release(words, permits, world, &mut none(), |_| true)
}

#[test]
fn permits_are_taken_and_returned() {
    let (semaphore, words, me) = (Semaphore::new(), words::<3>(), process(ME));
    semaphore.fill(&words, 2, 3);
    assert_eq!(semaphore.available(&words, &me), 2);
    let first = semaphore.acquire(&words, &me, &mut none()).unwrap();
    let second = semaphore.acquire(&words, &me, &mut none()).unwrap();
    assert_ne!(first.index(), second.index());
    assert_eq!(semaphore.acquire(&words, &me, &mut none()), None);
    assert!(semaphore.holders(&words).eq([ME, ME]));
    semaphore.give(&words, first, &me);
    assert_eq!(semaphore.available(&words, &me), 1);
    assert_eq!(semaphore.acquire(&words, &me, &mut none()).unwrap().index(), first.index());
    assert_eq!(second.owner(), ME);
}

#[test]
fn a_forgotten_permit_makes_room_for_a_release() {
    let (semaphore, words, me) = (Semaphore::new(), words::<1>(), process(ME));
    semaphore.fill(&words, 1, 1);
    assert_eq!(release(&semaphore, &words, 1, &me), Err(Refused::Full));
    let permit = semaphore.acquire(&words, &me, &mut none()).unwrap();
    assert_eq!(release(&semaphore, &words, 1, &me), Err(Refused::Full));
    semaphore.forget(&words, permit);
    assert_eq!(semaphore.available(&words, &me), 0);
    assert_eq!(release(&semaphore, &words, 1, &me), Ok(()));
    assert_eq!(semaphore.available(&words, &me), 1);
}

#[test]
fn what_was_given_back_already_is_left_alone() {
    let (semaphore, words, me) = (Semaphore::new(), words::<1>(), process(ME));
    semaphore.fill(&words, 1, 1);
    let old = semaphore.acquire(&words, &me, &mut none()).unwrap();
    semaphore.give(&words, old, &me);
    let new = semaphore.acquire(&words, &me, &mut none()).unwrap();
    semaphore.give(&words, old, &me);
    semaphore.forget(&words, old);
    assert_eq!(semaphore.available(&words, &me), 0);
    semaphore.give(&words, new, &me);
    assert_eq!(semaphore.available(&words, &me), 1);
}

#[test]
fn many_are_released_together_or_not_at_all() {
    let (semaphore, words, me) = (Semaphore::new(), words::<4>(), process(ME));
    semaphore.fill(&words, 2, 4);
    for (permits, result, available) in
        [(5, Err(Refused::Full), 2), (3, Err(Refused::Full), 2), (0, Ok(()), 2), (2, Ok(()), 4)]
    {
        assert_eq!(release(&semaphore, &words, permits, &me), result);
        assert_eq!(semaphore.available(&words, &me), available);
    }
}

#[test]
fn memory_is_asked_for_before_it_is_used() {
    let (semaphore, words, me) = (Semaphore::new(), words::<2000>(), process(ME));
    semaphore.fill(&words, 1, 512);
    let asked = Cell::new(0);
    let grow = |allow| {
        let asked = &asked;
        move |present| {
            asked.set(present);
            allow
        }
    };
    assert_eq!(semaphore.release(&words, 511, &me, &mut none(), grow(false)), Ok(()));
    assert_eq!(asked.get(), 0);
    assert_eq!(semaphore.release(&words, 1, &me, &mut none(), grow(false)), Err(Refused::NoMemory));
    assert_eq!((asked.get(), semaphore.available(&words, &me)), (1024, 512));
    assert_eq!(semaphore.release(&words, 1488, &me, &mut none(), grow(true)), Ok(()));
    assert_eq!((asked.get(), semaphore.available(&words, &me)), (2000, 2000));
    assert_eq!(semaphore.release(&words, 1, &me, &mut none(), grow(true)), Err(Refused::Full));
}

#[test]
fn any_number_can_be_released_and_taken_one_by_one() {
    let (semaphore, words, me) = (Semaphore::new(), words::<2000>(), process(ME));
    for _ in 0..2000 {
        assert_eq!(release(&semaphore, &words, 1, &me), Ok(()));
    }
    assert_eq!(semaphore.available(&words, &me), 2000);
    for _ in 0..2000 {
        let permit = semaphore.acquire(&words, &me, &mut none()).unwrap();
        semaphore.forget(&words, permit);
    }
    assert_eq!(semaphore.available(&words, &me), 0);
}

#[test]
fn a_dead_holder_s_permit_comes_back_at_the_first_failure() {
    let (semaphore, words, other, me) = (Semaphore::new(), words::<2>(), process(OTHER), process(ME));
    semaphore.fill(&words, 2, 2);
    let forgotten = semaphore.acquire(&words, &other, &mut none()).unwrap();
    semaphore.forget(&words, forgotten);
    let lost = semaphore.acquire(&words, &other, &mut none()).unwrap();
    assert_eq!(semaphore.acquire(&words, &me, &mut none()), None);
    me.dead.set(Some(OTHER));
    let found = semaphore.acquire(&words, &me, &mut none()).unwrap();
    assert_eq!((found.index(), found.owner()), (lost.index(), ME));
    semaphore.give(&words, lost, &other);
    assert_eq!(semaphore.available(&words, &me), 0);
}

#[test]
fn calls_that_never_probe_find_the_dead_too() {
    let (semaphore, words, other, me) = (Semaphore::new(), words::<2>(), process(OTHER), process(ME));
    semaphore.fill(&words, 1, 1);
    semaphore.acquire(&words, &other, &mut none()).unwrap();
    me.dead.set(Some(OTHER));
    let impatient = || Steps { probed: true, sleeps: 0, during: || () };
    let calls = (0..PROBE).find(|_| semaphore.acquire(&words, &me, &mut impatient()).is_some());
    assert_eq!(calls, Some(PROBE - 1));
}

#[test]
fn a_claim_of_a_dead_process_is_undone() {
    let (semaphore, words, me) = (Semaphore::new(), words::<2>(), process(ME));
    semaphore.fill(&words, 0, 2);
    semaphore.used.store(2, Relaxed);
    semaphore.releasing.store(Word::held_by(OTHER).0, Relaxed);
    words[0].store(permit::claimed(Word::FREE, OTHER).0, Relaxed);
    me.dead.set(Some(OTHER));
    assert_eq!(release(&semaphore, &words, 2, &me), Ok(()));
    assert_eq!((semaphore.available(&words, &me), semaphore.releasing.load(Relaxed)), (2, 0));
}

#[test]
fn who_sleeps_is_woken_by_a_permit_and_the_flag_goes_off_when_nobody_does() {
    let (semaphore, words, me) = (Semaphore::new(), words::<1>(), process(ME));
    let mut slept = Steps { probed: true, sleeps: 1, during: || me.sleepers.set(1) };
    assert_eq!(semaphore.acquire(&words, &me, &mut slept), None);
    assert_eq!(release(&semaphore, &words, 1, &me), Ok(()));
    let woken = || me.woken.take().into_iter().map(|(_, count)| count).collect::<Vec<_>>();
    assert_eq!(woken(), [1]);
    for _ in 0..2 {
        let permit = semaphore.acquire(&words, &me, &mut none()).unwrap();
        semaphore.give(&words, permit, &me);
    }
    // The first found nobody asleep, turned the flag off and woke once more; the second had nothing to do.
    assert_eq!(woken(), [1, u32::MAX]);
}

#[test]
fn a_permit_that_comes_before_the_sleep_is_taken_without_it() {
    let (semaphore, words, me) = (Semaphore::new(), words::<1>(), process(ME));
    let mut during = Steps { probed: true, sleeps: 1, during: || release(&semaphore, &words, 1, &me).unwrap() };
    assert!(semaphore.acquire(&words, &me, &mut during).is_some());
    assert_eq!(during.sleeps, 0);
}

#[test]
fn any_bits_are_a_semaphore() {
    let bits = [u64::MAX, 1 << 63, 0x3fff, 0x5_0001_0000, 0xffff_0000];
    for seed in 0..5usize.pow(4) {
        let at = |place: u32| AtomicU64::new(bits[seed / 5usize.pow(place) % 5]);
        let semaphore = Semaphore { signal: at(0), hint: at(1), used: at(2), present: at(3), ..Semaphore::new() };
        let words = [at(0), at(1), at(2)];
        let me = process(ME);
        let permit = semaphore.acquire(&words, &me, &mut Steps { probed: true, sleeps: 1, during: || () });
        let _ = semaphore.release(&words, 2, &me, &mut none(), |_| true);
        permit.inspect(|permit| semaphore.give(&words, *permit, &me));
        assert!(semaphore.holders(&words).count() <= 3);
    }
}
