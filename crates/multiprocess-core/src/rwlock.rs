//! Many readers or one writer: a mutex for the writer, and a word per slot in which each process counts its readers.
//!
//! | Writer's mutex | Reader words | Meaning | A reader | A writer |
//! | --- | --- | --- | --- | --- |
//! | free | all 0 | free | counts itself | takes the mutex |
//! | free | some count > 0 | read | counts itself | takes the mutex |
//! | held harmless | count > 0 | a writer waits for the readers | waits for the mutex | waits for the mutex |
//! | held | counts of those that look only | written | waits for the mutex | waits for the mutex |
//! | held passable | any | a reader that waited is about to count itself | counts itself | waits for the mutex |
//! | left | any | the last writer died writing | is told | is told, or recovers |
//! | held..., owner dead | any | as its owner left it | buries it as any mutex | the same |
//! | any | generation not the slot's present one, or owner dead | counts as 0 | overwrites it | overwrites it with 0 |
//!
//! A reader word: bits 0 to 30 the count, 31 a writer sleeps on it, 32 to 63 the generation of the slot's user that counts.
//!
//! **read**: (1) count itself; (2) fence; (3) look at the mutex: free or passable, and it has the lock. Else (4) uncount itself,
//! (5) take the mutex as passable, which no writer has then, (6) count itself, (7) give the mutex back. **end of read**:
//! uncount itself; who was the last and finds the sleeper's bit clears it and wakes. **write**: (1) take the mutex, harmless
//! still; (2) fence; (3) wait until each reader word is 0 or dead; (4) harden: from here its death leaves a mark. **end of
//! write**: unlock the mutex.
//!
//! Races: reader and writer each write, fence, and look at what the other writes, so at least one sees the other: if the reader
//! does, it takes its count back, if the writer does, it waits. A newcomer in a dead reader's slot has another generation: the
//! exchange with 0 fails. A reader passes a passable mutex because its holder is no writer; otherwise readers that waited
//! once would go one by one for as long as new ones come.
//!
//! Fairness: who wants to write keeps new readers out while it waits for the old ones, so readers do not starve writers. A
//! reader that has failed takes its turn at the mutex as one of the writers, so writers do not starve readers.
//!
//! Deaths: a reader anywhere: its count is dead with its generation. A writer before (4): the mutex is free again, without a
//! mark, or with the old one that it was about to recover. A writer after (4): the mutex is left. A last reader between uncount
//! and wake: the writer looks at the end of its slice.

use crate::atomics::{AtomicU64, Ordering, fence, order};
use crate::mutex::{Held, Mode, Mutex, PASSABLE, Refused};
use crate::owner::Owner;
use crate::wait::{Environment, Step, Wait};

const COUNT: u64 = 0x7fff_ffff;
const SLEEPER: u64 = 1 << 31;

/// Many readers or one writer; all zeroes is free. The reader words, one per slot, are passed to each call.
///
/// # Examples
///
/// ```
/// use multiprocess_core::mutex::{Mode, Refused};
/// use multiprocess_core::rwlock::RwLock;
/// # use multiprocess_core::{atomics::AtomicU64, Environment, Owner, Step, Wait};
/// # struct Alone;
/// # impl Environment for Alone {
/// #     fn me(&self) -> Owner { Owner::new(0, 1) }
/// #     fn is_alive(&self, _: Owner) -> bool { true }
/// #     fn wake(&self, _: &AtomicU64, _: u32) -> u32 { 0 }
/// #     fn pid_of(&self, _: Owner) -> u32 { 1 }
/// # }
/// # struct Never;
/// # impl Wait for Never {
/// #     fn step(&mut self) -> Step { Step::TimedOut }
/// #     fn sleep(&mut self, _: &AtomicU64, _: u64) {}
/// # }
/// // An environment with one process, and a patience that has none.
/// let (environment, mut patience) = (Alone, Never);
/// let (lock, readers) = (RwLock::new(), [AtomicU64::new(0)]);
/// let reader = lock.read(&readers, &environment, &mut patience).unwrap();
/// assert_eq!(lock.write(&readers, &environment, &mut patience, false), Err(Refused::TimedOut));
/// lock.end_read(&readers, &environment, reader);
/// assert!(lock.write(&readers, &environment, &mut patience, false).is_ok());
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct RwLock {
    writer: Mutex,
    /// No reader word from here on has ever been used: writers look at those below only.
    end: AtomicU64,
}

impl Default for RwLock {
    fn default() -> RwLock {
        RwLock::new()
    }
}

fn slot_of(me: Owner) -> usize {
    me.slot().map_or(0, |slot| slot as usize)
}

fn generation_of(me: Owner) -> u64 {
    u64::from(me.generation()) << 32
}

impl RwLock {
    /// A free one.
    #[cfg(not(loom))]
    pub const fn new() -> RwLock {
        RwLock { writer: Mutex::new(), end: AtomicU64::new(0) }
    }

    /// A free one.
    #[cfg(loom)]
    pub fn new() -> RwLock {
        RwLock { writer: Mutex::new(), end: AtomicU64::new(0) }
    }

    /// Takes the lock for reading; [`end_read`](RwLock::end_read) wants the process back that counted.
    ///
    /// # Errors
    ///
    /// [`Refused::Died`] at once if the last writer died; [`Refused::TimedOut`].
    ///
    /// # Panics
    ///
    /// If `readers` has no word for the calling process's slot.
    ///
    /// # Crash
    ///
    /// The reader no longer counts; nobody else notices.
    #[inline]
    pub fn read<E, W>(&self, readers: &[AtomicU64], environment: &E, wait: &mut W) -> Result<Owner, Refused>
    where
        E: Environment + ?Sized,
        W: Wait + ?Sized,
    {
        let me = environment.me();
        self.count(readers, me);
        fence!("rwlock.read_fence");
        let word = self.writer.word_with(order!("rwlock.read", Acquire));
        if word.owner().is_nobody() && !word.is_marked() || word.tag() & PASSABLE != 0 {
            return Ok(me);
        }
        self.end_read(readers, environment, me);
        self.read_in_turn(readers, environment, wait)
    }

    #[cold]
    fn read_in_turn<E, W>(&self, readers: &[AtomicU64], environment: &E, wait: &mut W) -> Result<Owner, Refused>
    where
        E: Environment + ?Sized,
        W: Wait + ?Sized,
    {
        let held = self.writer.lock(environment, wait, Mode::Passing)?;
        let me = held.owner();
        self.count(readers, me);
        self.writer.unlock(environment, held);
        Ok(me)
    }

    #[inline]
    fn count(&self, readers: &[AtomicU64], me: Owner) {
        let slot = slot_of(me);
        if self.end.load(Ordering::Relaxed) <= slot as u64 {
            self.end.fetch_max(slot as u64 + 1, Ordering::Relaxed);
        }
        let word = &readers[slot];
        let mut value = word.load(Ordering::Relaxed);
        loop {
            let is_mine = value & !(COUNT | SLEEPER) == generation_of(me);
            let new = if is_mine { value & !COUNT | (value + 1) & COUNT } else { generation_of(me) | 1 };
            // Who sees this count must see that this process lives.
            match word.compare_exchange_weak(value, new, order!("rwlock.count", Release), Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => value = now,
            }
        }
    }

    /// Gives back what [`read`](RwLock::read) returned.
    ///
    /// # Panics
    ///
    /// If `readers` has no word for the slot of `me`.
    ///
    /// # Crash
    ///
    /// The same as in a reader.
    #[inline]
    pub fn end_read<E: Environment + ?Sized>(&self, readers: &[AtomicU64], environment: &E, me: Owner) {
        let word = &readers[slot_of(me)];
        let before = word.fetch_sub(1, order!("rwlock.end_read", Release));
        if before & (COUNT | SLEEPER) == 1 | SLEEPER {
            RwLock::wake_writer(environment, word);
        }
    }

    #[cold]
    fn wake_writer<E: Environment + ?Sized>(environment: &E, word: &AtomicU64) {
        word.fetch_and(!SLEEPER, Ordering::Relaxed);
        environment.wake(word, u32::MAX);
    }

    /// Takes the lock for writing. With `recover` it takes also what a dead writer left, and clears the mark.
    ///
    /// # Errors
    ///
    /// [`Refused::Died`] at once if the last writer died, unless `recover`; [`Refused::TimedOut`].
    ///
    /// # Crash
    ///
    /// While it waits: nobody notices. Afterwards the next one is told.
    pub fn write<E, W>(
        &self,
        readers: &[AtomicU64],
        environment: &E,
        wait: &mut W,
        recover: bool,
    ) -> Result<Held, Refused>
    where
        E: Environment + ?Sized,
        W: Wait + ?Sized,
    {
        let held = self.writer.lock(environment, wait, if recover { Mode::Whole } else { Mode::Harmless })?;
        fence!("rwlock.write_fence");
        let end = self.end.load(Ordering::Relaxed).min(readers.len() as u64) as usize;
        for (slot, word) in readers[..end].iter().enumerate() {
            if !drain(word, slot, environment, wait) {
                self.writer.unlock(environment, held);
                return Err(Refused::TimedOut);
            }
        }
        Ok(self.writer.harden(held))
    }

    /// Gives back what [`write`](RwLock::write) returned; with `as_dead` as a dead writer leaves it.
    ///
    /// # Crash
    ///
    /// As [`Mutex::unlock`].
    #[inline]
    pub fn end_write<E: Environment + ?Sized>(&self, environment: &E, held: Held, as_dead: bool) {
        if as_dead {
            self.writer.unlock_as_dead(environment, held);
        } else {
            self.writer.unlock(environment, held);
        }
    }

    /// The mutex of the writers.
    pub fn writer(&self) -> &Mutex {
        &self.writer
    }

    /// How many read now, as far as their processes live.
    pub fn readers<E: Environment + ?Sized>(&self, readers: &[AtomicU64], environment: &E) -> u64 {
        let counts = readers.iter().enumerate().map(|(slot, word)| {
            let value = word.load(Ordering::Acquire);
            if value & COUNT != 0 && environment.is_alive(counter(slot, value)) { value & COUNT } else { 0 }
        });
        counts.sum()
    }
}

/// Whose count `value` is.
fn counter(slot: usize, value: u64) -> Owner {
    Owner::new((slot as u32).min(Owner::SLOTS - 1), (value >> 32) as u32)
}

/// Waits until nobody alive reads through `word`; `false` if the time is over before.
#[inline]
fn drain<E, W>(word: &AtomicU64, slot: usize, environment: &E, wait: &mut W) -> bool
where
    E: Environment + ?Sized,
    W: Wait + ?Sized,
{
    let value = word.load(order!("rwlock.drain", Acquire));
    value & COUNT == 0 || drain_slowly(word, slot, environment, wait)
}

#[cold]
fn drain_slowly<E, W>(word: &AtomicU64, slot: usize, environment: &E, wait: &mut W) -> bool
where
    E: Environment + ?Sized,
    W: Wait + ?Sized,
{
    let relaxed = Ordering::Relaxed;
    let mut probed = None;
    loop {
        let value = word.load(order!("rwlock.drain_slowly", Acquire));
        if value & COUNT == 0 {
            return true;
        }
        let step = match wait.step() {
            // The probe that came before may have been spent on the mutex, or on another reader.
            Step::TimedOut if probed != Some(value >> 32) => Step::Probe,
            step => step,
        };
        match step {
            Step::Retry => {}
            Step::Probe => {
                probed = Some(value >> 32);
                if !environment.is_alive(counter(slot, value)) {
                    let _ = word.compare_exchange(value, 0, relaxed, relaxed);
                }
            }
            Step::Sleep => {
                let announced = value | SLEEPER;
                if value == announced || word.compare_exchange(value, announced, relaxed, relaxed).is_ok() {
                    wait.sleep(word, announced);
                }
            }
            Step::TimedOut => return false,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
