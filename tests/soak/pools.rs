//! Pools whose workers are killed, one every 50 ms, and stopped now and then: each result comes once, right, or as `WorkerDied`.
//!
//! Pools of several kinds come one after the other. In each, clients give tasks of random lengths and sizes in all ways
//! at the same time, collect them in any order, drop some and cancel some. A task says whether it had begun before: only where tasks are
//! begun again may that be. At the end no more tasks are lost than workers were killed, and the pool has its size.

use crate::clients::{self, Tally, Work};
use crate::random::Random;
use multiprocess::{Pool, SharedMemory};
use multiprocess_tests::pause;
use multiprocess_tests::processes::{self, Signal};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long nobody is killed.
const PAUSE: Duration = Duration::from_millis(50);
/// For how long a worker is stopped, at most.
const STOP: u64 = 120;
/// After which time without a result a pool is taken for stuck.
const STUCK: Duration = Duration::from_secs(20);
/// How many complaints are kept.
const ENOUGH: usize = 20;
/// How many tasks are remembered as begun: many times more than there are at once.
const REMEMBERED: usize = 1 << 16;

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many workers were killed, and how many stopped for a while.
    pub kills: u64,
    /// See there.
    pub stops: u64,
    /// How many tasks and items gave a result or an error.
    pub tasks: u64,
    /// How many of those died with their worker.
    pub died: u64,
    /// How many workers were started in place of others.
    pub restarts: u64,
    /// What must not be.
    pub violations: Vec<String>,
}

/// What is special about a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Tasks are begun again until they are done.
    Retries,
    /// Workers leave after some tasks.
    ShortLives,
}

/// Runs for so long with the kills that `seed` fixes.
pub fn run(seconds: u64, seed: u64) -> Outcome {
    let (mut random, mut outcome) = (Random::new(seed), Outcome::default());
    let kinds = [Kind::Plain, Kind::Retries, Kind::ShortLives];
    // Each kind several times in a long run, with other numbers of workers.
    let rounds = (seconds / 30).max(1);
    let time = Duration::from_secs(seconds) / (rounds as u32 * kinds.len() as u32);
    for kind in (0..rounds).flat_map(|_| kinds) {
        let workers = 2 + random.below(4) as usize;
        let found = Phase::new(kind, workers, random.next()).conduct(time);
        if let Some(wrong) = found.violations.first() {
            let title = format!("in a pool of kind {kind:?} with {workers} workers: ");
            outcome.violations.push(title + wrong);
            outcome.violations.extend_from_slice(&found.violations[1..]);
        }
        outcome.kills += found.kills;
        outcome.stops += found.stops;
        outcome.tasks += found.tasks;
        outcome.died += found.died;
        outcome.restarts += found.restarts;
        if !outcome.violations.is_empty() {
            break;
        }
    }
    outcome.violations.truncate(ENOUGH);
    outcome
}

/// One pool, its clients, and who is stopped until when.
struct Phase {
    kind: Kind,
    workers: usize,
    random: Random,
    work: Arc<Work>,
    clients: Vec<JoinHandle<()>>,
    stopped: Vec<(u32, Instant)>,
    outcome: Outcome,
}

impl Phase {
    fn new(kind: Kind, workers: usize, seed: u64) -> Phase {
        let begun = SharedMemory::new(8 * REMEMBERED).expect("there is memory for the ledger");
        let builder = Pool::builder().workers(workers).initializer(clients::prepare, (begun,));
        let builder = if kind == Kind::ShortLives { builder.max_tasks_per_child(40) } else { builder };
        let pool = builder.build().expect("a pool can be made");
        let retries = if kind == Kind::Retries { u32::MAX } else { 0 };
        let (numbers, is_over) = (AtomicU64::new(1), AtomicU64::new(0));
        let work = Arc::new(Work { pool, retries, numbers, is_over, tally: Tally::default() });
        let mut random = Random::new(seed);
        let client = |way: &clients::Way| {
            let (work, random, way) = (Arc::clone(&work), Random::new(random.next()), *way);
            thread::spawn(move || work.give(random, way))
        };
        let clients = clients::WAYS.iter().map(client).collect();
        Phase { kind, workers, random, work, clients, stopped: Vec::new(), outcome: Outcome::default() }
    }

    fn conduct(mut self, time: Duration) -> Outcome {
        let end = Instant::now() + time;
        let (mut before, mut since) = (0, Instant::now());
        while self.clients.iter().any(|client| !client.is_finished()) {
            pause::holds_within(PAUSE, || false);
            self.disturb();
            if Instant::now() >= end {
                self.work.is_over.store(1, SeqCst);
            }
            let results = self.work.tally.results.load(Relaxed);
            if results != before {
                (before, since) = (results, Instant::now());
            } else if since.elapsed() > STUCK {
                // Whoever waits waits for ever, so nothing is taken down.
                self.outcome.violations.push(format!("no result comes any more: {:?}", self.work.pool.stats()));
                std::mem::forget(Arc::clone(&self.work));
                return self.outcome;
            }
        }
        self.finish()
    }

    /// Kills a worker or stops one, and lets those go on whose time is over.
    fn disturb(&mut self) {
        let pids = self.work.pool.worker_pids();
        if pids.is_empty() {
            return;
        }
        let pid = pids[self.random.below(pids.len() as u64) as usize];
        if self.random.below(4) == 0 {
            processes::signal(pid, Signal::STOP);
            self.stopped.push((pid, Instant::now() + Duration::from_millis(self.random.below(STOP))));
            self.outcome.stops += 1;
        } else {
            processes::signal(pid, Signal::KILL);
            self.outcome.kills += 1;
        }
        let now = Instant::now();
        self.stopped.retain(|(pid, until)| {
            let goes_on = *until <= now;
            if goes_on && pids.contains(pid) {
                processes::signal(*pid, Signal::CONT);
            }
            !goes_on
        });
    }

    /// Looks at what all clients have got, and at the pool.
    fn finish(mut self) -> Outcome {
        for pid in self.work.pool.worker_pids() {
            processes::signal(pid, Signal::CONT);
        }
        let mut wrong: Vec<String> = Vec::new();
        for client in self.clients {
            if client.join().is_err() {
                wrong.push("a client has panicked".to_owned());
            }
        }
        let work = Arc::into_inner(self.work).expect("all clients have ended");
        let (pool, tally) = (work.pool, work.tally);
        wrong.append(&mut tally.violations.into_inner().expect("nobody has panicked with it"));
        let has_its_size = || {
            let stats = pool.stats();
            pool.worker_pids().len() == self.workers && stats.waiting + stats.running == 0
        };
        if !pause::holds_within(STUCK, has_its_size) {
            wrong.push(format!("at the end there are the workers {:?}, and {:?}", pool.worker_pids(), pool.stats()));
        }
        let sums = pool.tasks().chunk_size(1).map(|number: u64| number + 1, 0..100);
        if !sums.is_ok_and(|sums| sums == (1..=100).collect::<Vec<u64>>()) {
            wrong.push("at the end the pool does not work".to_owned());
        }
        let (died, restarts) = (tally.died.load(Relaxed), pool.stats().restarts);
        self.outcome.died = died;
        self.outcome.restarts = restarts;
        self.outcome.tasks = tally.results.load(Relaxed);
        if died > self.outcome.kills {
            wrong.push(format!("{died} tasks died, and {} workers were killed", self.outcome.kills));
        }
        if died > 0 && self.kind == Kind::Retries {
            wrong.push(format!("{died} tasks died that were to be begun again"));
        }
        if let Err(error) = pool.join() {
            wrong.push(format!("the pool has broken down: {error}"));
        }
        self.outcome.violations.append(&mut wrong);
        self.outcome
    }
}
