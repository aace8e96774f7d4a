//! The memory for messages that are too long for a cell: blocks of one size, each with a word that names its holder.
//!
//! | Word | Meaning | Leaves it by |
//! | --- | --- | --- |
//! | zero | free | `gather`: to held |
//! | a living owner | a message is written to it, or read from it | `queue`, to queued; `give_back`, to free |
//! | nobody, bit 16, a position | part of the message at that position | its receiver, to held |
//! | a dead owner | as held | `reap`, to free: by who gets none, and now and then before there are more |
//! | a position that is past | its sender died before it was there, or its receiver | `reap`, to free |
//! | a position whose cell is held by the dead | the same | `reap`, to free, when it has freed the cell |
//!
//! Only the exchange of a free block for a held one has rivals; all else is the doing of the one that holds the block,
//! or that holds the cell of its message, or is proved dead. The stack of free blocks and the other words are hints: an
//! index that is not there is found by the hand, which goes round all blocks, a few at each search that nothing else
//! satisfies.
//!
//! Long blocks take turns, as many as fill the cache of one processor more than once. To write to a block whose bytes
//! the receiver's processor still has in its cache takes several times as long as to one that has left it since. Only
//! those beyond (all of the shortest blocks, and all of those for messages of many blocks) lie on the stack when they
//! are free, and the last one is used next: they are needed when many messages wait, and should not all go on being
//! used when that is over.

use super::cell;
use super::memory::Memory;
use super::plan::{Class, ENTRY, PAGE};
use super::position::{CELLS, Position};
use crate::atomics::{AtomicU64, Ordering::Relaxed, order};
use crate::owner::{Owner, Word};
use crate::wait::Environment;

/// Bit 16 of a word without an owner: queued. The cell stands in bits 18 to 41, the lap's lowest bits above it.
const QUEUED: u64 = 1 << 16;
const INDEX_SHIFT: u32 = 18;
const LAP_SHIFT: u32 = 42;
const LAP_BITS: u32 = 64 - LAP_SHIFT;
/// How many hints of the stack a search tries.
const HINTS: u32 = if cfg!(loom) { 1 } else { 8 };
/// How many turns a search tries.
const TURNS: u64 = if cfg!(loom) { 1 } else { 4 };
/// How many blocks the hand passes in a search before new ones are used.
const STEPS: u64 = if cfg!(loom) { 1 } else { 16 };
/// How much memory is asked for at once at the least.
const GROWTH: u64 = 64 << 10;

/// Blocks that belong together, linked from the first on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) class: usize,
    pub(super) first: u64,
    pub(super) count: u64,
}

impl Chain {
    /// No blocks.
    pub(super) const fn none(class: usize) -> Chain {
        Chain { class, first: 0, count: 0 }
    }
}

/// Why there are not enough blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    /// Others have them.
    Taken,
    /// There is no memory for so many.
    NoMemory,
}

/// All blocks of one size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool<'a> {
    memory: Memory<'a>,
    /// Borrowed: a copy that was made a moment ago is slow to read.
    class: &'a Class,
}

/// The word of a block in the message at `at`.
const fn queued(at: Position) -> u64 {
    QUEUED | at.index() << INDEX_SHIFT | at.lap() << LAP_SHIFT
}

impl<'a> Pool<'a> {
    #[inline]
    pub(super) fn new(memory: Memory<'a>, class: &'a Class) -> Pool<'a> {
        Pool { memory, class }
    }

    /// Where the bytes of `block` lie.
    pub(super) fn offset(&self, block: u64) -> u64 {
        self.class.blocks + block * self.class.size
    }

    pub(super) fn size(&self) -> u64 {
        self.class.size
    }

    /// How many blocks a message of so many bytes takes.
    #[inline]
    pub(super) fn blocks(&self, length: u64) -> u64 {
        if length <= self.size() { 1 } else { length.div_ceil(self.size()) }
    }

    /// How many blocks take turns.
    #[cfg(all(test, not(loom)))]
    pub(super) fn turns(&self) -> u64 {
        self.class.turns
    }

    /// The block that follows `block`; none if what is written there is not one.
    pub(super) fn next(&self, block: u64) -> Option<u64> {
        self.checked(self.memory.load(self.entry(block) + 8))
    }

    /// The block of that number, if there is memory behind it.
    pub(super) fn checked(&self, block: u64) -> Option<u64> {
        (block < self.present()).then_some(block)
    }

    /// Puts a block that this process holds before `next`.
    pub(super) fn link(&self, block: u64, next: u64) {
        self.memory.store(self.entry(block) + 8, next);
    }

    /// Calls `f` with each of `count` blocks from `first` on; false if the links end before.
    pub(super) fn each(&self, first: u64, count: u64, mut f: impl FnMut(u64) -> bool) -> bool {
        let mut block = self.checked(first);
        for left in (0..count).rev() {
            let Some(this) = block else { return false };
            // Before `f`, after which it may be somebody else's.
            block = if left > 0 { self.next(this) } else { None };
            if !f(this) {
                return false;
            }
        }
        true
    }

    /// Makes blocks that this process holds part of the message at `at`, whose cell it holds too.
    pub(super) fn queue(&self, first: u64, count: u64, at: Position) {
        self.each(first, count, |block| {
            // Release: who reaps and sees this sees the message's cell as it was then, or later.
            self.holder(block).store(queued(at), order!("ring.queue", Release));
            true
        });
    }

    /// Holds the blocks of the message at `at`, whose cell this process holds. How many of them are what they should
    /// be.
    pub(super) fn take_over(&self, first: u64, count: u64, at: Position, me: Owner) -> u64 {
        let (mut held, word) = (0, Word::held_by(me).0);
        self.each(first, count, |block| {
            // Release: see `ring.gather`.
            let right =
                self.holder(block).compare_exchange(queued(at), word, order!("ring.hand", Release), Relaxed).is_ok();
            held += u64::from(right);
            right
        });
        held
    }

    /// Frees blocks that this process holds.
    pub(super) fn give_back(&self, first: u64, count: u64, me: Owner) {
        let before = self.top();
        let mut top = before;
        self.each(first, count, |block| {
            // Release: pairs with `ring.gather`; what was read from the block was read before.
            let order = order!("ring.give_back", Release);
            let right = self.holder(block).compare_exchange(Word::held_by(me).0, 0, order, Relaxed).is_ok();
            if right {
                self.push(&mut top, block);
            }
            right
        });
        if top != before {
            self.word(0).store(top, Relaxed);
        }
    }

    /// Frees what dead processes hold, and what belongs to messages that are gone; whether there was any. `cell` tells
    /// the word of the cell at an index.
    pub(super) fn reap(&self, world: &impl Environment, cell: impl Fn(u64) -> Option<&'a AtomicU64>) -> bool {
        let me = world.me();
        let (mut living, mut found) = (Owner::NOBODY, false);
        for block in 0..self.present() {
            let holder = self.holder(block);
            // Acquire: pairs with `ring.gather` and `ring.hand`, so that the holder's slot is seen as it was then; and
            // with `ring.queue`.
            let seen = holder.load(order!("ring.reap", Acquire));
            let owner = Word(seen).owner();
            let kept = if !owner.is_nobody() {
                owner == me || owner == living || world.is_alive(owner)
            } else if seen & QUEUED != 0 {
                let (index, lap) = (seen >> INDEX_SHIFT & (CELLS - 1), seen >> LAP_SHIFT);
                // Relaxed: see `ring.queue`. What a message's receiver reads it reads from blocks that it holds.
                cell(index).is_some_and(|cell| cell::may_hold(cell.load(Relaxed), lap, LAP_BITS))
            } else {
                seen == 0
            };
            if kept {
                living = if owner.is_nobody() { living } else { owner };
                continue;
            }
            // Release: pairs with `ring.gather`; what the dead one did is seen by the next holder, as by this process.
            if holder.compare_exchange(seen, 0, order!("ring.reaped", Release), Relaxed).is_ok() {
                let mut top = self.top();
                self.push(&mut top, block);
                self.word(0).store(top, Relaxed);
                found = true;
            }
        }
        found
    }

    /// Holds a free block that is found at once. Those whose first turn is still to come are as good as any.
    pub(super) fn find(&self, me: Owner) -> Option<u64> {
        if self.word(8).load(Relaxed) < self.class.turns {
            return None;
        }
        self.turn(me).or_else(|| self.pop(me)).or_else(|| self.sweep(STEPS, me))
    }

    /// Holds one more free block, wherever it is, for a caller that holds some and wants so many in all. `reap` frees those
    /// of the dead; whether there were any.
    #[cold]
    pub(super) fn find_more(
        &self,
        me: Owner,
        (held, count): (u64, u64),
        grow: &mut dyn FnMut(u64, u64) -> bool,
        reap: &dyn Fn() -> bool,
    ) -> Result<u64, Shortage> {
        // Each once at the most, should somebody set the number back again and again.
        for _ in 0..self.class.count {
            let used = self.word(8).load(Relaxed).min(self.class.count);
            if used == self.class.count {
                break;
            }
            if used >= self.present() {
                let reaped = self.is_time_to_reap(used, count - held) && reap();
                if let Some(block) = reaped.then(|| self.sweep(u64::MAX, me)).flatten() {
                    return Ok(block);
                }
                if !self.extend(used, count - held, grow) {
                    // Those that the caller holds itself are among them: waiting helps only if there are enough for all
                    // it wants.
                    let enough = self.present() >= count;
                    return self.sweep(u64::MAX, me).ok_or(if enough { Shortage::Taken } else { Shortage::NoMemory });
                }
            }
            self.word(8).store(used + 1, Relaxed);
            if self.hold(used, me) {
                return Ok(used);
            }
        }
        self.sweep(u64::MAX, me).ok_or(Shortage::Taken)
    }

    /// The block whose turn it is, or one of the next.
    fn turn(&self, me: Owner) -> Option<u64> {
        let (turns, word) = (self.class.turns.min(self.present()), self.word(32));
        let first = word.load(Relaxed);
        for turn in 0..TURNS.min(turns) {
            let block = first.wrapping_add(turn) % turns;
            if self.hold(block, me) {
                word.store(block + 1, Relaxed);
                return Some(block);
            }
        }
        word.store(first.wrapping_add(1), Relaxed);
        None
    }

    /// The last one of the stack, or one before if others have it.
    fn pop(&self, me: Owner) -> Option<u64> {
        for _ in 0..HINTS {
            let top = self.top();
            if top == 0 {
                return None;
            }
            self.word(0).store(top - 1, Relaxed);
            let hint = self.memory.word(self.entry(top - 1) + 16).load(Relaxed);
            if let Some(block) = self.checked(hint).filter(|block| self.hold(*block, me)) {
                return Some(block);
            }
        }
        None
    }

    /// Whether at least `count` blocks with memory are free.
    pub(super) fn has_free(&self, count: u64) -> bool {
        let free = (0..self.present()).filter(|block| self.holder(*block).load(Relaxed) == 0);
        free.take(count as usize).count() as u64 == count
    }

    /// Looks at up to `steps` blocks from where the hand is.
    fn sweep(&self, steps: u64, me: Owner) -> Option<u64> {
        let present = self.present();
        let mut hand = self.word(24).load(Relaxed);
        for _ in 0..steps.min(present) {
            hand = if hand < present { hand } else { 0 };
            hand += 1;
            if self.hold(hand - 1, me) {
                self.word(24).store(hand, Relaxed);
                return Some(hand - 1);
            }
        }
        self.word(24).store(hand, Relaxed);
        None
    }

    /// Holds `block` if it is free.
    fn hold(&self, block: u64, me: Owner) -> bool {
        let holder = self.holder(block);
        // Acquire: pairs with whatever makes a block free. Release: who finds this process dead sees its slot as it is
        // now. To look first is cheaper; the model checker would not see that the exchange has rivals which looked
        // before.
        (cfg!(loom) || holder.load(Relaxed) == 0)
            && holder.compare_exchange(0, Word::held_by(me).0, order!("ring.gather", AcqRel), Relaxed).is_ok()
    }

    /// How many more than `used` blocks there will be when a message wants so many.
    fn step(&self, used: u64, more: u64) -> u64 {
        (GROWTH / self.class.size).max(1).max(more.min(used / 4))
    }

    /// Whether to look for blocks of the dead before more memory is asked for, or it would grow with each death. A look at
    /// all blocks for every eighth of them, or fewer, costs less than the memory.
    #[cold]
    fn is_time_to_reap(&self, used: u64, more: u64) -> bool {
        let eighth = used.checked_ilog2().unwrap_or(0).saturating_sub(3);
        used >= 16 && used >> eighth != (used + self.step(used, more)) >> eighth
    }

    /// Lets more than `used` blocks be used; whether there is memory behind them.
    #[cold]
    fn extend(&self, used: u64, more: u64, grow: &mut dyn FnMut(u64, u64) -> bool) -> bool {
        let Class { table, count, .. } = *self.class;
        let end = (used + self.step(used, more)).min(count);
        // Whole pages, from the beginning of the first, because the last of those before may have been lost.
        let mut ask = |from: u64, to: u64| {
            let from = from / PAGE * PAGE;
            grow(from, to.next_multiple_of(PAGE) - from)
        };
        if !ask(table + used * ENTRY, table + end * ENTRY) || !ask(self.offset(used), self.offset(end)) {
            return false;
        }
        self.word(16).fetch_max(end, Relaxed);
        true
    }

    /// Puts a free block on the stack, if it has no turn.
    fn push(&self, top: &mut u64, block: u64) {
        if block >= self.class.turns && *top < self.present() {
            self.memory.word(self.entry(*top) + 16).store(block, Relaxed);
            *top += 1;
        }
    }

    fn top(&self) -> u64 {
        self.word(0).load(Relaxed).min(self.present())
    }

    /// How many blocks have memory behind them.
    fn present(&self) -> u64 {
        self.word(16).load(Relaxed).min(self.class.count)
    }

    fn word(&self, at: u64) -> &'a AtomicU64 {
        self.memory.word(self.class.words + at)
    }

    fn entry(&self, block: u64) -> u64 {
        self.class.table + block * ENTRY
    }

    fn holder(&self, block: u64) -> &'a AtomicU64 {
        self.memory.word(self.entry(block))
    }
}
