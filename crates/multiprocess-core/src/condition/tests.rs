//! Tests of the condition step by step, with the states that a death leaves made by hand.

use super::*;
use core::cell::Cell;

/// Each slot has the generation that is told here; wake-ups are counted.
struct World<'a> {
    me: Owner,
    generations: &'a [Cell<u32>],
    woken: &'a Cell<u64>,
}

impl Environment for World<'_> {
    fn me(&self) -> Owner {
        self.me
    }
    fn is_alive(&self, owner: Owner) -> bool {
        let slot = owner.slot().and_then(|slot| self.generations.get(slot as usize));
        slot.is_some_and(|generation| generation.get() == owner.generation())
    }
    fn wake(&self, _: &AtomicU64, count: u32) -> u32 {
        self.woken.set(self.woken.get() + u64::from(count));
        count
    }
    fn pid_of(&self, _: Owner) -> u32 {
        0
    }
}

/// Sleeps so often (which returns at once), then the time is over.
struct Sleeps(u32);

impl Wait for Sleeps {
    fn step(&mut self) -> Step {
        if self.0 == 0 { Step::TimedOut } else { Step::Sleep }
    }
    fn sleep(&mut self, _: &AtomicU64, _: u64) {
        self.0 -= 1;
    }
}

/// Probes once, then the time is over.
struct Probes(bool);

impl Wait for Probes {
    fn step(&mut self) -> Step {
        if core::mem::replace(&mut self.0, true) { Step::TimedOut } else { Step::Probe }
    }
    fn sleep(&mut self, _: &AtomicU64, _: u64) {}
}

struct Test {
    condition: Condition,
    slots: [AtomicU64; 4],
    generations: [Cell<u32>; 4],
    woken: Cell<u64>,
}

impl Test {
    fn new() -> Test {
        Test {
            condition: Condition::new(),
            slots: [const { AtomicU64::new(0) }; 4],
            generations: [const { Cell::new(1) }; 4],
            woken: Cell::new(0),
        }
    }

    fn world(&self, slot: u32) -> World<'_> {
        let me = Owner::new(slot, self.generations[slot as usize].get());
        World { me, generations: &self.generations, woken: &self.woken }
    }

    fn begin(&self, slot: u32) -> Call {
        self.condition.begin(&self.slots, &self.world(slot))
    }

    fn notify(&self, count: u32) {
        self.condition.notify(&self.slots, &self.world(0), count);
    }

    fn wait(&self, call: &mut Call, mut patience: impl Wait) -> Outcome {
        let slot = call.owner.slot().unwrap();
        self.condition.wait(&self.slots, &self.world(slot), &mut patience, call)
    }

    fn end(&self, call: Call) {
        self.condition.end(&self.slots, call);
    }

    /// The process in `slot` is killed, and another one takes the slot.
    fn kill(&self, slot: usize) {
        self.generations[slot].set(self.generations[slot].get() + 1);
    }

    /// As the last step of a waiter before it sleeps.
    fn fall_asleep(&self) {
        let seen = Central(self.condition.central.load(Ordering::Relaxed));
        self.condition.central.store(seen.with_sleepers().0, Ordering::Relaxed);
    }

    fn tokens(&self) -> u64 {
        Central(self.condition.central.load(Ordering::Relaxed)).tokens()
    }

    fn waiters(&self) -> u64 {
        self.condition.waiters(&self.slots, &self.world(0))
    }
}

#[test]
fn a_notification_wakes_exactly_so_many() {
    for count in 0..6 {
        let test = Test::new();
        let mut calls = [0, 1, 1, 3].map(|slot| test.begin(slot));
        test.notify(count);
        let outcomes = calls.each_mut().map(|call| test.wait(call, Sleeps(0)));
        calls.into_iter().for_each(|call| test.end(call));
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Notified).count(), count.min(4) as usize);
        assert_eq!((test.tokens(), test.waiters()), (0, 0));
    }
}

#[test]
fn a_notification_for_nobody_leaves_nothing() {
    let test = Test::new();
    test.notify(u32::MAX);
    let mut call = test.begin(1);
    assert_eq!(test.wait(&mut call, Sleeps(2)), Outcome::TimedOut);
    test.end(call);
    test.notify(1);
    assert_eq!(test.tokens(), 0);
}

#[test]
fn one_who_comes_later_does_not_take_the_token() {
    let test = Test::new();
    let mut early = test.begin(1);
    test.notify(1);
    let mut late = test.begin(2);
    assert_eq!(test.wait(&mut late, Sleeps(1)), Outcome::TimedOut);
    assert_eq!(test.wait(&mut early, Sleeps(0)), Outcome::Notified);
}

#[test]
fn sleepers_alone_are_woken() {
    let test = Test::new();
    let [call, other] = [1, 2].map(|slot| test.begin(slot));
    test.notify(1);
    assert_eq!(test.woken.get(), 0);
    let sleeper = test.begin(3);
    test.fall_asleep();
    test.notify(1);
    assert_eq!(test.woken.get(), 1);
    test.notify(7);
    // Everybody has a token: all are woken, and the next notification knows that nobody sleeps.
    assert_eq!(test.woken.get(), 1 + u64::from(u32::MAX));
    test.notify(1);
    assert_eq!(test.woken.get(), 1 + u64::from(u32::MAX));
    [call, other, sleeper].into_iter().for_each(|call| test.end(call));
}

#[test]
fn a_call_that_is_given_up_is_not_counted() {
    let test = Test::new();
    let [gone, mut stays] = [1, 2].map(|slot| test.begin(slot));
    test.notify(2);
    test.end(gone);
    assert_eq!((test.tokens(), test.waiters()), (1, 1));
    assert_eq!(test.wait(&mut stays, Sleeps(0)), Outcome::Notified);
}

#[test]
fn a_token_that_comes_at_the_last_moment_is_taken() {
    let test = Test::new();
    let mut call = test.begin(1);
    test.notify(1);
    assert_eq!(test.condition.give_up(&test.slots, &mut call), Outcome::Notified);
    assert_eq!(test.tokens(), 0);
}

#[test]
fn the_dead_are_not_counted() {
    let test = Test::new();
    let [_dead, mut alive] = [1, 2].map(|slot| test.begin(slot));
    test.fall_asleep();
    test.kill(1);
    test.notify(u32::MAX);
    assert_eq!((test.tokens(), test.waiters()), (1, 1));
    assert_eq!(test.wait(&mut alive, Sleeps(0)), Outcome::Notified);
}

#[test]
fn a_newcomer_in_the_slot_counts_anew() {
    let test = Test::new();
    let dead = [1, 1, 1].map(|slot| test.begin(slot));
    test.kill(1);
    let mut newcomer = test.begin(1);
    assert_eq!(test.waiters(), 1);
    dead.into_iter().for_each(|call| change(&test.slots, call.owner, -1, 0));
    assert_eq!(test.waiters(), 1, "the dead one's generation is not counted any more");
    test.notify(1);
    assert_eq!(test.wait(&mut newcomer, Sleeps(0)), Outcome::Notified);
}

/// What is in the slot of one that was killed at each step of taking a token, and how many tokens it leaves.
#[test]
fn the_token_of_a_dead_one_goes_to_another() {
    for killed_after in 0..4 {
        for by_newcomer in [false, true] {
            let test = Test::new();
            let [dead, mut alive] = [1, 2].map(|slot| test.begin(slot));
            test.notify(1);
            if killed_after >= 1 {
                change(&test.slots, dead.owner, 0, 1);
            }
            if killed_after >= 2 {
                let seen = Central(test.condition.central.load(Ordering::Relaxed));
                test.condition.central.store(seen.with_tokens(0).0, Ordering::Relaxed);
            }
            if killed_after >= 3 {
                change(&test.slots, dead.owner, -1, 0);
            }
            test.kill(1);
            if by_newcomer {
                let newcomer = test.begin(1);
                test.end(newcomer);
            }
            assert_eq!(test.wait(&mut alive, Probes(false)), Outcome::Notified, "killed after step {killed_after}");
            test.end(alive);
            assert_eq!(test.waiters(), 0);
        }
    }
}

#[test]
fn a_woken_call_that_ended_leaves_nothing_at_its_death() {
    let test = Test::new();
    let [mut first, mut second] = [1, 2].map(|slot| test.begin(slot));
    test.notify(1);
    test.wait(&mut first, Sleeps(0));
    test.end(first);
    test.kill(1);
    assert_eq!(test.wait(&mut second, Probes(false)), Outcome::TimedOut);
}

#[test]
fn more_than_can_be_counted_do_not_wait() {
    let test = Test::new();
    let full = Count(Count::empty(1).0 | 0xffff);
    test.slots[1].store(full.0, Ordering::Relaxed);
    let mut call = test.begin(1);
    assert_eq!(test.wait(&mut call, Sleeps(0)), Outcome::Notified);
    test.end(call);
    assert_eq!(test.slots[1].load(Ordering::Relaxed), full.0);
}

#[test]
fn the_epoch_and_the_moves_stay_in_their_fields() {
    let last = Central(u64::MAX);
    assert_eq!(last.next_epoch().epoch(), 0);
    assert_eq!((last.next_epoch().tokens(), last.next_move().0), (last.tokens(), u64::MAX >> 10));
    assert!(last.next_epoch().has_sleepers());
}

#[test]
fn any_bytes_do_no_harm() {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^ state >> 29
    };
    for _ in 0..2000 {
        let test = Test::new();
        let mut call = test.begin(1);
        let words = [&test.condition.central, &test.condition.used[0]].into_iter().chain(&test.slots);
        words.for_each(|word| word.store(next(), Ordering::Relaxed));
        test.notify(next() as u32);
        test.wait(&mut call, Sleeps(3));
        test.end(call);
        let mut call = test.begin(2);
        test.wait(&mut call, Probes(false));
        test.end(call);
    }
}
