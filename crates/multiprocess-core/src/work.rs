//! Tasks and those who do them: slots that one process, the *pool*, fills, and that others, the *workers*, take and answer.
//!
//! Each slot has a state word ([`Word`](crate::Word)) that names who runs its task:
//!
//! | State | Owner | Meaning | Others may be |
//! | --- | --- | --- | --- |
//! | `FREE` | nobody | no task, or one that was withdrawn | the pool, filling it |
//! | `READY` | nobody | a task that waits | about to claim it, or (the pool) to withdraw it |
//! | `RUNNING` | w, lane | w runs the task, or is about to, or has just written its result | - |
//! | `RUNNING` | w, lane, dead | the task died with w | the pool, taking it away |
//! | `DONE` | w, lane | the result lies in the slot | the pool, reading it; it fills the slot again from this state |
//! | `FREE` | w, lane | *condemned*: the pool has taken the task away (its time was over) and is about to end w | w, running it for nothing |
//!
//! A **claim** is one exchange `READY` -> `RUNNING`, a **result** one exchange `RUNNING` -> `DONE`, and so a worker that is killed
//! takes exactly the task with it whose slot names it. The pool **takes a task away** by an exchange from `RUNNING`, and a worker whose
//! own exchange fails does nothing any more: so nobody is ended who runs another task already.
//!
//! All else is only a hint where to look, and may be lost:
//!
//! * **Positions** count up without end; position p means slot p modulo their number. `tail` is the first position that has no task
//!   yet, `head` the first one that no worker has set out for. The pool fills the slot at `tail` (it steps over one that
//!   still runs) and then moves `tail`. A worker moves `head` over one or several positions and claims what is ready there,
//!   one slot before each task. So tasks start in order, and finding one costs one exchange.
//! * A position that a worker set out for and never reached (it was killed, or a task before it takes long) leaves a *straggler*:
//!   a ready slot behind `head`. Who finds nothing else to do looks at all slots before it sleeps; the pool offers a dead worker's
//!   stragglers anew; and after one round the position of a straggler comes again.
//! * **Lanes**: each worker has one to itself, with a ring of entries, in which it notes the slots that it has done. An entry holds its
//!   number and its slot; the pool reads them in order, and believes one only if the slot is `DONE`.
//!
//! **Sleeping.** Workers sleep on `work`, the pool's process on `signal`: an epoch and flags, as in the semaphore. Who
//! goes to sleep turns a flag on, fences, looks once more, and sleeps on the word. Who has something for others fences,
//! looks at the flags, and if one is on counts the epoch up and wakes. One of the two fences comes first: either the
//! sleeper sees the news or the other one the flag. The pool may wake fewer than it has tasks for, or nobody while
//! workers are at it; then, before it sleeps itself, it wakes all if there are still positions that nobody has set out
//! for. `signal` has a second flag, `BELL`: somebody sleeps who watches other things too and must be told by other
//! means, once.
//!
//! **Death of a worker**, by step. Before its claim: at most a straggler. After the claim and before `DONE`: the task is lost, the
//! pool, which is told of the end of the process, finds the slot by its lane, and no successor gets the lane before; an entry that it
//! has written already is not believed. After `DONE` and before the wake-up: the pool looks at all slots and finds the result, since
//! the end of a process wakes the pool in any case. Asleep, when it was chosen for a wake-up: the pool wakes the others after each
//! death. The pool's process: its workers end with it.

mod lane;
mod slot;
#[cfg(all(test, not(loom)))]
mod tests;

pub use lane::{Found, Lane, Stage};
pub use slot::{FLAGS_MAX, INLINE, Slot, Status};

use crate::atomics::{AtomicU64, Ordering::Relaxed, fence, light_fence, order};
use crate::owner::Owner;
use crate::wait::{Environment, Step, Wait};
use slot::SLOT_WORDS;

/// Somebody sleeps on the word.
const WAITERS: u64 = 1;
/// Somebody sleeps elsewhere and is to be told by a bell.
const BELL: u64 = 2;
const EPOCH: u64 = 4;

/// Words that different processes write lie so many words apart: two cache lines.
const APART: usize = 16;
const TAIL: usize = 0;
const HEAD: usize = APART;
const WORK: usize = 2 * APART;
const SIGNAL: usize = 3 * APART;
const CLOSED: usize = 4 * APART;
const LANES: usize = 5 * APART;

/// What nobody writes who follows the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

/// What the end of a task asks its worker to do.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// Nothing.
    None,
    /// Ring the bell of the pool.
    Bell,
}

/// What a worker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look at these positions: the first, and how many.
    Positions(u64, u64),
    /// Run the task in this slot, which it has claimed.
    Claimed(usize),
    /// Leave: there is nothing to do and there will not be.
    Leave,
    /// The time is over.
    TimedOut,
}

/// All words of a pool, as each process sees them. Zeros are a pool without tasks.
#[derive(Debug, Clone, Copy)]
pub struct Board<'a> {
    words: &'a [AtomicU64],
    slots: &'a [AtomicU64],
    lanes: usize,
    mask: usize,
}

impl<'a> Board<'a> {
    /// The most lanes that can be told apart.
    pub const LANES_MAX: usize = 1 << 14;
    /// The most slots that an entry can name.
    pub const SLOTS_MAX: usize = 1 << 16;

    /// How many words a pool needs; `None` if no pool has so many slots or lanes. The number of slots is a power of two.
    pub fn length(slots: usize, lanes: usize) -> Option<usize> {
        let fits = slots.is_power_of_two()
            && (2..=Board::SLOTS_MAX).contains(&slots)
            && (1..=Board::LANES_MAX).contains(&lanes);
        fits.then(|| LANES + lanes * Lane::words(slots) + slots * SLOT_WORDS)
    }

    /// The pool of so many slots and lanes in `words`; `None` if they are too few.
    pub fn new(words: &'a [AtomicU64], slots: usize, lanes: usize) -> Option<Board<'a>> {
        let length = Board::length(slots, lanes)?;
        let (words, at) = (words.get(..length)?, length - slots * SLOT_WORDS);
        Some(Board { words, slots: &words[at..], lanes, mask: slots - 1 })
    }

    /// The number of slots.
    #[inline]
    pub fn slots(&self) -> usize {
        self.mask + 1
    }

    /// The slot at a position.
    #[inline]
    pub fn slot_at(&self, position: u64) -> usize {
        position as usize & self.mask
    }

    /// One slot; numbers beyond the last one begin anew.
    #[inline]
    pub fn slot(&self, index: usize) -> Slot<'a> {
        let at = (index & self.mask) * SLOT_WORDS;
        Slot::new(&self.slots[at..at + SLOT_WORDS])
    }

    /// One lane.
    ///
    /// # Panics
    ///
    /// There is no such lane.
    pub fn lane(&self, index: usize) -> Lane<'a> {
        assert!(index < self.lanes, "a pool has no lane {index}");
        let length = Lane::words(self.slots());
        Lane::new(&self.words[LANES + index * length..][..length], index, self.mask)
    }

    #[inline]
    fn word(&self, at: usize) -> &'a AtomicU64 {
        &self.words[at]
    }

    /// For the pool: how many positions from `tail` on it may fill.
    ///
    /// # Errors
    ///
    /// A worker has written what no worker writes.
    #[inline]
    pub fn room(&self, tail: u64) -> Result<usize, Damaged> {
        let waiting = tail.checked_sub(self.word(HEAD).load(Relaxed)).ok_or(Damaged)?;
        (self.slots() as u64).checked_sub(waiting).map(|room| room as usize).ok_or(Damaged)
    }

    /// For the pool: whether some worker has set out for `position` already.
    pub fn is_behind(&self, position: u64) -> bool {
        position < self.word(HEAD).load(Relaxed)
    }

    /// For the pool: whether there are positions that no worker has set out for.
    pub fn has_waiting(&self) -> bool {
        self.word(HEAD).load(Relaxed) != self.word(TAIL).load(Relaxed)
    }

    /// For the pool: says that all positions before `tail` have what they will have.
    #[inline]
    pub fn publish(&self, tail: u64) {
        // Release: pairs with `work.look`; who sees the tail sees that the slots before it are ready.
        self.word(TAIL).store(tail, order!("work.publish", Release));
    }

    /// For the pool, after [`publish`](Board::publish): wakes up to `count` workers, if some sleep.
    #[inline]
    pub fn wake_workers(&self, count: u32, world: &impl Environment) {
        // Pairs with `work.idle`.
        fence!("work.published");
        if self.word(WORK).load(Relaxed) & WAITERS != 0 {
            wake(self.word(WORK), count, world);
        }
    }

    /// For the pool: no more tasks will come. Workers leave when they find none.
    pub fn close(&self, world: &impl Environment) {
        self.word(CLOSED).store(1, Relaxed);
        self.wake_workers(u32::MAX, world);
    }

    /// For the pool: announces that a thread of its process will sleep on the signal; what to [sleep on](Board::signal).
    /// Whoever called looks for news once more before it sleeps.
    pub fn announce(&self) -> u64 {
        let announced = self.word(SIGNAL).fetch_or(WAITERS, Relaxed) | WAITERS;
        // Pairs with `work.done`.
        fence!("work.announce");
        announced
    }

    /// For the pool: asks for the bell to be rung at the next news. Whoever called looks for news once more.
    pub fn arm(&self) {
        self.word(SIGNAL).fetch_or(BELL, Relaxed);
        // Pairs with `work.done`.
        fence!("work.arm");
    }

    /// For the pool: no bell is needed any more.
    pub fn disarm(&self) {
        if self.word(SIGNAL).load(Relaxed) & BELL != 0 {
            self.word(SIGNAL).fetch_and(!BELL, Relaxed);
        }
    }

    /// The word that threads of the pool's process sleep on.
    pub fn signal(&self) -> &'a AtomicU64 {
        self.word(SIGNAL)
    }

    /// Ends the sleep of the threads of the pool's process.
    pub fn wake_pool(&self, world: &impl Environment) {
        let mut signal = self.word(SIGNAL).load(Relaxed);
        while signal & WAITERS != 0 {
            let quiet = (signal & !WAITERS).wrapping_add(EPOCH);
            match self.word(SIGNAL).compare_exchange_weak(signal, quiet, Relaxed, Relaxed) {
                Ok(_) => drop(world.wake(self.word(SIGNAL), u32::MAX)),
                Err(now) => signal = now,
            }
        }
    }

    /// For a worker that has [finished](Lane::finish) a task just now, or [is ready](Lane::set_ready): tells the pool, if it sleeps.
    #[inline]
    pub fn report(&self, world: &impl Environment) -> Alarm {
        // Pairs with `work.announce` and `work.arm`. Light: an exchange comes right before.
        light_fence!("work.done");
        match self.word(SIGNAL).load(Relaxed) & (WAITERS | BELL) {
            0 => Alarm::None,
            _ => self.call_pool(world),
        }
    }

    #[cold]
    fn call_pool(&self, world: &impl Environment) -> Alarm {
        let mut signal = self.word(SIGNAL).load(Relaxed);
        loop {
            if signal & (WAITERS | BELL) == 0 {
                return Alarm::None; // another worker was faster
            }
            let quiet = (signal & !(WAITERS | BELL)).wrapping_add(EPOCH);
            match self.word(SIGNAL).compare_exchange_weak(signal, quiet, Relaxed, Relaxed) {
                Ok(_) => break,
                Err(now) => signal = now,
            }
        }
        if signal & WAITERS != 0 {
            world.wake(self.word(SIGNAL), u32::MAX);
        }
        if signal & BELL != 0 { Alarm::Bell } else { Alarm::None }
    }

    /// For a worker: sets out for up to `most` positions, if there are tasks; not for more than a fair share of them.
    #[inline]
    pub fn set_out(&self, most: u64) -> Option<(u64, u64)> {
        let mut head = self.word(HEAD).load(Relaxed);
        loop {
            // Acquire: pairs with `work.publish`.
            let tail = self.word(TAIL).load(order!("work.look", Acquire));
            // Whatever stands there: at most as many as there are slots.
            let waiting = tail.checked_sub(head).filter(|waiting| *waiting <= self.slots() as u64)?;
            if waiting == 0 {
                return None;
            }
            let count = (waiting / (2 * self.lanes as u64)).clamp(1, most.max(1));
            match self.word(HEAD).compare_exchange_weak(head, head + count, Relaxed, Relaxed) {
                Ok(_) => return Some((head, count)),
                Err(now) => head = now,
            }
        }
    }

    /// For a worker: claims any ready slot, also one that others have passed by.
    pub fn search(&self, lane: usize, me: Owner) -> Option<usize> {
        (0..self.slots()).find(|index| self.slot(*index).claim(lane, me))
    }

    /// For a worker: the next thing to do, when something is to be done before `wait` loses patience.
    pub fn next(&self, lane: usize, most: u64, me: Owner, wait: &mut impl Wait) -> Next {
        loop {
            if let Some((first, count)) = self.set_out(most) {
                return Next::Positions(first, count);
            }
            if self.word(CLOSED).load(Relaxed) != 0 {
                return self.search(lane, me).map_or(Next::Leave, Next::Claimed);
            }
            match wait.step() {
                Step::Retry => {}
                Step::TimedOut => return Next::TimedOut,
                Step::Probe => {
                    if let Some(slot) = self.search(lane, me) {
                        return Next::Claimed(slot);
                    }
                }
                Step::Sleep => {
                    let announced = self.word(WORK).fetch_or(WAITERS, Relaxed) | WAITERS;
                    // Pairs with `work.published`.
                    fence!("work.idle");
                    let is_idle = self.word(TAIL).load(Relaxed) == self.word(HEAD).load(Relaxed);
                    if is_idle && self.word(CLOSED).load(Relaxed) == 0 {
                        wait.sleep(self.word(WORK), announced);
                    }
                }
            }
        }
    }
}

/// Ends the sleep of up to `count`, and of those who are about to fall asleep.
#[cold]
fn wake(word: &AtomicU64, count: u32, world: &impl Environment) {
    let seen = word.fetch_add(EPOCH, Relaxed).wrapping_add(EPOCH);
    if world.wake(word, count) >= count || seen & WAITERS == 0 {
        return;
    }
    let quiet = (seen & !WAITERS).wrapping_add(EPOCH);
    if word.compare_exchange(seen, quiet, Relaxed, Relaxed).is_ok() {
        // Somebody may have fallen asleep on what the flag's end has changed.
        world.wake(word, u32::MAX);
    }
}
