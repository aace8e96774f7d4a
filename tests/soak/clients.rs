//! Those who give tasks to a pool in a soak, and what they look at in each result.

use crate::random::Random;
use multiprocess::{Pool, SharedMemory, TaskError, TaskHandle};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// How many tasks one call gives at most.
const MANY: u64 = 400;
/// How long a timed task may run.
const LIMIT: Duration = Duration::from_millis(15);

/// What is counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many tasks gave a result or an error.
    pub results: AtomicU64,
    /// How many died with their worker.
    pub died: AtomicU64,
    /// What must not be.
    pub violations: Mutex<Vec<String>>,
}

/// A pool and what its clients share.
pub struct Work {
    pub pool: Pool,
    /// How often a task is begun again.
    pub retries: u32,
    /// The number of the next task.
    pub numbers: AtomicU64,
    /// Whether no more is to be given.
    pub is_over: AtomicU64,
    pub tally: Tally,
}

/// How a client gives tasks.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    Submit,
    Map,
    Imap,
    Unordered,
    Timed,
}

/// A client for each way.
pub const WAYS: [Way; 5] = [Way::Submit, Way::Map, Way::Imap, Way::Unordered, Way::Timed];

/// A task: its number, for how many microseconds it runs, what it carries, and how long its result is.
type Task = (u64, u64, Vec<u8>, u64);
/// Its number, whether it had begun before, and what it carries back.
type Answer = (u64, bool, Vec<u8>);

/// Where workers write down which tasks have begun.
static BEGUN: OnceLock<SharedMemory> = OnceLock::new();

/// What each worker does first.
pub fn prepare(begun: SharedMemory) {
    let _ = BEGUN.set(begun);
}

fn run(number: u64, microseconds: u64, carried: Vec<u8>, length: u64) -> Answer {
    let begun = BEGUN.get().expect("a worker is prepared").as_atomics::<AtomicU64>();
    let again = begun[number as usize % begun.len()].swap(number, SeqCst) == number;
    let end = Instant::now() + Duration::from_micros(microseconds);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    let is_whole = carried.iter().all(|byte| *byte == number as u8);
    (if is_whole { number } else { 0 }, again, vec![!(number as u8); length as usize])
}

impl Work {
    /// Gives one batch of tasks after the other until the time is over.
    pub fn give(&self, mut random: Random, way: Way) {
        while self.is_over.load(SeqCst) == 0 {
            match way {
                Way::Submit => self.submit(&mut random),
                Way::Map => self.map(&mut random),
                Way::Imap | Way::Timed => self.imap(&mut random, matches!(way, Way::Timed)),
                Way::Unordered => self.unordered(&mut random),
            }
        }
    }

    fn task(&self, random: &mut Random) -> Task {
        let number = self.numbers.fetch_add(1, Relaxed);
        let microseconds = match random.below(40) {
            0 => random.below(20_000),
            1..10 => random.below(1_000),
            _ => random.below(30),
        };
        let mut length = || match random.below(24) {
            0 => random.below(40_000),
            1..4 => random.below(200),
            _ => random.below(8),
        };
        (number, microseconds, vec![number as u8; length() as usize], length())
    }

    fn tasks(&self, random: &mut Random) -> Vec<Task> {
        (0..random.below(MANY)).map(|_| self.task(random)).collect()
    }

    fn options(&self, random: &mut Random) -> multiprocess::Tasks<'_> {
        let tasks = self.pool.tasks().retries(self.retries);
        if random.below(3) == 0 { tasks } else { tasks.chunk_size(1 + random.below(24) as usize) }
    }

    fn complain(&self, wrong: String) {
        let mut violations = self.tally.violations.lock().expect("nobody has panicked with it");
        if violations.len() < 8 {
            violations.push(wrong);
        }
    }

    /// Looks at what came of a task, which may fail in the way that `allows`.
    fn look(&self, (number, length): (u64, u64), came: Result<Answer, TaskError>, allows: fn(&TaskError) -> bool) {
        self.tally.results.fetch_add(1, Relaxed);
        match came {
            Ok((answer, again, bytes)) => {
                let is_whole = bytes.len() as u64 == length && bytes.iter().all(|byte| *byte == !(number as u8));
                if answer != number || !is_whole || (again && self.retries == 0) {
                    self.complain(format!("task {number} gave the answer of {answer}, again {again}, {is_whole}"));
                }
            }
            Err(TaskError::WorkerDied(status)) if status.signal() == Some(9) => {
                self.tally.died.fetch_add(1, Relaxed);
            }
            Err(error) if allows(&error) => {}
            Err(error) => self.complain(format!("task {number}: {error}")),
        }
    }

    /// One by one, collected in any order; some handles are dropped, some tasks cancelled.
    fn submit(&self, random: &mut Random) {
        let mut handles: Vec<((u64, u64), TaskHandle<Answer>, bool)> = Vec::new();
        for task in self.tasks(random) {
            let key = (task.0, task.3);
            match self.pool.tasks().retries(self.retries).submit(run, task) {
                Ok(handle) => handles.push((key, handle, random.below(100) == 0)),
                Err(error) => self.complain(format!("giving task {}: {error}", key.0)),
            }
        }
        while !handles.is_empty() {
            let (key, handle, is_unwanted) = handles.swap_remove(random.below(handles.len() as u64) as usize);
            if is_unwanted && handle.cancel() {
                match handle.get() {
                    Err(TaskError::Cancelled) => self.look(key, Err(TaskError::Cancelled), |_| true),
                    other => self.complain(format!("task {} was cancelled, and gave {other:?}", key.0)),
                }
            } else if random.below(100) > 0 {
                self.look(key, handle.get(), |_| false);
            }
        }
    }

    /// All or the first error.
    fn map(&self, random: &mut Random) {
        let tasks = self.tasks(random);
        let keys: Vec<_> = tasks.iter().map(|task| (task.0, task.3)).collect();
        match self.options(random).starmap(run, tasks) {
            Ok(answers) if answers.len() == keys.len() => {
                keys.into_iter().zip(answers).for_each(|(key, answer)| self.look(key, Ok(answer), |_| false));
            }
            Ok(answers) => self.complain(format!("{} tasks gave {} answers", keys.len(), answers.len())),
            Err(error) => self.look(keys.first().copied().unwrap_or_default(), Err(error), |_| false),
        }
    }

    /// In order, and now and then not to the end.
    fn imap(&self, random: &mut Random, is_timed: bool) {
        let tasks = self.tasks(random);
        let keys: Vec<_> = tasks.iter().map(|task| (task.0, task.3)).collect();
        let options = self.options(random);
        let options = if is_timed { options.timeout(LIMIT) } else { options };
        let most = if random.below(8) == 0 { random.below(MANY) as usize } else { keys.len() };
        let (mut came, call) = (0, |task: Task| run(task.0, task.1, task.2, task.3));
        for (key, answer) in keys.iter().zip(options.imap(call, tasks).take(most)) {
            let allows =
                if is_timed { |error: &TaskError| matches!(error, TaskError::TimedOut) } else { |_: &_| false };
            self.look(*key, answer, allows);
            came += 1;
        }
        if came != most.min(keys.len()) {
            self.complain(format!("{} items gave {came} answers", keys.len()));
        }
    }

    /// In any order, each once.
    fn unordered(&self, random: &mut Random) {
        let tasks = self.tasks(random);
        let mut keys: std::collections::BTreeMap<u64, u64> = tasks.iter().map(|task| (task.0, task.3)).collect();
        let (mut lost, call) = (0, |task: Task| run(task.0, task.1, task.2, task.3));
        for answer in self.options(random).imap_unordered(call, tasks) {
            match answer {
                Ok(answer) => match keys.remove(&answer.0) {
                    Some(length) => self.look((answer.0, length), Ok(answer), |_| false),
                    None => self.complain(format!("task {} came twice, or was not given", answer.0)),
                },
                Err(error) => {
                    lost += 1;
                    self.look((0, 0), Err(error), |_| false);
                }
            }
        }
        if keys.len() != lost {
            self.complain(format!("{} items gave no answer, and {lost} were lost", keys.len()));
        }
    }
}
