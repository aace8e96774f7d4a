//! Messages between processes: bounded queues in shared memory, pipes that carry handles, and waiting for many.
#![doc = include_str!("../README.md")]

mod address;
mod client;
mod connection;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod listener;
mod recv_error;
mod send_error;
mod wait;

pub use address::Address;
pub use client::Client;
pub use connection::{Connection, pipe};
pub use listener::Listener;
pub use multiprocess_sys::listener::Credentials;
pub use multiprocess_sys::waitable::Waitable;
pub use multiprocess_sys::{Error, ErrorKind};
pub use recv_error::{RecvError, RecvTimeoutError, TryRecvError};
pub use send_error::{SendError, SendTimeoutError, TrySendError};
pub use wait::wait;
