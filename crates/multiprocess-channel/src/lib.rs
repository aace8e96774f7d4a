//! Messages between processes: bounded queues in shared memory, pipes that carry handles, and waiting for many.
#![doc = include_str!("../README.md")]

mod address;
mod attention;
mod bytes;
mod channel;
mod client;
mod connection;
mod encoding;
mod end;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod handshake;
mod here;
mod iterators;
mod joinable_queue;
mod listener;
mod operations;
mod queue;
mod readiness;
mod receiver;
mod recv_error;
mod send_error;
mod sender;
mod several;
mod wait;

pub use address::Address;
pub use client::Client;
pub use connection::{Connection, pipe};
pub use iterators::{IntoIter, Iter, TryIter};
pub use joinable_queue::JoinableQueue;
pub use listener::Listener;
pub use multiprocess_sys::listener::Credentials;
pub use multiprocess_sys::waitable::Waitable;
pub use multiprocess_sys::{Error, ErrorKind};
pub use queue::Queue;
pub use receiver::Receiver;
pub use recv_error::{RecvError, RecvTimeoutError, TryRecvError};
pub use send_error::{SendError, SendTimeoutError, TrySendError};
pub use sender::{Sender, bounded};
pub use wait::wait;
