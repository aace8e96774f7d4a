//! Releasing permits that nobody holds: all of a number, or none.
//!
//! One permit is one exchange of an absent word. Several must not become free before all have room, so they are claimed
//! first, by one process at a time, which holds `releasing`. A failure is believed only while holding it, when no other word
//! is claimed.

use super::{Semaphore, permit};
use crate::atomics::{AtomicU64, Ordering::Relaxed, order};
use crate::owner::{Owner, Word};
use crate::wait::{Environment, Step, Wait};

/// By how many words memory grows: a page of them.
const PAGE: usize = 512;

/// Why nothing was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There would be more permits than words.
    Full,
    /// There is no memory for more words.
    NoMemory,
}

/// Holds `releasing`, and lets it go also if the growth of the memory panics.
struct Turn<'a, E: Environment> {
    semaphore: &'a Semaphore,
    words: &'a [AtomicU64],
    world: &'a E,
    me: Owner,
    claimed: u32,
}

impl Semaphore {
    /// Makes `permits` absent permits free, or none. `grow` is asked for the memory behind that many words, from the first one
    /// on, before they are used; `wait` has to have patience without limit.
    ///
    /// # Errors
    ///
    /// There are not as many absent words, or no memory for them.
    ///
    /// # Crash
    ///
    /// Any number of them has been released; waiters that were not woken wake by themselves.
    #[inline]
    pub fn release(
        &self,
        words: &[AtomicU64],
        permits: u32,
        world: &impl Environment,
        wait: &mut impl Wait,
        grow: impl FnMut(usize) -> bool,
    ) -> Result<(), Refused> {
        if permits == 0 || permits == 1 && self.release_one(words, world) {
            return Ok(());
        }
        self.release_many(words, permits, world, wait, grow)?;
        self.freed(permits, world);
        Ok(())
    }

    /// The first step of a [`release`](Semaphore::release) of one permit alone: makes one absent word free, if there is one in use.
    #[inline]
    pub fn release_one(&self, words: &[AtomicU64], world: &impl Environment) -> bool {
        let (used, hint) = (self.used(words), self.hint.load(Relaxed) as usize);
        if !(hint < used && self.release_at(words, hint) || self.release_elsewhere(&words[..used], hint)) {
            return false;
        }
        self.freed(1, world);
        true
    }

    /// Makes the word at `index` free, if it is absent.
    #[inline]
    fn release_at(&self, words: &[AtomicU64], index: usize) -> bool {
        let word = &words[index];
        let seen = Word(word.load(Relaxed));
        // Release: pairs with `semaphore.take` and `semaphore.census`.
        let order = order!("semaphore.release", Release);
        permit::is_absent(seen) && word.compare_exchange(seen.0, permit::freed(seen).0, order, Relaxed).is_ok()
    }

    /// The same for the first word from the hint upwards, and then below it.
    #[cold]
    fn release_elsewhere(&self, words: &[AtomicU64], hint: usize) -> bool {
        let start = hint.min(words.len());
        let found = (start..words.len()).chain(0..start).find(|index| self.release_at(words, *index));
        found.is_some_and(|index| {
            self.point(hint, index);
            true
        })
    }

    #[cold]
    fn release_many(
        &self,
        words: &[AtomicU64],
        permits: u32,
        world: &impl Environment,
        wait: &mut impl Wait,
        mut grow: impl FnMut(usize) -> bool,
    ) -> Result<(), Refused> {
        if permits as usize > words.len() {
            return Err(Refused::Full);
        }
        let mut turn = self.turn(words, world, wait);
        turn.claim(permits);
        while turn.claimed < permits {
            let missing = permits - turn.claimed;
            let census = self.settled(words);
            if (census.absent as usize) + (words.len() - census.used) < missing as usize {
                return Err(Refused::Full);
            }
            if census.absent < missing && !self.extend(words, missing - census.absent, &mut grow) {
                return Err(Refused::NoMemory);
            }
            turn.claim(missing);
        }
        turn.settle(permit::freed);
        Ok(())
    }

    /// Lets at least so many `more` words be used; whether there is memory behind them. Their number grows by a share of
    /// itself, so that what it costs to find all others taken is spread over many releases.
    fn extend(&self, words: &[AtomicU64], more: u32, mut grow: impl FnMut(usize) -> bool) -> bool {
        let used = self.used(words);
        let used = (used + (more as usize).max(used / 4)).min(words.len());
        let present = self.present.load(Relaxed);
        if used as u64 > present {
            let present = used.next_multiple_of(PAGE).min(words.len());
            if !grow(present) {
                return false;
            }
            self.present.fetch_max(present as u64, Relaxed);
        }
        self.used.fetch_max(used as u64, Relaxed);
        true
    }

    /// Waits for `releasing`, and takes it from a dead process with all that this one had claimed.
    fn turn<'a, E: Environment>(&'a self, words: &'a [AtomicU64], world: &'a E, wait: &mut impl Wait) -> Turn<'a, E> {
        let turn = Turn { semaphore: self, words, world, me: world.me(), claimed: 0 };
        loop {
            let seen = Word(self.releasing.load(Relaxed));
            let mine = seen.with_owner(turn.me);
            // Acquire: pairs with `semaphore.unlock`; the failures of the last one to hold it are undone for this one too.
            let take =
                || self.releasing.compare_exchange(seen.0, mine.0, order!("semaphore.lock", Acquire), Relaxed).is_ok();
            if seen.owner().is_nobody() {
                if take() {
                    return turn;
                }
                continue;
            }
            match wait.step() {
                Step::Retry | Step::TimedOut => {}
                Step::Probe => {
                    if !world.is_alive(seen.owner()) && take() {
                        self.reap(words, world);
                        return turn;
                    }
                }
                Step::Sleep => {
                    let announced = seen.with_waiters();
                    if self.releasing.compare_exchange(seen.0, announced.0, Relaxed, Relaxed).is_ok() {
                        wait.sleep(&self.releasing, announced.0);
                    }
                }
            }
        }
    }
}

impl<E: Environment> Turn<'_, E> {
    /// Claims up to `count` absent words.
    fn claim(&mut self, count: u32) {
        let words = self.words[..self.semaphore.used(self.words)].iter();
        let claimed = words.filter(|word| {
            let seen = Word(word.load(Relaxed));
            // Relaxed: only who has its turn after this one asks for room, and sees it through `semaphore.unlock`.
            permit::is_absent(seen)
                && word.compare_exchange(seen.0, permit::claimed(seen, self.me).0, Relaxed, Relaxed).is_ok()
        });
        self.claimed += claimed.take(count as usize).count() as u32;
    }

    /// Makes all that is claimed free or absent.
    fn settle(&mut self, change: fn(Word) -> Word) {
        for (index, word) in self.words[..self.semaphore.used(self.words)].iter().enumerate() {
            if self.claimed == 0 {
                return;
            }
            let seen = Word(word.load(Relaxed));
            if permit::is_claimed_by(seen, self.me) {
                // Release: pairs with `semaphore.take`. Nobody else changes what a living process has claimed.
                word.store(change(seen).0, order!("semaphore.publish", Release));
                self.semaphore.hint.store(index as u64, Relaxed);
                self.claimed -= 1;
            }
        }
    }
}

impl<E: Environment> Drop for Turn<'_, E> {
    /// Gives back what is still claimed, and then the turn.
    fn drop(&mut self) {
        self.settle(permit::forgotten);
        // Release: pairs with `semaphore.lock`.
        let before = Word(self.semaphore.releasing.swap(0, order!("semaphore.unlock", Release)));
        if before.has_waiters() {
            self.world.wake(&self.semaphore.releasing, u32::MAX);
        }
    }
}
