//! Jobs: those who wait for tasks. A job is one submitted task, or all tasks of one `map`.

use crate::payload::Outcome;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar};
use std::task::Waker;

/// Which job; a number does not come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobId {
    place: u32,
    generation: u32,
}

/// Something that came for a job: the results of some items.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The number of the first item.
    pub(crate) item: u64,
    /// How many items; 0 = one call that is no chunk.
    pub(crate) items: u32,
    pub(crate) outcome: Outcome,
}

/// One job.
#[derive(Debug, Default)]
pub(crate) struct Job {
    /// What has come.
    pub(crate) inbox: VecDeque<Arrival>,
    /// How many of its tasks wait or run.
    pub(crate) outstanding: usize,
    /// Its tasks need not begin any more.
    pub(crate) is_cancelled: bool,
    /// Nobody will take what comes.
    pub(crate) is_abandoned: bool,
    /// A thread that waits for it.
    pub(crate) waiter: Option<Arc<Condvar>>,
    /// A future that waits for it.
    pub(crate) waker: Option<Waker>,
}

/// All jobs.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: Vec<(u32, Option<Job>)>,
    vacant: Vec<u32>,
}

impl Jobs {
    pub(crate) fn open(&mut self) -> JobId {
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.jobs.push((0, None));
            (self.jobs.len() - 1) as u32
        });
        let entry = &mut self.jobs[place as usize];
        entry.1 = Some(Job::default());
        JobId { place, generation: entry.0 }
    }

    /// The job, unless it was closed.
    #[inline]
    pub(crate) fn get(&mut self, id: JobId) -> Option<&mut Job> {
        let (generation, job) = self.jobs.get_mut(id.place as usize)?;
        if *generation == id.generation { job.as_mut() } else { None }
    }

    /// Closes it: what comes for it is dropped.
    pub(crate) fn close(&mut self, id: JobId) -> Option<Job> {
        let (generation, job) = self.jobs.get_mut(id.place as usize)?;
        if *generation != id.generation {
            return None;
        }
        *generation = generation.wrapping_add(1);
        self.vacant.push(id.place);
        job.take()
    }
}
