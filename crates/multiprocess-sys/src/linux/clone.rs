//! Cloning a bare process whose parent is *our* parent: how the fork server gives children to the program.
//!
//! `fork()` of the C library cannot do that, so this is the bare system call, with the two things that the C library does
//! for its own fork put right: the thread's cached number (the kernel writes the new one where the old one stands,
//! `CLONE_CHILD_SETTID` at the address of `PR_GET_TID_ADDRESS`) and the robust list, which a clone loses. `clone` with flags
//! alone is used instead of `clone3`, which some filters refuse.

use crate::{Error, ErrorKind, seam};
use rustix::io::Errno;

/// What is needed to clone this process, found once.
#[derive(Debug, Clone, Copy)]
pub struct Cloner {
    thread_id: u64,
    robust_list: usize,
    robust_length: usize,
}

impl Cloner {
    /// Finds the addresses; `None` where the C library is one whose threads do not survive a bare clone (musl).
    ///
    /// # Errors
    ///
    /// The kernel does not tell them.
    pub fn new() -> Result<Option<Cloner>, Error> {
        if !crate::imp::CLONES_KEEP_THREADS {
            return Ok(None);
        }
        let failed = |e| Error::os("preparing to clone processes", e);
        let mut thread_id = 0u64;
        seam::call("prctl(PR_GET_TID_ADDRESS)", || {
            // SAFETY: this option writes one word to the address, which is that of a live word.
            checked(i64::from(unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut thread_id) }))
        })
        .map_err(failed)?;
        let (mut robust_list, mut robust_length) = (0usize, 0usize);
        seam::call("get_robust_list", || {
            // SAFETY: the call writes one word to each of the two addresses, which are those of live words.
            checked(unsafe {
                libc::syscall(libc::SYS_get_robust_list, 0, &raw mut robust_list, &raw mut robust_length)
            })
        })
        .map_err(failed)?;
        if thread_id == 0 {
            return Err(Error::new(
                ErrorKind::Os,
                "preparing to clone processes: the thread has no address for its number",
            ));
        }
        Ok(Some(Cloner { thread_id, robust_list, robust_length }))
    }

    /// Clones this process; the number of the new one here, `None` in the new one.
    ///
    /// # Errors
    ///
    /// No more processes, or no memory.
    ///
    /// # Safety
    ///
    /// This process must have one thread (see [`is_alone`]): the new one has only the calling thread, so a lock that another
    /// thread held would stay locked in it.
    pub unsafe fn clone_sibling(&self) -> Result<Option<u32>, Error> {
        let flags = libc::CLONE_PARENT | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
        let pid = seam::call("clone", || {
            // SAFETY: without CLONE_VM and with no stack given the child runs on a copy of this memory, as after fork(2); the
            // caller promises that no other thread's locks are copied. The thread's number lies where the kernel said.
            checked(unsafe { raw_clone(flags, self.thread_id) })
        });
        match pid.map_err(|e| Error::os("cloning a process", e))? {
            0 => {
                // SAFETY: the head is the one that the C library registered for this very thread; its copy lies at the same
                // address. A failure leaves the thread without a robust list, as it would be without this call.
                unsafe { libc::syscall(libc::SYS_set_robust_list, self.robust_list, self.robust_length) };
                Ok(None)
            }
            pid => Ok(Some(pid as u32)),
        }
    }
}

/// # Safety
///
/// As clone(2) with these flags: see the one caller.
unsafe fn raw_clone(flags: i32, thread_id: u64) -> i64 {
    // SAFETY: passed on to the caller. The last two arguments stand in another order on x86-64 than elsewhere (clone(2)); the
    // one for thread-local storage is not read without CLONE_SETTLS, so giving the address twice serves both.
    unsafe { libc::syscall(libc::SYS_clone, flags as u64, 0u64, 0u64, thread_id, thread_id) }
}

/// Whether the calling thread is the only one of this process.
pub fn is_alone() -> bool {
    // unshare(2): this flag is refused in a process with several threads and does nothing in one with a single thread.
    // SAFETY: with this flag the call changes nothing.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } == 0 {
        return true;
    }
    // Filters of containers often refuse the call altogether. The folder of the threads has a link for each of them, and two of
    // its own.
    let refused = std::io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL);
    refused && rustix::fs::stat(c"/proc/self/task").is_ok_and(|folder| folder.st_nlink == 3)
}

fn checked(result: i64) -> Result<i64, Errno> {
    match result {
        -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
        value => Ok(value),
    }
}
