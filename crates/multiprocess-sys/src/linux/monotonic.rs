//! The monotonic clock as a number that all processes of this machine agree on (clock_gettime(2)).

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since some moment before any process began.
pub fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
