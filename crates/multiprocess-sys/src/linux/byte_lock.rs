//! Open-file-description locks (fcntl(2), `F_OFD_SETLK`) on single bytes, of files that are opened anew.
//!
//! Such a lock belongs to the open file description, not to the process: it lives as long as any descriptor, mapping or unread
//! message refers to the description, and the kernel frees it with the last of them. Two threads with descriptions of their
//! own exclude each other as two processes do. The byte need not exist in the file.

use super::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use crate::{Error, seam};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// Opens what `handle` refers to once more: another open file description, which has no lock.
///
/// # Errors
///
/// There is no `/proc`, no free descriptor, or no permission any more.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::{byte_lock, map};
/// use std::os::fd::AsFd;
///
/// let memory = map::anonymous(4096)?;
/// let other = byte_lock::open_anew(memory.as_fd())?;
/// assert!(byte_lock::try_lock(memory.as_fd(), 7)?);
/// assert!(!byte_lock::try_lock(other.as_fd(), 7)?);
/// assert!(byte_lock::is_locked(other.as_fd(), 1..100)?);
/// drop(memory); // the last reference to the description
/// assert!(!byte_lock::is_locked(other.as_fd(), 1..100)?);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub fn open_anew(handle: BorrowedHandle<'_>) -> Result<OwnedHandle, Error> {
    // Of this thread: a thread may have a table of descriptors of its own.
    let path = format!("/proc/thread-self/fd/{}", handle.as_raw_fd());
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    seam::retry("open", || rustix::fs::open(path.as_str(), flags, Mode::empty()))
        .map_err(|e| Error::os("opening shared memory once more", std::io::Error::from(e)))
}

/// Takes the lock of `byte` for the description of `handle`; `false` if another description has it.
///
/// # Errors
///
/// The kernel has no room for one more lock, or `handle` is nothing that can be locked.
///
/// # Crash
///
/// The lock is free when nothing refers to the description any more.
pub fn try_lock(handle: BorrowedHandle<'_>, byte: u64) -> Result<bool, Error> {
    match set(handle, libc::F_WRLCK, byte) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(e) => Err(Error::os("locking a byte of shared memory", std::io::Error::from(e))),
    }
}

/// Gives back the lock of `byte`.
///
/// # Errors
///
/// The kernel has no memory to split a range of locks.
pub fn unlock(handle: BorrowedHandle<'_>, byte: u64) -> Result<(), Error> {
    set(handle, libc::F_UNLCK, byte)
        .map_err(|e| Error::os("unlocking a byte of shared memory", std::io::Error::from(e)))
}

/// Whether a description other than that of `handle` has a lock of one of `bytes`.
///
/// # Errors
///
/// `handle` is nothing that can be locked.
pub fn is_locked(handle: BorrowedHandle<'_>, bytes: Range<u64>) -> Result<bool, Error> {
    let mut lock = range(libc::F_WRLCK, bytes);
    let ask = || {
        // SAFETY: the command reads and writes one `flock`, which the pointer refers to.
        let result = unsafe { libc::fcntl(handle.as_fd().as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
        if result == -1 { Err(last_errno()) } else { Ok(()) }
    };
    seam::retry("fcntl(F_OFD_GETLK)", ask)
        .map_err(|e| Error::os("asking who uses shared memory", std::io::Error::from(e)))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

fn set(handle: BorrowedHandle<'_>, how: i32, byte: u64) -> Result<(), Errno> {
    let lock = range(how, byte..byte + 1);
    let set = || {
        // SAFETY: the command reads one `flock`, which the pointer refers to.
        let result = unsafe { libc::fcntl(handle.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
        if result == -1 { Err(last_errno()) } else { Ok(()) }
    };
    seam::retry("fcntl(F_OFD_SETLK)", set)
}

fn range(how: i32, bytes: Range<u64>) -> libc::flock {
    libc::flock {
        l_type: how as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: bytes.start as libc::off_t,
        l_len: (bytes.end - bytes.start) as libc::off_t,
        l_pid: 0, // as these commands demand
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
