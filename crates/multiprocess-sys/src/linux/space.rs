//! How much address space there is, for who can do with less.

use super::map::Map;
use crate::Error;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::process::Resource;

/// How much address space this process may have in all (RLIMIT_AS, setrlimit(2)); `None`: as much as there is.
///
/// # Examples
///
/// ```
/// assert!(multiprocess_sys::map::space_limit().is_none_or(|limit| limit > 4096));
/// ```
pub fn space_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::As).current
}

/// Whether it is because of its length that memory was not made or mapped: there is no address space for it, this process may not
/// lock so much (`MCL_FUTURE`, mlockall(2)), or may not make such a file.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::map::{self, Map, is_too_long};
/// use std::os::fd::AsFd;
///
/// let memory = map::anonymous(1 << 60)?;
/// let error = Map::shared(memory.as_fd(), 1 << 60).unwrap_err(); // no processor of today has so much room
/// assert!(is_too_long(&error, 1 << 60) && !is_too_long(&error, 4096));
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub fn is_too_long(error: &Error, length: u64) -> bool {
    let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    // Other things have no memory or no room either.
    is(Errno::FBIG) || (is(Errno::NOMEM) || is(Errno::AGAIN)) && !has_space(length)
}

/// Whether so much could be mapped now.
fn has_space(length: u64) -> bool {
    let Ok(length) = usize::try_from(length) else { return false };
    // SAFETY: a new mapping, which nobody can access, at an address that the kernel chooses.
    let start = unsafe {
        rustix::mm::mmap_anonymous(
            std::ptr::null_mut(),
            length,
            ProtFlags::empty(),
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        )
    };
    // Unmapped when it is dropped.
    start.is_ok_and(|start| Map::of(start, length).is_ok())
}
