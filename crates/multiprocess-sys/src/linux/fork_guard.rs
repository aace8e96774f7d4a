//! Noticing that this process is a copy that the program made with its own `fork`.

use crate::{Error, seam};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A word that the kernel clears in every forked copy (`MADV_WIPEONFORK`, madvise(2)), so that asking costs no system call.
#[derive(Debug)]
pub struct ForkGuard(NonNull<AtomicU32>);

// SAFETY: the pointer is to an atomic word that is never unmapped.
unsafe impl Send for ForkGuard {}
// SAFETY: the same.
unsafe impl Sync for ForkGuard {}

const HERE: u32 = 0x6865_7265;

impl ForkGuard {
    /// Remembers this process. Never given back: for values that live as long as the process.
    ///
    /// # Errors
    ///
    /// Out of memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::process::ForkGuard;
    ///
    /// assert!(ForkGuard::new()?.is_same_process());
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn new() -> Result<ForkGuard, Error> {
        use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
        let failed = |e| Error::os("mapping a page", e);
        let size = rustix::param::page_size();
        let map = || {
            // SAFETY: a new mapping, at an address that the kernel chooses.
            unsafe { mmap_anonymous(std::ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }
        };
        let page: *mut c_void = seam::call("mmap", map).map_err(failed)?;
        // SAFETY: the advice concerns the page just mapped, and changes only what a forked copy finds there.
        seam::call("madvise", || unsafe { madvise(page, size, Advice::LinuxWipeOnFork) }).map_err(failed)?;
        let word = NonNull::new(page.cast::<AtomicU32>())
            .ok_or_else(|| Error::os("mapping a page", rustix::io::Errno::NOMEM))?;
        // SAFETY: the page is mapped, aligned, zeroed, and stays.
        unsafe { word.as_ref() }.store(HERE, Relaxed); // Relaxed: whoever forks later copies what was stored
        Ok(ForkGuard(word))
    }

    /// Whether this is the process that made the guard.
    pub fn is_same_process(&self) -> bool {
        // SAFETY: the page is never unmapped.
        unsafe { self.0.as_ref() }.load(Relaxed) == HERE
    }
}
