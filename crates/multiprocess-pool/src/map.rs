//! `map`: all inputs at once, and all values in their order.
//!
//! The caller's thread does everything: it packs inputs into a batch, places the batch, takes in what has come, and unpacks that
//! while the workers go on. The lock is taken once per batch.

use crate::error::TaskError;
use crate::jobs::{Arrival, JobId};
use crate::options::Tasks;
use crate::payload::{Bytes, Outcome, decode};
use crate::shared::Shared;
use crate::state::{Phase, Placed, State, Task};
use multiprocess_parcel::RemoteError;
use multiprocess_process::task::{End, TaskEntry, push_item, split_result};
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
/// How many tasks are packed before they are placed.
const BATCH: usize = 64;

/// The tasks of one call, of which the caller is the only one who waits.
pub(crate) struct Work {
    pub(crate) shared: Arc<Shared>,
    pub(crate) job: JobId,
    is_feeding: bool,
    function: u64,
    retries: u32,
    timeout: Option<Duration>,
    /// Packed and not placed: where each task's bytes end, its first item, and how many.
    batch: Vec<(usize, u64, u32)>,
    bytes: Vec<u8>,
    /// How many tasks of the batch were placed.
    placed: usize,
    /// How many tasks are placed and not done.
    pub(crate) outstanding: usize,
    arrivals: std::collections::VecDeque<Arrival>,
}

impl Work {
    /// `is_feeding`: what is still to come belongs to the tasks that the pool has taken, also if it is closed meanwhile.
    pub(crate) fn new(tasks: Tasks<'_>, entry: &'static TaskEntry, is_feeding: bool) -> Result<Work, TaskError> {
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
            batch: Vec::new(),
            bytes: Vec::new(),
            placed: 0,
            outstanding: 0,
            arrivals: std::collections::VecDeque::new(),
        })
    }

    /// How many tasks are packed and not placed.
    pub(crate) fn unplaced(&self) -> usize {
        self.batch.len() - self.placed
    }

    /// How many items these have.
    pub(crate) fn unplaced_items(&self) -> usize {
        self.batch[self.placed..].iter().map(|(_, _, items)| *items as usize).sum()
    }

    /// Where to pack items.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Makes a task of the items that were packed since the last one.
    pub(crate) fn push(&mut self, item: u64, items: u32) {
        if items > 0 {
            self.batch.push((self.bytes.len(), item, items));
        }
    }

    /// Places what is packed, as far as there is room, and takes in what has come.
    pub(crate) fn turn(&mut self) -> Result<(), TaskError> {
        let shared = Arc::clone(&self.shared);
        let (memory, board) = (&shared.memory, shared.board());
        let mut state = shared.lock();
        state.collect(memory, board);
        let last = if self.is_feeding { Phase::Closed } else { Phase::Open };
        if self.unplaced() > 0 && state.phase > last {
            let why = state.broken.as_ref().map_or(TaskError::Closed, TaskError::from);
            self.take(&mut state);
            return Err(why);
        }
        if state.waiting == 0 && !state.is_armed && self.unplaced() > 0 {
            board.arm();
            state.is_armed = true;
        }
        let mut trouble = None;
        while let Some(&(end, item, items)) = self.batch.get(self.placed) {
            let start = self.placed.checked_sub(1).map_or(0, |before| self.batch[before].0);
            let (job, function, retries, timeout) = (self.job, self.function, self.retries, self.timeout);
            let task = Task { job, item, function, items, retries, timeout, arguments: Bytes::EMPTY };
            match state.place(memory, board, task, Some(&self.bytes[start..end])) {
                Placed::Done => {}
                // All slots belong to others: it waits in the queue, so that there is something to wait for.
                Placed::NoRoom(mut task) if self.outstanding == 0 => {
                    task.arguments = Bytes::new(&self.bytes[start..end]);
                    state.backlog.push_back(task);
                }
                Placed::NoRoom(_) => break,
                Placed::Failed(_, error) => {
                    trouble = Some(error);
                    break;
                }
                Placed::Damaged => {
                    self.placed = self.batch.len();
                    return Err(TaskError::transfer(shared.damaged(state)));
                }
            }
            self.placed += 1;
            self.outstanding += 1;
            if let Some(job) = state.jobs.get(self.job) {
                job.outstanding += 1;
            }
        }
        state.publish(memory, board);
        self.take(&mut state);
        drop(state);
        if self.placed == self.batch.len() {
            (self.placed, _) = (0, self.batch.clear());
            self.bytes.clear();
        }
        if self.timeout.is_some() {
            shared.bell.ring();
        }
        trouble.map_or(Ok(()), |error| Err(TaskError::transfer(error)))
    }

    fn take(&mut self, state: &mut State) {
        if let Some(job) = state.jobs.get(self.job) {
            self.arrivals.append(&mut job.inbox);
            self.outstanding = job.outstanding;
        }
    }

    /// Forgets what is packed and not placed.
    pub(crate) fn forget_batch(&mut self) {
        self.batch.clear();
        self.bytes.clear();
        self.placed = 0;
    }

    /// Waits until something has come. Only while something is outstanding.
    pub(crate) fn wait(&mut self) {
        let job = self.job;
        let shared = Arc::clone(&self.shared);
        let has_come = |state: &mut State| {
            state.jobs.get(job).is_none_or(|job| !job.inbox.is_empty() || job.outstanding == 0).then_some(())
        };
        shared.wait(Some(job), Deadline::NEVER, has_come);
        self.take(&mut shared.lock());
    }

    /// What has come next: for each item its number and its value or why there is none.
    pub(crate) fn next_arrival<R: DeserializeOwned>(
        &mut self,
        mut each: impl FnMut(u64, Result<R, TaskError>),
    ) -> bool {
        let Some(Arrival { item, items, outcome }) = self.arrivals.pop_front() else { return false };
        let items = u64::from(items.max(1));
        let error = match outcome {
            Outcome::Left(End::Value, bytes) => {
                let mut rest = bytes.as_slice();
                for number in item..item + items {
                    let Some((end, result, more)) = split_result(rest) else {
                        let error = Error::new(ErrorKind::Damaged, "reading the results of a chunk");
                        each(number, Err(TaskError::transfer(error)));
                        continue;
                    };
                    rest = more;
                    each(number, decode(end, result));
                }
                return true;
            }
            Outcome::Left(End::Panicked, _) => {
                TaskError::Transfer(RemoteError::new("the results of a chunk are of an unknown kind"))
            }
            left => match left.decode::<()>() {
                Err(error) => error,
                Ok(()) => TaskError::Closed,
            },
        };
        for number in item..item + items {
            each(number, Err(error.clone()));
        }
        true
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

pub(crate) fn run<I, R>(tasks: Tasks<'_>, entry: &'static TaskEntry, mut inputs: I) -> Result<Vec<R>, TaskError>
where
    I: Iterator,
    I::Item: Serialize,
    R: DeserializeOwned,
{
    let mut work = Work::new(tasks, entry, true)?;
    let workers = tasks.pool.workers();
    let slots = work.shared.board().slots();
    let mut chunks = Chunks {
        fixed: tasks.options.chunk_size,
        workers,
        began: Instant::now(),
        size: tasks.options.chunk_size.unwrap_or(1),
    };
    // Small chunks of a chosen size keep many slots filled; if the size is to be found out, the first ones must come back first.
    let window = if chunks.fixed.is_some() { slots - slots / 8 } else { CHUNKS_PER_WORKER * workers };
    let mut results: Vec<Option<R>> = Vec::with_capacity(inputs.size_hint().0.min(1 << 20));
    let (mut next, mut done, mut failure) = (0, 0, None::<(u64, TaskError)>);
    let mut has_more = true;
    loop {
        while has_more && work.outstanding + work.unplaced() < window && work.unplaced() < BATCH {
            let first = next;
            while has_more && next - first < chunks.size as u64 {
                match inputs.next().map(|input| push_item(work.bytes(), &input)) {
                    Some(Ok(())) => next += 1,
                    Some(Err(error)) => {
                        note(&mut failure, next, TaskError::transfer(error));
                        has_more = false;
                    }
                    None => has_more = false,
                }
            }
            work.push(first, (next - first) as u32);
        }
        results.resize_with(next as usize, || None);
        if let Err(error) = work.turn() {
            note(&mut failure, next, error);
            work.forget_batch();
            has_more = false;
        }
        let mut has_come = false;
        while work.next_arrival(|item, result| {
            done += 1;
            match result {
                Ok(value) => {
                    if let Some(place) = results.get_mut(item as usize) {
                        *place = Some(value);
                    }
                }
                Err(error) => note(&mut failure, item, error),
            }
        }) {
            has_come = true;
        }
        chunks.adapt(done, inputs.size_hint().1.unwrap_or(LEFT_UNKNOWN));
        let is_full = !has_more || work.unplaced() > 0 || work.outstanding >= window;
        if work.outstanding > 0 {
            if !has_come && is_full {
                work.wait();
            }
        } else if work.unplaced() == 0 && work.arrivals.is_empty() && !has_more {
            break;
        }
    }
    if let Some((_, error)) = failure {
        return Err(error);
    }
    let count = results.len();
    let values: Vec<R> = results.into_iter().flatten().collect();
    match values.len() == count {
        true => Ok(values),
        false => Err(TaskError::transfer(Error::new(
            ErrorKind::Damaged,
            "collecting the results of a pool: some are missing",
        ))),
    }
}

/// Keeps the error of the first item that failed.
fn note(failure: &mut Option<(u64, TaskError)>, item: u64, error: TaskError) {
    if failure.as_ref().is_none_or(|(first, _)| item < *first) {
        *failure = Some((item, error));
    }
}
