//! Names that no other test has: tests run at the same time, in threads and in processes.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the names given in this process.
static GIVEN: AtomicU64 = AtomicU64::new(0);

/// A name that begins with `prefix` and that nobody else on this machine uses now.
///
/// # Examples
///
/// ```
/// use multiprocess_tests::names::unique;
///
/// assert_ne!(unique("jobs"), unique("jobs"));
/// ```
pub fn unique(prefix: &str) -> String {
    // Relaxed: only the number itself matters, no other memory goes with it.
    format!("{prefix}-{}-{}", std::process::id(), GIVEN.fetch_add(1, Ordering::Relaxed))
}
