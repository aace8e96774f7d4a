//! Futexes without the private flag (futex(2)), so that processes with different mappings of one word find each other.

use crate::{Error, seam};
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec};
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

/// On how many words one can sleep at once.
pub const WORDS_MAX: usize = 128;

/// How long to sleep on the first of many words where the system cannot sleep on all of them: the others are read again then.
const BLIND_SLICE: Duration = Duration::from_millis(2);

/// Sleeps while the lower half of `word` is `expected`, at most for `at_most`.
///
/// Returns early for many reasons (a wake-up, a signal, another value): the caller reads the word again. It says nothing about
/// why, because a wake-up may have been meant for a process that was killed before it ran.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::park;
/// use std::{sync::atomic::AtomicU64, time::Duration};
///
/// let word = AtomicU64::new(1);
/// park::sleep(&word, 0, Duration::MAX); // another value: does not sleep
/// park::sleep(&word, 1, Duration::from_millis(1));
/// ```
///
/// # Crash
///
/// A sleeper that is killed leaves nothing behind, but takes a wake-up with it that had chosen it.
pub fn sleep(word: &AtomicU64, expected: u32, at_most: Duration) {
    let slice = Timespec::try_from(at_most).ok();
    // Whatever it returns, the caller looks again.
    let _ = futex::wait(lower_half(word), Flags::empty(), expected, slice.as_ref());
}

/// Sleeps while the lower half of each of `words` is the number that stands with it, at most for `at_most`. There may be
/// [`WORDS_MAX`] of them; the same one may stand there twice.
///
/// Returns early for many reasons, as [`sleep`] does, and says nothing about why: the caller reads the words again.
///
/// # Errors
///
/// Out of memory, or there are too many words.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::park;
/// use std::{sync::atomic::AtomicU64, time::Duration};
///
/// let (first, second) = (AtomicU64::new(1), AtomicU64::new(2));
/// park::sleep_on_any(&[(&first, 1), (&second, 0)], Duration::MAX)?; // one has another value: does not sleep
/// park::sleep_on_any(&[(&first, 1), (&second, 2)], Duration::from_millis(1))?;
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
///
/// # Crash
///
/// As for [`sleep`].
///
/// # Platform
///
/// futex_waitv(2), since Linux 5.16. Where that is missing, or a filter refuses it, this sleeps on the first word only, and
/// at most for two milliseconds.
pub fn sleep_on_any(words: &[(&AtomicU64, u32)], at_most: Duration) -> Result<(), Error> {
    if let [(word, expected)] = words {
        sleep(word, *expected, at_most);
        return Ok(());
    }
    let waits: Vec<futex::Wait> = words.iter().map(|(word, expected)| wait_on(word, *expected)).collect();
    let end = Timespec::try_from(at_most).ok().and_then(|slice| clock_gettime(ClockId::Monotonic).checked_add(slice));
    let sleep_on_all = || futex::waitv(&waits, futex::WaitvFlags::empty(), end.as_ref(), ClockId::Monotonic);
    match seam::interruptible("futex_waitv", sleep_on_all) {
        Ok(_) | Err(Errno::AGAIN | Errno::TIMEDOUT | Errno::INTR) => Ok(()),
        Err(Errno::NOSYS | Errno::PERM) => {
            if let Some((word, expected)) = words.first() {
                sleep(word, *expected, at_most.min(BLIND_SLICE));
            }
            Ok(())
        }
        Err(e) => Err(Error::os("sleeping on several words", e)),
    }
}

fn wait_on(word: &AtomicU64, expected: u32) -> futex::Wait {
    let mut wait = futex::Wait::new();
    wait.val = u64::from(expected);
    wait.uaddr = futex::WaitPtr::new(lower_half(word).as_ptr().cast());
    wait.flags = futex::WaitFlags::SIZE_U32;
    wait
}

/// Wakes up to `count` of those who sleep on the lower half of `word`; how many there were.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::park;
/// use std::sync::atomic::AtomicU64;
///
/// assert_eq!(park::wake(&AtomicU64::new(0), 1), 0);
/// ```
pub fn wake(word: &AtomicU64, count: u32) -> u32 {
    let woken = futex::wake(lower_half(word), Flags::empty(), count.min(i32::MAX as u32));
    woken.map_or(0, |woken| woken as u32)
}

/// Lets another thread run that waits for this CPU.
///
/// # Examples
///
/// ```
/// multiprocess_sys::park::yield_now();
/// ```
pub fn yield_now() {
    rustix::thread::sched_yield();
}

/// The half of the word that the kernel compares. Only the kernel looks at it as 32 bits.
fn lower_half(word: &AtomicU64) -> &AtomicU32 {
    const OFFSET: usize = if cfg!(target_endian = "little") { 0 } else { 4 };
    // SAFETY: the offset stays within the eight bytes of the word.
    let half = unsafe { std::ptr::from_ref(word).byte_add(OFFSET) };
    // SAFETY: a multiple of four from an address aligned to eight, as long-lived as the word, and never accessed through this
    // reference by the program itself: the system call takes its address.
    unsafe { &*half.cast::<AtomicU32>() }
}
