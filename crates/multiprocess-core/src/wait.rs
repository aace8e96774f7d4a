//! What a protocol is handed by whoever uses it: who lives, how to wake, and how to wait.

use crate::atomics::AtomicU64;
use crate::owner::Owner;

/// The world around a shared object, seen by one process.
pub trait Environment {
    /// The calling process.
    fn me(&self) -> Owner;

    /// Whether the process behind `owner` may still live. `false` is a proof: a process that is gone, a generation that is
    /// not its slot's present one, or a slot that does not exist. `true` may be wrong for a moment.
    fn is_alive(&self, owner: Owner) -> bool;

    /// Wakes up to `count` of those that sleep on the lower half of `word`; how many there were.
    fn wake(&self, word: &AtomicU64, count: u32) -> u32;

    /// The process number of `owner`, for reports; 0 if nobody knows it any more.
    fn pid_of(&self, owner: Owner) -> u32;
}

/// What a call that cannot go on should do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Look again: a short while has passed already.
    Retry,
    /// Look whether the holder lives, then look again.
    Probe,
    /// Announce that somebody sleeps, and [`sleep`](Wait::sleep).
    Sleep,
    /// The time is over. A `Probe` has come before it.
    TimedOut,
}

/// The patience of one call: it spins, yields, sleeps in bounded slices, and asks for a probe before the first sleep and then
/// by elapsed time (a probe only after a slice that timed out would never come while busy rivals keep waking the caller).
pub trait Wait {
    /// What to do next.
    fn step(&mut self) -> Step;

    /// Sleeps while the lower half of `word` is that of `expected`, at most for a slice. May return at any time: the caller
    /// reads the word again.
    fn sleep(&mut self, word: &AtomicU64, expected: u64);
}
