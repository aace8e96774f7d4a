//! Linux, by rustix and libc.

pub mod birth;
pub mod byte_lock;
pub mod clock;
mod clone;
mod fork_guard;
pub mod handle;
pub mod image;
pub mod kept;
mod launch;
pub mod lifeline;
pub mod map;
pub mod memory;
pub mod names;
pub mod pages;
pub mod park;
pub mod poll;
pub mod process;
pub mod rights;
mod schedule;
pub mod settings;
pub mod signal;
mod status;
pub mod thread;
pub mod transport;
mod waitable;
pub mod watch;
