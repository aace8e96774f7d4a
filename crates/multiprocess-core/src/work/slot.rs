//! One slot: a task on its way to a worker, and what came of it on its way back.
//!
//! | Word | A task | Its result |
//! | :-: | --- | --- |
//! | 0 | the state | the state |
//! | 1 | which function | the same |
//! | 2 | the length of its arguments (48 bits), flags | the length of the result (48 bits), flags |
//! | 3 | where the arguments lie, if they are too long for the slot; 0 = here | where the result lies, likewise |
//! | 4 | the progress, which its worker writes while it runs | the same |
//! | 5 | since when it runs, if it is timed; likewise | the same |
//! | 6 to 15 | arguments | result |
//!
//! The state orders all others: they are written by the pool before `READY`, and by the worker that owns the slot before `DONE`.
//! A worker that has copied the arguments may write a part of the result, and say in `progress` how much: after its death that is
//! there, since the kernel ends a process between two instructions.

use crate::atomics::{AtomicU64, Ordering::Relaxed, order};
use crate::owner::{Owner, Word};
use core::sync::atomic::{Ordering, compiler_fence};

pub(super) const SLOT_WORDS: usize = 16;
const STATE: usize = 0;
const FUNCTION: usize = 1;
const MEASURE: usize = 2;
const PLACE: usize = 3;
const PROGRESS: usize = 4;
const SINCE: usize = 5;
const DATA: usize = 6;

/// How many bytes fit into a slot.
pub const INLINE: usize = (SLOT_WORDS - DATA) * 8;

/// Flags are below this.
pub const FLAGS_MAX: u16 = u16::MAX;

const LENGTH: u64 = (1 << 48) - 1;

const FREE: u16 = 0;
const READY: u16 = 1 << 14;
const RUNNING: u16 = 2 << 14;
const DONE: u16 = 3 << 14;
const LANE: u16 = (1 << 14) - 1;

/// What a slot's state word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No task.
    Free,
    /// A task that waits.
    Ready,
    /// A worker of this lane runs it.
    Running(usize, Owner),
    /// A worker of this lane has done it.
    Done(usize, Owner),
    /// A worker of this lane runs it for nothing, and must not go on afterwards.
    Condemned(usize, Owner),
}

/// One slot.
#[derive(Debug, Clone, Copy)]
pub struct Slot<'a>(&'a [AtomicU64]);

impl<'a> Slot<'a> {
    #[inline]
    pub(super) fn new(words: &'a [AtomicU64]) -> Slot<'a> {
        Slot(words)
    }

    /// Its state now. What its owner wrote before it was done is visible.
    #[inline]
    pub fn status(&self) -> Status {
        // Acquire: pairs with `work.finish`.
        let word = Word(self.0[STATE].load(order!("work.collect", Acquire)));
        let lane = usize::from(word.tag() & LANE);
        match word.tag() & !LANE {
            READY => Status::Ready,
            RUNNING => Status::Running(lane, word.owner()),
            DONE => Status::Done(lane, word.owner()),
            _ if word.owner().is_nobody() => Status::Free,
            _ => Status::Condemned(lane, word.owner()),
        }
    }

    /// For the pool: puts a task in, which is then ready. Only while the slot has none.
    #[inline]
    pub fn offer(&self) {
        // Release: pairs with `work.claim`.
        self.0[STATE].store(Word::FREE.with_tag(READY).0, order!("work.offer", Release));
    }

    /// For the pool: takes a task back that nobody has claimed; whether that was in time.
    pub fn withdraw(&self) -> bool {
        let ready = Word::FREE.with_tag(READY).0;
        self.0[STATE].compare_exchange(ready, Word::FREE.0, Relaxed, Relaxed).is_ok()
    }

    /// For the pool: takes a task away from its worker of that lane, which must not go on afterwards and is to be ended. `false` if
    /// nobody there runs it any more.
    pub fn condemn(&self, lane: usize) -> bool {
        let Status::Running(running, owner) = self.status() else { return false };
        let word = |state| Word::held_by(owner).with_tag(state | lane as u16 & LANE).0;
        running == lane && self.0[STATE].compare_exchange(word(RUNNING), word(FREE), Relaxed, Relaxed).is_ok()
    }

    /// For the pool: makes a slot free whose task it has, or whose worker has ended and has no successor yet.
    pub fn clear(&self) {
        self.0[STATE].store(Word::FREE.0, Relaxed);
    }

    /// For a worker: claims the task, if one is ready here.
    #[inline]
    pub fn claim(&self, lane: usize, me: Owner) -> bool {
        let ready = Word::FREE.with_tag(READY).0;
        if self.0[STATE].load(Relaxed) != ready {
            return false;
        }
        let running = Word::held_by(me).with_tag(RUNNING | lane as u16 & LANE).0;
        // Acquire: pairs with `work.offer`; the arguments are visible.
        self.0[STATE].compare_exchange(ready, running, order!("work.claim", Acquire), Relaxed).is_ok()
    }

    /// For the worker that runs the task: its result lies in the slot. `false` if the task was taken away.
    #[inline]
    pub(super) fn finish(&self, lane: usize, me: Owner) -> bool {
        let word = |state| Word::held_by(me).with_tag(state | lane as u16 & LANE).0;
        // Release: pairs with `work.collect`.
        let release = order!("work.finish", Release);
        self.0[STATE].compare_exchange(word(RUNNING), word(DONE), release, Relaxed).is_ok()
    }

    /// Which function the task calls.
    #[inline]
    pub fn function(&self) -> u64 {
        self.0[FUNCTION].load(Relaxed)
    }

    /// For the pool: which function it shall call.
    #[inline]
    pub fn set_function(&self, function: u64) {
        self.0[FUNCTION].store(function, Relaxed);
    }

    /// The length of what lies in the slot or elsewhere, its place (0: in the slot), and the flags. Anything may stand there.
    #[inline]
    pub fn measure(&self) -> (u64, u64, u16) {
        let measure = self.0[MEASURE].load(Relaxed);
        (measure & LENGTH, self.0[PLACE].load(Relaxed), (measure >> 48) as u16)
    }

    /// Says that `length` bytes lie at `place`.
    #[inline]
    pub fn set_measure(&self, length: u64, place: u64, flags: u16) {
        self.0[MEASURE].store(length & LENGTH | u64::from(flags) << 48, Relaxed);
        self.0[PLACE].store(place, Relaxed);
    }

    /// How far the task has come, and since when it runs; its worker may write both at any time.
    #[inline]
    pub fn notes(&self) -> (u64, u64) {
        (self.0[PROGRESS].load(Relaxed), self.0[SINCE].load(Relaxed))
    }

    /// How far the task has come. What came of it so far is in place before.
    #[inline]
    pub fn set_progress(&self, progress: u64) {
        // Only the compiler could put it before what stands before it: nobody reads it while its writer lives.
        compiler_fence(Ordering::Release);
        self.0[PROGRESS].store(progress, Relaxed);
    }

    /// Since when it runs.
    #[inline]
    pub fn set_since(&self, since: u64) {
        self.0[SINCE].store(since, Relaxed);
    }

    /// Puts up to [`INLINE`] bytes into the slot.
    ///
    /// # Panics
    ///
    /// There are more.
    #[inline]
    pub fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= INLINE, "more bytes than a slot holds");
        let (words, rest) = bytes.as_chunks::<8>();
        for (to, bytes) in self.0[DATA..].iter().zip(words) {
            to.store(u64::from_le_bytes(*bytes), Relaxed);
        }
        if !rest.is_empty() {
            self.0[DATA + words.len()].store(partial(rest), Relaxed);
        }
    }

    /// Copies the first `N` words of the slot's bytes out.
    #[inline]
    pub fn read<const N: usize>(&self) -> [[u8; 8]; N] {
        const { assert!(N <= SLOT_WORDS - DATA) };
        core::array::from_fn(|at| self.0[DATA + at].load(Relaxed).to_le_bytes())
    }
}

/// Up to seven bytes as the lower ones of a word, without a loop.
#[inline]
fn partial(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ => match bytes {
            [] => 0,
            [first, .., last] => {
                u64::from(*first) | u64::from(bytes[len / 2]) << (8 * (len / 2)) | u64::from(*last) << (8 * (len - 1))
            }
            [only] => u64::from(*only),
        },
    }
}
