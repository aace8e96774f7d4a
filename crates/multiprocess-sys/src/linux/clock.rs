//! The coarse monotonic clock (clock_gettime(2), `CLOCK_MONOTONIC_COARSE`), which is read without a system call in few nanoseconds.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The time since some moment in the past, exact to a few milliseconds: for "is it time to look again?" on fast paths.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::clock::coarse;
///
/// let before = coarse();
/// assert!(coarse() >= before);
/// ```
#[inline]
pub fn coarse() -> Duration {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
