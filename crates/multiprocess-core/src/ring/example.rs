//! What the examples of a ring's methods begin with.

use super::{Plan, Ring};
use crate::atomics::AtomicU64;
use crate::owner::Owner;
use crate::wait::{Environment, Step, Wait};
use core::ptr::NonNull;

/// A world with one process, which has no patience: it is its own wait too.
#[derive(Debug)]
pub struct Alone;

impl Environment for Alone {
    fn me(&self) -> Owner {
        Owner::new(0, 1)
    }

    fn is_alive(&self, _: Owner) -> bool {
        true
    }

    fn wake(&self, _: &AtomicU64, _: u32) -> u32 {
        0
    }

    fn pid_of(&self, _: Owner) -> u32 {
        1
    }
}

impl Wait for Alone {
    fn step(&mut self) -> Step {
        Step::TimedOut
    }

    fn sleep(&mut self, _: &AtomicU64, _: u64) {}
}

/// Shows something with an empty ring of one cell.
///
/// # Panics
///
/// Never, but for what is shown.
pub fn example(show: impl FnOnce(Ring<'_>)) {
    #[repr(align(128))]
    struct Aligned([u8; 2048]);
    let mut memory = Aligned([0; 2048]);
    let plan = Plan::new(1).expect("a ring of one cell");
    assert!(plan.reserved() <= size_of_val(&memory.0) as u64, "memory for one cell");
    // SAFETY: what is reserved is there, for as long as the ring is shown; more is asked for only by long messages, to which
    // no example's `grow` says yes.
    show(unsafe { Ring::at(NonNull::from(&mut memory).cast(), plan) });
}
