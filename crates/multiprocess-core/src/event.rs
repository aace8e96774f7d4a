//! An event: a flag that many processes wait for, in one word.
//!
//! | `SET` | `WAITERS` | Epoch | Meaning | Others may be |
//! | :-: | :-: | :-: | --- | --- |
//! | 0 | 0 | e | clear, nobody sleeps | about to announce that they sleep, or to set |
//! | 0 | 1 | e | clear, somebody may sleep, dead or alive | asleep on exactly this word |
//! | 1 | 0 | e | set | leaving `wait`; being woken by whoever set it, or waking by themselves if that one died |
//! | 1 | 1 | e | never written; read like the row above | - |
//!
//! **Setting** turns `SET` on and `WAITERS` off in one exchange and wakes all who slept. **Clearing** turns `SET` off and counts
//! the epoch up in one exchange. **Waiting** notes the epoch of a clear word, and ends as soon as the word is set or has
//! another epoch: an epoch only changes when an event that was set is cleared. So whoever waited when `set` came returns, even if
//! `clear` follows before it looks. Before it sleeps it turns `WAITERS` on, in an exchange that fails if the word is not
//! the noted one any more, and it sleeps only while the word is still the same.
//!
//! The races: a set between the look and the exchange makes the exchange fail; a set between the exchange and the sleep finds
//! `WAITERS`, and has changed the word that the sleep compares. One word, so no fence is needed.
//!
//! Death: nobody holds an event. A waiter leaves at most its announcement, which costs one vain wake-up. Whoever sets dies
//! before its exchange (nothing happened) or after it: then those who are not woken find out at the end of their slice of
//! sleep. Clearing is one exchange.

use crate::atomics::{AtomicU64, Ordering::Relaxed, order};
use crate::wait::{Environment, Step, Wait};

const SET: u64 = 1;
const WAITERS: u64 = 2;
/// One step of the epoch, which has the other 62 bits; sleepers compare 30 of them.
const EPOCH: u64 = 4;

/// The event; a word of zeros is a clear one.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Event {
    word: AtomicU64,
}

impl Event {
    /// A clear event.
    #[cfg(not(loom))]
    pub const fn new() -> Event {
        Event { word: AtomicU64::new(0) }
    }

    /// A clear event.
    #[cfg(loom)]
    pub fn new() -> Event {
        Event { word: AtomicU64::new(0) }
    }

    /// Whether it is set now. What was written before the last `set` or `clear` that this sees is visible.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.look() & SET != 0
    }

    /// Sets it and wakes all who wait.
    ///
    /// # Crash
    ///
    /// Either nothing happened or the event is set; in the second case waiters that were not woken wake by themselves.
    #[inline]
    pub fn set(&self, environment: &impl Environment) {
        let mut word = self.word.load(Relaxed);
        // An event that is set already is exchanged too: who sees it afterwards sees what this process wrote before.
        while let Err(now) =
            // Release: pairs with `event.look` and `event.clear`.
            self.word.compare_exchange_weak(
                word,
                (word | SET) & !WAITERS,
                order!("event.set", Release),
                Relaxed,
            )
        {
            word = now;
        }
        if word & WAITERS != 0 {
            environment.wake(&self.word, u32::MAX);
        }
    }

    /// Clears it. Who waited while it was set still returns.
    ///
    /// # Crash
    ///
    /// Either nothing happened or the event is clear.
    #[inline]
    pub fn clear(&self) {
        loop {
            let word = self.look();
            if word & SET == 0 {
                return;
            }
            let clear = (word & !(SET | WAITERS)).wrapping_add(EPOCH);
            // Acquire: whoever clears and looks for work afterwards sees the work whose `set` it took away. Release: pairs with
            // `event.look`, for who waits for the event to be clear.
            if self.word.compare_exchange_weak(word, clear, order!("event.clear", AcqRel), Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Waits until it is set; whether that happened before `wait` lost patience.
    #[inline]
    #[must_use = "false means that the time ran out"]
    pub fn wait(&self, wait: &mut impl Wait) -> bool {
        let first = self.look();
        first & SET != 0 || self.wait_from(first, wait)
    }

    /// Waits for a word that is set or of another epoch than `first`, which is clear.
    fn wait_from(&self, first: u64, wait: &mut impl Wait) -> bool {
        let noted = first & !WAITERS;
        loop {
            match wait.step() {
                // Nobody holds an event, so nobody is to be looked for.
                Step::Retry | Step::Probe => {}
                Step::TimedOut => return false,
                Step::Sleep => {
                    if let Some((word, announced)) = self.announce(noted) {
                        wait.sleep(word, announced);
                    }
                }
            }
            if self.has_come(noted) {
                return true;
            }
        }
    }

    /// The state in which a wait begins, for those who wait for other things too; they ask [`has_come`](Event::has_come).
    #[inline]
    pub fn note(&self) -> u64 {
        self.look() & !WAITERS
    }

    /// Whether it is set, or was set since that was noted.
    #[inline]
    pub fn has_come(&self, noted: u64) -> bool {
        noted & SET != 0 || self.look() & !WAITERS != noted
    }

    /// Announces that somebody is about to sleep while the lower half of the returned word is that of the returned value. `None`
    /// if the event has come meanwhile.
    pub fn announce(&self, noted: u64) -> Option<(&AtomicU64, u64)> {
        let announced = noted | WAITERS;
        match self.word.compare_exchange(noted, announced, Relaxed, Relaxed) {
            Err(now) if now != announced => None,
            Ok(_) | Err(_) => Some((&self.word, announced)),
        }
    }

    #[inline]
    fn look(&self) -> u64 {
        // Acquire: pairs with `event.set` and `event.clear`; the exchanges in between are a release sequence.
        self.word.load(order!("event.look", Acquire))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Owner;
    use core::cell::Cell;

    /// Counts wake-ups.
    #[derive(Default)]
    struct Alone(Cell<u32>);

    impl Environment for Alone {
        fn me(&self) -> Owner {
            Owner::new(0, 1)
        }
        fn is_alive(&self, _: Owner) -> bool {
            true
        }
        fn wake(&self, _: &AtomicU64, _: u32) -> u32 {
            self.0.set(self.0.get() + 1);
            1
        }
        fn pid_of(&self, _: Owner) -> u32 {
            0
        }
    }

    /// Sleeps once, in which `during` happens, then loses patience.
    struct Once<F>(Option<F>);

    impl<F: FnOnce(&AtomicU64, u64)> Wait for Once<F> {
        fn step(&mut self) -> Step {
            if self.0.is_some() { Step::Sleep } else { Step::TimedOut }
        }
        fn sleep(&mut self, word: &AtomicU64, expected: u64) {
            self.0.take().unwrap()(word, expected);
        }
    }

    #[test]
    fn a_new_event_is_clear_and_made_of_zeros() {
        let event = Event::new();
        assert!(!event.is_set());
        assert_eq!(event.word.load(Relaxed), 0);
    }

    #[test]
    fn who_waits_when_it_is_set_returns_although_it_is_cleared_at_once() {
        let (event, alone) = (Event::new(), Alone::default());
        let returned = event.wait(&mut Once(Some(|word: &AtomicU64, expected| {
            assert_eq!(word.load(Relaxed), expected);
            event.set(&alone);
            event.clear();
        })));
        assert!(returned && !event.is_set());
        assert_eq!(alone.0.get(), 1);
    }

    #[test]
    fn who_waits_in_vain_loses_patience() {
        let event = Event::new();
        assert!(!event.wait(&mut Once(Some(|_: &AtomicU64, _| ()))));
        assert!(!event.wait(&mut Once(Some(|_: &AtomicU64, _| event.clear()))));
    }

    #[test]
    fn only_a_set_that_finds_a_sleeper_wakes() {
        let (event, alone) = (Event::new(), Alone::default());
        event.set(&alone);
        event.clear();
        assert_eq!(alone.0.get(), 0);
        assert!(!event.wait(&mut Once(Some(|_: &AtomicU64, _| ()))));
        event.set(&alone);
        event.set(&alone);
        assert_eq!(alone.0.get(), 1);
        assert!(event.wait(&mut Once(None::<fn(&AtomicU64, u64)>)));
    }

    #[test]
    fn any_bits_are_an_event() {
        for bits in [u64::MAX, !SET, SET | WAITERS] {
            let (event, alone) = (Event { word: AtomicU64::new(bits) }, Alone::default());
            event.set(&alone);
            assert!(event.is_set());
            event.clear();
            assert!(!event.is_set());
            assert!(!event.wait(&mut Once(Some(|_: &AtomicU64, _| ()))));
        }
    }
}
