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
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// assert_eq!(ring.receive(&Alone, &mut Alone, |message| message.len()), None);
    /// ring.send_now(&[7; SHORT], 3, &Alone);
    /// assert_eq!(ring.receive(&Alone, &mut Alone, |message| message.len()), Some(3));
    /// # });
    /// ```
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
        let (at, slept) = match self.take(me) {
            Some(at) => (at, false),
            None => self.take_slowly(me, world, wait)?,
        };
        Some(self.hand_over((at, slept), me, world, read))
    }

    /// Takes the next message if there is one at once, or comes while its cell is looked at `looks` times: `read` gets it, or
    /// comes back.
    ///
    /// Who waits for an answer that comes soon has it in the least time so.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// assert!(ring.receive_now(&Alone, || 3, |message| message.len()).is_err());
    /// ring.send_now(&[7; SHORT], 3, &Alone);
    /// assert_eq!(ring.receive_now(&Alone, || 0, |message| message.len()).ok(), Some(3));
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// There is none.
    ///
    /// # Crash
    ///
    /// As [`receive`](Ring::receive).
    #[inline]
    pub fn receive_now<R, F: FnOnce(&Incoming<'_>) -> R>(
        &self,
        world: &impl Environment,
        looks: impl FnOnce() -> u32,
        read: F,
    ) -> Result<R, F> {
        let me = world.me();
        match self.take_first(me).or_else(|| self.watch(me, looks())).or_else(|| self.take(me)) {
            Some(at) => Ok(self.hand_over((at, false), me, world, read)),
            None => Err(read),
        }
    }

    /// Gives the message that this process has taken to `read`; it may have slept before.
    #[inline(always)]
    fn hand_over<R>(
        &self,
        (at, slept): (Position, bool),
        me: Owner,
        world: &impl Environment,
        read: impl FnOnce(&Incoming<'_>) -> R,
    ) -> R {
        self.empty_for(at, me, world, |message| {
            self.pass(plan::HEAD, at);
            // Pairs with `ring.await_room`.
            light_fence!("ring.received");
            if self.room().is_awaited() {
                self.room().wake(1, world);
            }
            if slept && self.items().is_awaited() && !self.is_empty() {
                self.items().wake(1, world);
            }
            read(message)
        })
    }

    /// Frees the cell that this process has taken, and gives the message that was in it to `read`.
    #[inline(always)]
    pub(super) fn empty_for<R>(
        &self,
        at: Position,
        me: Owner,
        world: &impl Environment,
        read: impl FnOnce(&Incoming<'_>) -> R,
    ) -> R {
        let offset = self.plan.cell(at.index());
        // All of them: to find out how many are needed would take longer.
        let words = core::array::from_fn(|place| self.memory.load(offset + 16 + 8 * place as u64));
        let message = self.empty(at, me, &words);
        let _finish = Finish { ring: self, world, message: &message };
        read(&message)
    }

    /// Holds the blocks of the message if it has some, and frees its cell, from which `words` were read.
    #[inline]
    fn empty<'i>(&'i self, at: Position, me: Owner, words: &'i [u64; INLINE_WORDS]) -> Incoming<'i> {
        let length = self.memory.load(self.plan.cell(at.index()) + 8);
        let (mut chain, mut damaged) = (Chain::none(0), false);
        if length > INLINE {
            let count;
            (count, damaged) = self.take_over(length, words[0], at, me);
            chain = Chain { class: plan::class_of(length), first: words[0], count };
        }
        // Release: pairs with `ring.claim`; what was read from the cell was read before. Nobody else changes what a
        // living process reads.
        self.cell(at).store(cell::free(at.next_lap()), order!("ring.free", Release));
        Incoming::new(self, if damaged { 0 } else { length }, damaged, words, chain)
    }

    /// Holds the blocks of a message; how many there are, and whether some are not.
    #[cold]
    pub(super) fn take_over(&self, length: u64, first: u64, at: Position, me: Owner) -> (u64, bool) {
        if length > Plan::MESSAGE_MAX {
            return (0, true);
        }
        let pool = self.pool(plan::class_of(length));
        let wanted = pool.blocks(length);
        let count = pool.take_over(first, wanted, at, me);
        (count, count < wanted)
    }

    /// Takes the message to which the hint points, if it is there.
    #[inline]
    fn take_first(&self, me: Owner) -> Option<Position> {
        let at = self.position(plan::HEAD);
        (self.is_there(at) && self.take_cell(at, me).is_ok()).then_some(at)
    }

    /// Takes the message to which the hint points, if it comes while its cell is looked at so often.
    #[inline]
    fn watch(&self, me: Owner, looks: u32) -> Option<Position> {
        let at = self.position(plan::HEAD);
        for _ in 0..if self.is_there(at) { looks } else { 0 } {
            match cell::seen(self.cell(at).load(Relaxed), at) {
                Seen::Full => return self.take_cell(at, me).is_ok().then_some(at),
                Seen::Free | Seen::Writing => core::hint::spin_loop(),
                Seen::Reading | Seen::Past | Seen::Before => break,
            }
        }
        None
    }

    /// Takes the first message that is there.
    pub(super) fn take(&self, me: Owner) -> Option<Position> {
        let mut at = self.position(plan::HEAD);
        for _ in 0..PASSED {
            if !self.is_there(at) {
                return None;
            }
            let mut seen = self.cell(at).load(Relaxed);
            if seen == cell::full(at) {
                match self.take_cell(at, me) {
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

    /// Takes the message in the cell of `at` if it is there; how the cell was.
    #[inline]
    pub(super) fn take_cell(&self, at: Position, me: Owner) -> Result<u64, u64> {
        // Acquire: pairs with `ring.publish`. Release: pairs with `ring.probe`.
        let order = order!("ring.take", AcqRel);
        self.cell(at).compare_exchange(cell::full(at), cell::reading(at, me), order, Relaxed)
    }

    /// Waits for a message; whether it slept.
    #[cold]
    fn take_slowly(&self, me: Owner, world: &impl Environment, wait: &mut impl Wait) -> Option<(Position, bool)> {
        let mut slept = false;
        loop {
            match wait.step() {
                Step::Retry => {}
                Step::Probe => self.probe(world),
                Step::TimedOut => return self.take(me).map(|at| (at, slept)),
                Step::Sleep => {
                    let announced = self.items().announce();
                    // Pairs with `ring.sent`.
                    fence!("ring.await_item");
                    match self.take(me) {
                        Some(at) => return Some((at, slept)),
                        None => wait.sleep(self.items().0, announced),
                    }
                    slept = true;
                }
            }
            if let Some(at) = self.take(me) {
                return Some((at, slept));
            }
        }
    }
}
