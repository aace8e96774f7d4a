//! For unit tests: processes that die on command, and calls that wait as they are told.

extern crate std;

use crate::atomics::AtomicU64;
use crate::owner::Owner;
use crate::wait::{Environment, Step, Wait};
use core::cell::{Cell, RefCell};
use std::vec::Vec;

/// Who calls.
pub(crate) const ME: Owner = Owner::new(0, 1);
/// Somebody else.
pub(crate) const OTHER: Owner = Owner::new(1, 1);

/// A process among others.
pub(crate) struct Staged {
    pub(crate) me: Owner,
    /// Who is dead; the others live.
    pub(crate) dead: Cell<Option<Owner>>,
    /// Each call that wakes: the address of the word, and how many it would wake at most.
    pub(crate) woken: RefCell<Vec<(usize, u32)>>,
    /// How many sleep.
    pub(crate) sleepers: Cell<u32>,
}

pub(crate) fn process(me: Owner) -> Staged {
    Staged { me, dead: Cell::new(None), woken: RefCell::default(), sleepers: Cell::new(0) }
}

impl Environment for Staged {
    fn me(&self) -> Owner {
        self.me
    }
    fn is_alive(&self, owner: Owner) -> bool {
        self.dead.get() != Some(owner)
    }
    fn wake(&self, word: &AtomicU64, count: u32) -> u32 {
        self.woken.borrow_mut().push((core::ptr::from_ref(word) as usize, count));
        count.min(self.sleepers.replace(self.sleepers.get().saturating_sub(count)))
    }
    fn pid_of(&self, _: Owner) -> u32 {
        0
    }
}

/// Probes, then sleeps as often as told, each time doing something, then loses patience.
pub(crate) struct Steps<F> {
    pub(crate) probed: bool,
    pub(crate) sleeps: u32,
    pub(crate) during: F,
}

impl<F: FnMut()> Wait for Steps<F> {
    fn step(&mut self) -> Step {
        if !core::mem::replace(&mut self.probed, true) {
            return Step::Probe;
        }
        if self.sleeps > 0 { Step::Sleep } else { Step::TimedOut }
    }
    fn sleep(&mut self, _: &AtomicU64, _: u64) {
        self.sleeps -= 1;
        (self.during)();
    }
}

/// Probes once, and has no patience.
pub(crate) fn none() -> Steps<fn()> {
    Steps { probed: false, sleeps: 0, during: || () }
}
