//! Linux, by rustix and libc.

pub mod bell;
pub mod birth;
pub mod byte_lock;
mod clone;
mod fork_guard;
pub mod handle;
pub mod image;
pub mod kept;
mod launch;
pub mod lifeline;
pub mod map;
pub mod memory;
pub mod monotonic;
pub mod names;
pub mod pages;
pub mod park;
pub mod process;
pub mod rights;
mod schedule;
pub mod settings;
pub mod signal;
mod status;
pub mod thread;
pub mod transport;
pub mod watch;
