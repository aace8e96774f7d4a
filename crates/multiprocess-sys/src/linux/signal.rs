//! Signal masks and dispositions.

use std::mem::MaybeUninit;

/// All signals are blocked in this thread while this lives, but for those that the C library keeps for itself: it tells all
/// threads by a signal of its own when the program changes its user, and waits for each.
#[derive(Debug)]
pub struct Blocked(u64);

impl Blocked {
    /// Blocks all signals in the calling thread.
    pub fn all() -> Blocked {
        Blocked(exchange_mask(libc::SIG_SETMASK, u64::MAX))
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        exchange_mask(libc::SIG_SETMASK, self.0);
    }
}

/// Sets the calling thread's mask; bit n - 1 is signal n, as in `/proc/self/status`. Returns the old one.
pub(super) fn exchange_mask(how: i32, mask: u64) -> u64 {
    let (set, mut old) = (set_of(mask), MaybeUninit::<libc::sigset_t>::uninit());
    // SAFETY: `set` is a whole set, and the old one is written to a place for one. The C library leaves out its own signals.
    unsafe { libc::pthread_sigmask(how, &raw const set, old.as_mut_ptr()) };
    // SAFETY: the call above cannot fail with a valid `how`, so it has written the set.
    let old = unsafe { old.assume_init() };
    // SAFETY: the first word of a set holds signals 1 to 64, and the set is at least one word long.
    unsafe { (&raw const old).cast::<u64>().read() }
}

fn set_of(mask: u64) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: a set is plain bits, at least 64 of them, and may be written as one word.
    unsafe { set.as_mut_ptr().cast::<u64>().write(mask) };
    // SAFETY: all bits of it are written: zeroed, then the first word.
    unsafe { set.assume_init() }
}

/// Ignores signal `number`, or gives it its default meaning again.
pub(super) fn set_ignored(number: i32, ignored: bool) {
    let action = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither of the two is a function that could be called at a bad moment.
    unsafe { libc::signal(number, action) };
}
