//! Jobs: those who wait for tasks. A job is one submitted task, or all tasks of one `map`.

use crate::arrivals::Inbox;
use std::sync::{Arc, Condvar};
use std::task::Waker;

/// Which job; a number does not come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobId {
    place: u32,
    generation: u32,
}

/// One job.
#[derive(Debug)]
pub(crate) struct Job {
    /// What has come.
    pub(crate) inbox: Inbox,
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
    pub(crate) fn open(&mut self, inbox: Inbox) -> JobId {
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.jobs.push((0, None));
            (self.jobs.len() - 1) as u32
        });
        let entry = &mut self.jobs[place as usize];
        let (outstanding, is_cancelled, is_abandoned) = (0, false, false);
        entry.1 = Some(Job { inbox, outstanding, is_cancelled, is_abandoned, waiter: None, waker: None });
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
