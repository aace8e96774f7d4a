//! The pool: how it is made, closed, and ended.

use crate::memory::Memory;
use crate::shared::{Recipe, Shared, broken};
use crate::stats::Stats;
use crate::supervisor;
use multiprocess_process::task::Preparation;
use multiprocess_process::{Function, Message, must_not_capture};
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::settings;
use multiprocess_sys::{Error, ErrorKind};
use std::fmt;
use std::num::NonZero;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many slots a pool has for each worker, and at least.
const SLOTS_PER_WORKER: usize = 4;
const SLOTS_MIN: usize = 1024;

/// A few processes that do many tasks.
///
/// Tasks begin in the order in which they were given, and each result is there as soon as its task is done. A worker that dies costs the
/// task that it was at: that one fails with [`TaskError::WorkerDied`](crate::TaskError::WorkerDied), a new worker takes its place, all
/// other results arrive. One that panics lives on.
///
/// A pool may be used by many threads at once. Workers may start processes and make pools themselves. They ignore Ctrl-C, and the
/// program decides: [`close`](Pool::close) and [`join`](Pool::join), [`stop`](Pool::stop), or dropping the pool, which terminates them.
/// They end with the program in any case, however it ends.
///
/// # Examples
///
/// ```
/// use multiprocess_pool::Pool;
///
/// let pool = Pool::new(4)?;
/// assert_eq!(pool.apply(|a: u64, b: u64| a + b, (1, 2))?, 3);
/// let squares: Vec<u64> = pool.map(|x| x * x, 0..1000)?;
/// assert_eq!(squares[10], 100);
/// pool.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// If this process is killed, its workers are gone within a moment. What a killed worker shared with others by other means (a
/// [lock](https://docs.rs/multiprocess-sync), a file) is as that says.
///
/// # Platform
///
/// A copy of the process that the program makes with its own `fork` cannot use the pool, and is told so. A program that closes all its
/// descriptors (`close_range`) breaks its pool: within about a second tasks fail with an error that says so. A new pool can be made then.
#[doc(alias = "ProcessPoolExecutor")]
#[must_use = "dropping a `Pool` terminates its workers"]
pub struct Pool {
    shared: Arc<Shared>,
    supervisor: Option<JoinHandle<()>>,
}

/// A pool that is not made yet.
///
/// # Examples
///
/// ```
/// use multiprocess_pool::Pool;
///
/// let pool = Pool::builder().workers(2).name("counter").max_tasks_per_child(100).build()?;
/// let name = pool.apply(|| multiprocess_process::current().name().to_owned(), ())?;
/// assert!(name.starts_with("counter-"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Debug)]
pub struct PoolBuilder {
    workers: Option<usize>,
    name: String,
    preparation: Option<Result<Preparation, Error>>,
    tasks_max: Option<u32>,
    #[cfg(feature = "tracing")]
    forwards_logs: bool,
}

impl PoolBuilder {
    /// How many workers; by default as many as there are CPUs that this process may use.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = multiprocess_pool::Pool::builder().workers(3).build()?;
    /// assert_eq!(pool.workers(), 3);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    #[doc(alias = "max_workers")]
    pub fn workers(mut self, n: usize) -> Self {
        self.workers = Some(n);
        self
    }

    /// What the names of workers begin with; a number follows.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = multiprocess_pool::Pool::builder().workers(1).name("painter").build()?;
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn name(mut self, prefix: impl Into<String>) -> Self {
        self.name = prefix.into();
        self
    }

    /// What each worker does first, and each one that takes the place of another. Its arguments may have handles in them, which
    /// tasks may not: locks, senders, files.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_pool::Pool;
    /// use std::sync::OnceLock;
    ///
    /// static WORDS: OnceLock<Vec<String>> = OnceLock::new();
    ///
    /// let words = vec!["one".to_owned(), "two".to_owned()];
    /// let pool = Pool::builder().workers(2).initializer(|words| WORDS.set(words).unwrap(), (words,)).build()?;
    /// assert_eq!(pool.map(|n: usize| WORDS.get().unwrap()[n].clone(), [1, 0])?, ["two", "one"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "initargs")]
    pub fn initializer<F, A>(mut self, f: F, args: A) -> Self
    where
        F: Function<A, Output = ()>,
        A: Message,
    {
        const { must_not_capture::<F>() };
        let _ = f; // a value of a type without one: the type says all
        self.preparation = Some(Preparation::new::<F, A>(&args));
        self
    }

    /// After how many tasks a worker is replaced by a fresh one; a chunk of several items counts as one task.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = multiprocess_pool::Pool::builder().workers(1).max_tasks_per_child(1).build()?;
    /// let first = pool.apply(|| std::process::id(), ())?;
    /// assert_ne!(pool.apply(|| std::process::id(), ())?, first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "maxtasksperchild")]
    pub fn max_tasks_per_child(mut self, n: u32) -> Self {
        self.tasks_max = Some(n);
        self
    }

    /// Whether the workers' `tracing` events come out here, with the worker's name and number in them: by default they do if this process
    /// has set a global subscriber before it makes the pool. An [`initializer`](PoolBuilder::initializer) that sets one in the
    /// worker needs `false`. What is promised stands at [`Process::forward_logs`](multiprocess_process::Process::forward_logs); what a
    /// task has said is out once [`flush_logs`](multiprocess_process::flush_logs) has returned after its result. With the feature `tracing`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_pool::Pool;
    ///
    /// let pool = Pool::builder().workers(1).forward_logs(false).build()?;
    /// assert_eq!(pool.apply(|| 42, ())?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tracing")]
    pub fn forward_logs(mut self, forward: bool) -> Self {
        self.forwards_logs = forward;
        self
    }

    /// Makes the pool: starts its workers, and waits until each has done its initializer.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_pool::Pool;
    ///
    /// let error = Pool::builder().workers(2).initializer(|| panic!("no luck"), ()).build().unwrap_err();
    /// assert!(error.to_string().contains("no luck"));
    /// assert!(Pool::builder().workers(0).build().is_err());
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// No workers, more than 1023, or no tasks for each, were asked for; the initializer's arguments cannot be sent, or it panics;
    /// there are no more processes, descriptors or memory. No worker is left then.
    pub fn build(self) -> Result<Pool, Error> {
        let workers = self.workers.unwrap_or_else(cpus);
        if workers == 0 {
            return Err(Error::new(ErrorKind::Other, "making a pool without workers"));
        }
        if self.tasks_max == Some(0) {
            return Err(Error::new(ErrorKind::Other, "making a pool whose workers do no task"));
        }
        let preparation = self.preparation.transpose()?;
        let settings = settings::capture()?.1.ignoring_interrupt();
        let slots = workers.saturating_mul(SLOTS_PER_WORKER).clamp(SLOTS_MIN, 1 << 16).next_power_of_two();
        let memory = Memory::new(slots, workers)?;
        let recipe = Recipe {
            prefix: self.name,
            settings,
            preparation,
            tasks_max: self.tasks_max,
            #[cfg(feature = "tracing")]
            forwards_logs: self.forwards_logs,
        };
        let shared = Arc::new(Shared::new(memory, slots, recipe)?);
        let mut pool = Pool { shared: Arc::clone(&shared), supervisor: None };
        for lane in 0..workers {
            // Dropping the pool ends those that were started.
            shared.start_worker(lane)?;
        }
        pool.supervisor = Some(supervisor::start(&shared)?);
        let is_ready = |state: &mut crate::state::State| {
            let all = || (0..workers).all(|lane| shared.is_ready(lane));
            (state.broken.is_some() || all()).then(|| {
                state.is_built = true;
                state.broken.clone()
            })
        };
        match shared.wait(None, Deadline::NEVER, is_ready).flatten() {
            None => Ok(pool),
            Some(why) => {
                Err(Error::new(ErrorKind::Child, "making a pool: a worker did not get ready").with_source(why))
            }
        }
    }
}

/// How many CPUs this process may use.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

impl Pool {
    /// A pool of so many workers.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = multiprocess_pool::Pool::new(4)?;
    /// assert_eq!(pool.worker_pids().len(), 4);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`PoolBuilder::build`].
    pub fn new(workers: usize) -> Result<Pool, Error> {
        Pool::builder().workers(workers).build()
    }

    /// A pool that can be described before it is made.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = multiprocess_pool::Pool::builder().workers(2).build()?;
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn builder() -> PoolBuilder {
        PoolBuilder {
            workers: None,
            name: "PoolWorker".to_owned(),
            preparation: None,
            tasks_max: None,
            #[cfg(feature = "tracing")]
            forwards_logs: true,
        }
    }

    /// The pool of this process, made at its first use, with as many workers as there are CPUs that the process may use.
    ///
    /// # Panics
    ///
    /// It cannot be made.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_pool::Pool;
    ///
    /// assert_eq!(Pool::global().map(|x: u32| x + 1, [1, 2])?, [2, 3]);
    /// # Ok::<(), multiprocess_pool::TaskError>(())
    /// ```
    pub fn global() -> &'static Pool {
        static GLOBAL: OnceLock<Pool> = OnceLock::new();
        GLOBAL
            .get_or_init(|| Pool::builder().build().unwrap_or_else(|e| panic!("making the pool of this process: {e}")))
    }

    /// The same calls with options.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(2)?;
    /// assert_eq!(pool.tasks().chunk_size(2).map(|x: u32| x + 1, 0..3)?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tasks(&self) -> crate::Tasks<'_> {
        crate::Tasks { pool: self, options: crate::options::Options::default() }
    }

    /// How many workers it has.
    pub fn workers(&self) -> usize {
        self.shared.memory.lanes()
    }

    /// The numbers of its workers now; fewer than there are workers while one is being replaced.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(2)?;
    /// assert!(pool.worker_pids().contains(&pool.apply(|| std::process::id(), ())?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker_pids(&self) -> Vec<u32> {
        self.shared.lock().lanes.workers().map(|worker| worker.pid()).collect()
    }

    /// What it has done so far.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(2)?;
    /// println!("{:?}", pool.stats());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let board = self.shared.board();
        let mut state = self.shared.lock();
        state.collect(&self.shared.memory, board);
        let (waiting, all) = state.queue(board);
        let work = (0..self.workers()).map(|lane| board.lane(lane).work());
        let busy = work.map(|(_, nanoseconds)| Duration::from_nanos(nanoseconds)).collect();
        Stats { tasks_done: state.done, busy, restarts: state.lanes.restarts, waiting, running: all - waiting }
    }

    /// Takes no more tasks. Those that it has are done, and then its workers end.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// let task = pool.submit(|| 42, ())?;
    /// pool.close();
    /// assert!(pool.submit(|| 43, ()).is_err());
    /// assert_eq!(task.get()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.shared.close();
    }

    /// Closes it, and waits until all tasks are done and all workers have ended. Results can be had afterwards.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// let task = pool.submit(|| 42, ())?;
    /// pool.join()?;
    /// assert_eq!(task.get()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// It had broken down: no worker could be started any more.
    #[doc(alias = "shutdown")]
    pub fn join(mut self) -> Result<(), Error> {
        self.close();
        self.finish();
        match &self.shared.lock().broken {
            Some(why) => Err(broken(why)),
            None => Ok(()),
        }
    }

    /// Ends its workers at once. Tasks that are not done fail with [`TaskError::Closed`](crate::TaskError::Closed).
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// let task = pool.submit(|| std::thread::park(), ())?;
    /// pool.terminate();
    /// assert!(task.get().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "terminate_workers")]
    pub fn terminate(self) {
        drop(self);
    }

    /// Asks its workers to end (`SIGTERM`), and ends those that are still there when `grace` has passed. Tasks that are not done
    /// fail with [`TaskError::Closed`](crate::TaskError::Closed).
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = multiprocess_pool::Pool::new(1)?;
    /// pool.stop(std::time::Duration::from_secs(5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(mut self, grace: Duration) {
        self.shared.end(Some(grace));
        self.finish();
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Waits for the supervisor, which ends when all workers have.
    fn finish(&mut self) {
        match self.supervisor.take() {
            // A future that the supervisor wakes may be the last to have the pool.
            Some(supervisor) if supervisor.thread().id() != std::thread::current().id() => drop(supervisor.join()),
            Some(_) => {}
            None => supervisor::dismiss(&self.shared),
        }
        #[cfg(feature = "tracing")]
        multiprocess_process::flush_logs();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.end(None);
        self.finish();
    }
}

/// As a channel or a lock is: whatever a panic interrupts, the pool's own state is whole.
impl UnwindSafe for Pool {}
impl RefUnwindSafe for Pool {}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("workers", &self.worker_pids()).finish_non_exhaustive()
    }
}
