//! A word to sleep on: a flag that somebody does, and an epoch that each wake-up counts up.

use crate::atomics::{AtomicU64, Ordering::Relaxed, order};
use crate::wait::Environment;

const WAITERS: u64 = 1;
const EPOCH: u64 = 2;

/// A signal. Whoever wants to sleep: announce, fence, look again, sleep while the word is as announced. Whoever has
/// changed what others may wait for: fence, and wake if somebody has announced. One of the two fences comes first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signal<'a>(pub(super) &'a AtomicU64);

impl<'a> Signal<'a> {
    /// Says that somebody is about to sleep; the word as it then is.
    pub(super) fn announce(self) -> u64 {
        let mut signal = self.0.load(Relaxed);
        while signal & WAITERS == 0 {
            match self.0.compare_exchange_weak(signal, signal | WAITERS, Relaxed, Relaxed) {
                Ok(_) => return signal | WAITERS,
                Err(now) => signal = now,
            }
        }
        signal
    }

    /// Whether somebody may sleep.
    #[inline]
    pub(super) fn is_awaited(self) -> bool {
        self.0.load(Relaxed) & WAITERS != 0
    }

    /// Ends the sleep of up to `count`, and of those who are about to fall asleep. The flag goes off when there are
    /// fewer.
    #[cold]
    pub(super) fn wake(self, count: u32, world: &impl Environment) {
        // Release: whoever announces itself on the new epoch sees, behind its fence, what it was counted up for.
        let signal = self.0.fetch_add(EPOCH, order!("ring.wake", Release)).wrapping_add(EPOCH);
        if world.wake(self.0, count) >= count || signal & WAITERS == 0 {
            return;
        }
        let quiet = (signal & !WAITERS).wrapping_add(EPOCH);
        if self.0.compare_exchange(signal, quiet, Relaxed, Relaxed).is_ok() {
            // Somebody may have fallen asleep on what the flag's end has changed.
            world.wake(self.0, u32::MAX);
        }
    }
}
