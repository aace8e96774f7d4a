//! A mutex whose holder is a thread, which may take it again.
//!
//! | Mutex word | Holder word | Meaning |
//! | --- | --- | --- |
//! | not this process | anything | not held by the calling thread |
//! | this process | another thread's identity, or that of a dead process's thread | not held by the calling thread |
//! | this process | the calling thread's identity | held `depth` times by the calling thread |
//!
//! **lock**: if both words name the caller, one deeper; else take the mutex, then write depth and holder. **unlock**: one less
//! deep; at the last one clear the holder, then give the mutex back.
//!
//! Only a thread itself ever writes its identity, and it clears it before it gives the mutex back, so a thread that reads its
//! own identity holds the mutex. A process that dies in between leaves its identity behind; slot and generation in it keep a
//! newcomer's thread of the same number from believing that it is the one, while another thread of the newcomer holds the
//! mutex and has not written itself down yet. Death at any step: the mutex word names the dead process and is buried; the
//! holder word is overwritten by the next one.

use super::{Held, Mode, Mutex, Refused};
use crate::atomics::{AtomicU32, AtomicU64, Ordering};
use crate::owner::Owner;
use crate::wait::{Environment, Wait};

/// A lock that the thread which holds it may take again; all zeroes is free.
#[derive(Debug)]
#[repr(C)]
pub struct Recursive {
    mutex: Mutex,
    /// Bits 0 to 11 the slot, 12 to 31 the generation, 32 to 63 the thread's number in its process.
    holder: AtomicU64,
    depth: AtomicU32,
    reserved: AtomicU32,
}

impl Default for Recursive {
    fn default() -> Recursive {
        Recursive::new()
    }
}

fn identity(me: Owner, thread: u32) -> u64 {
    let slot = u64::from(me.slot().unwrap_or(0)) & 0xfff;
    slot | (u64::from(me.generation()) & 0xf_ffff) << 12 | u64::from(thread) << 32
}

impl Recursive {
    /// A free one.
    #[cfg(not(loom))]
    pub const fn new() -> Recursive {
        Recursive {
            mutex: Mutex::new(),
            holder: AtomicU64::new(0),
            depth: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
        }
    }

    /// A free one.
    #[cfg(loom)]
    pub fn new() -> Recursive {
        Recursive {
            mutex: Mutex::new(),
            holder: AtomicU64::new(0),
            depth: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
        }
    }

    /// Takes the lock for `thread`: a number, never 0, that no other thread of this process has or had.
    /// The second value is whether a dead holder's mark was cleared.
    ///
    /// # Errors
    ///
    /// As [`Mutex::lock`].
    #[inline]
    pub fn lock<E, W>(&self, environment: &E, wait: &mut W, mode: Mode, thread: u32) -> Result<bool, Refused>
    where
        E: Environment + ?Sized,
        W: Wait + ?Sized,
    {
        let me = environment.me();
        if self.is_held_by(me, thread) {
            let depth = self.depth.load(Ordering::Relaxed).saturating_add(1);
            self.depth.store(depth, Ordering::Relaxed);
            return Ok(false);
        }
        let held = self.mutex.lock(environment, wait, mode)?;
        self.depth.store(1, Ordering::Relaxed);
        self.holder.store(identity(me, thread), Ordering::Relaxed);
        Ok(held.recovered())
    }

    /// Whether `thread` of the process `me` holds the lock.
    #[inline]
    pub fn is_held_by(&self, me: Owner, thread: u32) -> bool {
        self.holder.load(Ordering::Relaxed) == identity(me, thread) && self.mutex.word().owner() == me
    }

    /// Undoes one `lock` of `thread` of the process `me`; does nothing if that does not hold the lock. With `as_dead` the last
    /// `unlock` leaves the lock as a dead holder does.
    #[inline]
    pub fn unlock<E: Environment + ?Sized>(&self, environment: &E, me: Owner, thread: u32, as_dead: bool) {
        if !self.is_held_by(me, thread) {
            return;
        }
        if as_dead {
            self.mutex.mark();
        }
        let depth = self.depth.load(Ordering::Relaxed);
        if depth > 1 {
            self.depth.store(depth - 1, Ordering::Relaxed);
            return;
        }
        self.holder.store(0, Ordering::Relaxed);
        self.mutex.unlock(environment, Held::of(super::Word::FREE, me, Mode::Plain, false));
    }

    /// How often the holder has taken it.
    pub fn depth(&self) -> u32 {
        self.depth.load(Ordering::Relaxed)
    }

    /// The mutex below.
    pub fn mutex(&self) -> &Mutex {
        &self.mutex
    }
}
