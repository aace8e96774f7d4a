//! A flag whose setter is killed after it has set it, before it wakes anybody.

use multiprocess_core::atomics::{AtomicU64, Ordering::Relaxed};
use multiprocess_core::event::Event;
use multiprocess_core::{Environment, Owner};
use multiprocess_shm::{Segment, Shape};
use multiprocess_sys::Error;
use multiprocess_sys::waitable::{Source, WaitWord, Waitable};
use serde::{Deserialize, Serialize};

/// The bit of an event's word that says that somebody may sleep.
const WAITERS: u64 = 2;

/// An event in a segment.
#[derive(Clone, Serialize, Deserialize)]
pub struct Flag(Segment);

impl Flag {
    pub fn new() -> Flag {
        let shape = Shape { kind: 78, length: 4096, reserved: 4096, parameters: [0; 4] };
        Flag(Segment::anonymous(shape, |_| {}).unwrap())
    }

    fn event(&self) -> &Event {
        // SAFETY: the payload is longer than an event, which is one atomic; it is aligned, and mapped as long as the segment.
        unsafe { self.0.base().cast::<Event>().as_ref() }
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: the same memory: an event is one atomic word.
        unsafe { self.0.base().cast::<AtomicU64>().as_ref() }
    }
}

impl Waitable for Flag {
    fn source(&self) -> Result<Source<'_>, Error> {
        Ok(Source::Word(self))
    }
}

impl WaitWord for Flag {
    fn note(&self) -> u64 {
        self.event().note()
    }

    fn is_ready(&self, noted: u64) -> bool {
        self.event().has_come(noted)
    }

    fn announce(&self, noted: u64) -> Option<(&AtomicU64, u32)> {
        self.event().announce(noted).map(|(word, announced)| (word, announced as u32))
    }
}

/// Sets it when somebody sleeps, or is about to, and is killed before it wakes them.
pub fn set_and_die(flag: Flag) {
    while flag.word().load(Relaxed) & WAITERS == 0 {
        std::thread::yield_now();
    }
    flag.event().set(&Deadly(&flag.0));
}

/// Whoever wakes somebody here is killed.
struct Deadly<'a>(&'a Segment);

impl Environment for Deadly<'_> {
    fn me(&self) -> Owner {
        self.0.me()
    }
    fn is_alive(&self, owner: Owner) -> bool {
        self.0.is_alive(owner)
    }
    fn wake(&self, _: &AtomicU64, _: u32) -> u32 {
        std::process::abort()
    }
    fn pid_of(&self, owner: Owner) -> u32 {
        self.0.pid_of(owner)
    }
}
