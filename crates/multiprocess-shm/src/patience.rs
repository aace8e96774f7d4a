//! How a call waits: it spins, gives way, and then sleeps in slices.
//!
//! A sleep without an end is never right between processes: whoever should wake us may be killed before it does, and a wake-up
//! that chose a process which is killed before it runs is gone. So each sleep is a slice of 5 ms, doubling up to 100 ms, after
//! which the caller reads the word again. A blocked process wakes ten times a second, a dead holder is found within a slice.
//!
//! | Phase | Steps | Why |
//! | --- | --- | --- |
//! | spin | one or two dozen times, with growing pauses | the other side runs on another CPU and is nearly done |
//! | yield | some tens of times | the other side waits for this CPU |
//! | probe | once, then whenever a slice's time has passed | the holder may be dead; counted by time, because busy rivals may wake us before each slice ends |
//! | sleep | for a slice | it takes long |

use multiprocess_core::atomics::AtomicU64;
use multiprocess_core::{Step, Wait};
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::park;
use std::time::{Duration, Instant};

/// How often a call spins before it gives way if it waits for another process's doing. All its pauses together are less than
/// what a wake-up costs: on one CPU they are lost, since the other side cannot run meanwhile.
const SPINS: u32 = 12;
/// The same if it waits for a lock. Who holds one is nearly done, and two that take a lock again and again get on faster if the
/// one that must wait looks rarely than if it sleeps.
const SPINS_FOR_LOCK: u32 = 20;
/// How many rounds of spinning those have behind them who have watched a word some dozen times.
const ROUNDS_OF_A_WATCH: u32 = 8;
/// How many pauses lie at most between two looks at a lock; they double from two on. Who looks often takes the lock in the short while
/// between two turns of its holder, and then each turn pays for a change of hands. Where two processors share one core, who
/// pauses leaves it to the holder.
const PAUSES_FOR_LOCK: u32 = 32;
/// How often it gives way before it sleeps.
const YIELDS: u32 = 50;
const FIRST_SLICE: Duration = Duration::from_millis(5);
const LAST_SLICE: Duration = Duration::from_millis(100);

/// The patience of one call on a shared word.
///
/// # Examples
///
/// ```
/// use multiprocess_core::{Step, Wait};
/// use multiprocess_shm::Patience;
///
/// let mut patience = Patience::none();
/// assert_eq!([patience.step(), patience.step()], [Step::Probe, Step::TimedOut]);
/// ```
#[derive(Debug)]
pub struct Patience {
    deadline: Deadline,
    round: u32,
    spins: u32,
    slice: Duration,
    next_probe: Option<Instant>,
    /// Whether the last step was a probe. The next one is not, however long it took: a slow process must get to sleep, and a
    /// call without patience to its end.
    probed: bool,
}

impl Patience {
    /// No patience: a look, a probe, and the time is over. For `try_` calls.
    ///
    /// # Examples
    ///
    /// ```
    /// let patience = multiprocess_shm::Patience::none();
    /// ```
    #[inline]
    pub fn none() -> Patience {
        Patience {
            deadline: Deadline::NEVER,
            round: u32::MAX,
            spins: 0,
            slice: Duration::ZERO,
            next_probe: None,
            probed: false,
        }
    }

    /// Whether there is no patience at all: a call that may be made again and again, and should be cheap.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::Patience;
    ///
    /// assert!(Patience::none().is_none() && !Patience::forever().is_none());
    /// ```
    #[inline]
    pub fn is_none(&self) -> bool {
        self.slice.is_zero()
    }

    /// Waits for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// let patience = multiprocess_shm::Patience::forever();
    /// ```
    #[inline]
    pub fn forever() -> Patience {
        Patience::until(Deadline::NEVER)
    }

    /// Waits until `deadline`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::Patience;
    /// use multiprocess_sys::clock::Deadline;
    ///
    /// let patience = Patience::until(Deadline::now());
    /// ```
    #[inline]
    pub fn until(deadline: Deadline) -> Patience {
        Patience { deadline, round: 0, spins: SPINS, slice: FIRST_SLICE, next_probe: None, probed: false }
    }

    /// The same patience for a lock.
    ///
    /// # Examples
    ///
    /// ```
    /// let patience = multiprocess_shm::Patience::forever().for_lock();
    /// ```
    #[inline]
    pub fn for_lock(self) -> Patience {
        Patience { spins: SPINS_FOR_LOCK, ..self }
    }

    /// The same patience for who has looked some dozen times already: it spins that much less before it gives way.
    ///
    /// # Examples
    ///
    /// ```
    /// let patience = multiprocess_shm::Patience::forever().after_a_watch();
    /// ```
    #[inline]
    pub fn after_a_watch(self) -> Patience {
        Patience { round: self.round.max(ROUNDS_OF_A_WATCH), ..self }
    }

    /// How long one may sleep now: a slice, each longer than the one before, but not beyond the deadline. For who sleeps on many
    /// words at once; [`sleep`](Wait::sleep) does it by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut patience = multiprocess_shm::Patience::forever();
    /// let (first, second) = (patience.next_slice(), patience.next_slice());
    /// assert!(first < second);
    /// ```
    pub fn next_slice(&mut self) -> Duration {
        let slice = self.deadline.remaining().map_or(self.slice, |left| left.min(self.slice));
        self.slice = (self.slice * 2).min(LAST_SLICE);
        slice
    }

    #[cold]
    fn later_step(&mut self) -> Step {
        if self.is_none() {
            return if std::mem::replace(&mut self.probed, true) { Step::TimedOut } else { Step::Probe };
        }
        let now = Instant::now();
        let probed = std::mem::replace(&mut self.probed, false);
        if !probed && self.next_probe.is_none_or(|due| due <= now) {
            self.next_probe = Some(now + self.slice);
            self.probed = true;
            return Step::Probe;
        }
        if self.deadline.has_passed() { Step::TimedOut } else { Step::Sleep }
    }
}

impl Wait for Patience {
    #[inline]
    fn step(&mut self) -> Step {
        if self.round < self.spins {
            let pauses = match self.spins {
                // Of a lock.
                SPINS_FOR_LOCK => (2 << self.round).min(PAUSES_FOR_LOCK),
                _ => 1 << (self.round / 4),
            };
            for _ in 0..pauses {
                std::hint::spin_loop();
            }
        } else if self.round < self.spins + YIELDS {
            park::yield_now();
        } else {
            return self.later_step();
        }
        self.round += 1;
        Step::Retry
    }

    fn sleep(&mut self, word: &AtomicU64, expected: u64) {
        park::sleep(word, expected as u32, self.next_slice());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_patience_probes_once() {
        let mut patience = Patience::none();
        assert_eq!([patience.step(), patience.step()], [Step::Probe, Step::TimedOut]);
    }

    #[test]
    fn time_is_over_after_a_probe() {
        let mut patience = Patience::until(Deadline::now());
        let steps: Vec<Step> =
            std::iter::repeat_with(|| patience.step()).take(SPINS as usize + YIELDS as usize + 2).collect();
        assert_eq!(steps[steps.len() - 2..], [Step::Probe, Step::TimedOut]);
        assert!(steps[..steps.len() - 2].iter().all(|step| *step == Step::Retry));
    }
}
