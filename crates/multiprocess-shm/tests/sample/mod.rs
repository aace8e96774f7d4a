//! What several tests of segments use: a name, a judge, a word.

use multiprocess_shm::{Segment, Shape};
use multiprocess_sys::Error;
use std::sync::atomic::AtomicU64;

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    format!("shm-{what}-{}", std::process::id())
}

/// Any segment will do.
pub fn any(_: &Shape) -> Result<(), Error> {
    Ok(())
}

/// The first word of the payload.
pub fn word(segment: &Segment) -> &AtomicU64 {
    // SAFETY: the payload is longer than a word, aligned, and mapped as long as the segment lives.
    unsafe { segment.base().cast::<AtomicU64>().as_ref() }
}
