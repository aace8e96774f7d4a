//! What the processes write down about themselves: numbers in shared memory that nobody locks.
//!
//! Each worker has a row of its own. Its cell of permits is `version, dying, held`: with the version, a reader that collects
//! all cells twice and finds them the same has seen them as they were at one moment; the director marks a row as dying
//! before it kills, since the permits of the dead are free while their row still shows them.

use multiprocess::SharedMemory;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many workers there can be.
pub const WORKERS: usize = 8;

const ROW: usize = 8;
const OPERATIONS: usize = 0;
const CURRENT: usize = 1;
const PERMITS: usize = 2;
const RECOVERIES: usize = 3;
/// Behind the rows: whether the workers are to end.
const OVER: usize = ROW * WORKERS;

/// A row is about to belong to a dead process.
const DYING: u64 = 1 << 16;
/// One step of a cell's version.
const VERSION: u64 = 1 << 32;
/// The permits in a cell.
const HELD: u64 = 0xffff;

/// The length of the memory in bytes.
pub const LENGTH: usize = (OVER + 1) * size_of::<AtomicU64>();

/// The numbers, seen by one process.
#[derive(Clone, Copy)]
pub struct Ledger<'a>(&'a [AtomicU64]);

impl<'a> Ledger<'a> {
    /// The numbers in `memory`.
    pub fn of(memory: &'a SharedMemory) -> Ledger<'a> {
        Ledger(memory.as_atomics())
    }

    fn cell(self, worker: usize, number: usize) -> &'a AtomicU64 {
        &self.0[worker * ROW + number]
    }

    /// Worker `worker` begins operation `operation`.
    pub fn begin(self, worker: usize, operation: u64) {
        self.cell(worker, CURRENT).store(operation, Ordering::SeqCst);
        self.cell(worker, OPERATIONS).fetch_add(1, Ordering::SeqCst);
    }

    /// The operation that `worker` is at.
    pub fn current(self, worker: usize) -> u64 {
        self.cell(worker, CURRENT).load(Ordering::SeqCst)
    }

    /// How many operations `worker`, and those before it with the same row, have begun.
    pub fn operations(self, worker: usize) -> u64 {
        self.cell(worker, OPERATIONS).load(Ordering::SeqCst)
    }

    /// `worker` was told of a death.
    pub fn recovered(self, worker: usize) {
        self.cell(worker, RECOVERIES).fetch_add(1, Ordering::SeqCst);
    }

    /// How often `worker` was told of a death.
    pub fn recoveries(self, worker: usize) -> u64 {
        self.cell(worker, RECOVERIES).load(Ordering::SeqCst)
    }

    /// `worker` holds `permits` from now on. It says so after it has got them, and before it gives them back.
    pub fn hold(self, worker: usize, permits: u64) {
        self.change(worker, |cell| cell & !HELD | permits);
    }

    /// `worker` is about to be killed.
    pub fn dying(self, worker: usize) {
        self.change(worker, |cell| cell | DYING);
    }

    /// The row of `worker` belongs to a new process.
    pub fn reborn(self, worker: usize) {
        self.change(worker, |cell| cell & !DYING & !HELD);
    }

    fn change(self, worker: usize, change: impl Fn(u64) -> u64) {
        let cell = self.cell(worker, PERMITS);
        let mut before = cell.load(Ordering::SeqCst);
        // The director may mark the cell at the same time.
        while let Err(now) =
            cell.compare_exchange(before, change(before).wrapping_add(VERSION), Ordering::SeqCst, Ordering::SeqCst)
        {
            before = now;
        }
    }

    /// How many permits the living held at some moment during this call; `None` if the cells never stood still.
    pub fn permits(self) -> Option<u64> {
        let collect =
            || -> [u64; WORKERS] { std::array::from_fn(|worker| self.cell(worker, PERMITS).load(Ordering::SeqCst)) };
        let (first, second) = (collect(), collect());
        (first == second).then(|| first.iter().filter(|cell| *cell & DYING == 0).map(|cell| cell & HELD).sum())
    }

    /// Tells the workers to end.
    pub fn finish(self) {
        self.0[OVER].store(1, Ordering::SeqCst);
    }

    /// Whether the workers are to end.
    pub fn is_over(self) -> bool {
        self.0[OVER].load(Ordering::SeqCst) == 1
    }
}
