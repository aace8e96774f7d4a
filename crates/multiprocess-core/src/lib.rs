//! Protocols over shared words that stay right when any process dies between any two instructions.
#![doc = include_str!("../README.md")]
#![cfg_attr(not(loom), no_std)]

pub mod atomics;
pub mod barrier;
pub mod condition;
pub mod event;
pub mod layout;
pub mod mutex;
pub mod name;
pub mod owner;
pub mod peers;
pub mod ring;
pub mod rwlock;
pub mod semaphore;
pub mod snapshot;
#[cfg(all(test, not(loom)))]
mod staged;
pub mod tasks;
pub mod wait;
pub mod work;

pub use owner::{Owner, Word};
pub use wait::{Environment, Step, Wait};
