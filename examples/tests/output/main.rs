//! Runs every example as a program of its own, with `--quick`, and checks its exit code and what it prints.
//!
//! Lines that are the same in every run are compared whole. Of the others, the order and the meaning are checked: which
//! numbers are equal, which differ, what is a number at all.

mod messages;
mod objects;
mod pools;
mod processes;
mod running;

use running::{after, number, run};
use std::fs;
use std::path::Path;

/// The examples that have a test below.
const TESTED: [&str; 27] = [
    "barrier",
    "condition",
    "cpu_bound",
    "crash_recovery",
    "daemon",
    "event",
    "hello",
    "inherit",
    "isolation",
    "joinable_queue",
    "listener_client",
    "listener_server",
    "lock",
    "logging",
    "named",
    "panic_and_exit_codes",
    "pass_a_file",
    "pipe",
    "pool_crash",
    "pool_map",
    "process_info",
    "queue",
    "semaphore",
    "tutorial",
    "value_and_array",
    "wait_many",
    "word_count",
];

#[test]
fn every_example_has_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found: Vec<String> = fs::read_dir(folder)
        .expect("the folder of examples can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .map(|path| path.file_stem().expect("an example has a name").to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, TESTED);
}

#[test]
fn hello() {
    processes::check_hello(&run("hello").lines());
}

#[test]
fn inherit() {
    processes::check_inherit(&run("inherit").lines());
}

#[test]
fn cpu_bound() {
    processes::check_cpu_bound(&run("cpu_bound").lines());
}

#[test]
fn process_info() {
    processes::check_process_info(&run("process_info").lines());
}

#[test]
fn isolation() {
    processes::check_isolation(&run("isolation").lines());
}

#[test]
fn lock() {
    objects::check_lock(&run("lock").lines());
}

#[test]
fn event() {
    objects::check_event(&run("event").lines());
}

#[test]
fn semaphore() {
    objects::check_semaphore(&run("semaphore").lines());
}

#[test]
fn condition() {
    objects::check_condition(&run("condition").lines());
}

#[test]
fn barrier() {
    objects::check_barrier(&run("barrier").lines());
}

#[test]
fn value_and_array() {
    objects::check_value_and_array(&run("value_and_array").lines());
}

#[test]
fn named() {
    objects::check_named(&run("named").lines());
}

#[test]
fn pipe() {
    messages::check_pipe(&run("pipe").lines());
}

#[test]
fn pass_a_file() {
    messages::check_pass_a_file(&run("pass_a_file").lines());
}

#[test]
fn listener_server() {
    messages::check_listener_server(&run("listener_server").lines());
}

#[test]
fn listener_client() {
    messages::check_listener_client(&run("listener_client").lines());
}

#[test]
fn crash_recovery() {
    objects::check_crash_recovery(&run("crash_recovery").lines());
}

#[test]
fn wait_many() {
    // The child does one thing after the other, and what is ready at the same time is told in the order of the call.
    let expected = [
        "main: ready before it may begin: []",
        "main: the event is ready",
        "main: the receiver is ready",
        "main: the socket is ready",
        "main: the child is ready",
        "main: the receiver has: a quarter of it is done",
        "main: the socket says: half of it is done",
        "main: the child returns 42",
    ];
    assert_eq!(run("wait_many").lines(), expected);
}

#[test]
fn pool_map() {
    let output = run("pool_map");
    // No bar where there is no terminal.
    assert!(output.errors.starts_with("painted in ") && output.errors.lines().count() == 1, "{}", output.errors);
    pools::check_pool_map(&output.lines());
}

#[test]
fn logging() {
    processes::check_logging(&run("logging").lines());
}

#[test]
fn word_count() {
    pools::check_word_count(&run("word_count").lines());
}

#[test]
fn pool_crash() {
    pools::check_pool_crash(&run("pool_crash").lines());
}

#[test]
fn panic_and_exit_codes() {
    let output = run("panic_and_exit_codes");
    let lines = output.lines();
    assert_eq!(lines.len(), 6, "six lines: {lines:?}");
    assert_eq!(lines[0], "add: 42, exit code 0");
    // The place is the file, the line and the column, which change with the file.
    let panic = after(lines[1], "divide: a panic at ");
    assert!(panic.contains("panic_and_exit_codes.rs:"), "no place: {panic}");
    assert!(panic.ends_with(": cannot divide 1 by zero"), "no message: {panic}");
    assert_eq!(lines[2], "divide: exit code 101");
    assert_eq!(lines[3], "leave: exit code 3");
    assert_eq!(lines[4], "wait_for_ever: signal 9");
    // How the error is framed is the library's affair; the system's words must be in it.
    assert!(after(lines[5], "size: ").contains("No such file or directory"), "no reason: {}", lines[5]);
    assert!(output.errors.contains("cannot divide 1 by zero"), "the child printed no panic: {}", output.errors);
}

#[test]
fn queue() {
    let lines = ["100 answers, 4950 letters", "the sum is 5050", "sending now: sending on a disconnected channel"];
    assert_eq!(run("queue").lines(), lines);
}

#[test]
fn joinable_queue() {
    let lost = "waiting for the tasks of a queue: 1 task was lost with processes that died";
    assert_eq!(run("joinable_queue").lines(), ["all done, the sum is 5050", "task 7 is taken", lost]);
}

#[test]
fn daemon() {
    let output = run("daemon");
    let lines = output.lines();
    assert_eq!(lines.len(), 3, "three lines: {lines:?}");
    let (program, daemon) = after(lines[0], "the program is process ")
        .split_once(", its daemon is process ")
        .expect("two processes are named");
    assert_ne!(number(program), number(daemon));
    assert_eq!(lines[1], "the program was ended by signal 9");
    let time = after(lines[2], "the daemon has ended too, ");
    number(time.strip_suffix(" ms after the kill").expect("a time in milliseconds"));
}

#[test]
fn tutorial() {
    let output = run("tutorial");
    let lines = output.lines();
    // Each part begins with an empty line and a heading.
    let mut parts = lines.split(|line| line.starts_with("== "));
    assert_eq!(parts.next(), Some(&[""][..]), "the first line is empty");
    let parts: Vec<&[&str]> = parts.map(|part| part.strip_suffix(&[""]).unwrap_or(part)).collect();
    assert_eq!(parts.len(), 11, "eleven parts: {lines:?}");
    processes::check_hello(parts[0]);
    processes::check_inherit(parts[1]);
    processes::check_cpu_bound(parts[2]);
    assert!(parts[3].len() == 2 && parts[3][0].starts_with("for: ") && parts[3][1].starts_with("against: "));
    processes::check_attributes(parts[4]);
    processes::check_process_info(parts[5]);
    processes::check_isolation(parts[6]);
    objects::check_lock(parts[7]);
    objects::check_event(parts[8]);
    objects::check_semaphore(parts[9]);
    objects::check_condition(parts[10]);
}
