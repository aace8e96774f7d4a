//! A worker: random operations, one after the other, each checked.

use crate::ledger::Ledger;
use crate::random::Random;
use crate::world::{Data, NAMES, PERMITS, World};
use multiprocess::{Fd, Mutex, OwnerDied};
use std::hint::{black_box, spin_loop};
use std::io::{PipeWriter, Write};
use std::time::{Duration, Instant};

/// Nothing here may take longer: the longest wait of any operation is for a death to be noticed.
pub const BOUND: Duration = Duration::from_secs(10);

/// How long a party waits at the barrier before it gives up and breaks it.
const MEETING: Duration = Duration::from_millis(100);

/// An operation returns what is wrong, if anything is.
type Operation = fn(&mut Worker) -> Result<(), String>;

/// What a worker picks from. What stands twice is picked more often.
pub const OPERATIONS: [(&str, Operation); 17] = [
    ("Mutex::lock", Worker::mutex),
    ("Mutex::lock", Worker::mutex),
    ("Mutex::try_lock", Worker::try_mutex),
    ("Mutex::lock_timeout", Worker::timed_mutex),
    ("RLock::lock", Worker::reentrant),
    ("RwLock::read", Worker::read),
    ("RwLock::read", Worker::read),
    ("RwLock::write", Worker::write),
    ("Semaphore::acquire", Worker::permit),
    ("Semaphore::acquire_timeout", Worker::timed_permits),
    ("Event::wait", Worker::event_wait),
    ("Event::set and clear", Worker::event_set),
    ("Condition::wait", Worker::consume),
    ("Condition::notify_one", Worker::produce),
    ("Barrier::wait", Worker::meet),
    ("Value::update", Worker::value),
    ("a named object", Worker::named),
];

/// One process of a run.
pub struct Worker {
    world: World,
    index: usize,
    random: Random,
}

/// The function of each worker process. It ends when the ledger says so.
pub fn work(world: World, index: usize, seed: u64, mut complaints: Fd<PipeWriter>) {
    let mut worker = Worker { world, index, random: Random::new(seed) };
    while !worker.ledger().is_over() {
        let number = worker.random.below(OPERATIONS.len() as u64);
        let (name, operation) = OPERATIONS[number as usize];
        worker.ledger().begin(index, number);
        let start = Instant::now();
        let outcome = operation(&mut worker);
        let slow = start.elapsed() > BOUND;
        let slow = slow.then(|| format!("it took {:?}", start.elapsed()));
        for wrong in outcome.err().into_iter().chain(slow) {
            // One write for a line, so that those of several processes do not mix.
            let line = format!("worker {index}, process {}, {name}: {wrong}\n", std::process::id());
            complaints.write_all(line.as_bytes()).expect("the director reads");
        }
    }
}

impl Worker {
    fn ledger(&self) -> Ledger<'_> {
        Ledger::of(&self.world.memory)
    }

    /// Works for a while, so that there is something to be killed in.
    fn dawdle(&mut self) {
        for _ in 0..self.random.below(400) {
            spin_loop();
        }
    }

    /// Is inside a mutex: everything must be whole, and nobody else may be there.
    fn inside(&mut self, data: &mut Data, recovered: bool) -> Result<(), String> {
        if recovered {
            *data = [0; 8];
            self.ledger().recovered(self.index);
        }
        if data[0] != 0 || data[1..].iter().any(|number| *number != data[1]) {
            return Err(format!("no death was reported, and this is inside: {data:?}"));
        }
        data[0] = black_box(1);
        for number in &mut data[1..] {
            *number = black_box(*number + 1);
            self.dawdle();
        }
        data[0] = black_box(0);
        Ok(())
    }

    fn locked(&mut self, mutex: &Mutex<Data>) -> Result<(), String> {
        match mutex.lock() {
            Ok(mut guard) => self.inside(&mut guard, false),
            Err(died) => self.after_death(mutex, &died),
        }
    }

    fn after_death(&mut self, mutex: &Mutex<Data>, died: &OwnerDied) -> Result<(), String> {
        if died.owner_pid() == std::process::id() {
            return Err("this process is reported dead".to_owned());
        }
        let mut guard = mutex.recover();
        // Somebody else may have repaired it meanwhile; to do so again is harmless.
        self.inside(&mut guard, true)
    }

    fn mutex(&mut self) -> Result<(), String> {
        let mutex = self.world.mutex.clone();
        self.locked(&mutex)
    }

    fn try_mutex(&mut self) -> Result<(), String> {
        let mutex = self.world.mutex.clone();
        match mutex.try_lock() {
            Ok(Some(mut guard)) => self.inside(&mut guard, false),
            Ok(None) => Ok(()),
            Err(died) => self.after_death(&mutex, &died),
        }
    }

    fn timed_mutex(&mut self) -> Result<(), String> {
        let mutex = self.world.mutex.clone();
        match mutex.lock_timeout(Duration::from_micros(self.random.below(5_000))) {
            Ok(Some(mut guard)) => self.inside(&mut guard, false),
            Ok(None) => Ok(()),
            Err(died) => self.after_death(&mutex, &died),
        }
    }

    fn reentrant(&mut self) -> Result<(), String> {
        let lock = self.world.reentrant.clone();
        let _outer = match lock.lock() {
            Ok(guard) => guard,
            Err(_) => {
                self.ledger().recovered(self.index);
                lock.recover()
            }
        };
        self.dawdle();
        let inner = lock.try_lock().map_err(|died| died.to_string())?;
        if inner.is_some() { Ok(()) } else { Err("its owner cannot enter again".to_owned()) }
    }

    fn read(&mut self) -> Result<(), String> {
        let lock = self.world.rwlock.clone();
        match lock.read() {
            Ok(guard) => {
                let before = *guard;
                self.dawdle();
                let whole = before[0] == 0 && before[1..].iter().all(|number| *number == before[1]);
                if whole && *guard == before {
                    Ok(())
                } else {
                    Err(format!("a reader sees {before:?}, then {:?}", *guard))
                }
            }
            Err(_) => self.write(),
        }
    }

    fn write(&mut self) -> Result<(), String> {
        let lock = self.world.rwlock.clone();
        match lock.write() {
            Ok(mut guard) => self.inside(&mut guard, false),
            Err(_) => {
                let mut guard = lock.recover();
                self.inside(&mut guard, true)
            }
        }
    }

    fn permit(&mut self) -> Result<(), String> {
        let semaphore = self.world.semaphore.clone();
        let _permit = semaphore.acquire();
        self.with_permits(1)
    }

    fn timed_permits(&mut self) -> Result<(), String> {
        let semaphore = self.world.semaphore.clone();
        let limit = Duration::from_micros(self.random.below(5_000));
        let first = semaphore.acquire_timeout(limit);
        // Never a wait with a permit in hand: two that wait for each other's would be the test's own fault.
        let second = if first.is_some() { semaphore.try_acquire() } else { None };
        self.with_permits(u64::from(first.is_some()) + u64::from(second.is_some()))
    }

    /// Shows its permits while it has them, and looks how many all have.
    fn with_permits(&mut self, count: u64) -> Result<(), String> {
        self.ledger().hold(self.index, count);
        self.dawdle();
        let all = self.ledger().permits();
        self.ledger().hold(self.index, 0);
        match all {
            Some(all) if all > u64::from(PERMITS) => Err(format!("{all} permits are held, there are {PERMITS}")),
            _ => Ok(()),
        }
    }

    fn event_wait(&mut self) -> Result<(), String> {
        // The director sets it all the time, and clears it at once.
        if self.world.event.wait_timeout(BOUND) { Ok(()) } else { Err("it was set, and nobody woke".to_owned()) }
    }

    fn event_set(&mut self) -> Result<(), String> {
        self.world.event.set();
        self.dawdle();
        self.world.event.clear();
        Ok(())
    }

    fn consume(&mut self) -> Result<(), String> {
        let world = self.world.clone();
        let guard = match world.items.lock() {
            Ok(guard) => guard,
            Err(_) => world.items.recover(),
        };
        // The director produces all the time, so there is always something to come.
        match world.filled.wait_timeout_while(guard, BOUND, |items| *items == 0) {
            Ok((_, result)) if result.timed_out() => Err("items came, and nobody woke".to_owned()),
            Ok((mut items, _)) => {
                *items -= 1;
                Ok(())
            }
            Err(_) => {
                self.ledger().recovered(self.index);
                drop(world.items.recover());
                Ok(())
            }
        }
    }

    fn produce(&mut self) -> Result<(), String> {
        produce(&self.world);
        Ok(())
    }

    fn meet(&mut self) -> Result<(), String> {
        if self.world.barrier.wait_timeout(MEETING).is_err() {
            self.world.barrier.reset();
        }
        Ok(())
    }

    fn value(&mut self) -> Result<(), String> {
        self.world.value.update(|number| *number += 1);
        Ok(())
    }

    fn named(&mut self) -> Result<(), String> {
        let number = self.random.below(NAMES);
        if self.random.below(2) == 0 {
            let mutex = self.world.named_mutex(number).map_err(|error| error.to_string())?;
            return self.locked(&mutex);
        }
        let semaphore = self.world.named_semaphore(number).map_err(|error| error.to_string())?;
        let _permit = semaphore.acquire();
        self.dawdle();
        Ok(())
    }
}

/// Adds an item and notifies one; more than a few nobody needs.
pub fn produce(world: &World) {
    let mut items = match world.items.lock() {
        Ok(guard) => guard,
        Err(_) => world.items.recover(),
    };
    *items = (*items + 1).min(100);
    world.filled.notify_one();
}
