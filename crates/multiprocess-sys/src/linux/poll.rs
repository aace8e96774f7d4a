//! Many descriptors at once, once (poll(2)): nothing is set up, nothing is left, and each may come twice.

use super::handle::BorrowedHandle;
use super::kept::Kept;
use crate::clock::Deadline;
use crate::{Error, seam};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use rustix::io::Errno;

/// What there is of a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing can be read, and its other end is there.
    Waiting,
    /// Something can be read, its other end is gone, or there is an error to be had from it.
    Ready,
    /// It is closed.
    Closed,
}

/// Waits until one of `handles` is not [`Waiting`](Readiness::Waiting) any more or the time is over; what there is of each.
///
/// # Errors
///
/// Out of memory, or there are more handles than the process may have. An interrupted wait goes on.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::clock::Deadline;
/// use multiprocess_sys::poll::{Readiness::*, poll};
/// use std::os::fd::AsFd;
///
/// let (reader, writer) = std::io::pipe()?;
/// let (other, _writer) = std::io::pipe()?;
/// let handles = [reader.as_fd(), other.as_fd()];
/// assert_eq!(poll(&handles, Deadline::now())?, [Waiting, Waiting]);
/// drop(writer);
/// assert_eq!(poll(&handles, Deadline::NEVER)?, [Ready, Waiting]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn poll(handles: &[BorrowedHandle<'_>], deadline: Deadline) -> Result<Vec<Readiness>, Error> {
    let mut polled: Vec<PollFd<'_>> =
        handles.iter().map(|&handle| PollFd::from_borrowed_fd(handle, PollFlags::IN)).collect();
    loop {
        let left = deadline.remaining().and_then(|left| Timespec::try_from(left).ok());
        match seam::interruptible("poll", || rustix::event::poll(&mut polled, left.as_ref())) {
            Ok(_) => return Ok(polled.iter().map(readiness).collect()),
            Err(Errno::INTR) => continue,
            Err(e) => return Err(Error::os("waiting for many descriptors", e)),
        }
    }
}

fn readiness(polled: &PollFd<'_>) -> Readiness {
    match polled.revents() {
        found if found.contains(PollFlags::NVAL) => Readiness::Closed,
        found if found.is_empty() => Readiness::Waiting,
        _ => Readiness::Ready,
    }
}

/// A handle that can be read once somebody in this process has rung.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::clock::Deadline;
/// use multiprocess_sys::poll::{Alarm, Readiness, poll};
///
/// let alarm = Alarm::new()?;
/// assert!(alarm.ring());
/// assert_eq!(poll(&[alarm.handle().unwrap()], Deadline::NEVER)?, [Readiness::Ready]);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[derive(Debug)]
pub struct Alarm(Kept);

impl Alarm {
    /// One that nobody has rung.
    ///
    /// # Errors
    ///
    /// The process has no free descriptor.
    pub fn new() -> Result<Alarm, Error> {
        seam::call("eventfd", || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK))
            .map_err(|e| Error::os("making a descriptor that wakes a thread", e))
            .and_then(Kept::new)
            .map(Alarm)
    }

    /// Rings; `false` if the program has closed it, so that nobody hears.
    pub fn ring(&self) -> bool {
        self.0.get().is_some_and(|handle| rustix::io::write(handle, &1_u64.to_ne_bytes()).is_ok())
    }

    /// The handle, unless the program has closed it.
    pub fn handle(&self) -> Option<BorrowedHandle<'_>> {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_closed_one_is_told_from_one_that_waits() {
        let (reader, _writer) = std::io::pipe().unwrap();
        // SAFETY: no process has that many descriptors; it is only asked whether the number is open.
        let closed = unsafe { BorrowedHandle::borrow_raw(i32::MAX) };
        let found = poll(&[reader.as_fd(), closed], Deadline::NEVER).unwrap();
        assert_eq!(found, [Readiness::Waiting, Readiness::Closed]);
    }
}
