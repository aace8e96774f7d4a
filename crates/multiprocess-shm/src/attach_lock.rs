//! The attach lock of a named segment: byte 0 of its file. Whoever joins or leaves last, or removes the name, has it.
//!
//! It is held for some microseconds. A process that is stopped in between, by a debugger or a signal, would stop everybody who
//! opens the name: so it is waited for with a deadline, and then the error says who is to blame. One that dies frees it.

use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::BorrowedHandle;
use multiprocess_sys::{Error, ErrorKind, byte_lock, park};
use std::time::Duration;

/// The byte that is locked.
const BYTE: u64 = 0;

/// The attach lock, held until dropped. Its description is used by nobody else: forked copies that share one would
/// share the lock too.
pub(crate) struct AttachLock<'a>(BorrowedHandle<'a>);

impl<'a> AttachLock<'a> {
    /// Takes it, if nobody has it.
    fn try_take(own: BorrowedHandle<'a>) -> Result<Option<AttachLock<'a>>, Error> {
        Ok(byte_lock::try_lock(own, BYTE)?.then_some(AttachLock(own)))
    }

    /// Waits for it.
    pub(crate) fn take(own: BorrowedHandle<'a>, deadline: Deadline) -> Result<AttachLock<'a>, Error> {
        // Its holder needs some microseconds, if it has a CPU.
        for _ in 0..10 {
            if let Some(lock) = AttachLock::try_take(own)? {
                return Ok(lock);
            }
            park::yield_now();
        }
        let mut pause = Duration::from_micros(20);
        loop {
            if let Some(lock) = AttachLock::try_take(own)? {
                return Ok(lock);
            }
            let left = deadline.remaining().unwrap_or(Duration::MAX);
            if left.is_zero() {
                let stopped =
                    "waiting to attach to shared memory: another process was stopped while it was attaching to";
                return Err(Error::new(ErrorKind::TimedOut, stopped));
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }
}

impl AttachLock<'_> {
    /// Leaves the lock to the description, which is about to move: [`release`] gives it back. Until then the lock goes with
    /// the last handle and mapping of the description, so an early return gives it back too.
    pub(crate) fn leave_to_description(self) {
        std::mem::forget(self);
    }
}

/// Gives back the lock that was [left](AttachLock::leave_to_description) to a description. If that fails, the description must go.
pub(crate) fn release(own: BorrowedHandle<'_>) -> Result<(), Error> {
    byte_lock::unlock(own, BYTE)
}

impl Drop for AttachLock<'_> {
    fn drop(&mut self) {
        // If it fails, the lock goes with the description, which its holder is about to close.
        let _ = byte_lock::unlock(self.0, BYTE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multiprocess_sys::handle::AsHandle;
    use multiprocess_sys::map;

    #[test]
    fn one_has_it_and_the_others_wait_no_longer_than_they_said() {
        let memory = map::anonymous(1).unwrap();
        let other = byte_lock::open_anew(memory.as_fd()).unwrap();
        let lock = AttachLock::take(memory.as_fd(), Deadline::now()).unwrap();
        let Err(error) = AttachLock::take(other.as_fd(), Deadline::after(Duration::from_millis(20))) else { panic!() };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(lock);
        drop(AttachLock::take(other.as_fd(), Deadline::now()).unwrap());
        // Left to its description, it goes with that, or when it is released.
        AttachLock::take(memory.as_fd(), Deadline::now()).unwrap().leave_to_description();
        assert!(AttachLock::take(other.as_fd(), Deadline::now()).is_err());
        release(memory.as_fd()).unwrap();
        AttachLock::take(other.as_fd(), Deadline::now()).unwrap().leave_to_description();
        drop(other);
        assert!(AttachLock::take(memory.as_fd(), Deadline::now()).is_ok());
    }
}
