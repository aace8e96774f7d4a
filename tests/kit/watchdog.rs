//! A watchdog over a test: when its time is over it says who waits for what, and ends everything.
//!
//! A test of several processes that hangs tells nothing by itself, and its children keep the test runner's pipes open. So
//! the report lists every process that the test has started with its state and the kernel function that it sleeps in; then
//! those processes are killed, and the test's own process aborts.

use crate::processes::{self, Running};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Held by the one test that runs: children, descriptors and the working directory belong to the whole process, so tests
/// that a runner puts on threads of one process take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `body`, and aborts the test with a report when it takes longer than `limit`; `what` says what is being waited for.
///
/// Tests of one process take turns, and waiting for the turn does not count. It must not be nested.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let sum = multiprocess_tests::watched("adding two numbers", Duration::from_secs(5), || 2 + 3);
/// assert_eq!(sum, 5);
/// ```
///
/// # Panics
///
/// When `body` panics, or no thread can be started.
pub fn watched<T>(what: &str, limit: Duration, body: impl FnOnce() -> T) -> T {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (running, ended) = mpsc::channel::<()>();
    let what = what.to_owned();
    let watcher = thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || {
            if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                give_up(&what, limit);
            }
        })
        .expect("the watchdog's thread starts");
    // A panic drops `running` on its way out, which ends the watcher too.
    let result = body();
    drop(running);
    watcher.join().expect("the watchdog does not panic");
    drop(turn);
    result
}

/// Reports, ends all descendants, and aborts.
fn give_up(what: &str, limit: Duration) -> ! {
    let descendants = processes::descendants(std::process::id());
    let text = report(what, limit, &descendants);
    // Directly to the descriptor: a test's captured output is lost when its process aborts. A failure to write changes
    // nothing.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    for process in &descendants {
        processes::signal(process.pid, processes::Signal::KILL);
    }
    std::process::abort();
}

/// The report: the test and its threads, then every descendant, one line each.
fn report(what: &str, limit: Duration, descendants: &[Running]) -> String {
    let mut text = format!("\nwatchdog: {limit:?} are over; still waiting: {what}\n");
    for thread in processes::own_threads() {
        push_line(&mut text, "thread of the test", &thread);
    }
    for process in descendants {
        push_line(&mut text, "started process", process);
    }
    if descendants.is_empty() {
        text.push_str("  no other process is left\n");
    }
    text
}

fn push_line(text: &mut String, role: &str, process: &Running) {
    let Running { pid, parent, name, state, sleeps_in, .. } = process;
    // Writing to a string does not fail.
    let _ = writeln!(text, "  {role} {pid} ({name}), parent {parent}, state {state}, sleeps in {sleeps_in}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_names_the_test_and_each_process() {
        let this = processes::find(std::process::id()).expect("this process is listed");
        let text = report("the answer of a child", Duration::from_secs(3), std::slice::from_ref(&this));
        assert!(text.contains("3s are over; still waiting: the answer of a child"), "{text}");
        assert!(text.contains(&format!("started process {} ({})", this.pid, this.name)), "{text}");
    }

    #[test]
    fn value_comes_back() {
        assert_eq!(watched("nothing", Duration::from_secs(60), || 7), 7);
    }
}
