//! What happens to the workers and tasks of a pool, as events for whoever subscribes to them, with the target `multiprocess::pool`.
//!
//! | Level | Event |
//! | --- | --- |
//! | `ERROR` | the pool has broken down |
//! | `WARN` | a worker died; a task was lost with it, or ran for longer than it may |
//! | `INFO` | a worker was replaced; a task is begun again |
//! | `DEBUG` | a worker was started, or has left; a task was cancelled; the pool takes no more tasks, or has ended |
//! | `TRACE` | in the worker: the span `task` around each task, and how it ended |
//!
//! Most is found out under the pool's lock, and told when that is given back: a subscriber is somebody else's code, and may use the
//! pool.

use crate::error::TaskError;
use std::process::ExitStatus;

const TARGET: &str = "multiprocess::pool";

/// Something that happened.
#[derive(Debug)]
pub(crate) enum News {
    Started {
        name: String,
        pid: u32,
    },
    Died {
        name: String,
        pid: u32,
        status: Option<ExitStatus>,
    },
    /// With the number of the task, and that of the item in its call.
    Lost {
        task: u64,
        item: u64,
    },
    TimedOut {
        task: u64,
        item: u64,
    },
    Retried {
        task: u64,
        item: u64,
        retries_left: u32,
    },
    Cancelled,
    Closed,
    Ended,
    Broken {
        why: String,
    },
}

impl News {
    /// A task has failed without leaving a result.
    pub(crate) fn of_loss(why: &TaskError, task: u64, item: u64) -> News {
        match why {
            TaskError::TimedOut => News::TimedOut { task, item },
            _ => News::Lost { task, item },
        }
    }

    /// Tells whoever listens.
    #[cold]
    pub(crate) fn tell(self) {
        match self {
            News::Started { name, pid } => {
                tracing::debug!(target: TARGET, { worker.name = name, worker.pid = pid }, "worker started");
            }
            News::Died { name, pid, status: Some(status) } if status.success() => {
                tracing::debug!(target: TARGET, { worker.name = name, worker.pid = pid }, "worker left");
            }
            News::Died { name, pid, status } => {
                let status = status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
                tracing::warn!(target: TARGET, { worker.name = name, worker.pid = pid, status }, "worker died");
            }
            News::Lost { task, item } => tracing::warn!(target: TARGET, task, item, "task lost with its worker"),
            News::TimedOut { task, item } => tracing::warn!(target: TARGET, task, item, "task timed out"),
            News::Retried { task, item, retries_left } => {
                tracing::info!(target: TARGET, task, item, retries_left, "task begins again");
            }
            News::Cancelled => tracing::debug!(target: TARGET, "task cancelled"),
            News::Closed => tracing::debug!(target: TARGET, "pool closed"),
            News::Ended => tracing::debug!(target: TARGET, "pool ended"),
            News::Broken { why } => tracing::error!(target: TARGET, why, "pool broke down"),
        }
    }
}

/// A worker is in the place of another.
pub(crate) fn replaced(lane: usize) {
    tracing::info!(target: TARGET, lane, "worker replaced");
}

/// The span of a task in its worker.
#[inline]
pub(crate) fn task(number: u64) -> tracing::span::EnteredSpan {
    tracing::trace_span!(target: TARGET, "task", number).entered()
}

/// What came of a task in its worker.
#[inline]
pub(crate) fn task_ended(end: multiprocess_process::task::End) {
    tracing::trace!(target: TARGET, ?end, "task ended");
}
