//! The world around a channel for one call, in which this process has been asked who it is already.

use multiprocess_core::atomics::AtomicU64;
use multiprocess_core::{Environment, Owner};
use multiprocess_shm::Segment;

/// What the core asks about a channel during one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Here<'a> {
    pub(crate) segment: &'a Segment,
    pub(crate) me: Owner,
}

impl Environment for Here<'_> {
    #[inline]
    fn me(&self) -> Owner {
        self.me
    }

    fn is_alive(&self, owner: Owner) -> bool {
        self.segment.is_alive(owner)
    }

    fn wake(&self, word: &AtomicU64, count: u32) -> u32 {
        self.segment.wake(word, count)
    }

    fn pid_of(&self, owner: Owner) -> u32 {
        self.segment.pid_of(owner)
    }
}
