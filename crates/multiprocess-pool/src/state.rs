//! What the pool's process knows of its tasks, behind one lock: what waits, what lies in which slot, what has come.
//!
//! ```text
//! submit -> backlog -> slot (READY -> RUNNING -> DONE) -> the job's inbox -> get
//! ```
//!
//! A task is in exactly one of the places: the backlog, which is as long as it likes; a slot, for which there is a record here; or
//! its job's inbox. The record is private to this process: what a worker writes decides what the result is, never whose.

use crate::error::TaskError;
use crate::jobs::{Arrival, JobId, Jobs};
use crate::lanes::Lanes;
use crate::memory::{Blocks, Memory};
use crate::payload::{Bytes, Outcome, SHORT};
use crate::worker::{CHUNK, TIMED};
use multiprocess_core::work::{Board, Damaged, Found, INLINE, Slot, Status};
use multiprocess_parcel::RemoteError;
use multiprocess_process::task::{End, item_start, split_result};
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

/// A task in a slot.
#[derive(Debug)]
struct Record {
    /// Its arguments only if they may be needed again.
    task: Task,
    number: u64,
    position: u64,
    /// The block of its arguments.
    place: u64,
    /// Why it was taken away from its worker.
    verdict: Option<Box<TaskError>>,
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

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// Whether all workers have been ready once.
    pub(crate) is_built: bool,
    /// Why no worker can be started any more.
    pub(crate) broken: Option<RemoteError>,
    pub(crate) jobs: Jobs,
    pub(crate) lanes: Lanes,
    pub(crate) backlog: VecDeque<Task>,
    /// Futures to wake when the lock is given back.
    pub(crate) wakers: Vec<Waker>,
    /// Calls that will still give tasks.
    pub(crate) feeding: usize,
    /// Threads that wait and collect.
    pub(crate) waiting: usize,
    /// Whether one of them sleeps on the signal.
    pub(crate) is_led: bool,
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
    records: Vec<Option<Record>>,
    occupied: usize,
    tail: u64,
    published: u64,
    numbers: u64,
    blocks: Blocks,
    scratch: Vec<u8>,
}

impl State {
    pub(crate) fn new(memory: &Memory, slots: usize) -> State {
        State {
            phase: Phase::Open,
            is_built: false,
            broken: None,
            jobs: Jobs::default(),
            lanes: Lanes::new(memory.lanes()),
            backlog: VecDeque::new(),
            wakers: Vec::new(),
            feeding: 0,
            waiting: 0,
            is_led: false,
            followers: Vec::new(),
            has_delivered: false,
            grace: GRACE,
            is_armed: false,
            timers: BinaryHeap::new(),
            records: (0..slots).map(|_| None).collect(),
            occupied: 0,
            tail: 0,
            published: 0,
            numbers: 0,
            blocks: Blocks::new(memory.area(None)),
            scratch: Vec::new(),
        }
    }

    /// Whether there is a task that is not done.
    pub(crate) fn has_work(&self) -> bool {
        self.occupied > 0 || !self.backlog.is_empty() || self.feeding > 0
    }

    /// How many tasks have not begun, as far as that is known, and how many are not done.
    pub(crate) fn queue(&self, board: Board<'_>) -> (usize, usize) {
        let taken = |at: &usize| self.records[*at].is_some() && board.slot(*at).status() != Status::Ready;
        let running = (0..self.records.len()).filter(taken).count();
        let all = self.occupied + self.backlog.len();
        (all.saturating_sub(running), all)
    }

    /// Puts a task into a slot. `arguments` are the task's own, or borrowed from the caller.
    #[inline]
    pub(crate) fn place(
        &mut self,
        memory: &Memory,
        board: Board<'_>,
        mut task: Task,
        arguments: Option<&[u8]>,
    ) -> Placed {
        let at = loop {
            match board.room(self.tail) {
                Ok(0) => return Placed::NoRoom(task),
                Ok(_) if self.occupied == self.records.len() => return Placed::NoRoom(task),
                Ok(_) => {}
                Err(Damaged) => return Placed::Damaged,
            }
            let at = board.slot_at(self.tail);
            if self.records[at].is_none() {
                break at;
            }
            // It still runs, or its result was not seen yet.
            self.tail += 1;
        };
        let slot = board.slot(at);
        let bytes = arguments.unwrap_or(task.arguments.as_slice());
        let place = match self.put(memory, slot, bytes) {
            Ok(place) => place,
            Err(error) => return Placed::Failed(task, error),
        };
        let flags = if task.items > 1 { CHUNK } else { 0 } | if task.timeout.is_some() { TIMED } else { 0 };
        slot.set_function(task.function);
        slot.set_measure(bytes.len() as u64, place, flags);
        if flags != 0 {
            slot.set_progress(0);
            slot.set_since(0);
        }
        if task.items <= 1 && task.retries == 0 {
            task.arguments = Bytes::EMPTY;
        } else if let Some(arguments) = arguments {
            task.arguments = Bytes::new(arguments);
        }
        let number = self.numbers;
        if let Some(timeout) = task.timeout {
            self.timers.push(Reverse((Instant::now() + timeout, at, number)));
        }
        slot.offer();
        self.records[at] = Some(Record { task, number, position: self.tail, place, verdict: None });
        self.numbers += 1;
        self.occupied += 1;
        self.tail += 1;
        Placed::Done
    }

    /// Writes arguments into a slot or a block; the block's place, or 0.
    #[inline]
    fn put(&mut self, memory: &Memory, slot: Slot<'_>, bytes: &[u8]) -> Result<u64, Error> {
        if bytes.len() <= INLINE {
            slot.write(bytes);
            return Ok(0);
        }
        let (place, _) = self.blocks.take(memory, bytes.len() as u64)?;
        memory.segment.write(place as usize, bytes);
        Ok(place)
    }

    /// Shows the workers what was placed, and wakes as many as there are new tasks.
    #[inline]
    pub(crate) fn publish(&mut self, memory: &Memory, board: Board<'_>) {
        if self.tail != self.published {
            let count = u32::try_from(self.tail - self.published).unwrap_or(u32::MAX);
            self.published = self.tail;
            board.publish(self.tail);
            board.wake_workers(count, &memory.segment);
        }
    }

    /// Moves what waits in the backlog into slots, as far as there is room.
    pub(crate) fn dispatch(&mut self, memory: &Memory, board: Board<'_>) {
        while let Some(task) = self.backlog.pop_front() {
            if self.jobs.get(task.job).is_none_or(|job| job.is_cancelled) {
                continue;
            }
            match self.place(memory, board, task, None) {
                Placed::Done => {}
                Placed::NoRoom(task) => {
                    self.backlog.push_front(task);
                    break;
                }
                Placed::Failed(task, error) => {
                    let (item, items) = (task.item, task.items);
                    self.deliver(task.job, item, items, Outcome::lost(TaskError::transfer(error)), true);
                }
                Placed::Damaged => {
                    self.break_down(RemoteError::new(DAMAGED));
                    return;
                }
            }
        }
        self.publish(memory, board);
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
        has_news
    }

    /// Takes a result out of its slot.
    #[inline]
    fn finish(&mut self, memory: &Memory, board: Board<'_>, lane: usize, at: usize) {
        let Some(record) = self.records[at].take() else { return };
        self.occupied -= 1;
        let slot = board.slot(at);
        let (length, place, end) = slot.measure();
        let end = u8::try_from(end).ok().and_then(End::of);
        let outcome = match end {
            // By far the most.
            Some(end) if place == 0 && length <= SHORT as u64 => {
                let mut bytes = [0; SHORT];
                bytes.copy_from_slice(slot.read::<{ SHORT / 8 }>().as_flattened());
                Outcome::Left(end, Bytes::Short(length as u8, bytes))
            }
            Some(end) => match memory.read(slot, (length, place), Some(lane), &mut self.scratch) {
                Ok(()) => Outcome::Left(end, Bytes::new(&self.scratch)),
                Err(error) => Outcome::lost(TaskError::transfer(error)),
            },
            None => Outcome::lost(TaskError::Transfer(RemoteError::new(DAMAGED))),
        };
        if place != 0 && !matches!(outcome, Outcome::Lost(_)) {
            memory.free(place);
        }
        if record.place != 0 {
            memory.free(record.place);
        }
        slot.clear();
        if self.scratch.capacity() > KEEP {
            self.scratch = Vec::new();
        }
        self.deliver(record.task.job, record.task.item, record.task.items, outcome, true);
    }

    /// Hands something to those who wait for a job; `is_last` if it is all that comes of one task.
    #[inline]
    pub(crate) fn deliver(&mut self, id: JobId, item: u64, items: u32, outcome: Outcome, is_last: bool) {
        let Some(job) = self.jobs.get(id) else { return };
        if is_last {
            job.outstanding -= 1;
        }
        if job.is_abandoned {
            if job.outstanding == 0 {
                self.jobs.close(id);
            }
            return;
        }
        job.inbox.push_back(Arrival { item, items, outcome });
        self.has_delivered = true;
        if let Some(waiter) = &job.waiter {
            waiter.notify_all();
        }
        self.wakers.extend(job.waker.take());
    }

    /// The process of a lane has ended: what it has done is taken in, what it ran is lost, and its stragglers are given to others.
    pub(crate) fn bury(&mut self, memory: &Memory, board: Board<'_>, lane: usize, lost: &TaskError) {
        for at in 0..self.records.len() {
            let Some(record) = &self.records[at] else { continue };
            match board.slot(at).status() {
                Status::Done(done, _) if done == lane => self.finish(memory, board, lane, at),
                Status::Running(running, _) | Status::Condemned(running, _) if running == lane => {
                    self.lose(memory, board, lane, at, lost);
                }
                Status::Ready if board.is_behind(record.position) => self.take_back(memory, board, at),
                _ => {}
            }
        }
        board.lane(lane).clear();
        self.lanes.reset(lane);
        self.dispatch(memory, board);
    }

    /// Moves a task that nobody has claimed from its slot to the front of the backlog.
    fn take_back(&mut self, memory: &Memory, board: Board<'_>, at: usize) {
        let slot = board.slot(at);
        let (length, place, _) = slot.measure();
        let read = memory.read(slot, (length, place), None, &mut self.scratch);
        if read.is_err() || !slot.withdraw() {
            return; // it stays where it is, and is found there
        }
        let Some(mut record) = self.records[at].take() else { return };
        self.occupied -= 1;
        record.task.arguments = Bytes::new(&self.scratch);
        if record.place != 0 {
            memory.free(record.place);
        }
        self.backlog.push_front(record.task);
    }

    /// A task died with its worker, or was taken away from it.
    fn lose(&mut self, memory: &Memory, board: Board<'_>, lane: usize, at: usize, lost: &TaskError) {
        let Some(Record { mut task, place, verdict, .. }) = self.records[at].take() else { return };
        self.occupied -= 1;
        let slot = board.slot(at);
        let kept = self.kept_results(memory, slot, lane, task.items);
        slot.clear();
        if place != 0 {
            memory.free(place);
        }
        if self.jobs.get(task.job).is_none_or(|job| job.is_cancelled) {
            return;
        }
        let done = kept.as_ref().map_or(0, |(items, _)| *items);
        if let Some((items, bytes)) = kept {
            self.deliver(task.job, task.item, items, Outcome::Left(End::Value, bytes), false);
        }
        let lost = verdict.as_deref().unwrap_or(lost);
        if matches!(lost, TaskError::WorkerDied(_)) && task.retries > 0 {
            task.retries -= 1;
            self.put_off(task, done);
            return;
        }
        let is_last = task.items <= done + 1;
        // Of a chunk the rest has another worker.
        self.deliver(task.job, task.item + u64::from(done), 1, Outcome::lost(lost.clone()), is_last);
        if !is_last {
            self.put_off(task, done + 1);
        }
    }

    /// Puts what is left of a task behind its first `done` items at the front of the backlog.
    fn put_off(&mut self, mut task: Task, done: u32) {
        if done > 0 {
            let bytes = task.arguments.as_slice();
            let start = item_start(bytes, done as usize).unwrap_or(bytes.len());
            task.arguments = Bytes::new(&bytes[start..]);
            task.item += u64::from(done);
            task.items -= done;
        }
        self.backlog.push_front(task);
    }

    /// The results of a chunk that its worker had left before it died: how many, and their bytes.
    fn kept_results(&mut self, memory: &Memory, slot: Slot<'_>, lane: usize, items: u32) -> Option<(u32, Bytes)> {
        let (progress, _) = slot.notes();
        let count = u32::try_from(progress).ok().filter(|count| (1..items).contains(count))?;
        let (length, place, _) = slot.measure();
        memory.read(slot, (length, place), Some(lane), &mut self.scratch).ok()?;
        let mut rest = &self.scratch[..];
        for _ in 0..count {
            rest = split_result(rest)?.2;
        }
        let length = self.scratch.len() - rest.len();
        Some((count, Bytes::new(&self.scratch[..length])))
    }

    /// Takes the task of a job that has only one away from wherever it is; `false` if it is done.
    pub(crate) fn cancel(&mut self, memory: &Memory, board: Board<'_>, id: JobId) -> bool {
        self.collect(memory, board);
        match self.jobs.get(id) {
            Some(job) if job.outstanding > 0 && !job.is_cancelled => {}
            _ => return false,
        }
        self.drop_waiting(memory, board, id);
        if let Some(at) = self.records.iter().position(|record| is_of(record, id)) {
            let slot = board.slot(at);
            let Status::Running(lane, _) = slot.status() else { return false };
            if lane >= memory.lanes() || !slot.condemn(lane) {
                return false;
            }
            self.lanes.kill(lane);
        }
        if let Some(job) = self.jobs.get(id) {
            job.is_cancelled = true;
        }
        self.deliver(id, 0, 1, Outcome::lost(TaskError::Cancelled), true);
        true
    }

    /// Takes the tasks of a job back that lie in slots and that nobody has begun.
    pub(crate) fn drop_waiting(&mut self, memory: &Memory, board: Board<'_>, id: JobId) {
        for at in 0..self.records.len() {
            if is_of(&self.records[at], id)
                && board.slot(at).withdraw()
                && let Some(record) = self.records[at].take()
            {
                self.occupied -= 1;
                if record.place != 0 {
                    memory.free(record.place);
                }
            }
        }
    }

    /// Looks at the timed tasks whose moment has come: takes those away whose time is over, and says when to look again.
    pub(crate) fn tick(&mut self, memory: &Memory, board: Board<'_>) -> Option<Instant> {
        while let Some(Reverse((due, at, number))) = self.timers.peek().copied() {
            let now = Instant::now();
            if due > now {
                return Some(due);
            }
            self.timers.pop();
            let Some(record) =
                self.records.get_mut(at).and_then(Option::as_mut).filter(|record| record.number == number)
            else {
                continue;
            };
            let Some(timeout) = record.task.timeout else { continue };
            let slot = board.slot(at);
            let again = match slot.status() {
                Status::Running(lane, _) if lane < memory.lanes() => {
                    let (_, since) = slot.notes();
                    let ran = Duration::from_nanos(multiprocess_sys::clock::nanoseconds().saturating_sub(since));
                    // Not even begun to count, or the clock says what it cannot say: a whole timeout from now on.
                    let left = if since == 0 { timeout } else { timeout.saturating_sub(ran) };
                    if left.is_zero() && slot.condemn(lane) {
                        record.verdict = Some(Box::new(TaskError::TimedOut));
                        self.lanes.kill(lane);
                        continue;
                    }
                    left
                }
                Status::Ready => timeout,
                _ => continue,
            };
            self.timers.push(Reverse((now + again.max(Duration::from_micros(100)), at, number)));
        }
        None
    }

    /// Lets all tasks fail.
    pub(crate) fn fail_all(&mut self, error: &TaskError) {
        let records = std::mem::take(&mut self.records);
        let placed = records.into_iter().flatten().map(|record| record.task);
        let tasks: Vec<Task> = placed.chain(std::mem::take(&mut self.backlog)).collect();
        self.occupied = 0;
        for task in tasks {
            if self.jobs.get(task.job).is_some_and(|job| !job.is_cancelled) {
                self.deliver(task.job, task.item, task.items.max(1), Outcome::lost(error.clone()), true);
            }
        }
    }

    /// Ends the pool: tasks fail, workers are to be ended.
    pub(crate) fn end(&mut self) {
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.fail_all(&TaskError::Closed);
        }
    }

    /// Ends the pool because no worker can be started any more, or none can be trusted.
    pub(crate) fn break_down(&mut self, why: RemoteError) {
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.fail_all(&TaskError::Transfer(why.clone()));
            self.broken = Some(why);
        }
    }
}

/// What came of placing a task.
#[derive(Debug)]
pub(crate) enum Placed {
    Done,
    /// There is no room now.
    NoRoom(Task),
    /// There is no memory for its arguments.
    Failed(Task, Error),
    /// A worker has written what no worker writes.
    Damaged,
}

/// How long workers have to end by themselves when their pool is dropped.
const GRACE: Duration = Duration::from_millis(200);

const DAMAGED: &str = "reading what a worker has done: the memory of the pool is damaged";

/// A buffer that has grown beyond this is given back.
const KEEP: usize = 1 << 20;

fn is_of(record: &Option<Record>, id: JobId) -> bool {
    record.as_ref().is_some_and(|record| record.task.job == id)
}
