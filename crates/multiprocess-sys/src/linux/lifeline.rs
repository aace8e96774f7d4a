//! A lifeline: whoever holds its end is killed when the other end closes, without a thread that watches.
//!
//! It is a pipe into which nobody writes. The held end is an open file description of its own (`O_ASYNC` and its signal
//! belong to the description, fcntl(2)), armed so that the kernel sends SIGKILL when the pipe's last writer is gone: at the end
//! of the process that kept it, however that ended. It reaches a stopped process too.

use super::handle::{AsHandle, BorrowedHandle, OwnedHandle, readable};
use crate::clock::Deadline;
use crate::{Error, seam};
use std::os::fd::AsRawFd;

/// `F_SETSIG` of fcntl(2), which libc leaves out.
const F_SETSIG: i32 = 10;

/// A new lifeline: the end to hold, and the end whose closing kills.
///
/// # Errors
///
/// Out of descriptors.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::lifeline;
///
/// let (held, keep) = lifeline::pair()?;
/// let another = lifeline::again(&held)?; // for another process to hold
/// # drop(keep);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub fn pair() -> Result<(OwnedHandle, OwnedHandle), Error> {
    super::handle::pipe()
}

/// An end of its own of the same lifeline, to give to a process.
///
/// # Errors
///
/// Out of descriptors, or there is no `/proc`.
pub fn again(held: &impl AsHandle) -> Result<OwnedHandle, Error> {
    use rustix::fs::{Mode, OFlags};
    let path = format!("/proc/self/fd/{}", held.as_fd().as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    seam::retry("open", || rustix::fs::open(&path, flags, Mode::empty()))
        .map_err(|e| Error::os("copying a lifeline", e))
}

/// Has this process killed when the other end closes; `false` if that has happened already.
///
/// # Errors
///
/// The operating system refused.
pub fn hold(held: BorrowedHandle<'_>) -> Result<bool, Error> {
    let number = held.as_raw_fd();
    let steps = [
        (libc::F_SETOWN, rustix::process::getpid().as_raw_nonzero().get()),
        (F_SETSIG, libc::SIGKILL),
        (libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK),
    ];
    for (command, argument) in steps {
        // SAFETY: these commands take a number and touch the open file description only.
        let set =
            || match unsafe { libc::fcntl(number, command, argument) } {
                -1 => Err(rustix::io::Errno::from_io_error(&std::io::Error::last_os_error())
                    .unwrap_or(rustix::io::Errno::INVAL)),
                _ => Ok(()),
            };
        seam::call("fcntl(O_ASYNC)", set).map_err(|e| Error::os("holding a lifeline", e))?;
    }
    // Looked at after arming: an end that closed before is seen here, one that closes later sends the signal.
    Ok(!readable([held], Deadline::now())?[0])
}

/// Has this process killed when the *thread* that made it ends (`PR_SET_PDEATHSIG`), if it is not gone already: `parent` is
/// what [`parent_id`](super::process::parent_id) said before. `false` if the parent has changed since.
///
/// # Errors
///
/// The operating system refused.
pub fn end_with_parent(parent: u32) -> Result<bool, Error> {
    let kill = Some(rustix::process::Signal::KILL);
    seam::call("prctl(PR_SET_PDEATHSIG)", || rustix::process::set_parent_process_death_signal(kill))
        .map_err(|e| Error::os("tying a process to its parent", e))?;
    Ok(super::process::parent_id() == parent)
}
