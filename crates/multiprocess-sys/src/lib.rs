//! The one door of `multiprocess` to the operating system.
#![doc = include_str!("../README.md")]

pub mod bell;
pub mod birth;
pub mod byte_lock;
pub mod clock;
pub mod error;
pub mod handle;
pub mod image;
mod imp;
pub mod kept;
pub mod letterbox;
pub mod lifeline;
pub mod listener;
pub mod map;
pub mod memory;
pub mod names;
pub mod park;
pub mod poll;
pub mod process;
pub mod rights;
pub mod seam;
pub mod settings;
pub mod signal;
pub mod thread;
pub mod transport;
pub mod waitable;
pub mod watch;

pub use error::{Error, ErrorKind};
