//! Messages between processes: bounded queues in shared memory, pipes that carry handles, and waiting for many.
#![doc = include_str!("../README.md")]

mod attention;
mod channel;
mod encoding;
mod end;
mod iterators;
mod joinable_queue;
mod operations;
mod queue;
mod readiness;
mod receiver;
mod recv_error;
mod send_error;
mod sender;
mod wait;

pub use iterators::{IntoIter, Iter, TryIter};
pub use joinable_queue::JoinableQueue;
pub use multiprocess_sys::waitable::Waitable;
pub use multiprocess_sys::{Error, ErrorKind};
pub use queue::Queue;
pub use receiver::Receiver;
pub use recv_error::{RecvError, RecvTimeoutError, TryRecvError};
pub use send_error::{SendError, SendTimeoutError, TrySendError};
pub use sender::{Sender, bounded};
pub use wait::wait;
