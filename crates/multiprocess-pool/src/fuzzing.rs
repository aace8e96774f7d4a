//! The pool's process without workers, for the fuzzer alone (`--cfg fuzzing`): somebody else writes to its memory.

use crate::arrivals::{Arrivals, Inbox};
use crate::error::TaskError;
use crate::jobs::JobId;
use crate::memory::Memory;
use crate::payload::{Bytes, Outcome};
use crate::state::{Phase, Placed, State, Task};
use multiprocess_core::atomics::Ordering::Relaxed;
use multiprocess_parcel::RemoteError;
use multiprocess_process::task::push_item;
use std::time::Duration;

/// Few, so that the fuzzer meets them.
const SLOTS: usize = 8;
const LANES: usize = 2;

/// A pool whose lanes nobody has.
#[derive(Debug)]
pub struct Pool {
    memory: Memory,
    state: State,
    jobs: Vec<JobId>,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool::new()
    }
}

impl Pool {
    /// An empty one.
    ///
    /// # Panics
    ///
    /// There is no memory.
    pub fn new() -> Pool {
        let memory = Memory::new(SLOTS, LANES).expect("there is memory");
        let state = State::new(&memory, SLOTS);
        Pool { memory, state, jobs: Vec::new() }
    }

    /// Somebody writes a word: of the board, or (`far`) at the beginning of an area.
    pub fn scribble(&self, far: bool, place: u64, value: u64) {
        let area = self.memory.area(Some((value & 1) as usize)).start / 8;
        let board = area - self.memory.area(None).start / 8;
        let word = if far { area + place % 512 } else { place % board.min(1024) };
        self.memory.segment.words()[word as usize].store(value, Relaxed);
    }

    /// A place in the area of a lane, as its worker would tell it.
    pub fn place(&self, lane: u64, offset: u64) -> u64 {
        self.memory.area(Some((lane % LANES as u64) as usize)).start + offset
    }

    /// A task of so many items (0: it is no chunk) is given, with arguments of some length.
    pub fn give(&mut self, items: u32, length: usize, is_timed: bool) {
        if self.state.phase != Phase::Open {
            return;
        }
        let mut arguments = Vec::new();
        for _ in 0..items {
            push_item(&mut arguments, &vec![7_u8; length]).expect("bytes can be packed");
        }
        if items == 0 {
            arguments.resize(length, 7);
        }
        let job = self.state.jobs.open(if items == 0 { Inbox::One(None) } else { Inbox::Many(Arrivals::default()) });
        self.state.jobs.get(job).expect("it was just opened").outstanding = 1;
        self.jobs.push(job);
        let timeout = is_timed.then_some(Duration::from_nanos(1));
        let arguments = Bytes::from(arguments);
        let mut task = Task { job, item: 0, function: 1, items, retries: items % 2, timeout, arguments };
        match self.state.place(&self.memory, self.memory.board(), &mut task, None) {
            Placed::Done => {}
            Placed::NoRoom => self.state.backlog.push_back(task),
            Placed::Failed(..) => _ = self.state.jobs.close(job),
            Placed::Damaged => self.state.break_down(RemoteError::new("damaged")),
        }
        self.state.publish(&self.memory, self.memory.board(), None);
    }

    /// What workers have done is taken in, and what has come is read as a caller would.
    pub fn collect(&mut self) {
        self.state.collect(&self.memory, self.memory.board());
        let _ = self.state.queue(self.memory.board());
        for job in &self.jobs {
            let Some(job) = self.state.jobs.get(*job) else { continue };
            match &mut job.inbox {
                Inbox::One(_) => drop(job.inbox.take().map(Outcome::decode::<Vec<String>>)),
                Inbox::Many(arrivals) => arrivals.each::<Vec<u8>>(|_, result| drop(result)),
            }
        }
    }

    /// The worker of a lane has died.
    pub fn bury(&mut self, lane: usize) {
        if self.state.phase != Phase::Ended {
            self.state.bury(&self.memory, self.memory.board(), lane % LANES, &TaskError::TimedOut);
        }
    }

    /// A task is cancelled, and timers are looked at.
    pub fn cancel(&mut self, number: usize) {
        if self.state.phase != Phase::Ended {
            if let Some(job) = self.jobs.get(number).copied() {
                self.state.cancel(&self.memory, self.memory.board(), job);
            }
            self.state.tick(&self.memory, self.memory.board());
        }
    }
}
