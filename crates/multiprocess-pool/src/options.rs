//! The ways of giving work, and their options.

use crate::error::{PoolError, TaskError};
use crate::handle::TaskHandle;
use crate::imap::{Imap, ImapUnordered};
use crate::map;
use crate::pool::Pool;
use crate::progress::Wish;
use crate::state::Task;
use multiprocess_process::task::{TaskEntry, pack_single};
use multiprocess_process::{Function, Message, must_not_capture};
use multiprocess_sys::{Error, ErrorKind};
use std::fmt;
use std::time::Duration;

/// The options of some tasks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options<'p> {
    pub(crate) chunk_size: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) look_ahead: Option<usize>,
    pub(crate) progress: Wish<'p>,
}

impl Options<'_> {
    /// Whether they can be followed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match (self.chunk_size, self.look_ahead) {
            (Some(0), _) => Err(Error::new(ErrorKind::Other, "giving tasks to a pool in chunks of none")),
            (_, Some(0)) => Err(Error::new(ErrorKind::Other, "giving tasks to a pool without looking ahead at one")),
            _ => Ok(()),
        }
    }
}

/// Options for some tasks: `pool.tasks().timeout(limit).map(f, inputs)`.
///
/// # Examples
///
/// ```
/// use multiprocess_pool::Pool;
/// use std::time::Duration;
///
/// let pool = Pool::new(2)?;
/// let tasks = pool.tasks().chunk_size(64).timeout(Duration::from_secs(5)).retries(2);
/// assert_eq!(tasks.map(|x: u32| x + 1, 0..3)?, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Clone, Copy)]
pub struct Tasks<'p> {
    pub(crate) pool: &'p Pool,
    pub(crate) options: Options<'p>,
}

impl<'p> Tasks<'p> {
    /// How many items go to a worker at once. By default `map` chooses it, so that a chunk takes about a millisecond, and `imap` sends
    /// them one by one. A chunk shares one trip; it shares no fate: a worker that dies costs the item that it was at.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(2)?;
    /// assert_eq!(pool.tasks().chunk_size(10).map(|x: u32| x, 0..25)?.len(), 25);
    /// assert!(pool.tasks().chunk_size(0).map(|x: u32| x, 0..25).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "chunksize")]
    pub fn chunk_size(mut self, n: usize) -> Self {
        self.options.chunk_size = Some(n);
        self
    }

    /// How long each task, or each item, may run. Then its worker is replaced, and it fails with [`TaskError::TimedOut`]. The time
    /// begins when a worker has taken it; one that somebody has stopped (SIGSTOP) before takes nothing, and is not replaced.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_pool::TaskError;
    /// use std::time::Duration;
    ///
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// let error = pool.tasks().timeout(Duration::from_millis(20)).apply(|| std::thread::park(), ()).unwrap_err();
    /// assert!(matches!(error, TaskError::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timeout(mut self, per_task: Duration) -> Self {
        self.options.timeout = Some(per_task);
        self
    }

    /// How often a task is begun again when its worker dies. By default never: half of what it does may be done already.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_pool::TaskError;
    ///
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// let error = pool.tasks().retries(2).apply(|| -> u32 { std::process::exit(7) }, ()).unwrap_err();
    /// assert!(matches!(error, TaskError::WorkerDied(_))); // it was begun three times
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retries(mut self, n: u32) -> Self {
        self.options.retries = n;
        self
    }

    /// How many inputs `imap` takes beyond what was asked of it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(2)?;
    /// let taken = std::cell::Cell::new(0);
    /// let inputs = (0..).inspect(|_| taken.set(taken.get() + 1));
    /// let first = pool.tasks().look_ahead(3).imap(|x: u64| x, inputs).next().unwrap()?;
    /// assert!(first == 0 && taken.get() <= 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "buffersize")]
    pub fn look_ahead(mut self, n: usize) -> Self {
        self.options.look_ahead = Some(n);
        self
    }

    /// Draws on standard error how many items of a `map`, `starmap`, `imap` or `imap_unordered` are done, if that is a terminal: a bar
    /// if it is known how many there are, otherwise a spinner until the inputs have come to their end. After an error, and when an
    /// iterator is dropped early, it stays where it is. With the feature `progress`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(2)?;
    /// let squares = pool.tasks().progress().map(|x: u64| x * x, 0..1000)?;
    /// assert_eq!(squares[999], 998_001);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "progress")]
    pub fn progress(mut self) -> Self {
        self.options.progress = Wish::Usual;
        self
    }

    /// As [`progress`](Tasks::progress), with a bar of one's own: its style, its place among others, its message. A bar without a
    /// length ([`ProgressBar::no_length`](indicatif::ProgressBar::no_length)) gets the number of the inputs as soon as it is known;
    /// one that has a length keeps it. At the end it is finished as [its style](indicatif::ProgressBar::with_finish) says.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_pool::indicatif::ProgressBar;
    ///
    /// # let pool = multiprocess_pool::Pool::new(2)?;
    /// let bar = ProgressBar::no_length().with_message("squares");
    /// for square in pool.tasks().progress_with(&bar).imap_unordered(|x: u64| x * x, 0..100) {
    ///     square?;
    /// }
    /// assert_eq!((bar.position(), bar.length(), bar.is_finished()), (100, Some(100), true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "progress")]
    pub fn progress_with(mut self, bar: &'p indicatif::ProgressBar) -> Self {
        self.options.progress = Wish::Own(bar);
        self
    }
}

impl fmt::Debug for Tasks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { chunk_size, timeout, retries, look_ahead, .. } = self.options;
        let mut shown = f.debug_struct("Tasks");
        shown.field("chunk_size", &chunk_size).field("timeout", &timeout).field("retries", &retries);
        shown.field("look_ahead", &look_ahead).finish_non_exhaustive()
    }
}

/// Every way of giving work, once on the pool and once on its tasks with options.
macro_rules! work {
    ($life:lifetime, $tasks:ident) => {
        /// Calls `f(args)` in a worker and waits for the value.
        ///
        /// # Examples
        ///
        /// ```
        /// # let pool = multiprocess_pool::Pool::new(1)?;
        /// assert_eq!(pool.apply(|a: u64, b: u64| a + b, (1, 2))?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// The task was not taken, or has failed.
        pub fn apply<F, A>(&self, f: F, args: A) -> Result<F::Output, TaskError>
        where
            F: Function<A>,
            A: Message,
            F::Output: Message,
        {
            $tasks(self).submit_task(entry::<A, F>(f), args)?.get()
        }

        /// Has `f(args)` called in a worker, and does not wait.
        ///
        /// # Examples
        ///
        /// ```
        /// # let pool = multiprocess_pool::Pool::new(1)?;
        /// let task = pool.submit(|a: u64, b: u64| a + b, (1, 2))?;
        /// assert_eq!(task.get()?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// The pool takes no tasks any more, or the arguments cannot be sent. A handle (a lock, a sender, a file) cannot: it
        /// travels in the [initializer](crate::PoolBuilder::initializer).
        #[doc(alias = "apply_async")]
        pub fn submit<F, A>(&self, f: F, args: A) -> Result<TaskHandle<F::Output>, PoolError>
        where
            F: Function<A>,
            A: Message,
            F::Output: Message,
        {
            $tasks(self).submit_task(entry::<A, F>(f), args)
        }

        /// Calls `f` with each input, in the workers, and waits for all values, which are in the order of the inputs.
        ///
        /// # Examples
        ///
        /// ```
        /// # let pool = multiprocess_pool::Pool::new(2)?;
        /// let squares: Vec<u64> = pool.map(|x| x * x, 0..1000)?;
        /// assert_eq!(squares[999], 998_001);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// The error of the first item that failed, after all others are done. To have the other values use
        /// [`imap`](Self::imap).
        pub fn map<F, I, R>(&self, f: F, inputs: I) -> Result<Vec<R>, TaskError>
        where
            F: Fn(I::Item) -> R + Copy + Send + 'static,
            I: IntoIterator,
            I::Item: Message,
            R: Message,
        {
            map::run(&$tasks(self), entry::<(I::Item,), F>(f), inputs.into_iter())
        }

        /// As [`map`](Self::map), for functions of several arguments.
        ///
        /// # Examples
        ///
        /// ```
        /// # let pool = multiprocess_pool::Pool::new(2)?;
        /// assert_eq!(pool.starmap(|a: u64, b: u64| a + b, [(1, 2), (3, 4)])?, [3, 7]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        ///
        /// # Errors
        ///
        /// As [`map`](Self::map).
        pub fn starmap<F, I>(&self, f: F, inputs: I) -> Result<Vec<F::Output>, TaskError>
        where
            F: Function<I::Item>,
            I: IntoIterator,
            I::Item: Message,
            F::Output: Message,
        {
            map::run(&$tasks(self), entry::<I::Item, F>(f), inputs.into_iter())
        }

        /// As [`map`](Self::map), one value after the other, as they are asked for. It takes a bounded number of
        /// inputs ahead, so that they may have no end. They are taken by the caller inside `next`.
        ///
        /// # Examples
        ///
        /// ```
        /// # let pool = multiprocess_pool::Pool::new(2)?;
        /// let mut sum = 0;
        /// for square in pool.imap(|x: u64| x * x, 0..).take(10) {
        ///     sum += square?;
        /// }
        /// assert_eq!(sum, 285);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn imap<F, I, R>(&self, f: F, inputs: I) -> Imap<$life, I::IntoIter, R>
        where
            F: Fn(I::Item) -> R + Copy + Send + 'static,
            I: IntoIterator,
            I::Item: Message,
            R: Message,
        {
            Imap::new(&$tasks(self), entry::<(I::Item,), F>(f), inputs.into_iter())
        }

        /// As [`imap`](Self::imap), in the order in which values come.
        ///
        /// # Examples
        ///
        /// ```
        /// # let pool = multiprocess_pool::Pool::new(2)?;
        /// let sum: Result<u64, _> = pool.imap_unordered(|x: u64| x * x, 0..10).sum();
        /// assert_eq!(sum?, 285);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn imap_unordered<F, I, R>(&self, f: F, inputs: I) -> ImapUnordered<$life, I::IntoIter, R>
        where
            F: Fn(I::Item) -> R + Copy + Send + 'static,
            I: IntoIterator,
            I::Item: Message,
            R: Message,
        {
            ImapUnordered::new(&$tasks(self), entry::<(I::Item,), F>(f), inputs.into_iter())
        }
    };
}

fn plain(pool: &Pool) -> Tasks<'_> {
    Tasks { pool, options: Options::default() }
}

fn same<'p>(tasks: &Tasks<'p>) -> Tasks<'p> {
    *tasks
}

/// The entry of a function, of which the value says nothing that its type does not.
fn entry<A, F>(_: F) -> &'static TaskEntry
where
    F: Function<A>,
    A: Message,
    F::Output: Message,
{
    const { must_not_capture::<F>() };
    TaskEntry::of::<F, A>()
}

impl Pool {
    work!('_, plain);
}

impl<'p> Tasks<'p> {
    work!('p, same);

    fn submit_task<A: Message, R>(self, entry: &'static TaskEntry, args: A) -> Result<TaskHandle<R>, PoolError> {
        let Options { timeout, retries, .. } = self.options;
        let prepared = entry.offset().and_then(|function| {
            self.options.check()?;
            let mut bytes = Vec::new();
            let own = pack_single(&mut bytes, args)?;
            Ok((function, own.unwrap_or(bytes)))
        });
        let (function, bytes) = prepared.map_err(PoolError::Failed)?;
        let arguments = crate::payload::Bytes::from(bytes);
        let task = |job| Task { job, item: 0, function, items: 0, retries, timeout, arguments };
        let shared = self.pool.shared();
        shared.submit(task).map(|job| TaskHandle::new(shared.clone(), job))
    }
}
