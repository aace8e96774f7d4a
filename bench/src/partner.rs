//! A second process (or thread) that works at the same time as this one, on the other CPU where that is asked for.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::time::{Duration, Instant};

use multiprocess::{Child, SharedMemory};
use serde::{Deserialize, Serialize};

use crate::placement::{Placement, pin_partner};

/// The words by which both sides start together and tell that they have ended.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Meeting {
    memory: SharedMemory,
    placement: String,
}

const READY: usize = 0;
const GO: usize = 16;
const DONE: usize = 32;

impl Meeting {
    pub(crate) fn new(placement: Placement) -> Meeting {
        Meeting { memory: SharedMemory::new(4096).expect("shared memory"), placement: placement.to_string() }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.memory.as_atomics::<AtomicU64>()[at]
    }

    fn wait_for(&self, at: usize) {
        let mut looks = 0u32;
        while self.word(at).load(Acquire) == 0 {
            looks += 1;
            match looks < 200 {
                true => std::hint::spin_loop(),
                false => std::thread::yield_now(),
            }
        }
    }

    /// The partner's side: waits for the start, works, and says that it has ended.
    pub(crate) fn partner(&self, work: impl FnOnce()) {
        pin_partner(self.placement.parse().expect("a placement"));
        self.word(READY).store(1, Release);
        self.wait_for(GO);
        work();
        self.word(DONE).store(1, Release);
    }

    /// This side: the time from the common start until both have ended.
    pub(crate) fn lead(&self, work: impl FnOnce()) -> Duration {
        self.wait_for(READY);
        let start = Instant::now();
        self.word(GO).store(1, Release);
        work();
        self.wait_for(DONE);
        start.elapsed()
    }
}

/// Ends a partner process that has done its part.
pub(crate) fn finish(child: Child<()>) {
    child.join().expect("a partner ends");
}
