//! Why a task gave no result, or was not taken.

use crate::TaskHandle;
use multiprocess_parcel::{PanicReport, RemoteError};
use multiprocess_sys::{Error, ErrorKind};
use std::fmt;
use std::process::ExitStatus;

/// Why a task gave no result.
///
/// # Examples
///
/// ```
/// use multiprocess_pool::{Pool, TaskError};
///
/// let pool = Pool::new(1)?;
/// let error = pool.apply(|| -> u32 { std::process::exit(3) }, ()).unwrap_err();
/// assert!(matches!(error, TaskError::WorkerDied(status) if status.code() == Some(3)));
/// let error = pool.apply(|| -> u32 { panic!("no luck") }, ()).unwrap_err();
/// assert!(matches!(error, TaskError::Panicked(report) if report.message() == "no luck"));
/// assert_eq!(pool.apply(|x: u32| x + 1, (1,))?, 2); // the pool is as good as before
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "BrokenProcessPool")]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TaskError {
    /// The worker that ran it died, by a signal or because the task made it exit. It was this task alone.
    WorkerDied(ExitStatus),
    /// It panicked. The worker lives on.
    Panicked(PanicReport),
    /// It ran for longer than it may. Its worker was replaced.
    TimedOut,
    /// It was cancelled.
    Cancelled,
    /// Its arguments or its result could not be carried over, or its workers could not be started any more.
    Transfer(RemoteError),
    /// The pool was terminated, or takes no more tasks.
    Closed,
}

impl TaskError {
    pub(crate) fn transfer(error: Error) -> TaskError {
        TaskError::Transfer(RemoteError::new(error))
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::WorkerDied(status) => write!(f, "the worker that ran the task died ({status})"),
            TaskError::Panicked(report) => report.fmt(f),
            TaskError::TimedOut => f.write_str("the task ran for longer than it may"),
            TaskError::Cancelled => f.write_str("the task was cancelled"),
            TaskError::Transfer(error) => write!(f, "the task or its result could not be carried over: {error}"),
            TaskError::Closed => f.write_str("the pool takes or runs no more tasks"),
        }
    }
}

impl std::error::Error for TaskError {}

impl From<TaskError> for Error {
    fn from(error: TaskError) -> Error {
        let kind = match &error {
            TaskError::TimedOut => ErrorKind::TimedOut,
            TaskError::Closed => ErrorKind::Closed,
            _ => ErrorKind::Task,
        };
        Error::new(kind, "running a task").with_source(error)
    }
}

/// Why a pool did not take a task.
///
/// # Examples
///
/// ```
/// use multiprocess_pool::{Pool, PoolError};
///
/// let pool = Pool::new(1)?;
/// pool.close();
/// assert!(matches!(pool.submit(|| (), ()).unwrap_err(), PoolError::Closed));
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum PoolError {
    /// It takes no more tasks.
    Closed,
    /// The task could not be sent, or the pool has broken: no worker could be started any more.
    Failed(Error),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolError::Closed => f.write_str("giving a task to a pool that takes no more"),
            PoolError::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PoolError::Closed => None,
            PoolError::Failed(error) => std::error::Error::source(error),
        }
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Error {
        match error {
            PoolError::Closed => Error::new(ErrorKind::Closed, "giving a task to a pool that takes no more"),
            PoolError::Failed(error) => error,
        }
    }
}

impl From<PoolError> for TaskError {
    fn from(error: PoolError) -> TaskError {
        match error {
            PoolError::Closed => TaskError::Closed,
            PoolError::Failed(error) => TaskError::transfer(error),
        }
    }
}

/// Why [`TaskHandle::get_timeout`] has no result.
///
/// # Examples
///
/// ```
/// use multiprocess_pool::{GetTimeoutError, Pool};
/// use std::time::Duration;
///
/// let pool = Pool::new(1)?;
/// let task = pool.submit(|| std::thread::park(), ())?;
/// let Err(GetTimeoutError::Unfinished(task)) = task.get_timeout(Duration::from_millis(1)) else { panic!() };
/// assert!(task.cancel());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub enum GetTimeoutError<R> {
    /// The time is over. The task goes on, and here is its handle again.
    Unfinished(TaskHandle<R>),
    /// The task has failed.
    Failed(TaskError),
}

impl<R> fmt::Debug for GetTimeoutError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetTimeoutError::Unfinished(handle) => f.debug_tuple("Unfinished").field(handle).finish(),
            GetTimeoutError::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<R> fmt::Display for GetTimeoutError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetTimeoutError::Unfinished(_) => f.write_str("the task is not done yet"),
            GetTimeoutError::Failed(error) => error.fmt(f),
        }
    }
}

impl<R> std::error::Error for GetTimeoutError<R> {}

impl<R> From<GetTimeoutError<R>> for Error {
    fn from(error: GetTimeoutError<R>) -> Error {
        match error {
            GetTimeoutError::Unfinished(_) => Error::new(ErrorKind::TimedOut, "waiting for a task"),
            GetTimeoutError::Failed(error) => error.into(),
        }
    }
}
