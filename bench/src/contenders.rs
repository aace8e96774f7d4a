//! The ways to start a process that does nothing and to wait for its end.

use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::{Process, StartMethod, spawn};

use crate::fork::{self, Forker};
use crate::rounds::Contender;

/// So many starts, one right after the other, make one sample where a single one would be too short or have a spare child.
const BURST: u32 = 16;

/// How long to wait for a spare child. A library that makes none is not measured with one.
const SPARE_PATIENCE: Duration = Duration::from_millis(200);

pub(crate) const SPAWN: &str = "spawn+join";
pub(crate) const SPARE: &str = "spare ready";
pub(crate) const EXEC: &str = "Spawn method";
pub(crate) const TRUE: &str = "true";
pub(crate) const FORK_SMALL: &str = "fork, small";
pub(crate) const FORK_HERE: &str = "fork, here";
pub(crate) const PROCSPAWN: &str = "procspawn";

/// The child's work.
pub(crate) fn noop() {}

/// Makes all contenders. The small process that forks is started here, so this comes before any memory is filled.
pub(crate) fn all() -> io::Result<Vec<Contender>> {
    let mut forker = Forker::start()?;
    Ok(vec![
        Contender::new(SPAWN, || Some(time(|| (0..BURST).for_each(|_| start_and_join())) / BURST)),
        Contender::new(SPARE, || spare_is_ready().then(|| time(start_and_join))),
        Contender::new(EXEC, || Some(time(execute_and_join))),
        Contender::new(TRUE, || Some(time(run_true))),
        Contender::new(FORK_SMALL, move || Some(forker.fork(BURST).expect("the small process forks") / BURST)),
        Contender::new(FORK_HERE, || {
            let sample = time(fork::fork_and_wait);
            // A fork write-protects the memory of its parent. The page faults that follow are not to be paid by a neighbour.
            start_and_join();
            Some(sample)
        }),
        Contender::new(PROCSPAWN, || {
            Some(time(|| procspawn::spawn!(() || {}).join().expect("procspawn starts a child")))
        }),
    ])
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn start_and_join() {
    spawn(noop, ()).expect("a child starts").join().expect("a child ends");
}

fn execute_and_join() {
    let process = Process::new(noop, ()).start_method(StartMethod::Spawn);
    process.start().expect("a child starts").join().expect("a child ends");
}

fn run_true() {
    let status = Command::new("/bin/true").status().expect("/bin/true starts");
    assert!(status.success(), "/bin/true: {status}");
}

/// Waits for the child that the library makes in advance. The only place that knows how to ask for it.
fn spare_is_ready() -> bool {
    let start = Instant::now();
    while !multiprocess::process::spare_ready() {
        if start.elapsed() > SPARE_PATIENCE {
            return false;
        }
        thread::yield_now();
    }
    true
}
