//! Many tasks over a few worker processes, of which each may be killed.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arrivals;
mod batch;
mod descriptors;
mod error;
#[cfg(feature = "tracing")]
mod events;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod imap;
mod jobs;
mod lanes;
mod map;
mod memory;
mod options;
mod payload;
mod pool;
mod progress;
mod shared;
mod state;
mod stats;
mod supervisor;
mod worker;

pub use error::{GetTimeoutError, PoolError, TaskError};
pub use handle::TaskHandle;
pub use imap::{Imap, ImapUnordered};
/// The crate of the bars, in the version that [`Tasks::progress_with`] takes.
#[cfg(feature = "progress")]
pub use indicatif;
pub use options::Tasks;
pub use pool::{Pool, PoolBuilder};
pub use stats::Stats;
