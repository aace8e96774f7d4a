//! The workers as the pool's process sees them: a lane each, and the process that has it now.

use multiprocess_parcel::RemoteError;
use multiprocess_process::Child;
use std::time::{Duration, Instant};

/// What a worker says at its end: nothing, or why it could not begin.
pub(crate) type Worker = Child<Result<(), RemoteError>>;

/// How often in a row a worker may end before it is ready.
const FALSE_STARTS_MAX: u32 = 8;

/// How long to wait before the second of several false starts; then twice as long each time.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
struct Lane {
    worker: Option<Worker>,
    /// How many of the lane's entries were read.
    cursor: u64,
    /// What it writes is not to be believed.
    is_condemned: bool,
    /// Its worker was started, and has not been seen ready.
    is_starting: bool,
    /// When to start a worker here.
    restart: Option<Instant>,
}

/// All lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    false_starts: u32,
    /// How many workers have ended and are replaced.
    pub(crate) restarts: u64,
}

impl Lanes {
    pub(crate) fn new(count: usize) -> Lanes {
        Lanes { lanes: (0..count).map(|_| Lane::default()).collect(), false_starts: 0, restarts: 0 }
    }

    /// Whether there may be something to read in a lane.
    #[inline]
    pub(crate) fn is_busy(&self, lane: usize) -> bool {
        !self.lanes[lane].is_condemned
    }

    #[inline]
    pub(crate) fn cursor(&self, lane: usize) -> u64 {
        self.lanes[lane].cursor
    }

    #[inline]
    pub(crate) fn advance(&mut self, lane: usize) {
        self.lanes[lane].cursor += 1;
    }

    /// The worker of a lane.
    pub(crate) fn worker(&self, lane: usize) -> Option<&Worker> {
        self.lanes[lane].worker.as_ref()
    }

    /// All workers that were not seen to end.
    pub(crate) fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.lanes.iter().filter_map(|lane| lane.worker.as_ref())
    }

    /// A lane has a worker.
    pub(crate) fn enter(&mut self, lane: usize, worker: Worker) {
        self.lanes[lane].worker = Some(worker);
        self.lanes[lane].is_starting = true;
    }

    /// Takes out the worker of a lane, which has ended.
    pub(crate) fn leave(&mut self, lane: usize) -> Option<Worker> {
        self.lanes.get_mut(lane)?.worker.take()
    }

    /// Prepares a lane for the next worker.
    pub(crate) fn reset(&mut self, lane: usize) {
        self.lanes[lane].cursor = 0;
        self.lanes[lane].is_condemned = false;
    }

    /// Ends the worker of a lane; its end is noticed as any other.
    pub(crate) fn kill(&self, lane: usize) {
        if let Some(worker) = &self.lanes[lane].worker {
            // It may not be signalled only if it has changed its user, and then it is none of ours any more.
            let _ = worker.kill();
        }
    }

    /// Believes a lane no more, and ends its worker.
    pub(crate) fn condemn(&mut self, lane: usize) {
        self.lanes[lane].is_condemned = true;
        self.kill(lane);
    }

    /// A worker ended before it was ready, or could not be started: when to try again; `None` if it has happened too often since
    /// the last one that became ready. `is_ready` tells whether that of a lane is.
    pub(crate) fn note_false_start(&mut self, is_ready: impl Fn(usize) -> bool) -> Option<Instant> {
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if lane.is_starting && lane.worker.is_some() && is_ready(at) {
                lane.is_starting = false;
                self.false_starts = 0;
            }
        }
        self.false_starts += 1;
        let pause = PAUSE * 2u32.saturating_pow(self.false_starts.saturating_sub(2));
        (self.false_starts < FALSE_STARTS_MAX).then(|| Instant::now() + pause)
    }

    /// A worker that was ready has ended.
    pub(crate) fn note_end(&mut self) {
        self.false_starts = 0;
    }

    /// A worker is to be started here.
    pub(crate) fn want(&mut self, lane: usize, when: Instant) {
        self.lanes[lane].restart = Some(when);
    }

    /// A lane whose time has come to get a worker.
    pub(crate) fn take_due(&mut self) -> Option<usize> {
        let now = Instant::now();
        let lane = self.lanes.iter().position(|lane| lane.restart.is_some_and(|when| when <= now))?;
        self.lanes[lane].restart = None;
        Some(lane)
    }

    /// When the next lane is to get a worker.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.lanes.iter().filter_map(|lane| lane.restart).min()
    }
}
