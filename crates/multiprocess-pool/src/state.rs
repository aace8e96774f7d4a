//! What the pool's process knows of its tasks, behind one lock: what waits, what lies in which slot, what has come.
//!
//! ```text
//! submit -> backlog -> slot (READY -> RUNNING -> DONE) -> the job's inbox -> get
//! ```
//!
//! A task is in exactly one of the places: the backlog, which is as long as it likes; a slot, for which there is a record here; or
//! its job's inbox. The record is private to this process: what a worker writes decides what the result is, never whose.

mod losses;

use crate::arrivals::{Arrival, Short};
use crate::error::TaskError;
use crate::jobs::{Job, JobId, Jobs};
use crate::lanes::Lanes;
use crate::memory::{Block, Blocks, Memory};
use crate::payload::{Bytes, Outcome, SHORT};
use crate::worker::{CHUNK, TIMED};
use multiprocess_core::work::{Board, Damaged, Found, INLINE, Slot, Status};
use multiprocess_parcel::RemoteError;
use multiprocess_process::task::End;
use multiprocess_sys::Error;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::task::Waker;
use std::time::{Duration, Instant};

/// A task that is not done.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) job: JobId,
    /// The number of its first item in the job.
    pub(crate) item: u64,
    pub(crate) function: u64,
    /// How many items; 0 = it is one call that is no chunk.
    pub(crate) items: u32,
    pub(crate) retries: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) arguments: Bytes,
}

/// A task in a slot: a cache line or so, because one is written and read for each task.
#[derive(Debug)]
struct Record {
    job: JobId,
    item: u64,
    function: u64,
    items: u32,
    /// Where it was placed: a number that no other task has.
    position: u64,
    /// The block of its arguments, if they do not lie in the slot.
    block: Option<Block>,
    /// Only of a chunk, and of a task that is timed or may be begun again.
    more: Option<Box<More>>,
}

/// What few tasks need.
#[derive(Debug)]
struct More {
    /// Its arguments, if they may be needed again.
    arguments: Bytes,
    retries: u32,
    timeout: Option<Duration>,
    /// Why it was taken away from its worker.
    verdict: Option<TaskError>,
}

impl Record {
    /// The task again, with these arguments instead of those that were kept.
    fn into_task(self, arguments: Option<Bytes>) -> Task {
        let Record { job, item, function, items, more, .. } = self;
        let (kept, retries, timeout) = more.map_or((Bytes::EMPTY, 0, None), |more| {
            let More { arguments, retries, timeout, .. } = *more;
            (arguments, retries, timeout)
        });
        Task { job, item, function, items, retries, timeout, arguments: arguments.unwrap_or(kept) }
    }
}

/// How far the life of a pool has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It takes tasks.
    Open,
    /// It takes no more.
    Closed,
    /// Its tasks have failed, and its workers are ended.
    Ended,
}

/// The state of a pool.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// Whether the supervisor was told that it was closed and has nothing to do any more.
    pub(crate) is_done: bool,
    /// Whether all workers have been ready once.
    pub(crate) is_built: bool,
    /// Why no worker can be started any more.
    pub(crate) broken: Option<RemoteError>,
    pub(crate) jobs: Jobs,
    pub(crate) lanes: Lanes,
    pub(crate) backlog: VecDeque<Task>,
    /// Futures to wake when the lock is given back.
    pub(crate) wakers: Vec<Waker>,
    /// Whether futures have waited since there was nothing to do.
    pub(crate) has_futures: bool,
    /// Calls that will still give tasks.
    pub(crate) feeding: usize,
    /// Threads that wait and collect.
    pub(crate) waiting: usize,
    /// Whether one of them sleeps on the signal.
    pub(crate) is_led: bool,
    /// Whether somebody who waits for other things too may sleep on the signal.
    pub(crate) is_watched: bool,
    /// Threads that sleep until they are told.
    pub(crate) followers: Vec<std::sync::Arc<std::sync::Condvar>>,
    /// Something was delivered since the lock was taken.
    pub(crate) has_delivered: bool,
    /// How long workers have to end by themselves.
    pub(crate) grace: Duration,
    /// Whether the bell will be rung at the next news.
    pub(crate) is_armed: bool,
    /// When to look at a timed task: the moment, its slot and number.
    pub(crate) timers: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    /// What is to be told when the lock is given back.
    #[cfg(feature = "tracing")]
    pub(crate) news: Vec<crate::events::News>,
    /// How many tasks have left a result.
    pub(crate) done: u64,
    records: Vec<Option<Record>>,
    occupied: usize,
    tail: u64,
    /// There is room before this position, as was seen when a worker set out last.
    limit: u64,
    published: u64,
    blocks: Blocks,
    scratch: Vec<u8>,
    /// The memory of arguments, in which results may lie.
    spare: Vec<Vec<u8>>,
}

impl State {
    pub(crate) fn new(memory: &Memory, slots: usize) -> State {
        State {
            phase: Phase::Open,
            is_done: false,
            is_built: false,
            broken: None,
            jobs: Jobs::default(),
            lanes: Lanes::new(memory.lanes()),
            backlog: VecDeque::new(),
            wakers: Vec::new(),
            has_futures: false,
            feeding: 0,
            waiting: 0,
            is_led: false,
            is_watched: false,
            followers: Vec::new(),
            has_delivered: false,
            grace: GRACE,
            is_armed: false,
            timers: BinaryHeap::new(),
            #[cfg(feature = "tracing")]
            news: Vec::new(),
            done: 0,
            records: (0..slots).map(|_| None).collect(),
            occupied: 0,
            tail: 0,
            limit: 0,
            published: 0,
            blocks: Blocks::new(memory.area(None)),
            scratch: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Whether there is a task that is not done.
    pub(crate) fn has_work(&self) -> bool {
        self.occupied > 0 || !self.backlog.is_empty() || self.feeding > 0
    }

    /// Whether the supervisor is to be told of news while nobody waits. Otherwise results may lie where they are until somebody
    /// asks: so a caller that gives task after task is not disturbed.
    pub(crate) fn wants_bell(&self) -> bool {
        !self.backlog.is_empty() || (self.has_work() && (self.has_futures || self.phase == Phase::Closed))
    }

    /// How many tasks have not begun, as far as that is known, and how many are not done.
    pub(crate) fn queue(&self, board: Board<'_>) -> (usize, usize) {
        let taken = |at: &usize| self.records[*at].is_some() && board.slot(*at).status() != Status::Ready;
        let running = (0..self.records.len()).filter(taken).count();
        let all = self.occupied + self.backlog.len();
        (all.saturating_sub(running), all)
    }

    /// Puts a task into a slot, with the arguments given or else with its own, which are taken out of it if they are to be kept.
    #[inline]
    pub(crate) fn place(
        &mut self,
        memory: &Memory,
        board: Board<'_>,
        task: &mut Task,
        arguments: Option<&[u8]>,
    ) -> Placed {
        let at = match self.vacant(board) {
            Ok(Some(at)) => at,
            Ok(None) => return Placed::NoRoom,
            Err(Damaged) => return Placed::Damaged,
        };
        let slot = board.slot(at);
        let bytes = arguments.unwrap_or(task.arguments.as_slice());
        if bytes.len() > INLINE && self.blocks.used() > AHEAD_MAX && self.occupied >= AHEAD_MIN * memory.lanes() {
            return Placed::NoRoom;
        }
        let block = match self.put(memory, slot, bytes) {
            Ok(block) => block,
            Err(error) => return Placed::Failed(error),
        };
        let place = block.map_or(0, |block| block.place);
        let flags = if task.items > 0 { CHUNK } else { 0 } | if task.timeout.is_some() { TIMED } else { 0 };
        slot.set_function(task.function);
        slot.set_measure(bytes.len() as u64, place, flags);
        let more = if flags != 0 || task.retries > 0 { Some(self.prepare(slot, at, task, arguments)) } else { None };
        slot.offer();
        let Task { job, item, function, items, .. } = *task;
        self.records[at] = Some(Record { job, item, function, items, position: self.tail, block, more });
        self.occupied += 1;
        self.tail += 1;
        Placed::Done
    }

    /// The slot at `tail`, which is moved behind those that have tasks; `None` if all have.
    #[inline]
    fn vacant(&mut self, board: Board<'_>) -> Result<Option<usize>, Damaged> {
        loop {
            // Workers move the head all the time, so it is looked at as rarely as possible.
            if self.tail >= self.limit {
                self.limit = self.tail + board.room(self.tail)? as u64;
            }
            if self.tail >= self.limit || self.occupied == self.records.len() {
                return Ok(None);
            }
            let at = board.slot_at(self.tail);
            if self.records[at].is_none() {
                return Ok(Some(at));
            }
            // It still runs, or its result was not seen yet.
            self.tail += 1;
        }
    }

    /// What is kept of a task that is a chunk, timed or begun again.
    #[cold]
    fn prepare(&mut self, slot: Slot<'_>, at: usize, task: &mut Task, arguments: Option<&[u8]>) -> Box<More> {
        slot.set_progress(0);
        slot.set_since(0);
        if let Some(timeout) = task.timeout {
            self.set_timer(Instant::now(), timeout, at, self.tail);
        }
        let arguments = match arguments {
            _ if task.items <= 1 && task.retries == 0 => Bytes::EMPTY,
            Some(arguments) => Bytes::new(arguments),
            None => std::mem::replace(&mut task.arguments, Bytes::EMPTY),
        };
        Box::new(More { arguments, retries: task.retries, timeout: task.timeout, verdict: None })
    }

    /// Has the task in a slot looked at again. A time beyond what the clock can say never comes.
    fn set_timer(&mut self, now: Instant, after: Duration, at: usize, position: u64) {
        if let Some(due) = now.checked_add(after) {
            self.timers.push(Reverse((due, at, position)));
        }
    }

    /// Writes arguments into a slot or a block.
    #[inline]
    fn put(&mut self, memory: &Memory, slot: Slot<'_>, bytes: &[u8]) -> Result<Option<Block>, Error> {
        if bytes.len() <= INLINE {
            slot.write(bytes);
            return Ok(None);
        }
        let block = self.blocks.take(memory, bytes.len() as u64)?;
        memory.segment.write(block.place as usize, bytes);
        Ok(Some(block))
    }

    /// The arguments of a task are not needed any more.
    #[inline]
    fn give_back(&mut self, block: Option<Block>) {
        if let Some(block) = block {
            self.blocks.give(block);
        }
    }

    /// Shows the workers what was placed, and wakes as many as there are new tasks. With `few` only so many, and only if those that
    /// are awake had nothing left to do: then the caller [wakes the others](State::wake_others) soon, if they are needed.
    #[inline]
    pub(crate) fn publish(&mut self, memory: &Memory, board: Board<'_>, few: Option<u32>) {
        if self.tail == self.published {
            return;
        }
        let count = u32::try_from(self.tail - self.published).unwrap_or(u32::MAX);
        let count = match few {
            Some(_) if board.has_waiting() => 0,
            Some(few) => count.min(few),
            None => count,
        };
        self.published = self.tail;
        board.publish(self.tail);
        if count > 0 {
            board.wake_workers(count, &memory.segment);
        }
    }

    /// Wakes all who sleep, if there are tasks that nobody has set out for.
    pub(crate) fn wake_others(&self, memory: &Memory, board: Board<'_>) {
        if board.has_waiting() {
            board.wake_workers(u32::MAX, &memory.segment);
        }
    }

    /// Moves what waits in the backlog into slots, as far as there is room.
    pub(crate) fn dispatch(&mut self, memory: &Memory, board: Board<'_>) {
        while let Some(mut task) = self.backlog.pop_front() {
            if self.jobs.get(task.job).is_none_or(|job| job.is_cancelled) {
                continue;
            }
            match self.place(memory, board, &mut task, None) {
                Placed::Done => {}
                Placed::NoRoom => {
                    self.backlog.push_front(task);
                    break;
                }
                Placed::Failed(error) => {
                    self.deliver(task.job, task.item, task.items, Outcome::lost(TaskError::transfer(error)), true);
                }
                Placed::Damaged => {
                    self.break_down(RemoteError::new(DAMAGED));
                    return;
                }
            }
        }
        self.publish(memory, board, None);
    }

    /// Takes in what the workers have done, and gives them more of the backlog; whether there was anything.
    #[inline]
    pub(crate) fn collect(&mut self, memory: &Memory, board: Board<'_>) -> bool {
        if self.phase == Phase::Ended {
            return false;
        }
        let mut has_news = false;
        for lane in 0..memory.lanes() {
            if !self.lanes.is_busy(lane) {
                continue;
            }
            loop {
                match board.lane(lane).find(self.lanes.cursor(lane), |at| board.slot(at)) {
                    Ok(Found::Nothing) => break,
                    Ok(Found::Done(at)) if self.records[at].is_some() => {
                        self.lanes.advance(lane);
                        self.finish(memory, board, lane, at);
                        has_news = true;
                    }
                    Ok(Found::Done(_)) | Err(Damaged) => {
                        // What it has done so far is found by the slots, when it is dead.
                        self.lanes.condemn(lane);
                        break;
                    }
                }
            }
        }
        if has_news && !self.backlog.is_empty() {
            self.dispatch(memory, board);
        }
        if self.occupied == 0 {
            self.spare.clear();
        }
        has_news
    }

    /// Takes a result out of its slot.
    #[inline]
    fn finish(&mut self, memory: &Memory, board: Board<'_>, lane: usize, at: usize) {
        let Some(Record { job, item, items, block, .. }) = self.records[at] else { return };
        self.records[at] = None;
        self.occupied -= 1;
        self.done += 1;
        // The slot stays as it is until it is filled again: nobody claims what is done.
        let slot = board.slot(at);
        let (length, place, end) = slot.measure();
        let end = u8::try_from(end).ok().and_then(End::of);
        if let (Some(end), 0, ..=SHORT) = (end, place, length) {
            // By far the most.
            self.give_back(block);
            if let Some(job) = self.receiver(job, true) {
                let [first, second] = slot.read().map(u64::from_le_bytes);
                job.inbox.push_short(Short { item, items, end, length: length as u8, first, second });
            }
            return;
        }
        let outcome = match end {
            Some(end) => {
                let mut bytes = self.take_spare(length);
                match memory.read(slot, (length, place), Some(lane), &mut bytes) {
                    Ok(()) => Outcome::Left(end, Bytes::from(bytes)),
                    Err(error) => Outcome::lost(TaskError::transfer(error)),
                }
            }
            None => Outcome::lost(TaskError::Transfer(RemoteError::new(DAMAGED))),
        };
        if place != 0 && memory.is_inside(Some(lane), place, length) {
            memory.free(place);
        }
        self.give_back(block);
        self.deliver(job, item, items, outcome, true);
    }

    /// Keeps the memory of arguments that were placed, if results could use it: new memory is dear, and this lies in the caches.
    pub(crate) fn give_spare(&mut self, bytes: Vec<u8>) {
        if (SPARE_MIN..=SPARE_MAX).contains(&bytes.capacity()) && self.spare.len() < SPARES {
            self.spare.push(bytes);
        }
    }

    /// Memory for a result of so many bytes, which need not be believed.
    fn take_spare(&mut self, length: u64) -> Vec<u8> {
        let fits = |bytes: &Vec<u8>| bytes.capacity() as u64 >= length && bytes.capacity() as u64 / 2 <= length;
        self.spare.iter().rposition(fits).map_or_else(Vec::new, |at| self.spare.swap_remove(at))
    }

    /// Hands something to those who wait for a job; `is_last` if it is all that comes of one task.
    pub(crate) fn deliver(&mut self, id: JobId, item: u64, items: u32, outcome: Outcome, is_last: bool) {
        if let Some(job) = self.receiver(id, is_last) {
            job.inbox.push(Arrival { item, items, outcome });
        }
    }

    /// The job that something is handed to now, whose waiting threads and futures are told; `None` if nobody wants it.
    #[inline]
    fn receiver(&mut self, id: JobId, is_last: bool) -> Option<&mut Job> {
        let job = self.jobs.get(id)?;
        if is_last {
            job.outstanding -= 1;
        }
        if let Some(waiter) = &job.waiter {
            waiter.notify_all();
        }
        if let Some(waker) = job.waker.take() {
            self.wakers.push(waker);
        }
        if job.is_abandoned {
            if job.outstanding == 0 {
                self.jobs.close(id);
            }
            return None;
        }
        self.has_delivered = true;
        self.jobs.get(id)
    }
}

/// What came of placing a task.
#[derive(Debug)]
pub(crate) enum Placed {
    Done,
    /// There is no room now.
    NoRoom,
    /// There is no memory for its arguments.
    Failed(Error),
    /// A worker has written what no worker writes.
    Damaged,
}

/// How long workers have to end by themselves when their pool is dropped.
const GRACE: Duration = Duration::from_millis(200);

/// When the arguments in blocks take more bytes than this, no more are put there for now: they would only push each other out of the
/// caches. But each worker has so many tasks ahead of it.
const AHEAD_MAX: u64 = 8 << 20;
const AHEAD_MIN: usize = 4;

/// How many vectors are kept for results, and how large they are: smaller ones are had for little.
const SPARES: usize = 4;
const SPARE_MIN: usize = 1 << 16;
const SPARE_MAX: usize = 4 << 20;

const DAMAGED: &str = "reading what a worker has done: the memory of the pool is damaged";
