//! What this process is attached to: one slot per segment, however many handles it has.
//!
//! A process that takes part in a segment twice would meet itself as a stranger: a lock taken through one handle would belong
//! to somebody else than the same lock seen through another. So attachments are found by the identity of the memory.
//!
//! All of this belongs to one process. A copy that the program makes with its own `fork` finds out by the [`ForkGuard`] and begins
//! with an empty list: the list of its parent may be locked by a thread that the copy does not have. Each segment has a
//! word ([`Cell`]) that holds who this process is in it, and that the kernel clears in copies: a copy finds zero there at its first
//! use and claims a slot of its own. That is all that the fast path looks at.

use crate::slots::{Slot, Table};
use multiprocess_core::{Owner, Word};
use multiprocess_sys::birth::Birth;
use multiprocess_sys::handle::{Identity, OwnedHandle};
use multiprocess_sys::process::ForkGuard;
use multiprocess_sys::{Error, map};
use std::collections::HashMap;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::segment::Inner;

/// The attachments of one process.
pub(crate) struct Attachments {
    guard: ForkGuard,
    who: Birth,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    attached: HashMap<Identity, Attached>,
    cells: Vec<Cell>,
    next_sweep: Option<Instant>,
}

/// One segment that this process is attached to.
struct Attached {
    slot: Slot,
    /// Mappings of it that use the slot: one, but for two threads that got it at the same time, and after a fork.
    users: usize,
    segment: Weak<Inner>,
}

/// Who this process is in one segment, in memory that is cleared in forked copies: an owner's word, or zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell(&'static AtomicU64);

impl Cell {
    /// Who this process is; `None` if it has not claimed a slot since it was forked.
    #[inline]
    pub(crate) fn owner(self) -> Option<Owner> {
        match self.0.load(Acquire) {
            0 => None,
            word => Some(Word(word).owner()),
        }
    }

    /// The word itself.
    #[inline]
    pub(crate) fn word(self) -> &'static AtomicU64 {
        self.0
    }
}

static CURRENT: AtomicPtr<Attachments> = AtomicPtr::new(std::ptr::null_mut());

/// The attachments of this process, which live as long as it does.
///
/// # Errors
///
/// Out of memory, at the first use.
pub(crate) fn current() -> Result<&'static Attachments, Error> {
    let found = CURRENT.load(Acquire);
    // SAFETY: null, or a value that was leaked below.
    if let Some(found) = unsafe { found.as_ref() }
        && found.guard.is_same_process()
    {
        return Ok(found);
    }
    let made = Attachments { guard: ForkGuard::new()?, who: Birth::of_this_process(), state: Mutex::default() };
    let made = Box::into_raw(Box::new(made));
    match CURRENT.compare_exchange(found, made, AcqRel, Acquire) {
        // SAFETY: leaked just now, and never freed.
        Ok(_) => Ok(unsafe { &*made }),
        Err(other) => {
            // SAFETY: made above, and seen by nobody else.
            drop(unsafe { Box::from_raw(made) });
            // SAFETY: another thread of this process put it there, by the same way, and it is never freed.
            Ok(unsafe { &*other })
        }
    }
}

impl Attachments {
    /// Who this process is, for the tables of segments.
    pub(crate) fn who(&self) -> &Birth {
        &self.who
    }

    /// The segment of that identity, if this process is attached to it.
    pub(crate) fn find(&self, identity: Identity) -> Option<Arc<Inner>> {
        self.lock().attached.get(&identity)?.segment.upgrade()
    }

    /// A word for one more segment.
    pub(crate) fn cell(&self) -> Result<Cell, Error> {
        let mut state = self.lock();
        if state.cells.is_empty() {
            state.cells.extend(map::wiped_words()?.iter().map(Cell));
        }
        Ok(state.cells.pop().expect("a page holds more than one word"))
    }

    /// Attaches this process to a segment, unless another thread just did; `open` gives a description of its own.
    pub(crate) fn attach(
        &self,
        identity: Identity,
        cell: Cell,
        segment: Weak<Inner>,
        table: Table<'_>,
        open: impl FnOnce() -> Result<OwnedHandle, Error>,
    ) -> Result<Owner, Error> {
        let mut state = self.lock();
        if let Some(owner) = cell.owner() {
            return Ok(owner);
        }
        let owner = match state.attached.get_mut(&identity) {
            Some(attached) => {
                attached.users += 1;
                // The mapping that was here may be on its way out.
                attached.segment = segment;
                attached.slot.owner()
            }
            None => {
                let slot = table.claim(open()?, &self.who)?;
                let owner = slot.owner();
                state.attached.insert(identity, Attached { slot, users: 1, segment });
                owner
            }
        };
        cell.0.store(Word::held_by(owner).0, Release);
        Ok(owner)
    }

    /// Takes back the word of a mapping that is going, and the slot with the last one, for the caller to drop.
    pub(crate) fn detach(&self, identity: Identity, cell: Cell) -> Option<Slot> {
        let mut state = self.lock();
        let was_attached = cell.owner().is_some();
        cell.0.store(0, Release);
        state.cells.push(cell);
        let attached = state.attached.get_mut(&identity).filter(|_| was_attached)?;
        attached.users -= 1;
        if attached.users > 0 {
            return None;
        }
        state.attached.remove(&identity).map(|attached| attached.slot)
    }

    /// Whether it is time to look for names of the dead; if so, the caller does, and tells how long it took.
    pub(crate) fn may_sweep(&self) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        let is_time = state.next_sweep.is_none_or(|next| next <= now);
        if is_time {
            state.next_sweep = Some(now + PAUSE);
        }
        is_time
    }

    /// A sweep took `took`: sweeping costs at most a hundredth of the time.
    pub(crate) fn swept(&self, took: Duration) {
        let pause = took.saturating_mul(100).max(PAUSE);
        self.lock().next_sweep = Instant::now().checked_add(pause);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The least time between two sweeps of one process.
const PAUSE: Duration = Duration::from_millis(100);
