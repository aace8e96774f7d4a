//! `imap`: values one after the other, and inputs only as far ahead as is useful.

use crate::batch::Batch;
use crate::error::TaskError;
use crate::map::Work;
use crate::options::Tasks;
use crate::progress::Progress;
use multiprocess_process::task::TaskEntry;
use multiprocess_sys::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;

/// How many inputs are taken ahead, at least.
const AHEAD_MIN: usize = 16;
/// While values are there to give out, inputs are taken when one in so many of those ahead is missing.
const REFILL: usize = 4;
/// How many chunks for each worker.
const CHUNKS_PER_WORKER: usize = 4;

/// Packs the next inputs as one task.
type Pull<I> = fn(&mut Batch, u64, usize, &mut I) -> (u64, Result<bool, Error>);

/// What both iterators have in common.
struct Stream<I, R> {
    /// There until the end, or if it could not begin.
    work: Option<Work>,
    inputs: I,
    pull: Pull<I>,
    chunk: usize,
    ahead: usize,
    next: u64,
    /// The error of an input, to be told behind all that came before it; then there are no more inputs.
    last: Option<TaskError>,
    has_more: bool,
    /// How many items were taken in and not given out.
    pending: usize,
    progress: Progress,
    result: PhantomData<fn() -> R>,
}

impl<I, R> Stream<I, R> {
    fn new(tasks: &Tasks<'_>, entry: &'static TaskEntry, inputs: I) -> Stream<I, R>
    where
        I: Iterator,
        I::Item: Serialize,
    {
        let chunk = tasks.options.chunk_size.unwrap_or(1);
        let chunks = chunk.saturating_mul(CHUNKS_PER_WORKER * tasks.pool.workers());
        let ahead = tasks.options.look_ahead.unwrap_or(chunks.max(AHEAD_MIN));
        let (work, last) = match Work::new(tasks, entry, false) {
            Ok(work) => (Some(work), None),
            Err(error) => (None, Some(error)),
        };
        let has_more = work.is_some();
        let pull = Batch::pack::<I>;
        let progress = Progress::begin(tasks.options.progress, inputs.size_hint());
        Stream { work, inputs, pull, chunk, ahead, next: 0, last, has_more, pending: 0, progress, result: PhantomData }
    }
}

impl<I, R: DeserializeOwned> Stream<I, R> {
    /// Nothing will come any more; the error to be told behind all that came.
    fn end(&mut self) -> Option<TaskError> {
        self.work = None;
        let last = self.last.take();
        match last {
            None => self.progress.finish(),
            Some(_) => self.progress.abandon(),
        }
        last
    }

    /// Takes inputs ahead, and hands over what has come; waits until something has, unless `is_enough`. `false` if nothing will come
    /// any more.
    fn turn(&mut self, is_enough: bool, mut each: impl FnMut(u64, Result<R, TaskError>)) -> bool {
        // Inputs are taken ahead some at a time: a turn for each would cost more than a short task.
        if is_enough && (!self.has_more || self.pending > self.ahead - self.ahead / REFILL) {
            return true;
        }
        let Some(work) = &mut self.work else { return false };
        // One for the value that is asked for, and those ahead of it.
        while self.has_more && self.pending <= self.ahead {
            let room = (self.ahead + 1 - self.pending).min(self.chunk);
            let (count, more) = (self.pull)(&mut work.batch, self.next, room, &mut self.inputs);
            self.next += count;
            self.pending += count as usize;
            match more {
                Ok(has_more) => self.has_more = has_more,
                Err(error) => (self.last, self.has_more) = (Some(TaskError::transfer(error)), false),
            }
            if !self.has_more && self.last.is_none() {
                self.progress.set_total(self.next);
            }
        }
        loop {
            let unplaced = work.batch.items();
            if let Err(error) = work.turn(None) {
                // What was not placed will not run: the error stands for the first of it.
                self.pending -= unplaced;
                work.batch.clear();
                (self.last, self.has_more) = (Some(error), false);
            }
            let mut come = 0;
            work.arrivals.each(|item, result| {
                come += 1;
                each(item, result);
            });
            if come > 0 {
                self.progress.add(come);
            }
            if come > 0 || is_enough {
                return true;
            }
            if work.outstanding == 0 {
                return false;
            }
            work.wait(1);
        }
    }
}

/// The values of [`imap`](crate::Pool::imap), in the order of the inputs. After an error it goes on with the next value.
///
/// Dropping it cancels what it looked ahead and no worker has begun.
///
/// # Examples
///
/// ```
/// use multiprocess_pool::Pool;
///
/// let pool = Pool::new(2)?;
/// let values: Vec<_> = pool.imap(|x: u32| 100 / x, [5, 0, 2]).map(Result::ok).collect();
/// assert_eq!(values, [Some(20), None, Some(50)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an iterator does nothing until it is used"]
pub struct Imap<'p, I, R> {
    stream: Stream<I, R>,
    /// What has come, from the next value on.
    ready: VecDeque<Option<Result<R, TaskError>>>,
    given: u64,
    pool: PhantomData<&'p ()>,
}

impl<I, R> Imap<'_, I, R> {
    pub(crate) fn new(tasks: &Tasks<'_>, entry: &'static TaskEntry, inputs: I) -> Self
    where
        I: Iterator,
        I::Item: Serialize,
    {
        Imap { stream: Stream::new(tasks, entry, inputs), ready: VecDeque::new(), given: 0, pool: PhantomData }
    }
}

impl<I: Iterator, R: DeserializeOwned> Iterator for Imap<'_, I, R> {
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Imap { stream, ready, given, .. } = self;
        loop {
            let is_ready = matches!(ready.front(), Some(Some(_)));
            let goes_on = stream.turn(is_ready, |item, result| {
                let place = item.saturating_sub(*given) as usize;
                if ready.len() <= place {
                    ready.resize_with(place + 1, || None);
                }
                ready[place] = Some(result);
            });
            if let Some(Some(_)) = ready.front() {
                *given += 1;
                stream.pending -= 1;
                return ready.pop_front().flatten();
            }
            if !goes_on {
                return stream.end().map(Err);
            }
        }
    }
}

impl<I, R> fmt::Debug for Imap<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imap").field("given", &self.given).field("ahead", &self.stream.pending).finish_non_exhaustive()
    }
}

/// The values of [`imap_unordered`](crate::Pool::imap_unordered), as they come. After an error it goes on with the next value.
///
/// Dropping it cancels what it looked ahead and no worker has begun.
///
/// # Examples
///
/// ```
/// use multiprocess_pool::Pool;
///
/// let pool = Pool::new(2)?;
/// let mut values = pool.imap_unordered(|x: u32| x * 2, 0..10).collect::<Result<Vec<_>, _>>()?;
/// values.sort();
/// assert_eq!(values[9], 18);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "an iterator does nothing until it is used"]
pub struct ImapUnordered<'p, I, R> {
    stream: Stream<I, R>,
    ready: VecDeque<Result<R, TaskError>>,
    pool: PhantomData<&'p ()>,
}

impl<I, R> ImapUnordered<'_, I, R> {
    pub(crate) fn new(tasks: &Tasks<'_>, entry: &'static TaskEntry, inputs: I) -> Self
    where
        I: Iterator,
        I::Item: Serialize,
    {
        ImapUnordered { stream: Stream::new(tasks, entry, inputs), ready: VecDeque::new(), pool: PhantomData }
    }
}

impl<I: Iterator, R: DeserializeOwned> Iterator for ImapUnordered<'_, I, R> {
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        let ImapUnordered { stream, ready, .. } = self;
        let goes_on = stream.turn(!ready.is_empty(), |_, result| ready.push_back(result));
        if let Some(result) = ready.pop_front() {
            stream.pending -= 1;
            return Some(result);
        }
        if goes_on { None } else { stream.end().map(Err) }
    }
}

impl<I, R> fmt::Debug for ImapUnordered<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImapUnordered").field("ahead", &self.stream.pending).finish_non_exhaustive()
    }
}
