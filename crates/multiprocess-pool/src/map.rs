//! `map`: all inputs at once, and all values in their order.
//!
//! The caller's thread does everything: it packs inputs into a batch, places the batch, takes in what has come, and unpacks that
//! while the workers go on. The lock is taken once per batch.

use crate::arrivals::{Arrivals, Inbox};
use crate::batch::Batch;
use crate::error::TaskError;
use crate::jobs::JobId;
use crate::options::Tasks;
use crate::payload::Bytes;
use crate::pool::cpus;
use crate::progress::Progress;
use crate::shared::Shared;
use crate::state::{Phase, Placed, State, Task};
use multiprocess_process::task::TaskEntry;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::{Error, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a chunk shall take if its size is chosen here.
const CHUNK_TIME: Duration = Duration::from_millis(1);
/// How many chunks each worker gets at least, if there are so many items.
const CHUNKS_PER_WORKER: usize = 4;
/// How many items are taken to be left if the inputs do not tell.
const LEFT_UNKNOWN: usize = 4096;
/// More tasks are given when one in so many of those that are outstanding has come back.
const REFILL: usize = 8;
/// A batch that took longer to pack is the last one for a while.
const PACKING: Duration = Duration::from_micros(200);
/// How many results there is room for from the beginning; inputs may lie about their number.
const RESULTS_MAX: usize = 1 << 20;

/// The tasks of one call, of which the caller is the only one who waits.
pub(crate) struct Work {
    pub(crate) shared: Arc<Shared>,
    pub(crate) job: JobId,
    is_feeding: bool,
    function: u64,
    retries: u32,
    timeout: Option<Duration>,
    pub(crate) batch: Batch,
    /// How many tasks are placed and not done.
    pub(crate) outstanding: usize,
    pub(crate) arrivals: Arrivals,
}

impl Work {
    /// `is_feeding`: what is still to come belongs to the tasks that the pool has taken, also if it is closed meanwhile.
    pub(crate) fn new(tasks: &Tasks<'_>, entry: &'static TaskEntry, is_feeding: bool) -> Result<Work, TaskError> {
        let function = entry.offset().and_then(|function| tasks.options.check().map(|()| function));
        let function = function.map_err(TaskError::transfer)?;
        let shared = Arc::clone(tasks.pool.shared());
        let job = shared.open_job(is_feeding)?;
        let (retries, timeout) = (tasks.options.retries, tasks.options.timeout);
        Ok(Work {
            shared,
            job,
            is_feeding,
            function,
            retries,
            timeout,
            batch: Batch::default(),
            outstanding: 0,
            arrivals: Arrivals::default(),
        })
    }

    /// Places what is packed, as far as there is room, and takes in what has come.
    /// With `few` only so many workers are woken.
    pub(crate) fn turn(&mut self, few: Option<u32>) -> Result<(), TaskError> {
        let shared = Arc::clone(&self.shared);
        let (memory, board) = (&shared.memory, shared.board());
        let mut state = shared.lock();
        state.collect(memory, board);
        let last = if self.is_feeding { Phase::Closed } else { Phase::Open };
        if self.batch.len() > 0 && state.phase > last {
            let why = state.broken.as_ref().map_or(TaskError::Closed, TaskError::from);
            self.take(&mut state);
            return Err(why);
        }
        let mut trouble = None;
        let (job, function, retries, timeout) = (self.job, self.function, self.retries, self.timeout);
        let mut task = Task { job, item: 0, function, items: 0, retries, timeout, arguments: Bytes::EMPTY };
        while let Some((packed, bytes)) = self.batch.next() {
            (task.item, task.items) = (packed.item, packed.items);
            match state.place(memory, board, &mut task, Some(bytes)) {
                Placed::Done => {}
                // All slots belong to others: it waits in the queue, so that there is something to wait for.
                Placed::NoRoom if self.outstanding == 0 => {
                    state.backlog.push_back(Task { arguments: self.batch.take_bytes(), ..task.clone() });
                }
                Placed::NoRoom => break,
                Placed::Failed(error) => {
                    trouble = Some(error);
                    break;
                }
                Placed::Damaged => {
                    self.batch.clear();
                    return Err(TaskError::transfer(shared.damaged(state)));
                }
            }
            if let Some(own) = self.batch.advance() {
                state.give_spare(own);
            }
            self.outstanding += 1;
            if let Some(job) = state.jobs.get(self.job) {
                job.outstanding += 1;
            }
        }
        state.publish(memory, board, few);
        shared.arm(&mut state);
        self.take(&mut state);
        drop(state);
        if self.timeout.is_some() {
            shared.descriptors.ring();
        }
        trouble.map_or(Ok(()), |error| Err(TaskError::transfer(error)))
    }

    fn take(&mut self, state: &mut State) {
        if let Some(job) = state.jobs.get(self.job) {
            if let Inbox::Many(arrivals) = &mut job.inbox {
                arrivals.empty(&mut self.arrivals);
            }
            self.outstanding = job.outstanding;
        }
    }

    /// Waits until so many tasks have come back, or all. Only while something is outstanding.
    pub(crate) fn wait(&mut self, tasks: usize) {
        let job = self.job;
        let shared = Arc::clone(&self.shared);
        let has_come = |state: &mut State| {
            state.jobs.get(job).is_none_or(|job| job.inbox.len() >= tasks || job.outstanding == 0).then_some(())
        };
        shared.wait(Some(job), Deadline::NEVER, has_come);
        self.take(&mut shared.lock());
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.shared.leave_job(self.job, true, self.is_feeding);
    }
}

/// How many items go into the next chunk.
struct Chunks {
    fixed: Option<usize>,
    workers: usize,
    began: Instant,
    size: usize,
}

impl Chunks {
    /// After `done` items are done and `left` are known to be left.
    fn adapt(&mut self, done: u64, left: usize) {
        if self.fixed.is_some() || done == 0 {
            return;
        }
        let took = self.began.elapsed().as_nanos().max(1) * self.workers as u128;
        let fit = (CHUNK_TIME.as_nanos() * u128::from(done) / took).clamp(1, 1 << 20) as usize;
        // Not more than four times as many at once: the first items may not be like the others.
        let share = left.div_ceil(CHUNKS_PER_WORKER * self.workers).max(1);
        self.size = fit.min(self.size * 4).min(share);
    }
}

/// One call of `map`.
struct Mapping<I, R> {
    work: Work,
    inputs: I,
    has_more: bool,
    chunks: Chunks,
    /// How many tasks may be outstanding.
    window: usize,
    /// How many processes can run at once.
    processors: u32,
    /// How many items were packed, and how many are done.
    next: u64,
    done: u64,
    results: Vec<Option<R>>,
    failure: Option<(u64, TaskError)>,
    progress: Progress,
}

/// Calls a function with all inputs; the values in their order.
pub(crate) fn run<I, R>(tasks: &Tasks<'_>, entry: &'static TaskEntry, inputs: I) -> Result<Vec<R>, TaskError>
where
    I: Iterator,
    I::Item: Serialize,
    R: DeserializeOwned,
{
    let work = Work::new(tasks, entry, true)?;
    let (workers, slots) = (tasks.pool.workers(), work.shared.board().slots());
    let fixed = tasks.options.chunk_size;
    let chunks = Chunks { fixed, workers, began: Instant::now(), size: fixed.unwrap_or(1) };
    // Small chunks of a chosen size keep many slots filled; if the size is to be found out, the first ones must come back first.
    let window = if fixed.is_some() { slots - slots / 8 } else { CHUNKS_PER_WORKER * workers };
    let results = Vec::with_capacity(inputs.size_hint().0.min(RESULTS_MAX));
    let progress = Progress::begin(tasks.options.progress, inputs.size_hint());
    let processors = u32::try_from(cpus()).unwrap_or(u32::MAX);
    let (has_more, next, done, failure) = (true, 0, 0, None);
    let mut mapping =
        Mapping { work, inputs, has_more, chunks, window, processors, next, done, results, failure, progress };
    while mapping.turn() {}
    mapping.finish()
}

impl<I, R> Mapping<I, R>
where
    I: Iterator,
    I::Item: Serialize,
    R: DeserializeOwned,
{
    /// Gives what there is to give, and takes what has come; waits if there is neither. `false` if all is done.
    fn turn(&mut self) -> bool {
        let began = Instant::now();
        self.pack();
        // Short tasks keep no more workers busy than there are processors, and many that wake for one each are in the way of all. If
        // tasks turn out long, the others are woken before this thread sleeps; but inputs may take long too.
        let few = (began.elapsed() < PACKING).then_some(self.processors);
        if let Err(error) = self.work.turn(few) {
            note(&mut self.failure, self.next, error);
            self.work.batch.clear();
            self.has_more = false;
        }
        let has_come = self.take();
        self.chunks.adapt(self.done, self.inputs.size_hint().1.unwrap_or(LEFT_UNKNOWN));
        let work = &mut self.work;
        let is_full = !self.has_more || work.batch.len() > 0 || work.outstanding >= self.window;
        if work.outstanding > 0 && !has_come && is_full {
            // Workers that have enough ahead of them are not disturbed for each task.
            work.wait((work.outstanding / REFILL).max(1));
        }
        work.outstanding > 0 || work.batch.len() > 0 || work.arrivals.len() > 0 || self.has_more
    }

    /// Packs a batch.
    fn pack(&mut self) {
        let work = &mut self.work;
        while self.has_more && work.outstanding + work.batch.len() < self.window && !work.batch.is_full() {
            let (count, more) = work.batch.pack(self.next, self.chunks.size, &mut self.inputs);
            self.next += count;
            match more {
                Ok(has_more) => self.has_more = has_more,
                Err(error) => {
                    note(&mut self.failure, self.next, TaskError::transfer(error));
                    self.has_more = false;
                }
            }
            if !self.has_more && self.failure.is_none() {
                self.progress.set_total(self.next);
            }
        }
        self.results.resize_with(self.next as usize, || None);
    }

    /// Takes what has come; whether anything has.
    fn take(&mut self) -> bool {
        let Mapping { work, results, failure, done, progress, .. } = self;
        let before = *done;
        let mut each = |item, result| {
            *done += 1;
            match (result, results.get_mut(item as usize)) {
                (Ok(value), Some(place)) => *place = Some(value),
                (Ok(_), None) => {}
                (Err(error), _) => note(failure, item, error),
            }
        };
        work.arrivals.each(&mut each);
        let has_come = *done > before;
        if has_come {
            progress.add(*done - before);
        }
        has_come
    }

    fn finish(mut self) -> Result<Vec<R>, TaskError> {
        if let Some((_, error)) = self.failure {
            return Err(error);
        }
        let count = self.results.len();
        let values: Vec<R> = self.results.into_iter().flatten().collect();
        if values.len() == count {
            self.progress.finish();
            return Ok(values);
        }
        let missing = "collecting the results of a pool, of which some are missing";
        Err(TaskError::transfer(Error::new(ErrorKind::Damaged, missing)))
    }
}

/// Keeps the error of the first item that failed.
fn note(failure: &mut Option<(u64, TaskError)>, item: u64, error: TaskError) {
    if failure.as_ref().is_none_or(|(first, _)| item < *first) {
        *failure = Some((item, error));
    }
}
