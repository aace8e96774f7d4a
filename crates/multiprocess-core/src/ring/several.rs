//! Several messages one behind the other, and one wake-up at the end for those who wait: a burst.
//!
//! Each is claimed, filled and published as any message is, or taken and freed, so it is there at once, or its room is. What is left
//! for the end is to move the hint and to wake who has announced itself: a good part of what a short message costs. So who
//! sleeps is woken at the end, and a call that would have to wait ends the burst before it does. A message that was taken is read
//! before that end, unless it is a long one: if its reader takes its time, who sleeps until there is room may sleep to the end
//! of a slice.
//!
//! Who dies before the end has moved no hint and woken nobody, as who dies at that point of a call for one message: others
//! move the hint, and who sleeps looks when its slice ends. Who is stopped there lets them sleep as long. A receiver that dies takes
//! with it what it has taken.

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

/// After how many messages a burst tells of them although it goes on: hints lag behind by no more.
const LONGEST: u32 = 64;

/// Positions one behind the other that this process has dealt with, and told nobody of.
#[derive(Debug)]
struct Burst<'r, E: Environment> {
    ring: &'r Ring<'r>,
    world: &'r E,
    me: Owner,
    /// The hint that is moved over them.
    hint: u64,
    first: Position,
    next: Position,
    count: u32,
}

impl<'r, E: Environment> Burst<'r, E> {
    /// One that begins at `first`, where about so many cells are ready to be dealt with.
    #[inline]
    fn new(ring: &'r Ring<'r>, world: &'r E, hint: u64, first: Position, expected: u64) -> Burst<'r, E> {
        let mut at = first;
        for _ in 0..expected.min(EXPECTED) {
            if !ring.is_there(at) {
                break;
            }
            ring.memory.expect(ring.plan.cell(at.index()));
            at = at.next(ring.plan.capacity());
        }
        Burst { ring, world, me: world.me(), hint, first, next: first, count: 0 }
    }

    /// The message at `at` is dealt with.
    #[inline]
    fn add(&mut self, at: Position) {
        self.next = at.next(self.ring.plan.capacity());
        self.count += 1;
        if self.count == LONGEST {
            self.tell();
        }
    }

    /// Goes on at `at`, which is not the next position.
    #[inline]
    fn go_on_at(&mut self, at: Position) {
        (self.first, self.next) = (at, at);
    }

    /// Moves the hint, unless somebody else has, and wakes who waits.
    #[inline]
    fn tell(&mut self) {
        if self.count == 0 {
            return;
        }
        let hint = self.ring.memory.word(self.hint);
        let _ = hint.compare_exchange(self.first.number(), self.next.number(), Relaxed, Relaxed);
        // Pairs with `ring.await_item` and `ring.await_room`.
        light_fence!("ring.burst");
        let signal = if self.hint == plan::TAIL { self.ring.items() } else { self.ring.room() };
        if signal.is_awaited() {
            signal.wake(self.count, self.world);
        }
        (self.first, self.count) = (self.next, 0);
    }
}

impl<E: Environment> Drop for Burst<'_, E> {
    #[inline]
    fn drop(&mut self) {
        self.tell();
    }
}

/// Short messages that are sent one behind the other; made by [`Ring::sending`]. Who waits for them is woken when this is
/// dropped.
///
/// # Examples
///
/// ```
/// # use multiprocess_core::ring::{Alone, SHORT, example};
/// # example(|ring| {
/// let (word, announced) = ring.announce_receiver();
/// let mut sending = ring.sending(&Alone, 1);
/// assert!(sending.send_now(&[7; SHORT], 3));
/// assert!(!ring.is_empty() && word.load(std::sync::atomic::Ordering::Relaxed) == announced);
/// drop(sending); // wakes it
/// assert_ne!(word.load(std::sync::atomic::Ordering::Relaxed), announced);
/// # });
/// ```
#[derive(Debug)]
pub struct Sending<'r, E: Environment>(Burst<'r, E>);

/// Messages that are taken one behind the other; made by [`Ring::receiving`]. Who waits for room is woken when this is
/// dropped.
///
/// # Examples
///
/// ```
/// # use multiprocess_core::ring::{Alone, SHORT, example};
/// # example(|ring| {
/// ring.send_now(&[7; SHORT], 3, &Alone);
/// let (word, announced) = ring.announce_sender();
/// let mut receiving = ring.receiving(&Alone, 1);
/// assert_eq!(receiving.receive_now(|message| message.len()).ok(), Some(3));
/// assert_eq!(word.load(std::sync::atomic::Ordering::Relaxed), announced);
/// drop(receiving); // wakes it
/// assert_ne!(word.load(std::sync::atomic::Ordering::Relaxed), announced);
/// # });
/// ```
#[derive(Debug)]
pub struct Receiving<'r, E: Environment>(Burst<'r, E>);

impl Ring<'_> {
    /// Begins to send about `count` short messages. To be ended soon: who sleeps until there is one is woken at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// assert!(ring.sending(&Alone, 1).send_now(&[7; SHORT], 3));
    /// assert_eq!(ring.len(), 1);
    /// # });
    /// ```
    #[inline]
    pub fn sending<'r, E: Environment>(&'r self, world: &'r E, count: u64) -> Sending<'r, E> {
        let (tail, cells) = (self.position(plan::TAIL), self.plan.capacity());
        let room = cells - tail.since(self.position(plan::HEAD), cells);
        Sending(Burst::new(self, world, plan::TAIL, tail, room.min(count)))
    }

    /// Begins to take up to `count` messages that are there. To be ended soon: who sleeps until there is room is woken at
    /// the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// assert!(ring.receiving(&Alone, 1).receive_now(|message| message.len()).is_err()); // it is empty
    /// # });
    /// ```
    #[inline]
    pub fn receiving<'r, E: Environment>(&'r self, world: &'r E, count: u64) -> Receiving<'r, E> {
        let (head, cells) = (self.position(plan::HEAD), self.plan.capacity());
        let there = self.position(plan::TAIL).since(head, cells);
        Receiving(Burst::new(self, world, plan::HEAD, head, there.min(count)))
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
    /// let mut sending = ring.sending(&Alone, 2);
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
        let Burst { ring, next: at, me, .. } = self.0;
        let at = if ring.is_there(at) && ring.claim_cell(at, me).is_ok() { Some(at) } else { self.claim_anew() };
        let Some(at) = at else { return false };
        ring.fill_cell(at, Content::Short(room, length));
        self.0.add(at);
        true
    }

    /// The position that it would claim next.
    #[cfg(test)]
    pub(super) fn next(&self) -> Position {
        self.0.next
    }

    /// Claims a cell that is not the next one of the burst.
    #[cold]
    fn claim_anew(&mut self) -> Option<Position> {
        self.0.tell();
        self.0.ring.claim(self.0.me).ok().inspect(|at| self.0.go_on_at(*at))
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
    /// let mut receiving = ring.receiving(&Alone, 2);
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
        let Burst { ring, next: at, me, world, .. } = self.0;
        let at = if ring.is_there(at) && ring.take_cell(at, me).is_ok() { Some(at) } else { self.take_anew() };
        let Some(at) = at else { return Err(read) };
        Ok(ring.empty_for(at, me, world, |message| {
            self.0.add(at);
            if message.is_long() {
                self.0.tell();
            }
            read(message)
        }))
    }

    /// Takes a message that is not in the next cell of the burst.
    #[cold]
    fn take_anew(&mut self) -> Option<Position> {
        self.0.tell();
        self.0.ring.take(self.0.me).inspect(|at| self.0.go_on_at(*at))
    }
}
