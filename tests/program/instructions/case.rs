//! One operation in one condition: what the killed process does, and what the two survivors do before, meanwhile and after.
//!
//! | Part | Who | When |
//! | --- | --- | --- |
//! | `victim` | the process that is killed | comes as far as [`Stage::begin`] untraced, then instruction by instruction. There is none if it is one that the first survivor makes in `setup`: then that calls [`Stage::offer`] |
//! | `setup` | the first survivor | before the first instruction; it has returned when that runs |
//! | `early` | the second survivor | before the first instruction; it may block |
//! | `release` | the first survivor | as soon as the victim sleeps, or else after it was killed |
//! | `late` | the second survivor | when the victim stands at its last instruction, still alive; it may block |
//! | `after` | the first survivor | after the kill, while the second has not returned |
//! | `check` | the first survivor | when the second has returned |
//! | `finish` | the second survivor | last of all |

use multiprocess_tests::page::Page;
use multiprocess_tests::trace;
use rustix::thread::sched_yield;
use std::any::Any;
use std::fs::File;
use std::time::Duration;

/// What a survivor keeps between its parts: guards, permits, handles.
pub type Hands = Vec<Box<dyn Any>>;

/// A part of a survivor. It returns `Ok` with what came of it, or `Err` with what must not be.
pub type Action = Box<dyn Fn(Stage, &mut Hands) -> Result<Reply, String>>;

/// How long whoever waits goes on for what must come. A survivor that is blocked already waits as long as it takes to bring the victim
/// to its point, which is long on a busy machine, and must not give up in the meantime. What is promised is measured from the
/// kill on, by who conducts the rounds; it finds a hang too.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// How a call of a survivor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// As if nobody had died.
    Fine,
    /// It was told of the death.
    Recovered,
}

/// The parts of survivors, by number.
pub const SETUP: usize = 0;
/// See [`SETUP`].
pub const EARLY: usize = 1;
/// See [`SETUP`].
pub const RELEASE: usize = 2;
/// See [`SETUP`].
pub const LATE: usize = 3;
/// See [`SETUP`].
pub const AFTER: usize = 4;
/// See [`SETUP`].
pub const CHECK: usize = 5;
/// See [`SETUP`].
pub const FINISH: usize = 6;

/// An operation in a condition.
pub struct Case {
    /// The operation, as the table shows it.
    pub operation: &'static str,
    /// The condition, as the table shows it.
    pub condition: &'static str,
    /// What the victim does; it calls [`Stage::begin`] and [`Stage::end`]. `None` if the first survivor makes it.
    pub victim: Option<Box<dyn Fn(Stage)>>,
    /// What all see, if processes see it that are no forked copies.
    pub stage: Option<Stage>,
    /// The parts of the survivors.
    pub actions: [Option<Action>; 7],
    /// What the process that conducts the rounds looks at when both survivors are done.
    pub afterwards: Option<Box<dyn Fn() -> Result<(), String>>>,
}

impl Case {
    /// A case in which nobody but the victim does anything yet.
    pub fn new(operation: &'static str, condition: &'static str, victim: impl Fn(Stage) + 'static) -> Case {
        let actions = [const { None }; 7];
        Case { operation, condition, victim: Some(Box::new(victim)), stage: None, actions, afterwards: None }
    }

    /// A case whose victim is made by the first survivor, and not by a fork of this process.
    pub fn of_others(operation: &'static str, condition: &'static str, stage: Stage) -> Case {
        let actions = [const { None }; 7];
        Case { operation, condition, victim: None, stage: Some(stage), actions, afterwards: None }
    }

    /// The same with `action` as part `number`.
    pub fn part(
        mut self,
        number: usize,
        action: impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static,
    ) -> Case {
        self.actions[number] = Some(Box::new(action));
        self
    }

    /// The same with `action` as the last part of both survivors.
    pub fn checked_by(self, action: impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static) -> Case {
        self.part(CHECK, action.clone()).part(FINISH, action)
    }

    /// The same with a look from outside at the end of each round.
    pub fn afterwards(mut self, look: impl Fn() -> Result<(), String> + 'static) -> Case {
        self.afterwards = Some(Box::new(look));
        self
    }
}

/// What all processes of a round see, whatever becomes of the objects.
#[derive(Debug, Clone, Copy)]
pub struct Stage(Page);

const PHASE: usize = 0;
const INSIDE: usize = 1;
const KILLED: usize = 2;
const VICTIM: usize = 3;
const OWNERS: usize = 4;
const NOTE: usize = 5;
const ENTERED: usize = 6;
const TAKEN: usize = 8;
/// From here on there are counters of the cases' own.
const COUNTERS: usize = 16;

impl Stage {
    /// An empty stage.
    pub fn new() -> Stage {
        Stage(Page::new())
    }

    /// The stage in a file, for processes that are no forked copies of this one.
    pub fn in_file(file: &File) -> Stage {
        Stage(Page::in_file(file))
    }

    /// Empties it for the next round.
    pub fn clear(self) {
        self.0.clear();
    }

    /// The victim: from here on every instruction counts. The tracer takes over.
    pub fn begin(self) {
        trace::stop();
        self.0.set(PHASE, 1);
    }

    /// A victim that nobody traces yet: waits until it is, and [begins](Stage::begin).
    pub fn offer(self) {
        self.set_victim(std::process::id());
        while self.0.get(TAKEN) == 0 {
            sched_yield();
        }
        self.begin();
    }

    /// Says that the victim that offered itself is traced now.
    pub fn take(self) {
        self.0.set(TAKEN, 1);
    }

    /// Says that the victim has ended by itself.
    pub fn has_left(self) {
        self.0.set(PHASE, 2);
    }

    /// Counts up a counter of the case.
    pub fn count(self, counter: usize) {
        self.0.add(COUNTERS + counter, 1);
    }

    /// What a counter of the case says.
    pub fn counted(self, counter: usize) -> u64 {
        self.0.get(COUNTERS + counter)
    }

    /// The victim: the operation is over. Never goes on.
    pub fn end(self) {
        self.0.set(PHASE, 2);
        loop {
            trace::stop();
        }
    }

    /// Whether the victim has begun.
    pub fn has_begun(self) -> bool {
        self.0.get(PHASE) > 0
    }

    /// Whether the victim has done all.
    pub fn has_ended(self) -> bool {
        self.0.get(PHASE) > 1
    }

    /// The victim says that it is, or is not, the only owner.
    pub fn victim_inside(self, inside: bool) {
        self.0.set(INSIDE, u64::from(inside));
    }

    /// Whether the victim was the only owner when it was last heard of.
    pub fn is_victim_inside(self) -> bool {
        self.0.get(INSIDE) == 1
    }

    /// Says that the victim is about to be killed.
    pub fn victim_killed(self) {
        self.0.set(KILLED, 1);
    }

    /// Whether the victim has been killed.
    pub fn is_victim_killed(self) -> bool {
        self.0.get(KILLED) == 1
    }

    /// Notes the number of the victim.
    pub fn set_victim(self, pid: u32) {
        self.0.set(VICTIM, u64::from(pid));
    }

    /// The number of the victim.
    pub fn victim(self) -> u64 {
        self.0.get(VICTIM)
    }

    /// Runs `inside` as the only owner among the survivors.
    pub fn alone<T>(self, inside: impl FnOnce() -> T) -> Result<T, String> {
        let before = self.0.add(OWNERS, 1);
        let value = inside();
        self.0.set(OWNERS, before);
        if before == 0 { Ok(value) } else { Err("two survivors own it at once".to_owned()) }
    }

    /// A number that one part leaves for another.
    pub fn note(self, value: u64) {
        self.0.set(NOTE, value);
    }

    /// The number that another part left.
    pub fn noted(self) -> u64 {
        self.0.get(NOTE)
    }

    /// Survivor `index` is about to begin its part.
    pub fn enter(self, index: usize, entered: bool) {
        self.0.set(ENTERED + index, u64::from(entered));
    }

    /// Whether survivor `index` has begun its part.
    pub fn has_entered(self, index: usize) -> bool {
        self.0.get(ENTERED + index) == 1
    }
}
