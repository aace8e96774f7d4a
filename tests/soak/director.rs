//! The process that starts the workers, kills and stops them at random, and looks at the end whether all is in order.

use crate::ledger::Ledger;
use crate::random::Random;
use crate::worker::{BOUND, OPERATIONS, produce, work};
use crate::world::{NAMES, PERMITS, World};
use multiprocess::{Child, Fd, Process};
use multiprocess_tests::processes::{self, Signal};
use multiprocess_tests::{names, pause};
use std::fs;
use std::io::{BufRead, BufReader, PipeWriter, pipe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How many workers there are at any time.
const WORKERS: usize = 6;

/// How many complaints are kept: the first ones tell, the others repeat.
const ENOUGH: usize = 20;

/// What came of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many workers were killed.
    pub kills: u64,
    /// How often one was stopped for a while.
    pub stops: u64,
    /// How many operations all of them began.
    pub operations: u64,
    /// How often one was told of a death.
    pub recoveries: u64,
    /// What was wrong.
    pub violations: Vec<String>,
}

/// Runs for `time` with all that `seed` fixes.
pub fn run(time: Duration, seed: u64) -> Outcome {
    let world = World::new(names::unique("soak")).expect("the objects can be made");
    let (complaints, complain) = pipe().expect("a pipe can be made");
    let reader = thread::spawn(move || {
        BufReader::new(complaints).lines().map_while(Result::ok).take(ENOUGH).collect::<Vec<String>>()
    });
    let mut director =
        Director { random: Random::new(seed), world: world.clone(), complain, outcome: Outcome::default() };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| keep_things_moving(&world, &over));
        director.conduct(time);
        over.store(true, Ordering::SeqCst);
    });
    let Director { complain, mut outcome, .. } = director;
    drop(complain);
    outcome.violations.extend(reader.join().expect("the reader does not panic"));
    look_at_objects(&world, &mut outcome.violations);
    let ledger = Ledger::of(&world.memory);
    outcome.operations = (0..WORKERS).map(|worker| ledger.operations(worker)).sum();
    outcome.recoveries = (0..WORKERS).map(|worker| ledger.recoveries(worker)).sum();
    let prefix = world.prefix.clone();
    drop(world);
    look_at_names(&prefix, &mut outcome.violations);
    outcome
}

/// Sets the event and adds items until the last worker is gone, so that whoever waits must wake.
fn keep_things_moving(world: &World, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        world.event.set();
        world.event.clear();
        produce(world);
        pause::holds_within(Duration::from_millis(2), || false);
    }
}

/// A worker, and until when it is stopped.
struct Running {
    child: Child<()>,
    stopped_until: Option<Instant>,
    operations: u64,
    since: Instant,
}

struct Director {
    random: Random,
    world: World,
    complain: PipeWriter,
    outcome: Outcome,
}

impl Director {
    fn conduct(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let mut workers: Vec<Running> = (0..WORKERS).map(|index| self.start(index)).collect();
        while Instant::now() < end && self.outcome.violations.is_empty() {
            pause::holds_within(Duration::from_micros(self.random.below(6_000)), || false);
            let index = self.random.below(WORKERS as u64) as usize;
            if self.random.below(3) == 0 {
                let moment = Duration::from_micros(self.random.below(15_000));
                workers[index].stopped_until = Some(Instant::now() + moment);
                processes::signal(workers[index].child.pid(), Signal::STOP);
                self.outcome.stops += 1;
            } else {
                self.kill(index, &mut workers[index]);
            }
            for (index, worker) in workers.iter_mut().enumerate() {
                self.attend(index, worker);
            }
        }
        self.finish(workers);
    }

    fn start(&mut self, index: usize) -> Running {
        let complain = Fd(self.complain.try_clone().expect("a descriptor can be copied"));
        Ledger::of(&self.world.memory).reborn(index);
        let arguments = (self.world.clone(), index, self.random.next(), complain);
        let child = Process::new(work, arguments).daemon(true).start().expect("a worker can be started");
        Running { child, stopped_until: None, operations: 0, since: Instant::now() }
    }

    fn kill(&mut self, index: usize, worker: &mut Running) {
        Ledger::of(&self.world.memory).dying(index);
        worker.child.kill().expect("a worker can be killed");
        worker.child.wait().expect("a worker can be waited for");
        self.outcome.kills += 1;
        *worker = self.start(index);
    }

    /// Lets a stopped worker go on when its time is over, and complains about one that does not get on.
    fn attend(&mut self, index: usize, worker: &mut Running) {
        if worker.stopped_until.is_some_and(|until| until <= Instant::now()) {
            processes::signal(worker.child.pid(), Signal::CONT);
            worker.stopped_until = None;
        }
        if let Ok(Some(status)) = worker.child.try_wait() {
            self.outcome.violations.push(format!("worker {index} ended by itself: {status}"));
        }
        let ledger = Ledger::of(&self.world.memory);
        let operations = ledger.operations(index);
        if operations != worker.operations {
            (worker.operations, worker.since) = (operations, Instant::now());
        } else if worker.since.elapsed() > BOUND + BOUND {
            let (name, _) = OPERATIONS[ledger.current(index) as usize];
            self.outcome.violations.push(format!("worker {index} hangs in {name}"));
        }
    }

    fn finish(&mut self, workers: Vec<Running>) {
        for worker in &workers {
            processes::signal(worker.child.pid(), Signal::CONT);
        }
        Ledger::of(&self.world.memory).finish();
        for (index, worker) in workers.into_iter().enumerate() {
            match worker.child.wait_timeout(BOUND + BOUND) {
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => self.outcome.violations.push(format!("worker {index} ended: {status}")),
                other => {
                    let current = Ledger::of(&self.world.memory).current(index);
                    let (name, _) = OPERATIONS[current as usize];
                    self.outcome.violations.push(format!("worker {index} does not end, in {name}: {other:?}"));
                    // It is a child of this process and has failed already; nothing else is to be done with it.
                    let _ = worker.child.kill();
                }
            }
        }
    }
}

/// Everything is free, and as many permits are there as at first.
fn look_at_objects(world: &World, violations: &mut Vec<String>) {
    let limit = Duration::from_secs(2);
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            violations.push(format!("at the end: {what}"));
        }
    };
    let mutex = world.mutex.lock_timeout(limit).map(|guard| guard.is_some());
    expect(mutex.unwrap_or_else(|_| world.mutex.recover_timeout(limit).is_some()), "the mutex is not free");
    let reentrant = world.reentrant.lock_timeout(limit).map(|guard| guard.is_some());
    expect(reentrant.unwrap_or(true), "the reentrant lock is not free");
    let rwlock = world.rwlock.write_timeout(limit).map(|guard| guard.is_some());
    expect(rwlock.unwrap_or(true), "the reader-writer lock is not free");
    let permits: Vec<_> = (0..PERMITS).map_while(|_| world.semaphore.acquire_timeout(limit)).collect();
    expect(permits.len() == PERMITS as usize, "permits are missing");
    expect(world.semaphore.try_acquire().is_none(), "there are more permits than at first");
    drop(permits);
    expect(world.semaphore.available() == PERMITS, "not all permits are available");
    world.event.set();
    expect(world.event.wait_timeout(Duration::ZERO), "the event cannot be set");
    for number in 0..NAMES {
        let mutex = world.named_mutex(number).is_ok_and(|mutex| mutex.try_lock().is_ok_and(|guard| guard.is_some()));
        expect(mutex, "a name cannot be used, or its mutex is not free");
        let available = world.named_semaphore(number).map(|semaphore| semaphore.available());
        expect(available.is_ok_and(|available| available == PERMITS), "a named semaphore has lost permits");
    }
}

/// No file of the run is left.
fn look_at_names(prefix: &str, violations: &mut Vec<String>) {
    let left = || {
        let entries = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains(prefix)).collect::<Vec<String>>()
    };
    // A child that was killed may take a moment to let go of what it had mapped.
    if !pause::holds_within(Duration::from_secs(2), || left().is_empty()) {
        violations.push(format!("at the end these names are left: {:?}", left()));
    }
}
