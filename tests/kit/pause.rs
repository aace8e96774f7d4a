//! The only place where a test lets time pass: polling for what the kernel offers no event for.

use std::thread;
use std::time::{Duration, Instant};

/// How long between two looks.
const PERIOD: Duration = Duration::from_millis(2);

/// Waits until `condition` holds.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let mut looks = 0;
/// multiprocess_tests::pause::until("the third look", Duration::from_secs(5), || {
///     looks += 1;
///     looks == 3
/// });
/// ```
///
/// # Panics
///
/// When `condition` still does not hold after `limit`; the message names `what`.
#[track_caller]
pub fn until(what: &str, limit: Duration, condition: impl FnMut() -> bool) {
    assert!(holds_within(limit, condition), "waited {limit:?} in vain for {what}");
}

/// Whether `condition` holds at some look before `limit` has passed. It is looked at once at least.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(PERIOD);
    }
}

/// Never returns: for a child whose test ends it by a signal.
pub fn for_ever() -> ! {
    loop {
        thread::park();
    }
}
