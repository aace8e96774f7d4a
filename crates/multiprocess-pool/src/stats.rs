//! What a pool has done so far.

use std::time::Duration;

/// What a pool has done so far, at one moment.
///
/// # Examples
///
/// ```
/// use multiprocess_pool::Pool;
///
/// let pool = Pool::new(2)?;
/// pool.tasks().chunk_size(1).map(|x: u64| x, 0..100)?;
/// let stats = pool.stats();
/// assert_eq!((stats.tasks_done, stats.restarts, stats.waiting), (100, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many tasks have come to their end, a chunk of several items being one; those that were lost are not among them.
    pub tasks_done: u64,
    /// For how long each worker, with those before it in its place, has had something to do. The present stretch is not in it.
    pub busy: Vec<Duration>,
    /// How many workers ended before the pool did and got another one in their place, which may be on its way. Whoever knows
    /// that a task was lost with its worker finds that one counted.
    pub restarts: u64,
    /// How many tasks wait for a worker.
    pub waiting: usize,
    /// How many are with a worker.
    pub running: usize,
}
