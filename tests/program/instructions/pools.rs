//! `Pool`: a worker that is killed costs the task that it was at, or nothing; all other results come once, and the pool has its size again.
//!
//! The first survivor has the pool, whose two workers are nobody's copies: the victim is the one that comes to the task or item that
//! *begins*, where it offers itself to the tracer. The other worker is kept busy by a task that waits, so that the victim
//! takes the next ones too, until one *ends*: between the two marks lie the result of the first task, taking those behind it, and their
//! results. When the victim is dead, the other worker is let go.

use super::case::{CHECK, Case, Hands, PATIENCE, RELEASE, Reply, SETUP, Stage};
use super::forever;
use multiprocess::{Fd, Pool, TaskError, TaskHandle};
use multiprocess_tests::pause;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::future::Future;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[small, large, future, chunk, chunks, several, waiting, leaving];

/// How long what must come may take when the victim is dead, or before it begins. This only ends a hang.
const LIMIT: Duration = Duration::from_secs(10);

/// How many workers there are.
const WORKERS: usize = 2;

/// Counters of the stage: whether the other worker is busy, whether it may go on, and how often each task ran.
const BUSY: usize = 0;
const GO_ON: usize = 1;
const RAN: usize = 2;

/// How tasks are given.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// One by one. How many before the victim sleeps; the others are given then.
    Submit(usize),
    /// All at once, in chunks of so many items.
    Imap(usize),
}

/// What happens in a case.
#[derive(Debug, Clone, Copy)]
struct Plan {
    way: Way,
    /// How many tasks or items there are, and how long each result is.
    tasks: usize,
    length: usize,
    /// In which the victim begins, and in which it ends; behind the last one if it leaves the pool.
    marks: Marks,
    tasks_max: Option<u32>,
    /// Whether the results are asked for as futures.
    has_futures: bool,
}

/// The first and the last task that a victim may take with it.
type Marks = (usize, usize);

const SHORT: Plan =
    Plan { way: Way::Submit(6), tasks: 6, length: 3, marks: (0, 2), tasks_max: None, has_futures: false };

fn small() -> Case {
    case("Pool, a task", "a short result", SHORT)
}

fn large() -> Case {
    case("Pool, a task", "a long result", Plan { length: 300, ..SHORT })
}

/// Whoever has done a task rings the bell of the pool.
fn future() -> Case {
    case("Pool, a task", "a future waits", Plan { has_futures: true, ..SHORT })
}

fn chunk() -> Case {
    case("Pool, a chunk", "of six items", Plan { way: Way::Imap(6), tasks: 24, marks: (2, 4), ..SHORT })
}

/// The last result of a chunk is left, it is said to be done, and the next one is begun.
fn chunks() -> Case {
    case("Pool, a chunk", "and the next one", Plan { way: Way::Imap(6), tasks: 24, marks: (5, 7), ..SHORT })
}

fn several() -> Case {
    case("Pool, a task", "of several set out for", Plan { way: Way::Imap(1), tasks: 60, marks: (20, 23), ..SHORT })
}

fn waiting() -> Case {
    case("Pool, a task", "waited for", Plan { way: Way::Submit(1), ..SHORT })
}

fn leaving() -> Case {
    case("Pool, a task", "its worker leaves", Plan { marks: (0, 6), tasks_max: Some(2), ..SHORT })
}

/// The stage, as workers find it.
static STAGE: OnceLock<Stage> = OnceLock::new();

fn prepare(page: Fd<File>) {
    let _ = STAGE.set(Stage::in_file(&page.0));
}

fn stage() -> Stage {
    *STAGE.get().expect("a worker is prepared before its first task")
}

/// What keeps the other worker busy.
fn keep_busy() {
    stage().count(BUSY);
    let _ = pause::holds_within(PATIENCE, || stage().counted(GO_ON) > 0);
}

/// A task, or an item: its number, how long its result is, and the marks.
fn run(number: usize, length: usize, marks: Marks) -> Vec<u8> {
    let stage = stage();
    stage.count(RAN + number);
    if number == marks.0 {
        stage.offer();
    } else if number == marks.1 && stage.victim() == u64::from(std::process::id()) {
        stage.end();
    }
    vec![number as u8; length]
}

type Outcome = Result<Vec<u8>, TaskError>;

/// What the survivor has of a round.
#[derive(Default)]
struct Desk {
    pool: Option<Arc<Pool>>,
    restarts: u64,
    busy: Option<TaskHandle<()>>,
    tasks: Vec<TaskHandle<Vec<u8>>>,
    items: Option<JoinHandle<Vec<Outcome>>>,
}

fn desk(hands: &mut Hands) -> &mut Desk {
    if hands.is_empty() {
        hands.push(Box::new(Desk::default()));
    }
    hands[0].downcast_mut().expect("a survivor keeps its desk there")
}

fn case(operation: &'static str, condition: &'static str, plan: Plan) -> Case {
    let file = File::from(memfd_create("stage", MemfdFlags::CLOEXEC).expect("a page can be made"));
    let file: &'static File = forever(file);
    let case = Case::of_others(operation, condition, Stage::in_file(file));
    let case = case
        .part(SETUP, move |stage, hands| desk(hands).set_up(plan, file, stage).map(|()| Reply::Fine))
        .part(CHECK, move |stage, hands| desk(hands).check(plan, stage));
    match plan.way {
        Way::Submit(first) if first < plan.tasks => {
            case.part(RELEASE, move |_, hands| desk(hands).submit(plan, first..plan.tasks).map(|()| Reply::Fine))
        }
        _ => case,
    }
}

impl Desk {
    /// Makes the pool, if this is the first round, keeps one worker busy, and gives the tasks.
    fn set_up(&mut self, plan: Plan, file: &File, stage: Stage) -> Result<(), String> {
        if self.pool.is_none() {
            let page = Fd(file.try_clone().map_err(|error| error.to_string())?);
            let builder = Pool::builder().workers(WORKERS).initializer(prepare, (page,));
            let builder = match plan.tasks_max {
                Some(most) => builder.max_tasks_per_child(most),
                None => builder,
            };
            self.pool = Some(Arc::new(builder.build().map_err(|error| error.to_string())?));
        }
        let pool = self.pool.as_ref().expect("it was just made");
        self.restarts = pool.stats().restarts;
        self.busy = Some(pool.submit(keep_busy, ()).map_err(|error| error.to_string())?);
        if !pause::holds_within(LIMIT, || stage.counted(BUSY) == 1) {
            return Err("the other worker takes no task".to_owned());
        }
        match plan.way {
            Way::Submit(first) => self.submit(plan, 0..first)?,
            Way::Imap(chunk) => {
                let pool = Arc::clone(pool);
                self.items = Some(std::thread::spawn(move || {
                    let inputs = (0..plan.tasks).map(|number| (number, plan.length, plan.marks));
                    let tasks = pool.tasks().chunk_size(chunk).look_ahead(plan.tasks);
                    tasks.imap(|(number, length, marks)| run(number, length, marks), inputs).collect()
                }));
            }
        }
        Ok(())
    }

    fn submit(&mut self, plan: Plan, numbers: Range<usize>) -> Result<(), String> {
        let pool = self.pool.as_ref().expect("it was made in the first round");
        for number in numbers {
            let task = pool.submit(run, (number, plan.length, plan.marks));
            let mut task = task.map_err(|error| error.to_string())?;
            let mut context = Context::from_waker(Waker::noop());
            if plan.has_futures && Pin::new(&mut task).poll(&mut context).is_ready() {
                return Err(format!("task {number} is done too early"));
            }
            self.tasks.push(task);
        }
        Ok(())
    }

    /// Lets the other worker go on, and sees what has become of all tasks.
    fn check(&mut self, plan: Plan, stage: Stage) -> Result<Reply, String> {
        stage.count(GO_ON);
        let busy = self.busy.take().expect("each round has one").get_timeout(LIMIT);
        busy.map_err(|error| format!("the other worker's task: {error}"))?;
        let outcomes = self.outcomes()?;
        if outcomes.len() != plan.tasks {
            return Err(format!("{} results of {} have come", outcomes.len(), plan.tasks));
        }
        let mut lost = None;
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let runs = stage.counted(RAN + number);
            match outcome {
                Ok(bytes) if bytes == vec![number as u8; plan.length] && runs == 1 => {}
                Ok(bytes) => return Err(format!("task {number} ran {runs} times, and returned {} bytes", bytes.len())),
                Err(TaskError::WorkerDied(status)) if status.signal() == Some(9) && runs <= 1 => {
                    if let Some(before) = lost.replace(number) {
                        return Err(format!("tasks {before} and {number} are both lost"));
                    }
                }
                Err(error) => return Err(format!("task {number}, which ran {runs} times: {error}")),
            }
        }
        let (first, last) = plan.marks;
        match lost {
            Some(number) if number < first || number > last => return Err(format!("task {number} is lost")),
            Some(number) if stage.has_ended() && number != last => {
                return Err(format!("task {number} was done, and is lost"));
            }
            None if stage.has_ended() && last < plan.tasks => return Err("the last task is not lost".to_owned()),
            _ => {}
        }
        self.has_its_size(stage)?;
        Ok(if lost.is_some() { Reply::Recovered } else { Reply::Fine })
    }

    /// All results, as they come.
    fn outcomes(&mut self) -> Result<Vec<Outcome>, String> {
        if let Some(items) = self.items.take() {
            return items.join().map_err(|_| "the thread that waits has panicked".to_owned());
        }
        let mut outcomes = Vec::new();
        for task in self.tasks.drain(..) {
            if !task.wait_timeout(LIMIT) {
                return Err(format!("task {} does not come to its end", outcomes.len()));
            }
            outcomes.push(task.get());
        }
        Ok(outcomes)
    }

    /// Whether there are as many workers as before, the victim not among them, and they work.
    fn has_its_size(&self, stage: Stage) -> Result<(), String> {
        let pool = self.pool.as_ref().expect("it was made in the first round");
        let is_whole = || {
            let pids = pool.worker_pids();
            pids.len() == WORKERS && pids.iter().all(|pid| u64::from(*pid) != stage.victim())
        };
        if !pause::holds_within(LIMIT, is_whole) {
            return Err(format!("the workers are {:?}, after {}'s death", pool.worker_pids(), stage.victim()));
        }
        if pool.stats().restarts == self.restarts {
            return Err("nobody was started in the victim's place".to_owned());
        }
        let sums = pool.tasks().chunk_size(1).map(|number: u64| number + 1, 0..4).map_err(|error| error.to_string())?;
        if sums == [1, 2, 3, 4] { Ok(()) } else { Err("the pool does not work afterwards".to_owned()) }
    }
}
