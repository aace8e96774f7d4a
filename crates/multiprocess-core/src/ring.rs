//! A bounded queue of messages: many senders, many receivers.

mod cell;
#[cfg(not(loom))]
mod copying;
mod incoming;
mod memory;
mod plan;
mod pool;
mod position;
mod receive;
mod send;
mod signal;
#[cfg(all(test, not(loom)))]
mod tests;

pub use incoming::Incoming;
#[cfg(loom)]
pub use memory::Store;
pub use plan::Plan;
pub use send::Refused;

use crate::atomics::{AtomicU64, Ordering::Relaxed, fence, order};
use crate::owner::Word;
use crate::wait::Environment;
use cell::Seen;
use memory::Memory;
use pool::{Chain, Pool};
use position::Position;
use signal::Signal;

/// How many cells that others have dealt with a search passes before it is given up. Only a damaged ring has more.
const PASSED: u32 = 4096;

/// A ring, seen by one process. All zeros are an empty one.
#[derive(Debug, Clone, Copy)]
pub struct Ring<'a> {
    memory: Memory<'a>,
    plan: Plan,
}

impl<'a> Ring<'a> {
    /// The ring in the memory at `base`.
    ///
    /// # Safety
    ///
    /// [`Plan::length`] bytes are mapped at `base`, aligned to 128, for `'a`; those up to [`Plan::reserved`], and those that
    /// a `grow` said yes to, can be accessed. This process accesses them by rings alone. Other processes may do anything.
    #[cfg(not(loom))]
    pub unsafe fn at(base: core::ptr::NonNull<u8>, plan: Plan) -> Ring<'a> {
        // SAFETY: the caller promises it.
        let memory = unsafe { Memory::new(base, plan.length()) };
        Ring { memory, plan }
    }

    /// The ring in the memory of a model.
    #[cfg(loom)]
    pub fn over(store: &'a Store, plan: Plan) -> Ring<'a> {
        Ring { memory: Memory(store), plan }
    }

    /// What memory it takes.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// How many messages are there, those included that are being written. Only a glance.
    pub fn len(&self) -> u64 {
        let (mut head, mut tail) = (self.position(plan::HEAD), self.position(plan::TAIL));
        // Both may be one behind if somebody is killed.
        if is_claimed(self.look(tail)) {
            tail = tail.next(self.plan.capacity());
        }
        if is_taken(self.look(head)) {
            head = head.next(self.plan.capacity());
        }
        tail.since(head, self.plan.capacity())
    }

    /// Whether there is no message that can be taken. Only a glance.
    pub fn is_empty(&self) -> bool {
        !matches!(self.front(plan::HEAD, is_taken), Some((_, Seen::Full)))
    }

    /// Whether there is no room for a message. Only a glance.
    pub fn is_full(&self) -> bool {
        !matches!(self.front(plan::TAIL, is_claimed), Some((_, Seen::Free)))
    }

    /// Announces somebody who is about to sleep until a message may be there: look with [`is_empty`](Ring::is_empty) or
    /// receive, then sleep while the lower half of the word is that of the value. Who was woken and does not receive calls
    /// [`pass_on`](Ring::pass_on).
    pub fn announce_receiver(&self) -> (&'a AtomicU64, u64) {
        let announced = self.items().announce();
        // Pairs with `ring.sent`.
        fence!("ring.announce_receiver");
        (self.items().0, announced)
    }

    /// The same for who waits until there may be room, to look with [`is_full`](Ring::is_full).
    pub fn announce_sender(&self) -> (&'a AtomicU64, u64) {
        let announced = self.room().announce();
        // Pairs with `ring.received`.
        fence!("ring.announce_sender");
        (self.room().0, announced)
    }

    /// Wakes another one if there is a message, or room, and somebody who waits for it.
    pub fn pass_on(&self, world: &impl Environment) {
        if self.items().is_awaited() && !self.is_empty() {
            self.items().wake(1, world);
        }
        if self.room().is_awaited() && !self.is_full() {
            self.room().wake(1, world);
        }
    }

    /// Ends every sleep on the ring.
    pub fn wake_all(&self, world: &impl Environment) {
        for signal in [self.items(), self.room(), self.free_memory()] {
            signal.wake(u32::MAX, world);
        }
    }

    /// Takes away what dead processes hold where others would wait for it. To be called by who waits without a call of this
    /// ring, whenever it is time for a probe.
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
    /// The word has the lowest bits of its lap alone. Once its holder is known to be dead, and it is still there, it does not
    /// change until somebody buries it. Then `tail` is in the lap of the word, or in the next one at the same cell or before.
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
        let fits = |at: &Position| matches!(cell::seen(seen, *at), Seen::Writing | Seen::Reading);
        let Some(held) = [now, now.last_lap(), now.next_lap()].into_iter().find(fits) else { return false };
        let next = cell::free(held.next_lap());
        // Release: pairs with `ring.claim`; what the dead one did is seen by the next sender, as by this process.
        if word.compare_exchange(seen, next, order!("ring.bury", Release), Relaxed).is_err() {
            return false;
        }
        // Pairs with `ring.await_item` and `ring.await_room`.
        fence!("ring.buried");
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
        let cell = |index| {
            let at = Position::from_number(index, self.plan.capacity());
            (at.index() == index && self.is_there(at)).then(|| self.cell(at))
        };
        let mut found = false;
        for class in 0..plan::CLASSES {
            found |= self.pool(class).reap(world, cell);
        }
        if found {
            self.freed(world);
        }
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
            match self.look(at) {
                seen if done(seen) => at = at.next(self.plan.capacity()),
                seen => return Some((at, seen)),
            }
        }
        None
    }

    /// Moves a hint on from `at`, unless somebody else has; where to look next.
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

    fn pool(&self, class: usize) -> Pool<'a> {
        Pool::new(self.memory, self.plan.classes[class])
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
