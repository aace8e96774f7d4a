//! Messages between processes: bounded queues in shared memory, pipes that carry handles, and waiting for many.
#![doc = include_str!("../README.md")]

mod recv_error;
mod send_error;
mod wait;

pub use multiprocess_sys::waitable::Waitable;
pub use multiprocess_sys::{Error, ErrorKind};
pub use recv_error::{RecvError, RecvTimeoutError, TryRecvError};
pub use send_error::{SendError, SendTimeoutError, TrySendError};
pub use wait::wait;
