//! The one file that chooses an operating system.

#[cfg(target_os = "linux")]
#[path = "linux/mod.rs"]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::*;

/// Whether the C library's main thread works in a bare clone of a process: glibc's does, musl keeps the thread's number in a
/// second place that nobody can reach.
pub(crate) const CLONES_KEEP_THREADS: bool = cfg!(target_env = "gnu");

#[cfg(not(target_os = "linux"))]
compile_error!(
    "multiprocess runs on Linux so far; a second backend belongs beside `src/linux`, with the same file names"
);
