//! Putting a message into the ring.

use super::cell::{self, Seen};
use super::plan::{self, INLINE, PAGE, SHORT};
use super::pool::{Chain, Shortage};
use super::position::Position;
use super::{PASSED, Ring};
use crate::atomics::{Ordering::Relaxed, fence, light_fence, order};
use crate::owner::Owner;
use crate::wait::{Environment, Step, Wait};

/// By how many bytes of cells memory grows.
const GROWTH: u64 = 64 << 10;

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There was no room for it while there was patience.
    Full,
    /// It is longer than a message can be.
    TooLarge,
    /// There is no memory for it.
    NoMemory,
}

/// Why no cell was claimed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    Full,
    /// There is no memory behind this one yet.
    Absent(Position),
}

/// What is written into a cell.
#[derive(Clone, Copy)]
pub(super) enum Content<'b> {
    /// All of a message that fits, and how much of the room it takes.
    Short(&'b [u8; SHORT], usize),
    /// Where a longer one lies, and its length.
    Long(Chain, u64),
}

/// Blocks that are given back unless they are queued.
pub(super) struct Held<'r, E: Environment> {
    ring: &'r Ring<'r>,
    world: &'r E,
    pub(super) chain: Chain,
}

impl<'r, E: Environment> Held<'r, E> {
    /// None yet, for a message of so many bytes.
    #[inline]
    pub(super) fn none(ring: &'r Ring<'r>, world: &'r E, length: u64) -> Held<'r, E> {
        Held { ring, world, chain: Chain::none(plan::class_of(length)) }
    }

    /// Gives all back.
    #[cold]
    fn let_go(&mut self) {
        self.ring.give_back(self.chain, self.world);
        self.chain = Chain::none(self.chain.class);
    }

    /// Holds one more where none is found at once.
    #[cold]
    fn find_more(&self, count: u64, grow: &mut dyn FnMut(u64, u64) -> bool) -> Result<u64, Shortage> {
        let Chain { class, count: held, .. } = self.chain;
        let reap = || self.ring.reap_class(class, self.world);
        self.ring.pool(class).find_more(self.world.me(), (held, count), grow, &reap)
    }

    /// Holds blocks until there are `count`.
    fn gather(&mut self, count: u64, grow: &mut dyn FnMut(u64, u64) -> bool) -> Result<(), Shortage> {
        let pool = self.ring.pool(self.chain.class);
        while self.chain.count < count {
            let block = match pool.find(self.world.me()) {
                Some(block) => block,
                None => self.find_more(count, grow)?,
            };
            pool.link(block, self.chain.first);
            self.chain.first = block;
            self.chain.count += 1;
        }
        Ok(())
    }
}

impl<E: Environment> Drop for Held<'_, E> {
    fn drop(&mut self) {
        self.ring.give_back(self.chain, self.world);
    }
}

impl<'a> Ring<'a> {
    /// Sends `head` and `body`, one behind the other, as one message, when there is room while `wait` has patience. `grow` is
    /// asked for memory, by offset and length, before it is used first; it may be asked for the same memory again.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// let sent = ring.send(b"to ", b"be", &Alone, &mut Alone, |_, _| false);
    /// assert_eq!(sent, Ok(()));
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Refused`]: then nothing was sent.
    ///
    /// # Crash
    ///
    /// The message is there, or it is not and takes up no room.
    #[inline]
    pub fn send(
        &self,
        head: &[u8],
        body: &[u8],
        world: &impl Environment,
        wait: &mut impl Wait,
        mut grow: impl FnMut(u64, u64) -> bool,
    ) -> Result<(), Refused> {
        let length = (head.len() as u64).saturating_add(body.len() as u64);
        if length > INLINE {
            return self.send_large(head, body, world, wait, &mut grow);
        }
        let mut room = [0; SHORT];
        room[..head.len()].copy_from_slice(head);
        room[head.len()..length as usize].copy_from_slice(body);
        self.enqueue(Content::Short(&room, length as usize), world, wait, &mut grow)
    }

    /// Sends the first `length` bytes of `room` as one message if there is a cell for it at once, whose memory is there.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// assert!(ring.send_now(&[7; SHORT], 3, &Alone));
    /// assert!(!ring.send_now(&[7; SHORT], 3, &Alone)); // it is full
    /// assert_eq!(ring.receive_now(&Alone, || 0, |message| message.short().map(<[u8]>::to_vec)).ok(), Some(Some(vec![7; 3])));
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If there are not so many.
    ///
    /// # Crash
    ///
    /// As [`send`](Ring::send).
    #[inline]
    pub fn send_now(&self, room: &[u8; SHORT], length: usize, world: &impl Environment) -> bool {
        assert!(length <= SHORT, "a short message");
        let me = world.me();
        let Some(at) = self.claim_first(me).or_else(|| self.claim(me).ok()) else { return false };
        self.publish(at, Content::Short(room, length), world);
        true
    }

    #[cold]
    fn send_large(
        &self,
        head: &[u8],
        body: &[u8],
        world: &impl Environment,
        wait: &mut impl Wait,
        grow: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<(), Refused> {
        let length = (head.len() as u64).saturating_add(body.len() as u64);
        if length > self.plan.message_max() {
            return Err(Refused::TooLarge);
        }
        // Who has to wait copies nothing before.
        let slept = self.await_room(world, wait)?;
        let mut held = Held::none(self, world, length);
        let mut sent = self.hold(&mut held, length, wait, grow);
        if sent.is_ok() {
            self.fill(held.chain, head, body);
            sent = self.enqueue(Content::Long(held.chain, length), world, wait, grow);
        }
        match sent {
            Ok(()) => core::mem::forget(held),
            Err(_) => drop(held),
        }
        if slept {
            self.pass_on(world);
        }
        sent
    }

    #[inline]
    fn enqueue(
        &self,
        content: Content<'_>,
        world: &impl Environment,
        wait: &mut impl Wait,
        grow: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<(), Refused> {
        let me = world.me();
        let (at, slept) = match self.claim(me) {
            Ok(at) => (at, false),
            Err(blocked) => self.claim_slowly(blocked, me, world, wait, grow)?,
        };
        self.publish(at, content, world);
        if slept && self.room().is_awaited() && !self.is_full() {
            self.room().wake(1, world);
        }
        Ok(())
    }

    /// Fills the cell that this process holds, and tells who waits for a message.
    #[inline]
    fn publish(&self, at: Position, content: Content<'_>, world: &impl Environment) {
        self.fill_cell(at, content);
        self.pass(plan::TAIL, at);
        // Pairs with `ring.await_item`.
        light_fence!("ring.sent");
        if self.items().is_awaited() {
            self.items().wake(1, world);
        }
    }

    /// Fills the cell that this process holds.
    #[inline]
    pub(super) fn fill_cell(&self, at: Position, content: Content<'_>) {
        self.write(at, content);
        // Release: pairs with `ring.take`. Nobody else changes what a living process writes.
        self.cell(at).store(cell::full(at), order!("ring.publish", Release));
    }

    /// Writes what the cell that this process holds is to contain.
    ///
    /// The room of a short message is read here and not before: it has just been written to, one or a few bytes at a time, and
    /// to read several of them at once would have to wait for that, had not the exchange that claimed the cell done so. All
    /// of it is read: to find out how many words that must be would take longer than a few more.
    #[inline]
    pub(super) fn write(&self, at: Position, content: Content<'_>) {
        let offset = self.plan.cell(at.index());
        match content {
            Content::Short(room, length) => {
                self.memory.store(offset + 8, length as u64);
                for (place, word) in (2..).zip(room.as_chunks::<8>().0) {
                    self.memory.store(offset + 8 * place, u64::from_ne_bytes(*word));
                }
            }
            Content::Long(chain, length) => {
                self.memory.store(offset + 8, length);
                self.memory.store(offset + 16, chain.first);
                self.pool(chain.class).queue(chain.first, chain.count, at);
            }
        }
    }

    /// Claims the cell to which the hint points, if that is free.
    #[inline]
    fn claim_first(&self, me: Owner) -> Option<Position> {
        let at = self.position(plan::TAIL);
        (self.is_there(at) && self.claim_cell(at, me).is_ok()).then_some(at)
    }

    /// Claims the first cell that is free.
    pub(super) fn claim(&self, me: Owner) -> Result<Position, Blocked> {
        let mut at = self.position(plan::TAIL);
        for _ in 0..PASSED {
            if !self.is_there(at) {
                return Err(Blocked::Absent(at));
            }
            let mut seen = self.cell(at).load(Relaxed);
            if seen == cell::free(at) {
                match self.claim_cell(at, me) {
                    Ok(_) => return Ok(at),
                    Err(now) => seen = now,
                }
            }
            match cell::seen(seen, at) {
                Seen::Before => return Err(Blocked::Full),
                Seen::Free => {}
                Seen::Writing | Seen::Full | Seen::Reading | Seen::Past => at = self.pass(plan::TAIL, at),
            }
        }
        Err(Blocked::Full)
    }

    /// Claims the cell of `at` if it is free; how it was.
    #[inline]
    pub(super) fn claim_cell(&self, at: Position, me: Owner) -> Result<u64, u64> {
        // Acquire: pairs with `ring.free` and `ring.bury`. Release: pairs with `ring.probe`.
        let order = order!("ring.claim", AcqRel);
        self.cell(at).compare_exchange(cell::free(at), cell::writing(at, me), order, Relaxed)
    }

    /// Waits for a cell; whether it slept.
    #[cold]
    fn claim_slowly(
        &self,
        mut blocked: Blocked,
        me: Owner,
        world: &impl Environment,
        wait: &mut impl Wait,
        grow: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<(Position, bool), Refused> {
        let mut slept = false;
        loop {
            let mut announced = None;
            if let Blocked::Absent(at) = blocked {
                self.extend(at, grow)?;
            } else {
                match wait.step() {
                    Step::Retry => {}
                    Step::Probe => self.probe(world),
                    Step::TimedOut => return self.claim_at_last(me).map(|at| (at, slept)),
                    Step::Sleep => {
                        announced = Some(self.room().announce());
                        // Pairs with `ring.received`.
                        fence!("ring.await_room");
                    }
                }
            }
            match (self.claim(me), announced) {
                (Ok(at), _) => return Ok((at, slept)),
                (Err(Blocked::Full), Some(announced)) => {
                    wait.sleep(self.room().0, announced);
                    (blocked, slept) = (Blocked::Full, true);
                }
                (Err(now), _) => blocked = now,
            }
        }
    }

    /// The last look.
    fn claim_at_last(&self, me: Owner) -> Result<Position, Refused> {
        self.claim(me).map_err(|_| Refused::Full)
    }

    /// Asks for memory behind the cell of `at`.
    fn extend(&self, at: Position, grow: &mut dyn FnMut(u64, u64) -> bool) -> Result<(), Refused> {
        let start = self.plan.cell(at.index()) / PAGE * PAGE;
        let all = self.plan.cell(self.plan.capacity());
        let end = (start + GROWTH).min(all.next_multiple_of(PAGE));
        if !grow(start, end - start) {
            return Err(Refused::NoMemory);
        }
        let cells = (end.min(all) - self.plan.cell(0)) / plan::CELL;
        self.memory.word(plan::CELLS_PRESENT).fetch_max(cells, Relaxed);
        Ok(())
    }

    /// Waits until there is room, which others may take; whether it slept.
    fn await_room(&self, world: &impl Environment, wait: &mut impl Wait) -> Result<bool, Refused> {
        let mut slept = false;
        while self.is_full() {
            match wait.step() {
                Step::Retry => {}
                Step::Probe => self.probe(world),
                Step::TimedOut => return if self.is_full() { Err(Refused::Full) } else { Ok(slept) },
                Step::Sleep => {
                    let (word, announced) = self.announce_sender();
                    if self.is_full() {
                        wait.sleep(word, announced);
                        slept = true;
                    }
                }
            }
        }
        Ok(slept)
    }

    /// Holds the blocks for a message of so many bytes, where none are held.
    pub(super) fn hold<E: Environment>(
        &self,
        held: &mut Held<'_, E>,
        length: u64,
        wait: &mut impl Wait,
        grow: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<(), Refused> {
        let (class, world) = (held.chain.class, held.world);
        let count = self.pool(class).blocks(length);
        let (mut patient, mut look) = (true, true);
        loop {
            if look {
                match held.gather(count, grow) {
                    Ok(()) => return Ok(()),
                    Err(Shortage::NoMemory) => return Err(Refused::NoMemory),
                    Err(Shortage::Taken) => held.let_go(),
                }
            }
            if !patient {
                return Err(Refused::Full);
            }
            let mut announced = None;
            match wait.step() {
                Step::Retry => {}
                Step::Probe => self.reap(world),
                Step::TimedOut => patient = false,
                Step::Sleep => {
                    announced = Some(self.free_memory().announce());
                    // Pairs with `ring.freed`.
                    fence!("ring.await_memory");
                }
            }
            // To gather in vain would be to give back what was there, and so to wake the others, and they us.
            look = !patient || self.pool(class).has_free(count);
            if let Some(announced) = announced.filter(|_| !look) {
                wait.sleep(self.free_memory().0, announced);
            }
        }
    }

    /// Copies `head` and `body` into the blocks of `chain`, one behind the other.
    pub(super) fn fill(&self, chain: Chain, mut head: &[u8], mut body: &[u8]) {
        let pool = self.pool(chain.class);
        let size = pool.size() as usize;
        pool.each(chain.first, chain.count, |block| {
            let (first, second);
            (first, head) = head.split_at(head.len().min(size));
            (second, body) = body.split_at(body.len().min(size - first.len()));
            self.whole.copy_in(pool.offset(block), first);
            self.whole.copy_in(pool.offset(block) + first.len() as u64, second);
            true
        });
    }
}
