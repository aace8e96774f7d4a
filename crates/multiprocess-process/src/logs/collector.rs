//! The collector of a process with a subscriber: the letterbox of all its children, and the thread that takes letters out.
//!
//! # When a letter is out
//!
//! The thread numbers its *attempts* to take a letter, and notes when one has begun and when what it took is out. Whoever flushes
//!
//! 1. asks how many bytes lie in the box: what was put in before is among them, or was taken by an attempt that has begun;
//! 2. then, under the lock, looks which attempt was the last to begin;
//! 3. waits until that one has ended, and then until as many bytes are out as lay in the box, or a later attempt has found nothing.
//!
//! Letters come out in their order, so others that are put in all the time delay it by what lay in the box before them and no more. If
//! nothing lies in the box and the last attempt has ended, which is usual, there is nothing to wait for and nobody to wake.

use super::letter::Letter;
use super::sites::{Sites, TARGET};
use crate::registry::lock;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::letterbox::{LETTER_MAX, Letterbox, Slot, Taken};
use multiprocess_sys::signal::Blocked;
use multiprocess_sys::{Error, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How long a flush waits for a subscriber that takes no event, in so many looks, and altogether. A machine that stood still has used
/// up one look, not all.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOKS: u32 = 4;
const PATIENCE_MAX: Duration = Duration::from_secs(10);

/// How long to wait when the operating system has no memory to take a letter.
const PAUSE: Duration = Duration::from_millis(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Collector {
    slot: Slot,
    inbox: Arc<Inbox>,
}

#[derive(Debug)]
struct Inbox {
    letterbox: Letterbox,
    progress: Mutex<Progress>,
    moved: Condvar,
}

/// How far the thread has come.
#[derive(Debug, Default)]
struct Progress {
    /// The number of the last attempt that has begun, of the last that has ended, and of the last that found nothing.
    begun: u64,
    ended: u64,
    empty: u64,
    /// How many bytes of letters are out.
    bytes: u64,
    /// How many threads wait.
    waiting: usize,
    /// The thread takes no more letters.
    is_over: bool,
    thread: Option<ThreadId>,
}

impl Collector {
    /// Makes the letterbox, and starts the thread.
    pub(super) fn start() -> Result<Collector, Error> {
        let (letterbox, slot) = Letterbox::new()?;
        let inbox = Arc::new(Inbox { letterbox, progress: Mutex::default(), moved: Condvar::new() });
        let same = Arc::clone(&inbox);
        // It is no thread of the user's: signals are for those. It shares their descriptors, which subscribers write to.
        let blocked = Blocked::all();
        let started = thread::Builder::new().name("mp-logs".to_owned()).spawn(move || same.empty());
        drop(blocked);
        let thread = started.map_err(|e| Error::os("starting the thread that takes events", e))?;
        lock(&inbox.progress).thread = Some(thread.thread().id());
        Ok(Collector { slot, inbox })
    }

    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(super) fn is_over(&self) -> bool {
        lock(&self.inbox.progress).is_over
    }

    /// Waits until what was put in before now is out. See the module.
    pub(super) fn flush(&self) {
        let inbox = &*self.inbox;
        let Ok(queued) = inbox.letterbox.bytes() else { return };
        let mut progress = lock(&inbox.progress);
        let last = progress.begun;
        if progress.is_over
            || progress.thread == Some(thread::current().id())
            || (queued == 0 && progress.ended == last)
        {
            return;
        }
        let limit = Deadline::after(PATIENCE_MAX);
        let (mut from, mut looks) = (None, 0);
        progress.waiting += 1;
        loop {
            if from.is_none() && progress.ended >= last {
                from = Some(progress.bytes);
            }
            let is_out = from.is_some_and(|from| progress.bytes - from >= queued) || progress.empty > last;
            if is_out || progress.is_over || limit.has_passed() {
                break;
            }
            let before = progress.ended;
            let (now, slept) =
                inbox.moved.wait_timeout(progress, PATIENCE / LOOKS).unwrap_or_else(PoisonError::into_inner);
            progress = now;
            looks = if slept.timed_out() && progress.ended == before { looks + 1 } else { 0 };
            if looks == LOOKS {
                break;
            }
        }
        progress.waiting -= 1;
    }
}

impl Inbox {
    /// Takes letters until nobody can put any in, which is when this process has closed the slot.
    fn empty(&self) {
        let (mut buffer, mut sites, mut strange) = (Box::new([0; LETTER_MAX]), Sites::default(), 0);
        let mut attempt = 0;
        loop {
            attempt += 1;
            lock(&self.progress).begun = attempt;
            let taken = self.letterbox.take(&mut buffer, Deadline::now());
            let mut bytes = 0;
            let is_over = match &taken {
                Ok(Taken::Letter(length)) => {
                    bytes = *length as u64;
                    open(&buffer[..*length], &mut sites, &mut strange);
                    false
                }
                Ok(Taken::Nothing) => false,
                Ok(Taken::Closed) => true,
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    note_strange(&mut strange);
                    false
                }
                Err(_) => {
                    thread::sleep(PAUSE);
                    false
                }
            };
            let is_empty = matches!(taken, Ok(Taken::Nothing));
            self.note(attempt, bytes, is_empty, is_over);
            if is_over {
                return;
            }
            if is_empty && self.letterbox.wait().is_err() {
                thread::sleep(PAUSE);
            }
        }
    }

    fn note(&self, attempt: u64, bytes: u64, is_empty: bool, is_over: bool) {
        let mut progress = lock(&self.progress);
        progress.ended = attempt;
        progress.bytes += bytes;
        progress.is_over = is_over;
        if is_empty {
            progress.empty = attempt;
        }
        if progress.waiting > 0 {
            self.moved.notify_all();
        }
    }
}

/// Hands what is in a letter to the subscriber. A subscriber that panics has panicked for this event alone.
fn open(bytes: &[u8], sites: &mut Sites, strange: &mut u64) {
    match Letter::decode(bytes) {
        Ok(letter) => drop(catch_unwind(AssertUnwindSafe(|| sites.emit(&letter)))),
        Err(_) => note_strange(strange),
    }
}

/// Tells of letters that are none, ever less often.
fn note_strange(strange: &mut u64) {
    *strange += 1;
    if strange.is_power_of_two() {
        let count = *strange;
        let tell = || tracing::warn!(target: TARGET, count, "what a process has written is no event");
        let _ = catch_unwind(AssertUnwindSafe(tell));
    }
}
