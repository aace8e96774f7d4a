//! A lane: what one worker after the other writes for the pool, and nobody else.
//!
//! | Word | Meaning |
//! | :-: | --- |
//! | 0 | the stage: 0 before the worker is ready, then 1 |
//! | 1 | how many tasks it has done |
//! | 2 | how many nanoseconds it has been busy |
//! | 16 and on | the ring of entries, as many as there are slots |
//!
//! An entry is its number, counted from 1, in the upper 48 bits, and a slot in the lower 16. So the pool knows an entry that it has
//! not read yet, and the ring cannot overflow: a slot has at most one entry that was not read, for the pool fills
//! no slot before it has read its entry, or has found it done when its worker was dead. The pool clears a lane before another worker
//! gets it.

use super::{APART, Damaged, Slot, Status};
use crate::atomics::{AtomicU64, Ordering::Relaxed};
use crate::owner::Owner;

const STAGE: usize = 0;
const COUNT: usize = 1;
const BUSY: usize = 2;

/// How far a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It prepares itself.
    Starting,
    /// It takes tasks.
    Ready,
}

/// What the pool finds in a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing new.
    Nothing,
    /// This slot is done.
    Done(usize),
}

/// One lane.
#[derive(Debug, Clone, Copy)]
pub struct Lane<'a> {
    words: &'a [AtomicU64],
    index: usize,
    mask: usize,
}

impl<'a> Lane<'a> {
    pub(super) fn words(slots: usize) -> usize {
        APART + slots
    }

    pub(super) fn new(words: &'a [AtomicU64], index: usize, mask: usize) -> Lane<'a> {
        Lane { words, index, mask }
    }

    #[inline]
    fn entry(&self, number: u64) -> &'a AtomicU64 {
        &self.words[APART + (number as usize & self.mask)]
    }

    /// For the pool: the entry of that number (the first is 0); `slot` gives the slot of a number.
    ///
    /// # Errors
    ///
    /// The worker has written what no worker writes.
    #[inline]
    pub fn find(&self, number: u64, slot: impl FnOnce(usize) -> Slot<'a>) -> Result<Found, Damaged> {
        // Relaxed: it is only a hint, and the slot's own word tells the rest.
        let entry = self.entry(number).load(Relaxed);
        if entry >> 16 != (number + 1) & (u64::MAX >> 16) {
            return Ok(Found::Nothing);
        }
        let index = (entry & 0xffff) as usize;
        if index > self.mask {
            return Err(Damaged);
        }
        match slot(index).status() {
            Status::Done(lane, _) if lane == self.index => Ok(Found::Done(index)),
            // The entry is seen before the slot's own words, of which the last seen one is the pool's.
            Status::Ready => Ok(Found::Nothing),
            // It is about to be done, or its task was taken away in that moment.
            Status::Running(lane, _) | Status::Condemned(lane, _) if lane == self.index => Ok(Found::Nothing),
            _ => Err(Damaged),
        }
    }

    /// For the worker: the task in `slot`, with the given number, is done, and its result lies in it. `false` if the task was taken
    /// away; then the worker must not go on.
    #[inline]
    #[must_use = "false means that the worker must not go on"]
    pub fn finish(&self, number: u64, index: usize, slot: Slot<'a>, me: Owner) -> bool {
        // First the hint, which is believed only when the slot is done: so the exchange of the slot's word is the last thing
        // before `work.done`, and is a fence already where exchanges are.
        self.entry(number).store((number + 1) << 16 | index as u64, Relaxed);
        slot.finish(self.index, me)
    }

    /// For the pool: prepares it for the next worker, before that is started.
    pub fn clear(&self) {
        self.words[STAGE].store(0, Relaxed);
        for entry in &self.words[APART..] {
            entry.store(0, Relaxed);
        }
    }

    /// How far the worker has come.
    pub fn stage(&self) -> Stage {
        if self.words[STAGE].load(Relaxed) == 0 { Stage::Starting } else { Stage::Ready }
    }

    /// For the worker: it takes tasks from now on.
    pub fn set_ready(&self) {
        // An exchange, because `work.done` comes next.
        self.words[STAGE].swap(1, Relaxed);
    }

    /// For the worker: adds to what it has done.
    #[inline]
    pub fn add(&self, tasks: u64, nanoseconds: u64) {
        for (at, more) in [(COUNT, tasks), (BUSY, nanoseconds)] {
            let word = &self.words[at];
            word.store(word.load(Relaxed).wrapping_add(more), Relaxed); // only this worker writes it
        }
    }

    /// How many tasks its workers have done, and for how many nanoseconds they were busy.
    pub fn work(&self) -> (u64, u64) {
        (self.words[COUNT].load(Relaxed), self.words[BUSY].load(Relaxed))
    }
}
