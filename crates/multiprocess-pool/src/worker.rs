//! A worker: it takes one task after the other and leaves the result of each before it takes the next.
//!
//! Ctrl-C on a terminal goes to all processes of the program; workers ignore it from their start, and the program decides what
//! becomes of them. They end with the program, because they are daemons.
//!
//! Tasks that take next to no time are set out for several at once, which saves the other workers' turn at one shared word. Each
//! is still claimed by itself, just before it runs, so that another worker may take it instead if the one before it turns out long.

use crate::memory::{Block, Lent, Memory};
use multiprocess_core::work::{Alarm, Board, INLINE, Lane, Next, Slot};
use multiprocess_core::{Environment, Owner};
use multiprocess_parcel::{Fd, RemoteError};
use multiprocess_process::task::{End, Preparation, TaskEntry, pack_failure};
use multiprocess_shm::{Patience, Segment};
use multiprocess_sys::bell::Bell;
use multiprocess_sys::handle::OwnedHandle;
use multiprocess_sys::{Error, ErrorKind, clock};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A task whose worker notes since when it runs.
pub(crate) const TIMED: u16 = 1;
/// A task of several items: what came of each is kept as soon as it is there.
pub(crate) const CHUNK: u16 = 2;

/// How many positions a worker sets out for at most.
const MOST: u64 = 32;
/// Tasks that take less on the average are taken several at a time, those that take more one by one.
const SHORT: Duration = Duration::from_nanos(1500);
const LONG: Duration = Duration::from_micros(10);

/// What a worker is told at its start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) segment: Segment,
    pub(crate) lane: u32,
    pub(crate) bell: Fd<OwnedHandle>,
    pub(crate) preparation: Option<Preparation>,
    pub(crate) tasks_max: Option<u32>,
}

/// Buffers that have grown beyond this are given back after the task.
const KEEP: usize = 4 << 20;

/// The whole life of a worker.
pub(crate) fn work(setup: Setup) -> Result<(), RemoteError> {
    let memory = Memory::of(setup.segment).map_err(RemoteError::new)?;
    if let Some(preparation) = setup.preparation {
        preparation.run().map_err(RemoteError::new)?;
    }
    let lane = setup.lane as usize;
    if lane >= memory.lanes() {
        return Err(RemoteError::new("starting a worker in a lane that its pool does not have"));
    }
    let bell = Bell::from_handle(setup.bell.0);
    Worker {
        memory: &memory,
        board: memory.board(),
        lane: memory.board().lane(lane),
        number: lane,
        me: memory.segment.me(),
        bell: &bell,
        blocks: Lent::new(memory.area(Some(lane))),
        left: setup.tasks_max.map_or(u64::MAX, u64::from),
        done: 0,
        most: 1,
        known: None,
        arguments: Vec::new(),
        result: Vec::new(),
    }
    .run();
    Ok(())
}

struct Worker<'a> {
    memory: &'a Memory,
    board: Board<'a>,
    lane: Lane<'a>,
    number: usize,
    me: Owner,
    bell: &'a Bell,
    blocks: Lent,
    /// How many tasks it may still take.
    left: u64,
    /// How many it has done.
    done: u64,
    /// How many positions it sets out for at once.
    most: u64,
    /// The function of the last task.
    known: Option<(u64, &'static TaskEntry)>,
    arguments: Vec<u8>,
    result: Vec<u8>,
}

impl Worker<'_> {
    fn run(&mut self) {
        self.lane.set_ready();
        self.tell();
        let me_word = self.memory.segment.me_word();
        // When the present stretch of work began; there is none while it waits.
        let mut began = None;
        while self.left > 0 {
            // A copy of this process that a task has made with its own `fork` is no worker.
            if me_word.load(Relaxed) == 0 {
                multiprocess_sys::process::end_now(0);
            }
            let most = self.most.min(self.left);
            let next = match self.board.set_out(most) {
                Some((first, count)) => Next::Positions(first, count),
                None => {
                    began = None;
                    self.board.next(self.number, most, self.me, &mut Patience::forever())
                }
            };
            let start = began.unwrap_or_else(Instant::now);
            let tasks = match next {
                Next::Positions(first, count) => self.tasks(first, count),
                Next::Claimed(slot) => {
                    self.task(slot);
                    1
                }
                Next::Leave => return,
                Next::TimedOut => continue,
            };
            let now = Instant::now();
            self.account(tasks, now - start);
            began = Some(now);
        }
    }

    /// Notes what it has done, and decides for how many positions it sets out next.
    fn account(&mut self, tasks: u64, took: Duration) {
        self.lane.add(tasks, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.most = match took / tasks.clamp(1, MOST) as u32 {
            each if each < SHORT => (self.most * 2).min(MOST),
            each if each > LONG => 1,
            _ => self.most.div_ceil(2),
        };
    }

    /// Runs the tasks at these positions that are still there; how many.
    fn tasks(&mut self, first: u64, count: u64) -> u64 {
        let mut tasks = 0;
        for position in first..first.saturating_add(count) {
            let slot = self.board.slot_at(position);
            if self.board.slot(slot).claim(self.number, self.me) {
                self.task(slot);
                tasks += 1;
            }
        }
        tasks
    }

    /// Runs the task in a slot that this worker has claimed.
    fn task(&mut self, index: usize) {
        self.left = self.left.saturating_sub(1);
        #[cfg(feature = "tracing")]
        let _span = crate::events::task(self.done);
        let slot = self.board.slot(index);
        let (length, place, flags) = slot.measure();
        self.result.clear();
        let arguments = self.memory.read(slot, (length, place), None, &mut self.arguments);
        let (end, place) = match arguments.and_then(|()| self.entry(slot.function())) {
            Ok(entry) => self.call(entry, slot, flags),
            Err(error) => self.keep(slot, Err(error)),
        };
        #[cfg(feature = "tracing")]
        crate::events::task_ended(end);
        slot.set_measure(self.result.len() as u64, place, end as u16);
        if !self.lane.finish(self.done, index, slot, self.me) {
            // The task was taken away, and whoever did that ends this process.
            loop {
                std::thread::park();
            }
        }
        self.done += 1;
        self.tell();
        if self.result.capacity() > KEEP || self.arguments.capacity() > KEEP {
            (self.result, self.arguments) = (Vec::new(), Vec::new());
        }
    }

    fn entry(&mut self, function: u64) -> Result<&'static TaskEntry, Error> {
        if let Some((known, entry)) = self.known
            && known == function
        {
            return Ok(entry);
        }
        let entry = TaskEntry::at(function)?;
        self.known = Some((function, entry));
        Ok(entry)
    }

    /// Calls the function, and puts what came of it where the pool finds it.
    fn call(&mut self, entry: &TaskEntry, slot: Slot<'_>, flags: u16) -> (End, u64) {
        let is_timed = flags & TIMED != 0;
        if is_timed {
            slot.set_since(clock::nanoseconds());
        }
        if flags & CHUNK == 0 {
            let end = entry.call(&mut self.arguments, &mut self.result, None);
            return self.keep(slot, Ok(end));
        }
        let mut stream = Stream { memory: self.memory, blocks: &mut self.blocks, slot, kept: 0, items: 0, block: None };
        let mut step = |results: &mut Vec<u8>| {
            stream.keep(results);
            if is_timed {
                slot.set_since(clock::nanoseconds());
            }
        };
        let end = entry.call(&mut self.arguments, &mut self.result, Some(&mut step));
        match stream.block {
            Some(block) if stream.kept == self.result.len() => (end, block.place),
            _ => self.keep(slot, Ok(end)),
        }
    }

    /// Puts the result where the pool finds it, or else why not; what it is, and its place.
    fn keep(&mut self, slot: Slot<'_>, end: Result<End, Error>) -> (End, u64) {
        let end = end.and_then(|end| self.store(slot).map(|place| (end, place)));
        end.unwrap_or_else(|error| {
            self.result = pack_failure(error);
            let place = self.store(slot).unwrap_or_else(|_| {
                self.result = pack_failure(Error::new(ErrorKind::Other, "out of memory"));
                slot.write(&self.result);
                0
            });
            (End::Failed, place)
        })
    }

    #[inline]
    fn store(&mut self, slot: Slot<'_>) -> Result<u64, Error> {
        if self.result.len() <= INLINE {
            slot.write(&self.result);
            return Ok(0);
        }
        let block = self.blocks.take(self.memory, self.result.len() as u64)?;
        self.memory.segment.write(block.place as usize, &self.result);
        Ok(block.place)
    }

    /// Wakes the pool's process, if it sleeps.
    #[inline]
    fn tell(&self) {
        if self.board.report(&self.memory.segment) == Alarm::Bell {
            self.bell.ring();
        }
    }
}

/// The results of a chunk, as they come: what is in place when the worker dies is not lost.
struct Stream<'a> {
    memory: &'a Memory,
    blocks: &'a mut Lent,
    slot: Slot<'a>,
    /// How many bytes are in place.
    kept: usize,
    items: u64,
    block: Option<Block>,
}

impl Stream<'_> {
    fn keep(&mut self, results: &[u8]) {
        self.items += 1;
        let length = results.len() as u64;
        let (place, from) = match self.block {
            Some(block) if length <= block.capacity() => (block.place, self.kept),
            _ => {
                // If there is no memory, that is found out at the end, and told.
                let Ok(block) = self.blocks.take(self.memory, length * 2) else { return };
                if let Some(old) = self.block.replace(block) {
                    self.memory.free(old.place);
                }
                (block.place, 0)
            }
        };
        self.memory.segment.write(place as usize + from, &results[from..]);
        self.kept = results.len();
        // After a death the progress alone counts: as many results lie at whichever place is told.
        self.slot.set_measure(length, place, CHUNK);
        self.slot.set_progress(self.items);
    }
}
