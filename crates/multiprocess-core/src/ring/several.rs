//! Several short messages one behind the other, and one word for all of them to those who wait.
//!
//! Each is claimed, filled and published as any message is, or taken and freed, so it is there at once. What is left for
//! the end is to move the hint and to wake who has announced itself: almost half of what a short message costs. So who
//! sleeps is woken at the end, and a call that would have to wait ends it before it does.
//!
//! Who dies before the end has moved no hint and woken nobody, as who dies at that point of a call for one message: others
//! move the hint, and who sleeps looks when its slice ends. A receiver that dies takes with it what it has taken.

use super::plan;
use super::position::Position;
use super::send::Content;
use super::{Incoming, Ring, SHORT};
use crate::atomics::{Ordering::Relaxed, light_fence};
use crate::owner::Owner;
use crate::wait::Environment;

/// How many cells that are ready are expected to be dealt with. Their lines come from another processor's cache together,
/// where each exchange would wait for its own.
const EXPECTED: u64 = 16;

/// Positions one behind the other that this process has dealt with, and told nobody of.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: Position,
    next: Position,
    count: u32,
}

impl Run {
    #[inline]
    fn from(first: Position) -> Run {
        Run { first, next: first, count: 0 }
    }

    #[inline]
    fn add(&mut self, at: Position, cells: u64) {
        self.next = at.next(cells);
        self.count += 1;
    }
}

/// Short messages that are sent one behind the other; made by [`Ring::sending`]. When it is dropped, it wakes who waits for
/// them.
///
/// # Examples
///
/// ```
/// # use multiprocess_core::ring::{Alone, SHORT, example};
/// # example(|ring| {
/// let (word, announced) = ring.announce_receiver();
/// let mut sending = ring.sending(&Alone);
/// assert!(sending.send_now(&[7; SHORT], 3));
/// assert!(!ring.is_empty() && word.load(std::sync::atomic::Ordering::Relaxed) == announced);
/// drop(sending); // wakes it
/// assert_ne!(word.load(std::sync::atomic::Ordering::Relaxed), announced);
/// # });
/// ```
#[derive(Debug)]
pub struct Sending<'r, E: Environment> {
    ring: &'r Ring<'r>,
    world: &'r E,
    me: Owner,
    run: Run,
}

/// Messages that are taken one behind the other; made by [`Ring::receiving`]. When it is dropped, it wakes who waits for
/// room.
///
/// # Examples
///
/// ```
/// # use multiprocess_core::ring::{Alone, SHORT, example};
/// # example(|ring| {
/// ring.send_now(&[7; SHORT], 3, &Alone);
/// let (word, announced) = ring.announce_sender();
/// let mut receiving = ring.receiving(&Alone);
/// assert_eq!(receiving.receive_now(|message| message.len()).ok(), Some(3));
/// assert_eq!(word.load(std::sync::atomic::Ordering::Relaxed), announced);
/// drop(receiving); // wakes it
/// assert_ne!(word.load(std::sync::atomic::Ordering::Relaxed), announced);
/// # });
/// ```
#[derive(Debug)]
pub struct Receiving<'r, E: Environment> {
    ring: &'r Ring<'r>,
    world: &'r E,
    me: Owner,
    run: Run,
}

impl Ring<'_> {
    /// Begins to send several short messages. To be ended soon: who sleeps until there is one is woken at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// assert!(ring.sending(&Alone).send_now(&[7; SHORT], 3));
    /// assert_eq!(ring.len(), 1);
    /// # });
    /// ```
    #[inline]
    pub fn sending<'r, E: Environment>(&'r self, world: &'r E) -> Sending<'r, E> {
        let (tail, cells) = (self.position(plan::TAIL), self.plan.capacity());
        self.expect(tail, cells - tail.since(self.position(plan::HEAD), cells));
        Sending { ring: self, world, me: world.me(), run: Run::from(tail) }
    }

    /// Begins to take several messages that are there. To be ended soon: who sleeps until there is room is woken at the
    /// end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// assert!(ring.receiving(&Alone).receive_now(|message| message.len()).is_err()); // it is empty
    /// # });
    /// ```
    #[inline]
    pub fn receiving<'r, E: Environment>(&'r self, world: &'r E) -> Receiving<'r, E> {
        let (head, cells) = (self.position(plan::HEAD), self.plan.capacity());
        self.expect(head, self.position(plan::TAIL).since(head, cells));
        Receiving { ring: self, world, me: world.me(), run: Run::from(head) }
    }

    /// Says that the first of `count` cells will be written to.
    #[inline]
    fn expect(&self, mut at: Position, count: u64) {
        for _ in 0..count.min(EXPECTED) {
            if !self.is_there(at) {
                break;
            }
            self.memory.expect(self.plan.cell(at.index()));
            at = at.next(self.plan.capacity());
        }
    }

    /// Moves a hint over all positions of `run`, unless somebody else has moved it.
    #[inline]
    fn pass_run(&self, hint: u64, run: Run) {
        let _ = self.memory.word(hint).compare_exchange(run.first.number(), run.next.number(), Relaxed, Relaxed);
    }
}

impl<E: Environment> Sending<'_, E> {
    /// As [`Ring::send_now`], but that nobody is woken.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// let mut sending = ring.sending(&Alone);
    /// assert!(sending.send_now(&[7; SHORT], 3));
    /// assert!(!sending.send_now(&[7; SHORT], 3)); // it is full
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If there are not so many bytes.
    ///
    /// # Crash
    ///
    /// As [`send`](Ring::send), for each message.
    #[inline]
    pub fn send_now(&mut self, room: &[u8; SHORT], length: usize) -> bool {
        assert!(length <= SHORT, "a short message");
        let (ring, at) = (self.ring, self.run.next);
        let at = if ring.is_there(at) && ring.claim_cell(at, self.me).is_ok() { Some(at) } else { self.claim_anew() };
        let Some(at) = at else { return false };
        ring.fill_cell(at, Content::Short(room, length));
        self.run.add(at, ring.plan.capacity());
        true
    }

    /// Claims a cell that is not the next one of the run.
    #[cold]
    fn claim_anew(&mut self) -> Option<Position> {
        self.tell();
        let at = self.ring.claim(self.me).ok()?;
        self.run = Run::from(at);
        Some(at)
    }

    #[inline]
    fn tell(&mut self) {
        let Run { next, count, .. } = self.run;
        if count == 0 {
            return;
        }
        self.ring.pass_run(plan::TAIL, self.run);
        // Pairs with `ring.await_item`.
        light_fence!("ring.sent_several");
        if self.ring.items().is_awaited() {
            self.ring.items().wake(count, self.world);
        }
        self.run = Run::from(next);
    }
}

impl<E: Environment> Drop for Sending<'_, E> {
    #[inline]
    fn drop(&mut self) {
        self.tell();
    }
}

impl<E: Environment> Receiving<'_, E> {
    /// Takes the next message if there is one at once: `read` gets it, or comes back. Before it gets one that is not
    /// short, which takes its time, those who wait for room are woken.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// ring.send_now(&[7; SHORT], 3, &Alone);
    /// let mut receiving = ring.receiving(&Alone);
    /// assert_eq!(receiving.receive_now(|message| message.len()).ok(), Some(3));
    /// assert!(receiving.receive_now(|message| message.len()).is_err()); // it is empty
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// There is none.
    ///
    /// # Crash
    ///
    /// As [`receive`](Ring::receive), for all messages that were taken.
    #[inline]
    pub fn receive_now<R, F: FnOnce(&Incoming<'_>) -> R>(&mut self, read: F) -> Result<R, F> {
        let (ring, at) = (self.ring, self.run.next);
        let at = if ring.is_there(at) && ring.take_cell(at, self.me).is_ok() { Some(at) } else { self.take_anew() };
        let Some(at) = at else { return Err(read) };
        self.run.add(at, ring.plan.capacity());
        Ok(ring.empty_for(at, self.me, self.world, |message| {
            if message.is_long() {
                self.tell();
            }
            read(message)
        }))
    }

    /// Takes a message that is not in the next cell of the run.
    #[cold]
    fn take_anew(&mut self) -> Option<Position> {
        self.tell();
        let at = self.ring.take(self.me)?;
        self.run = Run::from(at);
        Some(at)
    }

    #[inline]
    fn tell(&mut self) {
        let Run { next, count, .. } = self.run;
        if count == 0 {
            return;
        }
        self.ring.pass_run(plan::HEAD, self.run);
        // Pairs with `ring.await_room`.
        light_fence!("ring.received_several");
        if self.ring.room().is_awaited() {
            self.ring.room().wake(count, self.world);
        }
        self.run = Run::from(next);
    }
}

impl<E: Environment> Drop for Receiving<'_, E> {
    #[inline]
    fn drop(&mut self) {
        self.tell();
    }
}
