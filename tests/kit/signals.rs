//! What this process does with a signal: ignores it, counts it, or keeps it waiting.

use crate::processes::Signal;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The C library's number for "ignore".
const IGNORE: usize = 1;

/// The C library's number for "add these to the blocked ones".
const BLOCK: i32 = 0;

/// The C library's number for "take these from the blocked ones".
const UNBLOCK: i32 = 1;

/// A set of signals as the C library lays it out: bit `n - 1` for signal `n`.
type SignalSet = [u64; 16];

unsafe extern "C" {
    fn signal(number: i32, action: usize) -> usize;
    fn pthread_sigmask(how: i32, set: *const SignalSet, old: *mut SignalSet) -> i32;
}

/// How many counted signals have arrived.
static ARRIVED: AtomicUsize = AtomicUsize::new(0);

/// Ignores `number` from now on.
pub fn ignore(number: Signal) {
    // SAFETY: the action is one of the two constants that need no function.
    unsafe { signal(number.as_raw(), IGNORE) };
}

/// Counts arrivals of `number` instead of what the signal does otherwise; [`arrived`] tells the count.
pub fn count(number: Signal) {
    let handler: extern "C" fn(i32) = note;
    // SAFETY: `note` has the type of a handler and does nothing but add to an atomic, which a handler may do.
    unsafe { signal(number.as_raw(), handler as usize) };
}

/// How many counted signals have arrived in this process.
pub fn arrived() -> usize {
    ARRIVED.load(Ordering::SeqCst)
}

/// Blocks `number` for the calling thread.
pub fn block(number: Signal) {
    change(BLOCK, number);
}

/// Lets `number` through to the calling thread again.
pub fn unblock(number: Signal) {
    change(UNBLOCK, number);
}

extern "C" fn note(_number: i32) {
    ARRIVED.fetch_add(1, Ordering::SeqCst);
}

fn change(how: i32, number: Signal) {
    let mut set: SignalSet = [0; 16];
    set[0] = 1 << (number.as_raw() - 1);
    // SAFETY: the set is valid for the call, and a null pointer asks for nothing back.
    let code = unsafe { pthread_sigmask(how, &raw const set, std::ptr::null_mut()) };
    assert_eq!(code, 0, "the signal mask of this thread can be changed");
}
