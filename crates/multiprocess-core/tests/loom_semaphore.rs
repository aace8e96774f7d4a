//! Models of the semaphore: permits are exclusive, exact and never lost, whoever dies where.
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use model::{Kill, Process, World, check, killed};
use multiprocess_core::Environment;
use multiprocess_core::semaphore::{Permit, Refused, Semaphore};
use std::sync::Arc;

/// A semaphore, and what is touched under a permit.
struct Shared {
    semaphore: Semaphore,
    words: Vec<AtomicU64>,
    data: UnsafeCell<u32>,
    /// Where the dead stay until the model is over.
    over: (Mutex<bool>, Condvar),
    world: World,
}

// SAFETY: loom checks each access to the cell against all others, which is what these models are for.
unsafe impl Send for Shared {}
// SAFETY: a race on the cell is a failed model, so no interleaving that passes has one.
unsafe impl Sync for Shared {}

/// A semaphore of `permits` free ones with room for `words`.
fn shared(permits: u32, words: usize) -> Arc<Shared> {
    let shared = Shared {
        semaphore: Semaphore::new(),
        words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        data: UnsafeCell::new(0),
        over: (Mutex::new(false), Condvar::new()),
        world: World::new(4),
    };
    shared.semaphore.fill(&shared.words, permits, words);
    Arc::new(shared)
}

impl Shared {
    fn touch(&self) -> u32 {
        self.data.with_mut(|data| {
            // SAFETY: loom reports the access if it is not ordered after all others.
            let data = unsafe { &mut *data };
            *data += 1;
            *data
        })
    }

    fn acquire(&self, process: &Process) -> Permit {
        self.semaphore.acquire(&self.words, process, &mut process.patient()).expect("patience has no end")
    }

    fn try_acquire(&self, process: &Process) -> Option<Permit> {
        self.semaphore.acquire(&self.words, process, &mut process.hasty(0))
    }

    fn give(&self, permit: Permit, process: &impl Environment) {
        self.semaphore.give(&self.words, permit, process);
    }

    fn release(&self, permits: u32, process: &Process) -> Result<(), Refused> {
        self.semaphore.release(&self.words, permits, process, &mut process.patient(), |_| true)
    }

    fn touch_once(&self, process: &Process) {
        let permit = self.acquire(process);
        self.touch();
        self.give(permit, process);
    }

    /// Where a dead process stays: its stack is not unwound, since nobody would do that.
    fn rest(&self) {
        let mut over = self.over.0.lock().unwrap();
        while !*over {
            over = self.over.1.wait(over).unwrap();
        }
    }

    fn end(&self) {
        *self.over.0.lock().unwrap() = true;
        self.over.1.notify_all();
    }
}

#[test]
fn one_permit_is_held_by_one() {
    check(3, || {
        let shared = shared(1, 1);
        let (first, second) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || other.touch_once(&first));
        shared.touch_once(&second);
        thread.join().unwrap();
        assert_eq!(shared.touch(), 3);
        assert!(shared.try_acquire(&second).is_some());
    });
}

#[test]
fn a_release_is_seen_with_what_came_before_it() {
    check(3, || {
        let shared = shared(0, 1);
        let (first, second) = (shared.world.join(0), shared.world.join(1));
        shared.semaphore.fill(&shared.words, 0, 1);
        // One word is in use from the beginning, so that the release is a single exchange.
        shared.release(1, &first).unwrap();
        shared.semaphore.forget(&shared.words, shared.try_acquire(&first).unwrap());
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.touch();
            other.release(1, &first).unwrap();
        });
        let permit = shared.acquire(&second);
        assert_eq!(shared.touch(), 2);
        shared.semaphore.forget(&shared.words, permit);
        thread.join().unwrap();
    });
}

#[test]
fn a_release_of_many_is_seen_with_what_came_before_it() {
    check(1, || {
        let shared = shared(0, 2);
        let (first, second) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.touch();
            other.release(2, &first).unwrap();
        });
        let _first = shared.acquire(&second);
        assert_eq!(shared.touch(), 2);
        let _second = shared.acquire(&second);
        thread.join().unwrap();
    });
}

#[test]
fn a_sleeper_that_is_not_woken_first_is_woken_next() {
    check(1, || {
        let shared = shared(1, 1);
        let (giver, first, second) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        let held = shared.try_acquire(&giver).unwrap();
        let (one, two) = (shared.clone(), shared.clone());
        let sleepers = [thread::spawn(move || one.touch_once(&first)), thread::spawn(move || two.touch_once(&second))];
        shared.give(held, &giver);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        assert_eq!(shared.touch(), 3);
    });
}

#[test]
fn a_dead_holder_s_permit_comes_back_once_although_a_newcomer_has_its_slot() {
    check(3, || {
        let shared = shared(1, 1);
        let (victim, survivor) = (shared.world.join(0), shared.world.join(1));
        let held = shared.try_acquire(&victim).unwrap();
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.touch();
            victim.die();
            let newcomer = other.world.join(0);
            if let Some(permit) = other.try_acquire(&newcomer) {
                other.touch();
                other.give(permit, &newcomer);
            }
        });
        shared.touch_once(&survivor);
        thread.join().unwrap();
        // What the dead one held is nobody's any more.
        shared.give(held, &survivor);
        assert!(shared.try_acquire(&survivor).is_some());
        assert!(shared.try_acquire(&survivor).is_none());
    });
}

#[test]
fn what_a_dead_holder_did_is_seen_through_who_found_it() {
    check(2, || {
        let shared = shared(1, 1);
        let (victim, finder, next) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        shared.try_acquire(&victim).unwrap();
        let (one, two) = (shared.clone(), shared.clone());
        let dying = thread::spawn(move || {
            one.touch();
            victim.die();
        });
        let finding = thread::spawn(move || {
            two.semaphore.available(&two.words, &finder);
        });
        let permit = shared.acquire(&next);
        assert_eq!(shared.touch(), 2);
        shared.give(permit, &next);
        dying.join().unwrap();
        finding.join().unwrap();
    });
}

#[test]
fn a_holder_that_dies_before_it_wakes_leaves_nobody_asleep() {
    check(3, || {
        let shared = shared(1, 1);
        let (victim, survivor) = (shared.world.join(0), shared.world.join(1));
        let held = shared.try_acquire(&victim).unwrap();
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.touch();
            killed(&victim, || other.give(held, &victim.doomed(Kill::Wake)));
        });
        shared.touch_once(&survivor);
        thread.join().unwrap();
    });
}

#[test]
fn a_sleeper_that_is_killed_takes_no_permit_with_it() {
    check(1, || {
        let shared = shared(0, 1);
        let (giver, victim, survivor) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        let (one, two) = (shared.clone(), shared.clone());
        let dying = thread::spawn(move || {
            let doomed = victim.doomed(Kill::Sleep);
            killed(&victim, || one.semaphore.acquire(&one.words, &doomed, &mut doomed.patient()));
        });
        let giving = thread::spawn(move || two.release(1, &giver).unwrap());
        shared.acquire(&survivor);
        dying.join().unwrap();
        giving.join().unwrap();
    });
}

#[test]
fn who_never_finds_all_taken_never_fails() {
    check(3, || {
        let shared = shared(2, 2);
        let (mover, seeker) = (shared.world.join(0), shared.world.join(1));
        // One permit is held at any time: first that of the second word, then that of the first one, in place of it. The mover
        // is shown that word alone, because it would take what it gave.
        let held = shared.try_acquire(&mover).unwrap();
        assert_eq!(held.index(), 1);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.give(held, &mover);
            other.semaphore.acquire(&other.words[..1], &mover, &mut mover.hasty(0))
        });
        let found = shared.try_acquire(&seeker);
        let moved = thread.join().unwrap();
        assert!(found.is_some() && (moved.is_some() || found.unwrap().index() == 0));
    });
}

#[test]
fn who_sees_a_permit_forgotten_sees_what_its_holder_knew_to_be_free() {
    check(2, || {
        let shared = shared(2, 2);
        let (giver, mover, seeker) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        // The giver holds the second word. The mover takes and forgets the first one only when it knows that the second is free.
        let held = shared.try_acquire(&giver).unwrap();
        assert_eq!(held.index(), 1);
        let given = Arc::new(AtomicU64::new(0));
        let (one, two, told) = (shared.clone(), shared.clone(), given.clone());
        let giving = thread::spawn(move || {
            one.give(held, &giver);
            given.store(1, Release);
        });
        let moving = thread::spawn(move || {
            if told.load(Acquire) == 1 {
                let moved = two.semaphore.acquire(&two.words[..1], &mover, &mut mover.hasty(0));
                moved.inspect(|moved| two.semaphore.forget(&two.words, *moved));
            }
        });
        assert!(shared.try_acquire(&seeker).is_some());
        giving.join().unwrap();
        moving.join().unwrap();
    });
}

#[test]
fn who_never_finds_all_there_can_always_release() {
    check(3, || {
        let shared = shared(2, 2);
        let (mover, releaser) = (shared.world.join(0), shared.world.join(1));
        // One word is absent, one held; the mover forgets the held one and releases it or the other one.
        let held = shared.try_acquire(&mover).unwrap();
        let absent = shared.try_acquire(&mover).unwrap();
        shared.semaphore.forget(&shared.words, absent);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.semaphore.forget(&other.words, held);
            other.release(1, &mover).unwrap();
        });
        shared.release(1, &releaser).unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn a_release_that_fails_makes_no_other_one_fail() {
    check(2, || {
        let shared = shared(2, 2);
        let (greedy, modest) = (shared.world.join(0), shared.world.join(1));
        let absent = shared.try_acquire(&greedy).unwrap();
        shared.semaphore.forget(&shared.words, absent);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            assert_eq!(other.release(2, &greedy), Err(Refused::Full));
        });
        shared.release(1, &modest).unwrap();
        thread.join().unwrap();
        assert_eq!(shared.semaphore.available(&shared.words, &modest), 2);
    });
}

#[test]
fn a_releaser_that_is_killed_half_way_leaves_the_room_to_others() {
    check(2, || {
        let shared = shared(0, 2);
        let (victim, survivor) = (shared.world.join(0), shared.world.join(1));
        // One absent word is in use: the release of two claims it, asks for memory, and dies.
        shared.semaphore.fill(&shared.words, 1, 1);
        shared.semaphore.forget(&shared.words, shared.try_acquire(&victim).unwrap());
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let die = |_| {
                victim.die();
                other.rest();
                false
            };
            let _ = other.semaphore.release(&other.words, 2, &victim, &mut victim.patient(), die);
        });
        shared.release(2, &survivor).unwrap();
        let taken = [shared.acquire(&survivor), shared.acquire(&survivor)];
        assert_ne!(taken[0].index(), taken[1].index());
        shared.end();
        thread.join().unwrap();
    });
}
