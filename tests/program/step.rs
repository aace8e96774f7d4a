//! One start under a plan that makes one call to the operating system fail, and what is left of it, as a line for the
//! suite.
//!
//! A line is `step`, then fields between tabs: the step's number, how often the plan struck in this process, how
//! often the function ran, how many descriptors and children are left, and the outcome.

use crate::outcome;
use multiprocess::{Child, Error, JoinError, Process, StartMethod};
use multiprocess_tests::processes::Running;
use multiprocess_tests::{leaks, pause, processes};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// How long what a start leaves behind may take to vanish, on a busy machine.
const GRACE: Duration = Duration::from_secs(3);

/// Starts the child of step `number`: its function notes that it ran, and returns a text of `size` bytes.
pub fn start(folder: &Path, number: u32, size: usize, method: StartMethod) -> Result<Child<String>, Error> {
    Process::new(work, (notes(folder, number), size)).start_method(method).start()
}

/// What the outcome of a start and its join is called; a text is told by its length alone.
pub fn outcome(joined: Result<Result<String, JoinError>, Error>) -> String {
    match joined {
        Ok(joined) => outcome::value(joined.map(|text| text.len())),
        Err(error) => outcome::refusal(&error),
    }
}

/// Children that an earlier step has left and reported: each is complained about once, and waited for once.
static REPORTED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Prints the line of a step. `descriptors` is how many there should be; nothing is waited for if that is not known.
pub fn report(folder: &Path, number: u32, struck: u32, descriptors: Option<usize>, outcome: &str) {
    let mut left = Left::now();
    pause::holds_within(GRACE, || {
        left = Left::now();
        let settled = left.children == 0 && descriptors.is_none_or(|expected| left.descriptors <= expected);
        if !settled && processes::fork_server().is_some() {
            // Descriptors of the spare child come and go; a start uses it up. What becomes of this one does not matter. A program
            // without a fork server has none, and would get both.
            drop(Process::new(nothing, ()).start_method(StartMethod::ForkServer).start().map(Child::join));
        }
        settled
    });
    let runs = fs::metadata(notes(folder, number)).map_or(0, |notes| notes.len());
    println!("step\t{number}\t{struck}\t{runs}\t{}\t{}\t{outcome}", left.descriptors, left.children);
    if descriptors.is_some_and(|expected| left.descriptors > expected) {
        eprintln!("step {number} left descriptors: {:?}", leaks::descriptors());
    }
    if left.children > 0 {
        let children = unreported_children();
        eprintln!("step {number} left children: {children:?}");
        let mut reported = REPORTED.lock().expect("nobody panics with the list");
        reported.extend(children.iter().map(|child| child.pid));
    }
}

fn nothing() {}

/// How many descriptors this process has now.
pub fn descriptors() -> usize {
    leaks::descriptors().len()
}

struct Left {
    descriptors: usize,
    children: usize,
}

impl Left {
    fn now() -> Left {
        // The library closes what is left of a child that it has reaped itself when it is called the next time.
        multiprocess::active_children();
        Left { descriptors: descriptors(), children: unreported_children().len() }
    }
}

fn unreported_children() -> Vec<Running> {
    let reported = REPORTED.lock().expect("nobody panics with the list");
    processes::started_children().into_iter().filter(|child| !reported.contains(&child.pid)).collect()
}

fn notes(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("runs-{number}"))
}

/// The function of every child here. The file gets a byte for each run.
fn work(notes: PathBuf, size: usize) -> String {
    tracing::info!(size, "at work");
    let mut notes = OpenOptions::new().create(true).append(true).open(notes).expect("the notes can be opened");
    notes.write_all(b"1").expect("the notes can be written");
    "x".repeat(size)
}
