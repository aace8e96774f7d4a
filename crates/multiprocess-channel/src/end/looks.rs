//! When a call that could go on, or has no patience, asks who is on the other side: often enough to notice a death soon, and so seldom
//! that it costs short messages little.

use super::End;
use multiprocess_sys::clock;
use multiprocess_sys::process::ends_seen;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How long a sender that finds room sends on without asking whether a receiver is left.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// How many messages it sends without looking at the clock, which takes a good part of the time of a short one.
const CLOCK_PAUSE: u64 = 16;
/// How many calls without patience ask between two ticks of the clock, which are some milliseconds apart: one that comes after
/// others had time to die knows it, and a loop of them is not slowed down.
const LOOKS_PER_TICK: u64 = 8;

impl End {
    /// Whether a sender should ask who is there although it may find room: some time after it did so, and when this process
    /// has learnt that another one has ended.
    #[inline]
    pub(super) fn is_time_to_look(&self) -> bool {
        let left = self.clock_pause.load(Relaxed);
        if left > 0 && self.ends_seen.load(Relaxed) == ends_seen() {
            self.clock_pause.store(left - 1, Relaxed);
            return false;
        }
        self.is_time_by_the_clock()
    }

    #[cold]
    fn is_time_by_the_clock(&self) -> bool {
        let (now, seen) = (coarse_milliseconds(), ends_seen());
        let has_news = self.ends_seen.swap(seen, Relaxed) != seen;
        let is_time = has_news || now >= self.next_look.load(Relaxed);
        if is_time {
            self.next_look.store(now + LOOK_PAUSE.as_millis() as u64, Relaxed);
        }
        // Who sends rarely looks at the clock each time.
        self.clock_pause.store(if is_time { 0 } else { CLOCK_PAUSE }, Relaxed);
        is_time
    }

    /// Whether a call without patience that finds no message, or no room, should ask who is there.
    pub(crate) fn may_look_again(&self) -> bool {
        let (now, before) = (coarse_milliseconds(), self.looks.load(Relaxed));
        let looks = if before / LOOKS_PER_TICK == now { before + 1 } else { now * LOOKS_PER_TICK };
        // The last one would begin the next tick.
        let may = looks / LOOKS_PER_TICK == now;
        if may {
            self.looks.store(looks, Relaxed);
        }
        may
    }
}

/// The time of a clock that is cheap to read.
#[inline]
fn coarse_milliseconds() -> u64 {
    let now = clock::coarse();
    now.as_secs().wrapping_mul(1000) + u64::from(now.subsec_millis())
}
