//! Futexes without the private flag (futex(2)), so that processes with different mappings of one word find each other.

use rustix::thread::futex::{self, Flags, Timespec};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

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
