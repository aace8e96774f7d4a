//! Models of the condition: every interleaving of waiters, notifications, departures and a death.
#![cfg(loom)]

#[path = "model/mod.rs"]
mod model;

use loom::sync::Mutex;
use loom::sync::atomic::AtomicU64;
use loom::thread::{self, JoinHandle};
use model::{Kill, Process, World, check, killed};
use multiprocess_core::condition::{Call, Condition, Outcome};
use multiprocess_core::{Environment, Step, Wait};
use std::sync::Arc; // nothing is counted on its orderings

struct Shared {
    condition: Condition,
    slots: Vec<AtomicU64>,
    /// The lock, and how many may pass.
    passes: Mutex<u32>,
}

impl Shared {
    fn new(slots: usize) -> Arc<Shared> {
        Arc::new(Shared {
            condition: Condition::new(),
            slots: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            passes: Mutex::new(0),
        })
    }

    /// Waits until there is a pass, and takes it: the loop that every user writes.
    fn pass<W: Wait>(&self, environment: &impl Environment, patience: impl Fn() -> W) {
        let mut passes = self.passes.lock().unwrap();
        while *passes == 0 {
            let mut call = self.condition.begin(&self.slots, environment);
            drop(passes);
            self.condition.wait(&self.slots, environment, &mut patience(), &mut call);
            passes = self.passes.lock().unwrap();
            self.condition.end(&self.slots, call);
        }
        *passes -= 1;
    }

    fn hand_out(&self, process: &Process, count: u32) {
        *self.passes.lock().unwrap() += count;
        self.condition.notify(&self.slots, process, count);
    }

    fn begin(&self, process: &Process) -> Call {
        self.condition.begin(&self.slots, process)
    }

    /// Looks once, without patience.
    fn look(&self, process: &Process, call: &mut Call) -> Outcome {
        self.condition.wait(&self.slots, process, &mut process.hasty(0), call)
    }

    /// Nobody waits: one notification for two that come now lets exactly one of them go on.
    fn assert_nothing_is_left_over(&self, process: &Process) {
        let mut calls = [self.begin(process), self.begin(process)];
        self.condition.notify(&self.slots, process, 1);
        assert_eq!(calls.each_mut().map(|call| self.look(process, call)), [Outcome::Notified, Outcome::TimedOut]);
        calls.into_iter().for_each(|call| self.condition.end(&self.slots, call));
    }
}

/// A process of its own that waits for a pass.
fn passes(world: &World, shared: &Arc<Shared>, slot: u32) -> JoinHandle<()> {
    let (world, shared) = (world.clone(), shared.clone());
    thread::spawn(move || {
        let process = world.join(slot);
        shared.pass(&process, || process.patient());
    })
}

#[test]
fn a_notification_is_not_lost() {
    check(3, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let process = world.join(0);
        let waiter = passes(&world, &shared, 1);
        shared.hand_out(&process, 1);
        waiter.join().unwrap();
        shared.assert_nothing_is_left_over(&process);
    });
}

/// Two waiters, one notification for both: who departs first leaves the token of the other.
#[test]
fn a_notification_of_two_reaches_both() {
    check(2, || {
        let (world, shared) = (World::new(3), Shared::new(3));
        let process = world.join(0);
        let waiters = [passes(&world, &shared, 1), passes(&world, &shared, 2)];
        shared.hand_out(&process, 2);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

/// Two notifications of one.
#[test]
fn each_notification_reaches_somebody() {
    check(2, || {
        let (world, shared) = (World::new(3), Shared::new(3));
        let process = world.join(0);
        let waiters = [passes(&world, &shared, 1), passes(&world, &shared, 2)];
        shared.hand_out(&process, 1);
        shared.hand_out(&process, 1);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
}

/// Of two that wait, one goes on after a notification of one, whoever looks first.
#[test]
fn a_notification_of_one_wakes_one() {
    check(3, || {
        let (world, shared) = (World::new(3), Shared::new(3));
        let [process, first, second] = [0, 1, 2].map(|slot| world.join(slot));
        let (mut one, mut two) = (shared.begin(&first), shared.begin(&second));
        shared.condition.notify(&shared.slots, &process, 1);
        let other = thread::spawn({
            let shared = shared.clone();
            move || {
                let outcome = shared.look(&second, &mut two);
                shared.condition.end(&shared.slots, two);
                outcome
            }
        });
        let mine = shared.look(&first, &mut one);
        shared.condition.end(&shared.slots, one);
        assert_ne!(mine, other.join().unwrap());
        shared.assert_nothing_is_left_over(&process);
    });
}

/// A notification meets one whose time runs out: either it counts the waiter and the waiter takes the token, or neither.
#[test]
fn a_notification_meets_a_timeout() {
    check(3, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let [process, waiter] = [0, 1].map(|slot| world.join(slot));
        let mut call = shared.begin(&waiter);
        let other = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.look(&waiter, &mut call);
                shared.condition.end(&shared.slots, call);
            }
        });
        shared.condition.notify(&shared.slots, &process, 1);
        other.join().unwrap();
        shared.assert_nothing_is_left_over(&process);
    });
}

/// A notification of all, made without the lock, while somebody begins to wait: who was there before is reached.
#[test]
fn who_comes_in_the_middle_of_a_notification_takes_nobody_s_token() {
    check(3, || {
        let (world, shared) = (World::new(3), Shared::new(3));
        let [process, first, newcomer] = [0, 1, 2].map(|slot| world.join(slot));
        let mut before = shared.begin(&first);
        let other = thread::spawn({
            let shared = shared.clone();
            move || {
                let mut call = shared.begin(&newcomer);
                shared.look(&newcomer, &mut call);
                shared.condition.end(&shared.slots, call);
            }
        });
        shared.condition.notify(&shared.slots, &process, u32::MAX);
        other.join().unwrap();
        assert_eq!(shared.look(&first, &mut before), Outcome::Notified);
        shared.condition.end(&shared.slots, before);
        shared.assert_nothing_is_left_over(&process);
    });
}

/// One of two waiters is killed at `at`, another process takes its slot (and waits for a moment, if it `has_heir`), and the pass
/// that was handed out is taken by the other waiter.
fn one_dies(at: Option<Kill>, has_heir: bool) {
    check(2, move || {
        let (world, shared) = (World::new(3), Shared::new(3));
        let process = world.join(0);
        let dying = world.join(1);
        let mut call = shared.begin(&dying);
        let end = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || {
                killed(&dying, || match at {
                    Some(at) => {
                        let doomed = dying.doomed(at);
                        shared.condition.wait(&shared.slots, &doomed, &mut doomed.patient(), &mut call);
                    }
                    // Killed after its wait, with the token or without.
                    None => _ = shared.look(&dying, &mut call),
                });
                let newcomer = world.join(1);
                if has_heir {
                    let call = shared.begin(&newcomer);
                    shared.condition.end(&shared.slots, call);
                }
            }
        });
        let waiter = passes(&world, &shared, 2);
        shared.hand_out(&process, 1);
        waiter.join().unwrap();
        end.join().unwrap();
    });
}

#[test]
fn a_waiter_dies_in_its_sleep() {
    one_dies(Some(Kill::Sleep), false);
}

#[test]
fn a_waiter_dies_with_its_token() {
    one_dies(None, false);
}

#[test]
fn a_waiter_dies_with_its_token_and_has_an_heir() {
    one_dies(None, true);
}

/// The notifier is killed before its wake-up.
#[test]
fn a_notifier_dies() {
    check(3, || {
        let (world, shared) = (World::new(2), Shared::new(2));
        let notifier = world.join(0);
        let waiter = passes(&world, &shared, 1);
        killed(&notifier, || {
            *shared.passes.lock().unwrap() += 1;
            shared.condition.notify(&shared.slots, &notifier.doomed(Kill::Wake), 1);
        });
        waiter.join().unwrap();
    });
}

/// A sleep that returns at once, and then no more patience.
struct Nap(bool);

impl Wait for Nap {
    fn step(&mut self) -> Step {
        if self.0 { Step::TimedOut } else { Step::Sleep }
    }

    fn sleep(&mut self, _: &AtomicU64, _: u64) {
        self.0 = true;
    }
}

/// Somebody who knows nothing of a waiter notifies and probes. A waiter that has only just come is not taken for a dead one
/// that had its slot before.
#[test]
fn a_newcomer_is_not_taken_for_dead() {
    check(2, || {
        let (world, shared) = (World::new(3), Shared::new(3));
        let process = world.join(0);
        // Who notifies asks who lives if somebody may sleep.
        let mut call = shared.begin(&process);
        shared.condition.wait(&shared.slots, &process, &mut Nap(false), &mut call);
        shared.condition.end(&shared.slots, call);
        world.join(1).die();
        let waiter = passes(&world, &shared, 1);
        let stranger = thread::spawn({
            let (world, shared) = (world.clone(), shared.clone());
            move || shared.condition.notify(&shared.slots, &world.join(2), 1)
        });
        shared.hand_out(&process, 1);
        waiter.join().unwrap();
        stranger.join().unwrap();
    });
}
