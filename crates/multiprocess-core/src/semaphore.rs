//! A counting semaphore whose permits know their holders.
//!
//! Each permit is a [`Word`]: who holds it, and a tag whose lowest bit says the rest. The other bits of the tag count changes.
//!
//! | Owner | Bit | Meaning | Others may be |
//! | :-: | :-: | --- | --- |
//! | nobody | 0 | absent: never there, or forgotten (a word of zeros) | about to release it |
//! | nobody | 1 | free | about to take it |
//! | living | 0 | held | - |
//! | living | 1 | claimed by a `release` of many that is not sure yet whether all have room | waiting for `releasing` |
//! | dead | 0 | held by a dead process | about to make it free |
//! | dead | 1 | claimed by a dead process | about to make it absent |
//!
//! Every change is one compare-exchange of the whole word, so a permit never exists without its holder, and a newcomer in a
//! dead holder's slot, whose generation is another one, loses nothing to a survivor that acts on what it saw before. What a
//! living process holds or has claimed nobody else changes: there a store may do.
//!
//! **Acquiring** takes a free word, searching from where one was last seen downwards; **returning** frees the word that was
//! taken; **forgetting** makes it absent; **releasing** makes an absent word free. Above `used` all words are absent and never
//! looked at; `used` goes up before a word above it becomes free.
//!
//! **Sleeping** is on `signal`, an epoch and a flag: announce (turn the flag on), fence, search again, sleep while `signal` is
//! the same. Whoever makes a word free: fence, look at `signal`, and if the flag is on count the epoch up and wake as many as
//! there are permits. One of the two fences comes first: either the searcher sees the word or the other one the flag. The flag
//! goes off when a wake-up found too few sleepers; whoever fell asleep between that and the flag's end is woken once more.
//!
//! **Failing** (no permit in a `try_`, no room in a `release`) needs an instant at which there was none, and a search that goes
//! from word to word may be overtaken by one that moves. So it is believed only when two looks at all words saw the same: what
//! takes a word publishes (`Release`) what its process did before, the looks acquire it, and the second look then sees it.
//!
//! **Death**, by step. Between words and `signal`: the word is free and nobody is woken, until a sleeper's slice ends. A woken
//! sleeper before it takes the word: the same. A holder: the next failed search that probes finds it dead and frees the word; a
//! probe comes before the first sleep and at each 64th failed search, so busy rivals who never sleep find it too. A
//! `release` of many: who takes `releasing` over makes the claimed words absent; it may have freed some already.

mod census;
mod permit;
mod release;
#[cfg(all(test, not(loom)))]
mod tests;

pub use permit::Permit;
pub use release::Refused;

use crate::atomics::{AtomicU64, Ordering::Relaxed, fence, light_fence, order};
use crate::owner::{Owner, Word};
use crate::wait::{Environment, Step, Wait};

const WAITERS: u64 = 1;
const EPOCH: u64 = 2;
/// How many calls that found no permit at once pass between two that look for dead holders.
const PROBE: u64 = 64;

/// What all permits have in common; zeros are a semaphore without permits. Each call is handed the same words.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Semaphore {
    /// Where sleepers sleep: the flag `WAITERS` and an epoch.
    signal: AtomicU64,
    /// Where a permit was last taken or freed. Only a hint.
    hint: AtomicU64,
    /// How many words may be other than absent.
    used: AtomicU64,
    /// How many words have memory behind them.
    present: AtomicU64,
    /// Who releases many, as a [`Word`].
    releasing: AtomicU64,
    /// What stands behind it has a cache line of its own.
    line: [AtomicU64; 3],
    /// How many calls found no permit at once; only those write it.
    misses: AtomicU64,
}

impl Semaphore {
    /// A semaphore without permits.
    pub fn new() -> Semaphore {
        Semaphore::default()
    }

    /// Gives it `permits` free permits in `words`, of which `present` have memory behind them. Only while nobody else sees it.
    pub fn fill(&self, words: &[AtomicU64], permits: u32, present: usize) {
        let free = words.iter().take(permits as usize);
        let used = free.map(|word| word.store(permit::FREE.0, Relaxed)).count();
        self.used.store(used as u64, Relaxed);
        self.hint.store(used.saturating_sub(1) as u64, Relaxed);
        self.present.store(present as u64, Relaxed);
    }

    /// Takes a permit, if one comes while `wait` has patience. Without patience it fails only if for an instant there was none.
    ///
    /// # Crash
    ///
    /// The permit becomes free again when others look for one.
    #[inline]
    pub fn acquire(&self, words: &[AtomicU64], world: &impl Environment, wait: &mut impl Wait) -> Option<Permit> {
        self.acquire_at_once(words, world).or_else(|| self.acquire_slowly(words, world.me(), world, wait))
    }

    /// The first step of [`acquire`](Semaphore::acquire) alone: takes the permit that was last seen, if it is free.
    #[inline]
    pub fn acquire_at_once(&self, words: &[AtomicU64], world: &impl Environment) -> Option<Permit> {
        let hint = self.hint.load(Relaxed) as usize;
        self.take(words, hint, hint, world.me())
    }

    /// Takes a permit after the first look was in vain.
    #[cold]
    fn acquire_slowly(
        &self,
        words: &[AtomicU64],
        me: Owner,
        world: &impl Environment,
        wait: &mut impl Wait,
    ) -> Option<Permit> {
        if let Some(permit) = self.search(words, me) {
            return Some(permit);
        }
        // Two may count one miss: this only has to come again and again.
        let misses = self.misses.load(Relaxed).wrapping_add(1);
        self.misses.store(misses, Relaxed);
        if misses.is_multiple_of(PROBE) {
            self.reap(words, world);
        }
        loop {
            match wait.step() {
                Step::Retry => {}
                Step::Probe => self.reap(words, world),
                Step::TimedOut => return self.search_surely(words, me),
                Step::Sleep => {
                    let announced = self.announce();
                    // Pairs with `semaphore.freed`.
                    fence!("semaphore.announce");
                    match self.search(words, me) {
                        None => wait.sleep(&self.signal, announced),
                        found => return found,
                    }
                }
            }
            if let Some(permit) = self.search(words, me) {
                return Some(permit);
            }
        }
    }

    /// Returns a permit that was taken. One that is not there any more (the memory was damaged) is left alone.
    ///
    /// # Crash
    ///
    /// The permit is held by a dead process or free; in the second case a waiter that was not woken wakes by itself.
    #[inline]
    pub fn give(&self, words: &[AtomicU64], permit: Permit, world: &impl Environment) {
        let Some(word) = words.get(permit.index()) else { return };
        let (held, free) = (permit.word(), permit::freed(permit.word()));
        // Release: pairs with `semaphore.take`; what was done under the permit is seen by its next holder.
        if word.compare_exchange(held.0, free.0, order!("semaphore.give", Release), Relaxed).is_ok() {
            self.point(self.hint.load(Relaxed) as usize, permit.index());
            self.freed(1, world);
        }
    }

    /// Takes a permit out of circulation for good.
    ///
    /// # Crash
    ///
    /// The permit is held by a dead process, and comes back, or it is forgotten.
    #[inline]
    pub fn forget(&self, words: &[AtomicU64], permit: Permit) {
        let Some(word) = words.get(permit.index()) else { return };
        // Nobody else changes what a living process holds, so a store does.
        if word.load(Relaxed) == permit.word().0 {
            // Release: pairs with `semaphore.census`, as the taking does that this hides.
            word.store(permit::forgotten(permit.word()).0, order!("semaphore.forget", Release));
        }
    }

    /// How many permits are free, those of dead holders included.
    pub fn available(&self, words: &[AtomicU64], world: &impl Environment) -> u32 {
        self.reap(words, world);
        self.settled(words).free
    }

    /// Who holds permits, one entry for each. Only a glance: each may be returned already.
    pub fn holders<'a>(&self, words: &'a [AtomicU64]) -> impl Iterator<Item = Owner> + use<'a> {
        let holders = words[..self.used(words)].iter().map(|word| Word(word.load(Relaxed)));
        holders.filter(|word| permit::is_held(*word)).map(Word::owner)
    }

    /// Takes the permit in the word at `index`, if it is free.
    #[inline]
    fn take(&self, words: &[AtomicU64], index: usize, hint: usize, me: Owner) -> Option<Permit> {
        let word = words.get(index)?;
        let seen = Word(word.load(Relaxed));
        if !permit::is_free(seen) {
            return None;
        }
        let held = permit::taken(seen, me);
        // Acquire: pairs with every change that makes a word free. Release: pairs with `semaphore.census`.
        word.compare_exchange(seen.0, held.0, order!("semaphore.take", AcqRel), Relaxed).ok()?;
        self.point(hint, index);
        Some(Permit::new(index, held))
    }

    /// Searches all words once, from the hint downwards and then upwards.
    fn search(&self, words: &[AtomicU64], me: Owner) -> Option<Permit> {
        let (used, hint) = (self.used(words), self.hint.load(Relaxed) as usize);
        let start = hint.min(used.saturating_sub(1));
        (0..used.min(start + 1)).rev().chain(start + 1..used).find_map(|index| self.take(words, index, hint, me))
    }

    /// Searches until it has found a permit or there was none.
    fn search_surely(&self, words: &[AtomicU64], me: Owner) -> Option<Permit> {
        for _ in 0..census::ROUNDS {
            match self.search(words, me) {
                None if self.settled(words).free == 0 => return None,
                None => {}
                found => return found,
            }
        }
        None
    }

    /// The number of words to look at; a damaged number is cut to those that exist.
    #[inline]
    fn used(&self, words: &[AtomicU64]) -> usize {
        usize::try_from(self.used.load(Relaxed)).map_or(words.len(), |used| used.min(words.len()))
    }

    /// Moves the hint. It is not written where it stands already, so that one permit in use is one cache line in motion.
    #[inline]
    fn point(&self, hint: usize, index: usize) {
        if hint != index {
            self.hint.store(index as u64, Relaxed);
        }
    }

    /// Turns `WAITERS` on; the signal as it then is.
    fn announce(&self) -> u64 {
        let mut signal = self.signal.load(Relaxed);
        while signal & WAITERS == 0 {
            match self.signal.compare_exchange_weak(signal, signal | WAITERS, Relaxed, Relaxed) {
                Ok(_) => return signal | WAITERS,
                Err(now) => signal = now,
            }
        }
        signal
    }

    /// Wakes sleepers after `permits` words became free.
    #[inline]
    fn freed(&self, permits: u32, world: &impl Environment) {
        // Pairs with `semaphore.announce`. The last thing that every caller did to a word was an exchange.
        light_fence!("semaphore.freed");
        if self.signal.load(Relaxed) & WAITERS != 0 {
            self.wake(permits, world);
        }
    }

    /// Ends the sleep of up to `count`, and of those who are about to fall asleep.
    #[cold]
    fn wake(&self, count: u32, world: &impl Environment) {
        let signal = self.signal.fetch_add(EPOCH, Relaxed).wrapping_add(EPOCH);
        if world.wake(&self.signal, count) >= count || signal & WAITERS == 0 {
            return;
        }
        let quiet = (signal & !WAITERS).wrapping_add(EPOCH);
        if self.signal.compare_exchange(signal, quiet, Relaxed, Relaxed).is_ok() {
            // Somebody may have fallen asleep on what the flag's end has changed.
            world.wake(&self.signal, u32::MAX);
        }
    }

    /// Takes away what dead processes hold.
    #[cold]
    fn reap(&self, words: &[AtomicU64], world: &impl Environment) {
        let me = world.me();
        // Who is known to live, by slot: to ask costs a system call, and few processes hold many permits.
        let mut living = [Owner::NOBODY; 64];
        let mut freed = 0;
        for word in &words[..self.used(words)] {
            let seen = Word(word.load(Relaxed));
            let owner = seen.owner();
            let Some(slot) = owner.slot() else { continue };
            let known = &mut living[slot as usize % 64];
            if owner == me || owner == *known {
                continue;
            }
            if world.is_alive(owner) {
                *known = owner;
                continue;
            }
            let left = permit::orphaned(seen);
            // Release: pairs with `semaphore.take`; who takes the permit sees what its dead holder did, as this process does.
            let reaped = word.compare_exchange(seen.0, left.0, order!("semaphore.reap", Release), Relaxed).is_ok();
            freed += u32::from(reaped && permit::is_free(left));
        }
        if freed > 0 {
            self.freed(freed, world);
        }
    }
}
