//! A submitted task, and getting its result.

use crate::error::{GetTimeoutError, TaskError};
use crate::jobs::JobId;
use crate::payload::Outcome;
use crate::shared::Shared;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::waitable::{Source, WaitWord, Waitable};
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Duration;

/// A task that was [submitted](crate::Pool::submit).
///
/// Handles may be collected in any order, dropped early, or kept for ever: a task takes no descriptor and no thread. Dropping one does
/// not cancel its task. It is a future too, of any runtime, and can be waited for together with other things
/// ([`channel::wait`](https://docs.rs/multiprocess-channel)): it is ready when it has a result or has failed.
///
/// # Examples
///
/// ```
/// use multiprocess_pool::Pool;
///
/// let pool = Pool::new(2)?;
/// let tasks: Vec<_> = (0..10).map(|x| pool.submit(|x: u64| x * x, (x,))).collect::<Result<_, _>>()?;
/// let sum: u64 = tasks.into_iter().rev().map(|task| task.get().unwrap()).sum();
/// assert_eq!(sum, 285);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a task whose handle is dropped runs, but nobody gets its result"]
#[doc(alias = "AsyncResult")]
pub struct TaskHandle<R> {
    shared: Arc<Shared>,
    job: JobId,
    result: PhantomData<fn() -> R>,
}

impl<R> TaskHandle<R> {
    pub(crate) fn new(shared: Arc<Shared>, job: JobId) -> TaskHandle<R> {
        TaskHandle { shared, job, result: PhantomData }
    }

    /// Whether it has a result, or has failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// let task = pool.submit(|| 42, ())?;
    /// while !task.is_done() {
    ///     std::thread::yield_now();
    /// }
    /// assert_eq!(task.get()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ready")]
    pub fn is_done(&self) -> bool {
        let mut state = self.shared.lock();
        state.collect(&self.shared.memory, self.shared.board());
        state.jobs.get(self.job).is_none_or(|job| job.inbox.len() > 0)
    }

    /// Waits until it has a result or has failed; `false` if `timeout` was over first.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// let task = pool.submit(|| 42, ())?;
    /// assert!(task.wait_timeout(std::time::Duration::from_secs(60)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "false means that the time ran out"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait(Deadline::after(timeout))
    }

    fn wait(&self, deadline: Deadline) -> bool {
        let is_done = |state: &mut crate::state::State| {
            state.jobs.get(self.job).is_none_or(|job| job.inbox.len() > 0).then_some(())
        };
        self.shared.wait(Some(self.job), deadline, is_done).is_some()
    }

    /// Cancels it, and then it fails with [`TaskError::Cancelled`]. If it runs already, its worker is replaced. `false` if it is
    /// done, or nearly so.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_pool::TaskError;
    ///
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// let task = pool.submit(|| std::thread::park(), ())?;
    /// assert!(task.cancel());
    /// assert!(matches!(task.get(), Err(TaskError::Cancelled)));
    /// assert_eq!(pool.apply(|| 42, ())?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Crash
    ///
    /// A task that was cancelled while it ran ends as if its worker had been killed.
    pub fn cancel(&self) -> bool {
        self.shared.cancel(self.job)
    }

    fn take(&self) -> Option<Outcome> {
        let mut state = self.shared.lock();
        let outcome = state.jobs.get(self.job)?.inbox.take()?;
        state.jobs.close(self.job);
        Some(outcome)
    }
}

impl<R: DeserializeOwned> TaskHandle<R> {
    /// Waits for the result.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// assert_eq!(pool.submit(|a: u32, b: u32| a + b, (1, 2))?.get()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The task has failed, in one of the ways of [`TaskError`].
    pub fn get(self) -> Result<R, TaskError> {
        self.wait(Deadline::NEVER);
        self.take().unwrap_or_else(|| Outcome::lost(TaskError::Closed)).decode()
    }

    /// Waits for the result, but not for longer than `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// let task = pool.submit(|| 42, ())?;
    /// assert_eq!(task.get_timeout(std::time::Duration::from_secs(60))?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The time is over, and the handle comes back; or the task has failed.
    pub fn get_timeout(self, timeout: Duration) -> Result<R, GetTimeoutError<R>> {
        match self.wait_timeout(timeout) {
            true => self.get().map_err(GetTimeoutError::Failed),
            false => Err(GetTimeoutError::Unfinished(self)),
        }
    }
}

impl<R: DeserializeOwned> Future for TaskHandle<R> {
    type Output = Result<R, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.lock();
        state.collect(&self.shared.memory, self.shared.board());
        let Some(job) = state.jobs.get(self.job) else {
            return Poll::Ready(Err(TaskError::Closed)); // it was ready before
        };
        if let Some(outcome) = job.inbox.take() {
            state.jobs.close(self.job);
            drop(state);
            return Poll::Ready(outcome.decode());
        }
        if !job.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            job.waker = Some(context.waker().clone());
        }
        state.has_futures = true;
        self.shared.arm(&mut state);
        // What came while the bell was armed.
        match state.jobs.get(self.job).and_then(|job| job.inbox.take()) {
            None => Poll::Pending,
            Some(outcome) => {
                state.jobs.close(self.job);
                drop(state);
                Poll::Ready(outcome.decode())
            }
        }
    }
}

/// Ready when it has a result, or has failed. All tasks of a pool share the word on which the pool's process sleeps.
impl<R> Waitable for TaskHandle<R> {
    fn source(&self) -> Result<Source<'_>, Error> {
        Ok(Source::Word(self))
    }
}

impl<R> WaitWord for TaskHandle<R> {
    fn is_ready(&self, _: u64) -> bool {
        self.is_done()
    }

    fn announce(&self, _: u64) -> Option<(&AtomicU64, u32)> {
        let mut state = self.shared.lock();
        state.is_watched = true;
        let announced = self.shared.board().announce();
        drop(state);
        Some((self.shared.board().signal(), announced as u32))
    }
}

impl<R> Drop for TaskHandle<R> {
    fn drop(&mut self) {
        self.shared.leave_job(self.job, false, false);
    }
}

impl<R> fmt::Debug for TaskHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("is_done", &self.is_done()).finish_non_exhaustive()
    }
}
