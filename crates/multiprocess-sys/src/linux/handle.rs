//! Handles are file descriptors.

use crate::clock::Deadline;
use crate::{Error, seam};
use rustix::event::{PollFd, PollFlags, Timespec};

/// A handle that closes itself.
pub type OwnedHandle = std::os::fd::OwnedFd;

/// A handle that somebody else closes.
pub type BorrowedHandle<'a> = std::os::fd::BorrowedFd<'a>;

/// What has a handle.
pub use std::os::fd::AsFd as AsHandle;

/// Another handle to what `handle` refers to, not inherited by programs that are started.
///
/// # Errors
///
/// The process has no free descriptor.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::handle;
/// use std::os::fd::AsFd;
///
/// let copy = handle::duplicate(std::io::stdout().as_fd())?;
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub fn duplicate(handle: BorrowedHandle<'_>) -> Result<OwnedHandle, Error> {
    seam::call("fcntl(F_DUPFD_CLOEXEC)", || rustix::io::fcntl_dupfd_cloexec(handle, 3))
        .map_err(|e| Error::os("duplicating a descriptor", e))
}

/// A pipe: the end to read, and the end to write.
///
/// # Errors
///
/// The process has no free descriptor.
pub fn pipe() -> Result<(OwnedHandle, OwnedHandle), Error> {
    use rustix::pipe::{PipeFlags, pipe_with};
    seam::call("pipe2", || pipe_with(PipeFlags::CLOEXEC)).map_err(|e| Error::os("making a pipe", e))
}

/// What a handle refers to, as numbers that no other open object of this machine has: to notice that a program closed a
/// handle of ours behind our back and that its number means something else now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(u64, u64);

impl Identity {
    /// The identity of what `handle` refers to now; `None` if it refers to nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::handle::Identity;
    ///
    /// let (a, b) = std::io::pipe()?;
    /// assert_eq!(Identity::of(&a), Identity::of(&a));
    /// assert_ne!(Identity::of(&a), Identity::of(&std::io::stdin()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn of(handle: &impl AsHandle) -> Option<Identity> {
        rustix::fs::fstat(handle).ok().map(|stat| Identity::from_stat(&stat))
    }

    /// The identity of what the operating system described so.
    pub(crate) fn from_stat(stat: &rustix::fs::Stat) -> Identity {
        Identity(stat.st_dev, stat.st_ino)
    }
}

/// Waits until something can be read from one of `handles`, or its other end is closed; which ones, in their order.
///
/// # Errors
///
/// The operating system refused (out of memory). An interrupted wait goes on.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::{clock::Deadline, handle};
/// use std::os::fd::AsFd;
///
/// let (reader, writer) = std::io::pipe()?;
/// assert_eq!(handle::readable([reader.as_fd()], Deadline::now())?, [false]);
/// drop(writer);
/// assert_eq!(handle::readable([reader.as_fd()], Deadline::NEVER)?, [true]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn readable<const N: usize>(handles: [BorrowedHandle<'_>; N], deadline: Deadline) -> Result<[bool; N], Error> {
    poll(handles.map(|handle| PollFd::from_borrowed_fd(handle, PollFlags::IN)), deadline)
}

/// Waits until something can be written to `handle`, or nobody will ever read it; `false` if the time is over.
///
/// # Errors
///
/// The operating system refused (out of memory). An interrupted wait goes on.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::{clock::Deadline, handle};
/// use std::os::fd::AsFd;
///
/// let (_reader, writer) = std::io::pipe()?;
/// assert!(handle::writable(writer.as_fd(), Deadline::NEVER)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn writable(handle: BorrowedHandle<'_>, deadline: Deadline) -> Result<bool, Error> {
    poll([PollFd::from_borrowed_fd(handle, PollFlags::OUT)], deadline).map(|[ready]| ready)
}

fn poll<const N: usize>(mut polled: [PollFd<'_>; N], deadline: Deadline) -> Result<[bool; N], Error> {
    loop {
        let left = deadline.remaining().and_then(|left| Timespec::try_from(left).ok());
        match seam::interruptible("poll", || rustix::event::poll(&mut polled, left.as_ref())) {
            Ok(_) => return Ok(polled.map(|polled| !polled.revents().is_empty())),
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(Error::os("waiting for another process", e)),
        }
    }
}
