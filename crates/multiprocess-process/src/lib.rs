//! Starting, watching and ending a child process that runs a Rust function.
#![doc = include_str!("../README.md")]

mod active;
mod birth;
mod child;
mod current;
#[cfg(feature = "tracing")]
mod events;
mod function;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod join_error;
mod keeper;
#[cfg(feature = "tracing")]
mod logs;
mod octets;
mod process;
mod protocol;
mod registry;
mod report;
mod runtime;
mod scope;
mod server;
mod server_link;
mod start;
mod stdio;
#[doc(hidden)]
pub mod task;

pub use active::{ActiveChild, active_children};
pub use child::Child;
pub use current::{Current, Parent, current, parent};
#[doc(hidden)]
pub use function::must_not_capture;
pub use function::{Function, Run};
pub use join_error::JoinError;
#[cfg(feature = "tracing")]
pub use logs::flush_logs;
pub use multiprocess_parcel::{Fd, Message, PanicReport, RemoteError};
pub use multiprocess_sys::{Error, ErrorKind};
pub use process::{Process, StartMethod, spawn};
#[doc(hidden)]
pub use runtime::spare_ready;
pub use scope::{Scope, ScopedChild, scope};
pub use stdio::Stdio;
