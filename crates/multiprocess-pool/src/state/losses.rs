//! Tasks that do not come to their end by themselves: their worker died, their time is over, nobody wants them.
//!
//! | What happens | To a task that waits | To one that runs | To one that is done |
//! | --- | --- | --- | --- |
//! | its worker ends | - | it fails, or is begun again | its result is taken in |
//! | its time is over | - | it is taken away, and its worker ended | - |
//! | it is cancelled | it is withdrawn | it is taken away, and its worker ended | it stays |
//! | its iterator is dropped | it is withdrawn | it runs on, and nobody gets its result | its result is dropped |
//! | the pool ends | it fails | it fails | its result stays |
//!
//! A chunk is as many tasks as it has items: those that its worker has left results of are done, the one that it was at is lost, and
//! the rest goes to another worker. One that has left all results, but not said so, has lost nothing.

use super::{Phase, Record, State, Task};
use crate::error::TaskError;
#[cfg(feature = "tracing")]
use crate::events::News;
use crate::jobs::JobId;
use crate::memory::Memory;
use crate::payload::{Bytes, Outcome};
use multiprocess_core::work::{Board, Slot, Status};
use multiprocess_parcel::RemoteError;
use multiprocess_process::task::{End, item_start, split_result};
use multiprocess_sys::clock;
use std::cmp::Reverse;
use std::time::{Duration, Instant};

impl State {
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
        let Some(record) = self.records[at].take() else { return };
        self.occupied -= 1;
        self.give_back(record.block);
        let arguments = Bytes::from(std::mem::take(&mut self.scratch));
        self.backlog.push_front(record.into_task(Some(arguments)));
    }

    /// A task died with its worker, or was taken away from it.
    fn lose(&mut self, memory: &Memory, board: Board<'_>, lane: usize, at: usize, lost: &TaskError) {
        let Some(mut record) = self.records[at].take() else { return };
        self.occupied -= 1;
        #[cfg(feature = "tracing")]
        let number = record.position;
        let (block, verdict) = (record.block, record.more.as_mut().and_then(|more| more.verdict.take()));
        let mut task = record.into_task(None);
        let slot = board.slot(at);
        let kept = self.kept_results(memory, slot, lane, task.items);
        slot.clear();
        self.give_back(block);
        if self.jobs.get(task.job).is_none_or(|job| job.is_cancelled) {
            return;
        }
        let done = kept.as_ref().map_or(0, |(items, _)| *items);
        if let Some((items, bytes)) = kept {
            // It may have died right after the last one.
            let is_last = items == task.items;
            self.deliver(task.job, task.item, items, Outcome::Left(End::Value, bytes), is_last);
            if is_last {
                return;
            }
        }
        let lost = verdict.as_ref().unwrap_or(lost);
        if matches!(lost, TaskError::WorkerDied(_)) && task.retries > 0 {
            task.retries -= 1;
            #[cfg(feature = "tracing")]
            self.news.push(News::Retried {
                task: number,
                item: task.item + u64::from(done),
                retries_left: task.retries,
            });
            self.put_off(task, done);
            return;
        }
        #[cfg(feature = "tracing")]
        self.news.push(News::of_loss(lost, number, task.item + u64::from(done)));
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
        let count = u32::try_from(progress).ok().filter(|count| (1..=items).contains(count))?;
        let (length, place, _) = slot.measure();
        memory.read(slot, (length, place), Some(lane), &mut self.scratch).ok()?;
        let mut rest = &self.scratch[..];
        for _ in 0..count {
            rest = split_result(rest)?.2;
        }
        let length = self.scratch.len() - rest.len();
        let mut kept = std::mem::take(&mut self.scratch);
        kept.truncate(length);
        Some((count, Bytes::from(kept)))
    }

    /// Takes the task of a job that has only one away from wherever it is; `false` if it is done.
    pub(crate) fn cancel(&mut self, memory: &Memory, board: Board<'_>, id: JobId) -> bool {
        self.collect(memory, board);
        match self.jobs.get(id) {
            Some(job) if job.outstanding > 0 && !job.is_cancelled => {}
            _ => return false,
        }
        self.drop_waiting(board, id);
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
        #[cfg(feature = "tracing")]
        self.news.push(News::Cancelled);
        self.deliver(id, 0, 1, Outcome::lost(TaskError::Cancelled), true);
        true
    }

    /// Takes the tasks of a job back that lie in slots and that nobody has begun.
    pub(crate) fn drop_waiting(&mut self, board: Board<'_>, id: JobId) {
        for at in 0..self.records.len() {
            if is_of(&self.records[at], id)
                && board.slot(at).withdraw()
                && let Some(record) = self.records[at].take()
            {
                self.occupied -= 1;
                self.give_back(record.block);
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
                self.records.get_mut(at).and_then(Option::as_mut).filter(|record| record.position == number)
            else {
                continue;
            };
            let Some(more) = &mut record.more else { continue };
            let Some(timeout) = more.timeout else { continue };
            let slot = board.slot(at);
            let again = match slot.status() {
                Status::Running(lane, _) if lane < memory.lanes() => {
                    let (_, since) = slot.notes();
                    let ran = Duration::from_nanos(clock::nanoseconds().saturating_sub(since));
                    // Not even begun to count, or the clock says what it cannot say: a whole timeout from now on.
                    let left = if since == 0 { timeout } else { timeout.saturating_sub(ran) };
                    if left.is_zero() && slot.condemn(lane) {
                        more.verdict = Some(TaskError::TimedOut);
                        self.lanes.kill(lane);
                        continue;
                    }
                    left
                }
                Status::Ready => timeout,
                _ => continue,
            };
            self.set_timer(now, again.max(Duration::from_micros(100)), at, number);
        }
        None
    }

    /// Lets all tasks fail.
    pub(crate) fn fail_all(&mut self, error: &TaskError) {
        let records = std::mem::take(&mut self.records);
        let placed = records.into_iter().flatten().map(|record| record.into_task(None));
        let tasks: Vec<Task> = placed.chain(std::mem::take(&mut self.backlog)).collect();
        self.occupied = 0;
        self.spare.clear();
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
            #[cfg(feature = "tracing")]
            self.news.push(News::Ended);
            self.fail_all(&TaskError::Closed);
        }
    }

    /// Ends the pool because no worker can be started any more, or none can be trusted.
    pub(crate) fn break_down(&mut self, why: RemoteError) {
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            #[cfg(feature = "tracing")]
            self.news.push(News::Broken { why: why.to_string() });
            self.fail_all(&TaskError::Transfer(why.clone()));
            self.broken = Some(why);
        }
    }
}

fn is_of(record: &Option<Record>, id: JobId) -> bool {
    record.as_ref().is_some_and(|record| record.job == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::{Arrivals, Inbox};
    use crate::memory::Blocks;
    use crate::state::Placed;
    use crate::worker::CHUNK;
    use multiprocess_core::Owner;
    use multiprocess_parcel::pack_data;
    use multiprocess_process::task::push_item;

    const LANE: usize = 1;
    const ITEMS: u32 = 3;

    /// A chunk whose worker dies when it has left the results of so many items: those that came, those that were lost, and how many
    /// another worker gets.
    fn after_a_death(left: u64) -> (Vec<u64>, Vec<u64>, u32) {
        let memory = Memory::new(8, 2).unwrap();
        let (board, mut state) = (memory.board(), State::new(&memory, 8));
        let job = state.jobs.open(Inbox::Many(Arrivals::default()));
        state.jobs.get(job).unwrap().outstanding = 1;
        let mut arguments = Vec::new();
        (0..ITEMS).for_each(|item| push_item(&mut arguments, &item).unwrap());
        let arguments = Bytes::from(arguments);
        let mut task = Task { job, item: 0, function: 1, items: ITEMS, retries: 0, timeout: None, arguments };
        assert!(matches!(state.place(&memory, board, &mut task, None), Placed::Done));
        state.publish(&memory, board, None);
        // What a worker does.
        let (first, _) = board.set_out(1).unwrap();
        let slot = board.slot(board.slot_at(first));
        assert!(slot.claim(LANE, Owner::new(1, 1)));
        let value = (0..=u8::MAX).find(|end| End::of(*end) == Some(End::Value)).unwrap();
        let mut results = Vec::new();
        for item in 0..left {
            let result = pack_data(&item, "a pool").unwrap();
            results.push(value);
            results.extend((result.len() as u32).to_ne_bytes());
            results.extend(result);
        }
        let place = Blocks::new(memory.area(Some(LANE))).take(&memory, 64).unwrap().place;
        memory.segment.write(place as usize, &results);
        slot.set_measure(results.len() as u64, place, CHUNK);
        slot.set_progress(left);

        state.bury(&memory, board, LANE, &TaskError::Closed);
        let (mut came, mut lost) = (Vec::new(), Vec::new());
        let job = state.jobs.get(job).unwrap();
        let outstanding = job.outstanding;
        if let Inbox::Many(arrivals) = &mut job.inbox {
            arrivals.each::<u64>(|item, result| match result {
                Ok(value) => came.push(value),
                Err(_) => lost.push(item),
            });
        }
        // What is left was given out again by the burial.
        let again = state.records.iter().flatten().map(|record| record.items).sum();
        assert_eq!(outstanding, usize::from(again > 0));
        (came, lost, again)
    }

    #[test]
    fn a_death_costs_the_item_that_was_begun_and_no_other() {
        assert_eq!(after_a_death(0), (vec![], vec![0], 2));
        assert_eq!(after_a_death(1), (vec![0], vec![1], 1));
        assert_eq!(after_a_death(2), (vec![0, 1], vec![2], 0));
        assert_eq!(after_a_death(3), (vec![0, 1, 2], vec![], 0), "nothing was begun and not done");
    }
}
