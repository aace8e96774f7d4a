//! Deadlines on the monotonic clock, so that a jump of the wall clock moves no timeout.

pub use crate::imp::clock::coarse;

use std::time::{Duration, Instant};

/// The monotonic clock in nanoseconds, as a number that all processes of this machine agree on.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::clock::nanoseconds;
///
/// let before = nanoseconds();
/// assert!(nanoseconds() >= before);
/// ```
pub fn nanoseconds() -> u64 {
    crate::imp::monotonic::nanoseconds()
}

/// A moment until which something is waited for, or never.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::clock::Deadline;
/// use std::time::Duration;
///
/// assert!(Deadline::after(Duration::ZERO).has_passed());
/// assert!(!Deadline::after(Duration::MAX).has_passed());
/// assert_eq!(Deadline::NEVER.remaining(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline: wait for ever.
    pub const NEVER: Deadline = Deadline(None);

    /// A deadline that has passed already: look, and do not wait.
    pub fn now() -> Deadline {
        Deadline(Some(Instant::now()))
    }

    /// The moment `timeout` from now; a timeout that no clock can hold is for ever.
    pub fn after(timeout: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(timeout))
    }

    /// That moment.
    pub fn at(moment: Instant) -> Deadline {
        Deadline(Some(moment))
    }

    /// The time left; `None` without a deadline, zero when it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.0.map(|moment| moment.saturating_duration_since(Instant::now()))
    }

    /// Whether the time is over.
    pub fn has_passed(&self) -> bool {
        self.remaining().is_some_and(|left| left.is_zero())
    }
}
