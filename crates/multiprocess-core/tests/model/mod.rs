//! A world for the models: processes that die, newcomers in their slots, and an exact futex.
//!
//! * A process is a slot and its generation. [`Process::die`] frees the slot, [`World::join`] gives it to a newcomer with the
//!   next generation. Who reads a slot may read an old value, unless something that the protocol did forbids it.
//! * The futex compares and queues under one lock. A wake-up that the protocol loses is a deadlock, which loom reports: a
//!   [`Patient`] sleeps until it is woken.
//! * A death ends the present slice of every sleeper, and of whoever has not looked since: the next step is a probe. The first
//!   slice on each value ends at once, because the last probe may have been of an older value. That is what bounded slices come
//!   to, without a clock that would multiply the interleavings.
//! * A process is killed in the middle of a call by [`Process::doomed`] and [`killed`].
#![allow(dead_code)] // each test program uses a part

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Condvar, Mutex};
use multiprocess_core::{Environment, Owner, Step, Wait};
use std::sync::Arc; // nothing is counted on its orderings

/// Runs every interleaving of `f` with at most `LOOM_MAX_PREEMPTIONS` preemptions (`preemptions` if that is not set).
pub fn check(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(f);
}

/// All slots, and the futex; clones are the same world.
#[derive(Clone)]
pub struct World(Arc<Parts>);

struct Parts {
    /// For each slot twice the generation, and 1 if its process lives.
    slots: Vec<AtomicU64>,
    futex: Mutex<Futex>,
}

struct Futex {
    sleepers: Vec<Sleeper>,
    /// How many processes have died.
    deaths: u32,
    next: u32,
}

impl Futex {
    fn push(&mut self, word: &AtomicU64, bell: Option<Arc<Condvar>>) -> u32 {
        self.next += 1;
        self.sleepers.push(Sleeper { word: address(word), number: self.next, bell });
        self.next
    }
}

struct Sleeper {
    word: usize,
    number: u32,
    /// `None`: it was killed in its sleep, and a wake-up for it is swallowed.
    bell: Option<Arc<Condvar>>,
}

fn address(word: &AtomicU64) -> usize {
    std::ptr::from_ref(word) as usize
}

impl World {
    /// A world with `slots` slots, all free.
    pub fn new(slots: usize) -> World {
        let futex = Mutex::new(Futex { sleepers: Vec::new(), deaths: 0, next: 0 });
        World(Arc::new(Parts { slots: (0..slots).map(|_| AtomicU64::new(0)).collect(), futex }))
    }

    /// A process that claims `slot`; `None` while another one has it.
    pub fn try_join(&self, slot: u32) -> Option<Process> {
        let word = &self.0.slots[slot as usize];
        let before = word.load(Ordering::Acquire);
        if before & 1 == 1 {
            return None;
        }
        let generation = before / 2 + 1;
        word.compare_exchange(before, generation * 2 + 1, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(Process { world: self.clone(), me: Owner::new(slot, generation as u32) })
    }

    /// A process that claims the free `slot`.
    pub fn join(&self, slot: u32) -> Process {
        self.try_join(slot).expect("the slot is free")
    }
}

/// One process: what the protocols see as their environment. Its threads use clones.
#[derive(Clone)]
pub struct Process {
    world: World,
    me: Owner,
}

impl Process {
    /// This process is killed here. What it has written is seen by whoever finds it dead.
    pub fn die(&self) {
        let slot = &self.world.0.slots[self.me.slot().unwrap() as usize];
        slot.store(u64::from(self.me.generation()) * 2, Ordering::Release);
        let mut futex = self.world.0.futex.lock().unwrap();
        futex.deaths += 1;
        for sleeper in futex.sleepers.drain(..) {
            sleeper.bell.inspect(|bell| bell.notify_one());
        }
    }

    /// The environment of this process if it is killed at its first wake-up or sleep.
    pub fn doomed(&self, at: Kill) -> Doomed {
        Doomed { process: self.clone(), at }
    }

    fn push(&self, word: &AtomicU64, expected: u64) {
        let mut futex = self.world.0.futex.lock().unwrap();
        if word.load(Ordering::Relaxed) as u32 == expected as u32 {
            futex.push(word, None);
        }
    }

    /// The patience of a call without a time limit.
    pub fn patient(&self) -> Patient {
        let bell = Arc::new(Condvar::new());
        Patient { world: self.world.clone(), seen: None, probed: None, sleeps: u32::MAX, bell }
    }

    /// The patience of a call whose time is over after `sleeps` sleeps (0: of a `try_`).
    pub fn hasty(&self, sleeps: u32) -> Patient {
        Patient { sleeps, ..self.patient() }
    }
}

impl Environment for Process {
    fn me(&self) -> Owner {
        self.me
    }

    fn is_alive(&self, owner: Owner) -> bool {
        let slot = owner.slot().and_then(|slot| self.world.0.slots.get(slot as usize));
        let now = slot.map(|slot| slot.load(Ordering::Acquire));
        now == Some(u64::from(owner.generation()) * 2 + 1)
    }

    fn wake(&self, word: &AtomicU64, count: u32) -> u32 {
        let mut futex = self.world.0.futex.lock().unwrap();
        let mut woken = 0;
        while woken < count {
            let Some(at) = futex.sleepers.iter().position(|sleeper| sleeper.word == address(word)) else { break };
            futex.sleepers.remove(at).bell.inspect(|bell| bell.notify_one());
            woken += 1;
        }
        woken
    }

    fn pid_of(&self, owner: Owner) -> u32 {
        owner.slot().map_or(0, |slot| (slot + 1) * 100 + owner.generation())
    }
}

/// Probes, sleeps until it is woken, probes again after each death.
pub struct Patient {
    world: World,
    /// How many deaths there had been at the last probe.
    seen: Option<u32>,
    /// The word and the value of the last sleep.
    probed: Option<(usize, u64)>,
    sleeps: u32,
    bell: Arc<Condvar>,
}

impl Wait for Patient {
    fn step(&mut self) -> Step {
        if self.seen.is_none() {
            self.seen = Some(self.world.0.futex.lock().unwrap().deaths);
            return Step::Probe;
        }
        if self.sleeps == 0 { Step::TimedOut } else { Step::Sleep }
    }

    fn sleep(&mut self, word: &AtomicU64, expected: u64) {
        let asleep = Some((address(word), expected));
        if std::mem::replace(&mut self.probed, asleep) != asleep {
            self.seen = None;
            return;
        }
        let mut futex = self.world.0.futex.lock().unwrap();
        if Some(futex.deaths) == self.seen && word.load(Ordering::Relaxed) as u32 == expected as u32 {
            let number = futex.push(word, Some(self.bell.clone()));
            while futex.sleepers.iter().any(|sleeper| sleeper.number == number) {
                futex = self.bell.wait(futex).unwrap();
            }
            self.sleeps -= u32::from(self.sleeps != u32::MAX);
        }
        if Some(futex.deaths) != self.seen || self.sleeps == 0 {
            self.seen = None;
        }
    }
}

/// Where a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// Before the wake-up itself.
    Wake,
    /// Asleep, when it has been chosen for a wake-up: that one is lost.
    Sleep,
}

/// The environment of a process that is killed in the middle of a call.
#[derive(Clone)]
pub struct Doomed {
    process: Process,
    at: Kill,
}

/// The patience that belongs to it.
pub struct DoomedWait {
    doomed: Doomed,
    patience: Patient,
}

/// What unwinds a killed process up to [`killed`].
struct Gone;

/// Runs a part of a process that may be killed in it, and then kills it in any case. `None` if it was killed inside.
pub fn killed<R>(process: &Process, part: impl FnOnce() -> R) -> Option<R> {
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(part));
    process.die();
    match end {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<Gone>() => None,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

impl Doomed {
    /// The patience of a call.
    pub fn patient(&self) -> DoomedWait {
        DoomedWait { doomed: self.clone(), patience: self.process.patient() }
    }

    fn kill(&self, at: Kill) {
        if self.at == at {
            std::panic::resume_unwind(Box::new(Gone));
        }
    }
}

impl Environment for Doomed {
    fn me(&self) -> Owner {
        self.process.me
    }

    fn is_alive(&self, owner: Owner) -> bool {
        self.process.is_alive(owner)
    }

    fn wake(&self, word: &AtomicU64, count: u32) -> u32 {
        self.kill(Kill::Wake);
        self.process.wake(word, count)
    }

    fn pid_of(&self, owner: Owner) -> u32 {
        self.process.pid_of(owner)
    }
}

impl Wait for DoomedWait {
    fn step(&mut self) -> Step {
        self.patience.step()
    }

    fn sleep(&mut self, word: &AtomicU64, expected: u64) {
        if self.doomed.at == Kill::Sleep {
            self.doomed.process.push(word, expected);
        }
        self.doomed.kill(Kill::Sleep);
        self.patience.sleep(word, expected);
    }
}
