//! Linux, by rustix and libc.

mod clone;
mod fork_guard;
pub mod handle;
pub mod image;
mod launch;
pub mod lifeline;
pub mod memory;
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
