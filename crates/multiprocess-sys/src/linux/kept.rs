//! A descriptor that is looked at (fstat(2)) each time before it is used, since `close_range` and the like may have closed it.

use super::handle::{BorrowedHandle, Identity, OwnedHandle};
use crate::{Error, seam};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// A handle and what it referred to when it was handed in.
///
/// A program may close all its descriptors, and the number may then mean a file of its own: such a number is neither used nor
/// closed here. Between the look and the use there is a moment in which a program could still close it; nothing can be done
/// about that, and nothing but a wrong answer comes of it.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::{handle::Identity, kept::Kept, map};
///
/// let memory = map::anonymous(4096)?;
/// let identity = Identity::of(&memory).unwrap();
/// let kept = Kept::new(memory)?;
/// assert_eq!(kept.identity(), identity);
/// assert!(kept.get().is_some());
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[derive(Debug)]
pub struct Kept {
    number: AtomicI32,
    identity: Identity,
}

impl Kept {
    /// Keeps `handle`.
    ///
    /// # Errors
    ///
    /// The operating system cannot say what it refers to.
    pub fn new(handle: OwnedHandle) -> Result<Kept, Error> {
        let stat = seam::call("fstat", || rustix::fs::fstat(&handle)).map_err(|e| Error::os("looking at a file", e))?;
        let identity = Identity::from_stat(&stat);
        Ok(Kept { number: AtomicI32::new(handle.into_raw_fd()), identity })
    }

    /// What it refers to.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The handle, if it is still the one that was handed in.
    pub fn get(&self) -> Option<BorrowedHandle<'_>> {
        let number: RawFd = self.number.load(Relaxed);
        // SAFETY: not -1; the number is only looked at, and borrowed further on only if it refers to what is kept.
        let handle = (number >= 0).then(|| unsafe { BorrowedHandle::borrow_raw(number) })?;
        (Identity::of(&handle) == Some(self.identity)).then_some(handle)
    }

    /// Keeps `handle` instead of one that is gone. One that refers to something else is dropped, and so is one too many.
    pub fn replace(&self, handle: OwnedHandle) {
        let gone = self.number.load(Relaxed);
        if self.get().is_none() && Identity::of(&handle) == Some(self.identity) {
            let number = handle.as_raw_fd();
            if self.number.compare_exchange(gone, number, Relaxed, Relaxed).is_ok() {
                let _ = handle.into_raw_fd();
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.get().is_some() {
            // SAFETY: the number refers to what was handed in with it, which this value owns.
            drop(unsafe { OwnedHandle::from_raw_fd(*self.number.get_mut()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn file() -> OwnedHandle {
        super::super::map::anonymous(1).unwrap()
    }

    #[test]
    fn a_number_that_means_something_else_is_neither_used_nor_closed() {
        let kept = Kept::new(file()).unwrap();
        let mut number = std::mem::ManuallyDrop::new(kept.get().unwrap().try_clone_to_owned().unwrap());
        let other = file();
        rustix::io::dup2(&other, &mut number).unwrap();
        let forged = Kept { number: AtomicI32::new(number.as_raw_fd()), identity: kept.identity() };
        assert!(forged.get().is_none());
        drop(forged);
        assert_eq!(Identity::of(&number.as_fd()), Identity::of(&other));
        drop(std::mem::ManuallyDrop::into_inner(number));
    }

    #[test]
    fn one_that_is_gone_is_replaced_by_the_same_only() {
        let memory = file();
        let copy = memory.try_clone().unwrap();
        let kept = Kept { number: AtomicI32::new(-1), identity: Identity::of(&memory).unwrap() };
        kept.replace(file());
        assert!(kept.get().is_none());
        kept.replace(copy);
        assert!(kept.get().is_some());
    }
}
