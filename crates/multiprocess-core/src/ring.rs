//! A bounded queue of messages: many senders and many receivers, any of which may be killed between any two
//! instructions.
//!
//! A ring of *cells*, each with a word that tells its state and, while somebody writes to it or reads from it, who that
//! is. Message after message has a *position*: an index into the cells, and the lap. `tail` and `head` are positions
//! from which senders and receivers look; both are hints, which lag behind and never run ahead, and which anybody moves
//! on over cells that are dealt with. The truth is in the cells.
//!
//! | State of a cell, for the message of a lap | Word | Leaves it by |
//! | --- | --- | --- |
//! | free | no owner, the lap (zeros: the first) | a sender's exchange: to writing |
//! | writing | the sender, the lap's lowest 14 bits | `publish`: to full; the sender's death |
//! | full | no owner, bit 16, the lap | a receiver's exchange: to reading |
//! | reading | the receiver, the lap's lowest bits | `free`: to free, for the next lap; the receiver's death |
//! | writing or reading, owner dead | as it was | whoever probes: to free, for the next lap |
//!
//! A message of up to 48 bytes lies in its cell. For a longer one there are *blocks* beside the ring (see `pool.rs`):
//! the cell tells the first of them.
//!
//! **send**: (1) hold blocks, if it is long, and copy it into them; (2) exchange the cell at `tail`, from free for
//! writing; cells that are taken already are passed, and `tail` moved over them; a cell with a message of the lap
//! before means that the ring is full; (3) write length and contents; the blocks change from mine to the position's;
//! (4) publish: full; (5) move `tail`; (6) wake a receiver, if one has announced itself. **receive**: (1) exchange the
//! cell at `head`, from full for reading; (2) copy the contents out; blocks become mine; (3) free the cell; (4) move
//! `head`; (5) wake a sender, if one has announced itself; (6) hand the message to its reader, give back the blocks,
//! and wake those who wait for some.
//!
//! **Order.** A position is claimed only if all before it have been: a sender looks from `tail` on, cell
//! by cell. So what one sender sends comes at rising positions, and receivers take messages in the order of positions.
//! A receiver waits for a message that is being written although later ones may be there already.
//!
//! **Sleeping** is on three signals (see `signal.rs`): `items`, `room`, and `memory` for blocks. Announce, fence, look
//! again, sleep; and publish, fence, look whether somebody has announced. One of the two fences comes first: the
//! sleeper sees the message or the sender the sleeper. Each message wakes one, but who is woken may find a message
//! being written in front of those that are there: so who has slept and takes a message wakes the next one if there are
//! more, and senders do the same with room. Blocks wake all who wait for blocks, because one may want many.
//!
//! **Several at a time** (`several.rs`): steps (1) to (4) of send for each of some short messages, and then (5) and (6)
//! once for all of them; so receive, with (1) to (3) and the reading of (6) for each, and then (4) and (5). The hints lag
//! behind by so many then, which can be more than a lap.
//!
//! **Races.** Two that claim or take the same cell are told apart by the exchange; the lap in the word keeps a slow
//! one, who looks a lap later, from succeeding. A hint that lags shows cells of the past, which are passed; it is never
//! exchanged but for a later one, over cells that are dealt with. Nobody but the owner changes the word of a living owner, so publishing and freeing
//! are plain stores. A prober looks at the word, finds its owner dead, and exchanges the word as it was seen: a
//! newcomer in the slot has another generation. The lap, of which the word has the lowest bits alone, comes from
//! `tail`, which is read when the word cannot change any more.
//!
//! **Death**, by step. In send: (1) the blocks have a dead owner, and who is in want of blocks frees them; (2), (3) the
//! cell is skipped by the first receiver or sender that is stopped by it and probes, or freed by who is in want of its
//! blocks, which then belong to a message that is gone; from (4) on the message is there. `tail` is moved by others,
//! and a sleeper that was not woken looks when its slice ends. In receive: the message is lost from (1) on; (1), (2) its
//! cell is freed by the first sender that is stopped by it, or by who is in want of its blocks, because no sender may
//! come to it before there are some; the blocks are queued for a message that is gone, or held by the dead. From (3) on
//! the cell is free; the rest as in send. Who was chosen for a wake-up and is killed: somebody else finds message or
//! room at the end of a slice.
//!
//! **Stopped** processes are not dead. One that is stopped between (2) and (4) of send, or (1) and (3) of receive,
//! holds up those who come to its cell until it goes on or dies. That is a window of some tens of nanoseconds, and of a
//! few for each block of a long message, because all copying of long messages is outside of it. One that is stopped
//! while it holds the blocks of a very long message holds up those who want more than are left.
//!
//! **Decisions.** Claiming the cell itself, and not a counter, is what makes a killed sender visible at its position:
//! with a counter there would be an instant at which a position is taken and nobody knows by whom. Long messages are
//! not streamed through the ring in pieces, because then the others would wait for a slow writer. Blocks from 1 to 128
//! KiB take turns, so that who writes to one finds it in the cache that the processors have in common (see `pool.rs`).
//! A segment for each message costs more than copying it. Who holds some blocks and gets no more gives them all back,
//! since two that keep theirs would wait for each other for ever.
//!
//! **Garbage.** Whoever has the memory can write anything into it. Indices are checked before each use, loops are as
//! long as there are cells or blocks at most, and a message whose description makes no sense is handed over as a
//! damaged one. The protocol may then lose, repeat and invent messages, or come to a standstill; nothing else in the
//! process is harmed.

mod cell;
#[cfg(not(loom))]
mod copying;
#[cfg(not(loom))]
mod example;
mod incoming;
mod memory;
mod plan;
mod pool;
mod position;
mod receive;
mod send;
mod several;
mod signal;
#[cfg(loom)]
mod steps;
#[cfg(all(test, not(loom)))]
mod tests;
mod waiting;

#[cfg(not(loom))]
#[doc(hidden)]
pub use copying::{load_bytes, store_bytes};
#[cfg(not(loom))]
#[doc(hidden)]
pub use example::{Alone, example};
pub use incoming::Incoming;
#[cfg(loom)]
pub use memory::Store;
pub use plan::{Plan, SHORT};
pub use send::Refused;
pub use several::{Receiving, Sending};
#[cfg(loom)]
pub use steps::Until;

use crate::atomics::{AtomicU64, Ordering::Relaxed, fence, order};
use crate::owner::Word;
use crate::wait::Environment;
use cell::Seen;
use core::cell::Cell;
use memory::Memory;
use pool::{Chain, Pool};
use position::Position;
use signal::Signal;

/// How many cells that others have dealt with a search passes before it is given up. Only a damaged ring has more.
const PASSED: u32 = 4096;

/// How often the two hints are read until they fit together.
const LOOKS: u32 = 8;

/// A ring, seen by one process. All zeros are an empty one.
///
/// # Examples
///
/// ```
/// use multiprocess_core::ring::Refused;
/// # use multiprocess_core::ring::{Alone, example};
/// # example(|ring| {
/// // The ring has one cell; `Alone` is a world with one process, and a wait without patience.
/// assert_eq!(ring.send(b"to ", b"be", &Alone, &mut Alone, |_, _| false), Ok(()));
/// assert_eq!(ring.send(b"", b"or", &Alone, &mut Alone, |_, _| false), Err(Refused::Full));
/// let length = ring.receive(&Alone, &mut Alone, |message| message.len());
/// assert_eq!(length, Some(5));
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
#[repr(C)] // what each message needs comes first
pub struct Ring<'a> {
    /// Where words and cells are reached.
    memory: Memory<'a>,
    plan: Plan,
    /// Where blocks are, and what belongs to them: the same memory, or another view of it that goes further.
    whole: Memory<'a>,
}

impl<'a> Ring<'a> {
    /// The ring in the memory at `base`.
    ///
    /// # Safety
    ///
    /// [`Plan::length`] bytes are mapped at `base`, aligned to 128, for `'a`; those up to [`Plan::reserved`], and those
    /// that a `grow` said yes to, can be accessed. (The rest is never accessed, unless another process has overwritten
    /// the numbers that tell how much is there.) This process accesses them by rings alone. Other processes may do
    /// anything.
    #[cfg(not(loom))]
    pub unsafe fn at(base: core::ptr::NonNull<u8>, plan: Plan) -> Ring<'a> {
        // SAFETY: the caller promises it.
        let memory = unsafe { Memory::new(base, plan.length()) };
        Ring { memory, whole: memory, plan }
    }

    /// The same ring, whose words and cells are reached at `front`: the same memory, mapped once more.
    ///
    /// # Safety
    ///
    /// As for [`at`](Ring::at), with [`Plan::front`] bytes.
    #[cfg(not(loom))]
    pub unsafe fn with_front(self, front: core::ptr::NonNull<u8>) -> Ring<'a> {
        // SAFETY: the caller promises it.
        let memory = unsafe { Memory::new(front, self.plan.front()) };
        Ring { memory, ..self }
    }

    /// The ring in the memory of a model.
    #[cfg(loom)]
    pub fn over(store: &'a Store, plan: Plan) -> Ring<'a> {
        Ring { memory: Memory(store), whole: Memory(store), plan }
    }

    /// What memory it takes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// assert_eq!(ring.plan().capacity(), 1);
    /// # });
    /// ```
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// How many messages are there, those included that are being written. Only a glance.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// assert_eq!(ring.len(), 0);
    /// ring.send_now(&[0; SHORT], 7, &Alone);
    /// assert_eq!(ring.len(), 1);
    /// # });
    /// ```
    pub fn len(&self) -> u64 {
        let capacity = self.plan.capacity();
        let mut length = 0;
        for _ in 0..LOOKS {
            let hint = self.position(plan::HEAD);
            // Both may be behind: by what others are in the middle of, or were when they were killed.
            let head = self.front(plan::HEAD, is_taken).map_or(hint, |(at, _)| at);
            let tail = self.front(plan::TAIL, is_claimed).map_or(head, |(at, _)| at);
            length = tail.since(head, capacity);
            // Who was held up in between may have seen them laps apart.
            if self.position(plan::HEAD) == hint {
                break;
            }
        }
        length
    }

    /// Whether there is no message that can be taken. Only a glance.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// assert!(ring.is_empty());
    /// # });
    /// ```
    pub fn is_empty(&self) -> bool {
        !matches!(self.front(plan::HEAD, is_taken), Some((_, Seen::Full)))
    }

    /// Whether there is no room for a message. Only a glance.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// ring.send_now(&[0; SHORT], 7, &Alone);
    /// assert!(ring.is_full());
    /// # });
    /// ```
    pub fn is_full(&self) -> bool {
        !matches!(self.front(plan::TAIL, is_claimed), Some((_, Seen::Free)))
    }

    /// Takes away what dead processes hold where others would wait for it. To be called by who waits without a call of
    /// this ring, whenever it is time for a probe.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// ring.probe(&Alone); // nobody is dead
    /// assert!(ring.is_empty());
    /// # });
    /// ```
    #[cold]
    pub fn probe(&self, world: &impl Environment) {
        // Each cell once at the most, and those of a damaged ring not for ever.
        for _ in 0..self.plan.capacity() {
            let stuck = [self.front(plan::HEAD, is_taken), self.front(plan::TAIL, is_claimed)];
            if !stuck.into_iter().flatten().any(|(at, _)| self.bury(at, world)) {
                break;
            }
        }
    }

    /// Frees the cell of `at` if it is held by a dead process; whether it was.
    ///
    /// The word has the lowest bits of its lap alone. Once its holder is known to be dead, and it is still there, it
    /// does not change until somebody buries it. So the lap is the nearest to that of `tail` that has these bits: `tail` is
    /// a lap ahead at the most, and behind by no more than a burst.
    fn bury(&self, at: Position, world: &impl Environment) -> bool {
        if !self.is_there(at) {
            return false;
        }
        let word = self.cell(at);
        // Acquire: pairs with `ring.claim` and `ring.take`; an older slot of its holder would look like a death.
        let seen = word.load(order!("ring.probe", Acquire));
        let owner = Word(seen).owner();
        if owner.is_nobody() || owner == world.me() || world.is_alive(owner) || word.load(Relaxed) != seen {
            return false;
        }
        let now = self.position(plan::TAIL).at_index(at.index());
        let Some(held) = cell::held_at(seen, now) else { return false };
        let next = cell::free(held.next_lap());
        // Release: pairs with `ring.claim`; what the dead one did is seen by the next sender, as by this process.
        if word.compare_exchange(seen, next, order!("ring.bury", Release), Relaxed).is_err() {
            return false;
        }
        // No fence: who has announced itself without being seen here looks itself when its slice ends, as without this.
        for signal in [self.items(), self.room()] {
            if signal.is_awaited() {
                signal.wake(u32::MAX, world);
            }
        }
        true
    }

    /// Frees blocks that nobody will free.
    #[cold]
    fn reap(&self, world: &impl Environment) {
        (0..plan::CLASSES).for_each(|class| _ = self.reap_class(class, world));
    }

    /// The same for those of one size; whether there were any.
    #[cold]
    fn reap_class(&self, class: usize, world: &impl Environment) -> bool {
        // Neighbours mostly belong to one message.
        let looked_at = Cell::new(None);
        let cell = |index| {
            let at = Position::from_number(index, self.plan.capacity());
            if at.index() != index || !self.is_there(at) {
                return None;
            }
            // Nobody else may come to the cell of a dead receiver before the next lap, which may wait for these blocks.
            if looked_at.replace(Some(index)) != Some(index) {
                self.bury(at, world);
            }
            Some(self.cell(at))
        };
        let found = self.pool(class).reap(world, cell);
        if found {
            self.freed(world);
        }
        found
    }

    /// Wakes those that wait for blocks.
    fn freed(&self, world: &impl Environment) {
        // Pairs with `ring.await_memory`.
        fence!("ring.freed");
        if self.free_memory().is_awaited() {
            self.free_memory().wake(u32::MAX, world);
        }
    }

    /// Gives back the blocks of `chain`.
    fn give_back(&self, chain: Chain, world: &impl Environment) {
        if chain.count > 0 {
            self.pool(chain.class).give_back(chain.first, chain.count, world.me());
            self.freed(world);
        }
    }

    /// The first position from a hint on that is not `done`, and how its cell looks.
    fn front(&self, hint: u64, done: fn(Seen) -> bool) -> Option<(Position, Seen)> {
        let mut at = self.position(hint);
        for _ in 0..PASSED {
            let seen = self.look(at);
            // Who was held up before the look may be so many laps behind that the word means nothing to it.
            let now = self.position(hint);
            if now.is_later_than(at) {
                at = now;
            } else if done(seen) {
                at = at.next(self.plan.capacity());
            } else {
                return Some((at, seen));
            }
        }
        None
    }

    /// Moves a hint on from `at`, unless somebody else has; where to look next.
    #[inline]
    fn pass(&self, hint: u64, at: Position) -> Position {
        let next = at.next(self.plan.capacity());
        match self.memory.word(hint).compare_exchange(at.number(), next.number(), Relaxed, Relaxed) {
            Ok(_) => next,
            Err(now) => Position::from_number(now, self.plan.capacity()),
        }
    }

    /// The cell of `at`, seen from there. One that was never used may have no memory yet.
    fn look(&self, at: Position) -> Seen {
        if self.is_there(at) { cell::seen(self.cell(at).load(Relaxed), at) } else { Seen::Free }
    }

    /// Whether there is memory behind the cell of `at`: always but in the first lap.
    #[inline]
    fn is_there(&self, at: Position) -> bool {
        at.lap() != 0
            || at.index() < self.plan.cells_at_once()
            || at.index() < self.memory.word(plan::CELLS_PRESENT).load(Relaxed)
    }

    #[inline]
    fn position(&self, hint: u64) -> Position {
        Position::from_number(self.memory.word(hint).load(Relaxed), self.plan.capacity())
    }

    #[inline]
    fn cell(&self, at: Position) -> &'a AtomicU64 {
        self.memory.word(self.plan.cell(at.index()))
    }

    #[inline]
    fn pool(&self, class: usize) -> Pool<'_> {
        Pool::new(self.whole, &self.plan.classes[class])
    }

    fn items(&self) -> Signal<'a> {
        Signal(self.memory.word(plan::ITEMS))
    }

    fn room(&self) -> Signal<'a> {
        Signal(self.memory.word(plan::ROOM))
    }

    fn free_memory(&self) -> Signal<'a> {
        Signal(self.memory.word(plan::MEMORY))
    }
}

/// Whether receivers need not look at a cell any more.
fn is_taken(seen: Seen) -> bool {
    matches!(seen, Seen::Reading | Seen::Past)
}

/// Whether senders need not look at a cell any more.
fn is_claimed(seen: Seen) -> bool {
    matches!(seen, Seen::Writing | Seen::Full | Seen::Reading | Seen::Past)
}
