//! Taking a message out of the ring.

use super::cell::{self, Seen};
use super::plan::{self, INLINE, INLINE_WORDS};
use super::pool::Chain;
use super::position::Position;
use super::{Incoming, PASSED, Plan, Ring};
use crate::atomics::{Ordering::Relaxed, fence, light_fence, order};
use crate::owner::Owner;
use crate::wait::{Environment, Step, Wait};

/// What gives the blocks of a message back, also if its reader panics.
struct Finish<'r, E: Environment> {
    ring: &'r Ring<'r>,
    world: &'r E,
    message: &'r Incoming<'r>,
}

impl<E: Environment> Drop for Finish<'_, E> {
    #[inline]
    fn drop(&mut self) {
        if self.message.is_long() {
            self.ring.give_back(self.message.chain(), self.world);
        }
    }
}

impl<'a> Ring<'a> {
    /// Takes the next message, if one comes while `wait` has patience: `read` gets it.
    ///
    /// # Crash
    ///
    /// The message is lost, and nothing else: what it took up comes back when others look for it.
    #[inline]
    pub fn receive<R>(
        &self,
        world: &impl Environment,
        wait: &mut impl Wait,
        read: impl FnOnce(&Incoming<'_>) -> R,
    ) -> Option<R> {
        let me = world.me();
        let (at, slept) = match self.take(me, true) {
            Some(at) => (at, false),
            None => self.take_slowly(me, world, wait)?,
        };
        let mut words = [0; INLINE_WORDS];
        let message = self.empty(at, me, &mut words);
        let _finish = Finish { ring: self, world, message: &message };
        self.pass(plan::HEAD, at);
        // Pairs with `ring.await_room`.
        light_fence!("ring.received");
        if self.room().is_awaited() {
            self.room().wake(1, world);
        }
        if slept && self.items().is_awaited() && !self.is_empty() {
            self.items().wake(1, world);
        }
        Some(read(&message))
    }

    /// Copies the message out of the cell that this process holds, or holds its blocks, and frees the cell.
    #[inline]
    fn empty<'i>(&'i self, at: Position, me: Owner, words: &'i mut [u64; INLINE_WORDS]) -> Incoming<'i> {
        let offset = self.plan.cell(at.index());
        let length = self.memory.load(offset + 8);
        let mut chain = Chain::none(0);
        let mut damaged = false;
        if length <= INLINE {
            let used = length.div_ceil(8) as usize;
            for (place, word) in (0..).zip(&mut words[..used]) {
                *word = self.memory.load(offset + 16 + 8 * place);
            }
        } else {
            (chain, damaged) = self.take_over(length, self.memory.load(offset + 16), at, me);
        }
        // Release: pairs with `ring.claim`; what was read from the cell was read before. Nobody else changes what a
        // living process reads.
        self.cell(at).store(cell::free(at.next_lap()), order!("ring.free", Release));
        Incoming::new(self, if damaged { 0 } else { length }, damaged, words, chain)
    }

    /// Holds the blocks of a message; those there are, and whether some are not.
    #[cold]
    pub(super) fn take_over(&self, length: u64, first: u64, at: Position, me: Owner) -> (Chain, bool) {
        if length > Plan::MESSAGE_MAX {
            return (Chain::none(0), true);
        }
        let class = plan::class_of(length);
        let pool = self.pool(class);
        let wanted = pool.blocks(length);
        let count = pool.take_over(first, wanted, at, me);
        (Chain { class, first, count }, count < wanted)
    }

    /// Takes the first message that is there: tried at once, or only if it looks as if it were.
    #[inline]
    pub(super) fn take(&self, me: Owner, at_once: bool) -> Option<Position> {
        let mut at = self.position(plan::HEAD);
        for _ in 0..PASSED {
            if !self.is_there(at) {
                return None;
            }
            let word = self.cell(at);
            let mut seen = if at_once { cell::full(at) } else { word.load(Relaxed) };
            if seen == cell::full(at) {
                // Acquire: pairs with `ring.publish`. Release: pairs with `ring.probe`.
                match word.compare_exchange(seen, cell::reading(at, me), order!("ring.take", AcqRel), Relaxed) {
                    Ok(_) => return Some(at),
                    Err(now) => seen = now,
                }
            }
            match cell::seen(seen, at) {
                Seen::Free | Seen::Writing | Seen::Before => return None,
                Seen::Full => {}
                Seen::Reading | Seen::Past => at = self.pass(plan::HEAD, at),
            }
        }
        None
    }

    /// Waits for a message; whether it slept.
    #[cold]
    fn take_slowly(&self, me: Owner, world: &impl Environment, wait: &mut impl Wait) -> Option<(Position, bool)> {
        let mut slept = false;
        loop {
            match wait.step() {
                Step::Retry => {}
                Step::Probe => self.probe(world),
                Step::TimedOut => return self.take(me, false).map(|at| (at, slept)),
                Step::Sleep => {
                    let announced = self.items().announce();
                    // Pairs with `ring.sent`.
                    fence!("ring.await_item");
                    match self.take(me, false) {
                        Some(at) => return Some((at, slept)),
                        None => wait.sleep(self.items().0, announced),
                    }
                    slept = true;
                }
            }
            if let Some(at) = self.take(me, false) {
                return Some((at, slept));
            }
        }
    }
}
