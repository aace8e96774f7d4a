//! A barrier: parties that wait for each other, phase after phase.
//!
//! One central word holds the phase, how many parties have *arrived* in it, a flag *broken*, a flag for sleepers, and of the
//! last 32 phases whether each was completed. One word for each party names who has *claimed* that place, with the phase in
//! its tag. A word with another phase's tag is free, so that a party which is slow to leave disturbs nobody.
//!
//! | State of a party | Its place | Central word | Leaves it by |
//! | --- | --- | --- | --- |
//! | outside | - | - | `wait`: to claimed, or back with `Broken` |
//! | claimed | its owner, this phase | this phase | arriving: to arrived or, if it is the last one, to over; another phase: to outside, and again |
//! | arrived | its owner, this phase | this phase | the last arrival, a break: to over |
//! | over | its owner, that phase | another phase, `that phase was completed` or not | clearing its place: to outside |
//! | surplus | all places are claimed by others | this phase | another phase: to outside, and again |
//! | owner dead, claimed or arrived | its owner, this phase | this phase | whoever probes breaks the phase: to free |
//! | owner dead, over | its owner, that phase | another phase | nothing to do: the place is free |
//!
//! **wait**: (1) read the phase; (2) exchange a free place for claimed; (3) exchange the central word for one arrival more; the
//! last one first looks whether all others live, and begins the next phase with the same exchange; (4) the last one wakes everybody; others spin, probe, set the flag
//! for sleepers, sleep, until the phase is another; (5) look up how the phase ended; clear the place if nobody else has it.
//! **break** (time over, dead party, `abort`): (1) exchange the central word for the next phase, broken, with this one not
//! completed; (2) wake everybody. **reset**: the same, but not broken.
//!
//! Races: completion and break are exchanges of the same word, so each phase ends in one way for all. A party that claims a
//! place with the phase of a moment ago must not overwrite a claim of the next phase: it reads the place before it reads the
//! phase again, and the exchange fails if the place has changed since. A break names the phase that it breaks, so a probe that found a
//! dead party breaks nothing once that phase is over.
//!
//! Deaths: before (2) nothing has happened. Between (2) and the end of the phase: the others probe, and the phase breaks. The
//! last arrival between (3) and (4), a breaker between its two steps: the phase is over, who sleeps looks at the end of its slice.
//! After that: the place is free because of its tag.

mod central;

use crate::atomics::{AtomicU64, Ordering, order};
use crate::owner::Word;
use crate::wait::{Environment, Step, Wait};
use central::Central;

/// How many places one probe of a waiting party looks at, so that many parties do not make it long.
const PROBED: usize = 64;

/// The most parties that a barrier can have.
pub const MAX_PARTIES: u32 = Central::MAX_PARTIES;

/// The barrier is broken: a party died, ran out of time, or somebody called `abort` or `reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// The central part of a barrier; all zeroes is a new one. Beside it lie as many words as it has parties, all zero at first.
///
/// # Examples
///
/// ```
/// use multiprocess_core::barrier::{Barrier, Broken};
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
/// let (barrier, places) = (Barrier::new(), [AtomicU64::new(0)]);
/// assert_eq!(barrier.wait(&places, &environment, &mut patience), Ok(0));
/// barrier.abort(&environment);
/// assert_eq!(barrier.wait(&places, &environment, &mut patience), Err(Broken));
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct Barrier {
    central: AtomicU64,
}

/// What became of an attempt to claim a place.
enum Claim {
    Place(usize),
    Full,
    OtherPhase,
}

impl Default for Barrier {
    fn default() -> Self {
        Barrier::new()
    }
}

impl Barrier {
    /// A barrier at which nobody waits.
    #[cfg(not(loom))]
    pub const fn new() -> Barrier {
        Barrier { central: AtomicU64::new(0) }
    }

    /// A barrier at which nobody waits.
    #[cfg(loom)]
    pub fn new() -> Barrier {
        Barrier { central: AtomicU64::new(0) }
    }

    /// The word on which parties sleep.
    pub fn word(&self) -> &AtomicU64 {
        &self.central
    }

    /// How many parties have arrived and wait for the others.
    pub fn waiting(&self) -> u32 {
        self.look().arrived()
    }

    /// Whether every `wait` fails until a `reset`.
    pub fn is_broken(&self) -> bool {
        self.look().is_broken()
    }

    /// Waits until as many parties wait as there are `places`. A number below that, another one for each of them.
    ///
    /// # Errors
    ///
    /// [`Broken`]; if the time ran out, a party died or somebody called `abort`, for all parties of this phase.
    pub fn wait<E: Environment, W: Wait>(
        &self,
        places: &[AtomicU64],
        environment: &E,
        wait: &mut W,
    ) -> Result<u32, Broken> {
        let me = Word::held_by(environment.me());
        let mut probed = 0;
        loop {
            let seen = self.look();
            if seen.is_broken() || places.is_empty() {
                return Err(Broken);
            }
            let party = Party { barrier: self, places, environment, claim: me.with_tag(seen.phase()) };
            match party.claim(seen) {
                Claim::Place(place) if party.arrive() => return party.await_end(place, wait),
                Claim::Place(place) => party.clear(place),
                Claim::OtherPhase => {}
                Claim::Full => match wait.step() {
                    Step::Retry => {}
                    Step::Probe => probed = party.probe(probed, PROBED),
                    Step::Sleep => self.sleep(seen, wait),
                    Step::TimedOut => self.break_phase(environment, seen.phase()),
                },
            }
        }
    }

    /// Breaks the barrier, for those who wait and those who will, until [`reset`](Barrier::reset).
    pub fn abort<E: Environment>(&self, environment: &E) {
        self.replace(environment, |seen| (!seen.is_broken()).then(|| seen.ended(false).broken()));
    }

    /// Makes the barrier as new. For those who wait it is broken.
    pub fn reset<E: Environment>(&self, environment: &E) {
        self.replace(environment, |seen| Some(seen.ended(false)));
    }

    /// Breaks `phase` unless it is over.
    fn break_phase<E: Environment>(&self, environment: &E, phase: u16) {
        self.replace(environment, |seen| (seen.phase() == phase).then(|| seen.ended(false).broken()));
    }

    fn look(&self) -> Central {
        Central(self.central.load(Ordering::Relaxed))
    }

    /// Ends the phase as `next` says, and wakes everybody.
    fn replace<E: Environment>(&self, environment: &E, next: impl Fn(Central) -> Option<Central>) {
        loop {
            let seen = self.look();
            let Some(next) = next(seen) else { return };
            if exchange(&self.central, seen.0, next.0, Ordering::Relaxed) {
                return self.wake(environment, seen);
            }
        }
    }

    /// Wakes those who slept in the phase of which `seen` was the last word.
    fn wake<E: Environment>(&self, environment: &E, seen: Central) {
        if seen.has_sleepers() {
            environment.wake(&self.central, u32::MAX);
        }
    }

    /// Sleeps while the word is as `seen`.
    fn sleep<W: Wait>(&self, seen: Central, wait: &mut W) {
        let asleep = seen.with_sleepers();
        if asleep == seen || exchange(&self.central, seen.0, asleep.0, Ordering::Relaxed) {
            wait.sleep(&self.central, asleep.0);
        }
    }
}

/// A caller in one phase.
struct Party<'a, E> {
    barrier: &'a Barrier,
    places: &'a [AtomicU64],
    environment: &'a E,
    /// What stands in its place: its process, and the phase in the tag.
    claim: Word,
}

impl<E: Environment> Party<'_, E> {
    fn phase(&self) -> u16 {
        self.claim.tag()
    }

    /// Whether `word` is claimed in this phase, by whomever.
    fn is_claimed(&self, word: Word) -> bool {
        !word.owner().is_nobody() && word.tag() == self.phase()
    }

    /// Claims a free place; the places up to the number of arrivals are taken most likely.
    fn claim(&self, seen: Central) -> Claim {
        let (count, first) = (self.places.len(), seen.arrived() as usize);
        for at in (0..count).map(|at| (first + at) % count) {
            loop {
                // Acquire: whoever claimed the place in a later phase had seen that phase, and so does the next look.
                let word = Word(self.places[at].load(order!("barrier.claim.look", Acquire)));
                if self.barrier.look().phase() != self.phase() {
                    return Claim::OtherPhase;
                }
                if self.is_claimed(word) {
                    break;
                }
                // Release: who reads this sees the phase, and the slot as its owner's; an older slot would look like a death.
                if exchange(&self.places[at], word.0, self.claim.0, order!("barrier.claim", Release)) {
                    return Claim::Place(at);
                }
            }
        }
        Claim::Full
    }

    /// Counts the caller as arrived; false if the phase is over.
    fn arrive(&self) -> bool {
        let mut has_probed = false;
        loop {
            let seen = self.barrier.look();
            if seen.phase() != self.phase() {
                return false;
            }
            let last = seen.arrived() as usize + 1 >= self.places.len();
            if last && !has_probed {
                self.probe(0, self.places.len());
                has_probed = true;
                continue;
            }
            let next = if last { seen.ended(true) } else { seen.with_one_more() };
            // Release and acquire: what each party did before, all see afterwards.
            if exchange(&self.barrier.central, seen.0, next.0, order!("barrier.arrive", AcqRel)) {
                if last {
                    self.barrier.wake(self.environment, seen);
                }
                return true;
            }
        }
    }

    /// Waits for the end of the phase in which the caller has arrived at `place`.
    fn await_end<W: Wait>(&self, place: usize, wait: &mut W) -> Result<u32, Broken> {
        let mut probed = place + 1;
        loop {
            let seen = Central(self.barrier.central.load(order!("barrier.done", Acquire)));
            if seen.phase() != self.phase() {
                self.clear(place);
                return if seen.has_completed(self.phase()) { Ok(place as u32) } else { Err(Broken) };
            }
            match wait.step() {
                Step::Retry => {}
                Step::Probe if self.is_outdated(place) => return Err(Broken),
                Step::Probe => probed = self.probe(probed, PROBED),
                Step::Sleep => self.barrier.sleep(seen, wait),
                Step::TimedOut => self.barrier.break_phase(self.environment, self.phase()),
            }
        }
    }

    /// Whether the phase only has the number of the caller's: 65,536 of them went by while it was stopped.
    fn is_outdated(&self, place: usize) -> bool {
        // Acquire: whoever has the place in the next phase had seen that phase, and so does the next look.
        let word = self.places[place].load(order!("barrier.outdated", Acquire));
        word != self.claim.0 && self.barrier.look().phase() == self.phase()
    }

    /// Breaks the phase if one of `many` places from `first` on has a dead owner. Where the next probe begins.
    fn probe(&self, first: usize, many: usize) -> usize {
        let count = self.places.len();
        let mut alive = self.claim.owner();
        for at in (first..first + many.min(count)).map(|at| at % count) {
            // Acquire: see `claim`.
            let word = Word(self.places[at].load(order!("barrier.probe", Acquire)));
            // Parties of one process often come one after the other.
            if !self.is_claimed(word) || word.owner() == alive {
                continue;
            }
            if !self.environment.is_alive(word.owner()) {
                self.barrier.break_phase(self.environment, self.phase());
                break;
            }
            alive = word.owner();
        }
        (first + many) % count
    }

    /// Gives the place back, unless somebody has it in a later phase.
    fn clear(&self, place: usize) {
        exchange(&self.places[place], self.claim.0, Word::FREE.0, Ordering::Relaxed);
    }
}

fn exchange(word: &AtomicU64, from: u64, to: u64, success: Ordering) -> bool {
    word.compare_exchange(from, to, success, Ordering::Relaxed).is_ok()
}

#[cfg(all(test, not(loom)))]
mod tests;
