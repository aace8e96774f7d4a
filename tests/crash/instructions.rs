//! Processes killed after an instruction of an operation on a shared object, at about this many points of each operation;
//! `cargo xtask crash` kills after every single one.

use multiprocess_tests::{privilege, program, watched};
use std::time::Duration;

/// How many points of each operation are tried.
const POINTS: &str = "24";

/// What takes longer has hung, whatever the machine does meanwhile.
const LIMIT: Duration = Duration::from_secs(280);

/// Tries the operations with one of `names` in their names.
fn killed_within(names: &[&str]) {
    let test = format!("processes killed within operations on {}", names.join(", "));
    if !privilege::needs_tracing(&test) {
        return;
    }
    watched(&test, LIMIT, || {
        let mut program = program!("every-instruction", POINTS);
        program.command().args(names);
        let printed = program.succeed();
        println!("{printed}");
        let tried = printed.lines().last().and_then(|line| line.split(' ').next()?.parse::<u32>().ok());
        assert!(tried.is_some_and(|tried| tried > 50), "too few points were tried: {tried:?}");
    });
}

#[test]
fn mutexes() {
    killed_within(&["Mutex"]);
}

#[test]
fn reentrant_locks() {
    killed_within(&["RLock"]);
}

#[test]
fn reader_writer_locks() {
    killed_within(&["RwLock"]);
}

#[test]
fn semaphores() {
    killed_within(&["Semaphore", "Permit"]);
}

#[test]
fn events() {
    killed_within(&["Event"]);
}

#[test]
fn conditions() {
    killed_within(&["Condition"]);
}

#[test]
fn barriers() {
    killed_within(&["Barrier"]);
}

#[test]
fn names() {
    killed_within(&["named"]);
}
