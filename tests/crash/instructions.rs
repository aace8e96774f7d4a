//! Processes killed after an instruction of an operation on a shared object, at about this many points of each operation;
//! `cargo xtask crash --all` kills after every single one.

use multiprocess_tests::{privilege, program, watched};
use std::time::Duration;

/// How many points of each operation are tried, about.
const POINTS: &str = "16";
/// The same where each takes long: a wait for a condition spins, gives way and sleeps.
const FEWER: &str = "8";

/// What takes longer has hung, whatever the machine does meanwhile.
const LIMIT: Duration = Duration::from_secs(280);

/// Tries the operations with one of `names` in their names. Somebody must be told of a death in `least` rounds.
fn killed_within(names: &[&str], points: &str, least: u32) {
    let test = format!("processes killed within operations on {}", names.join(", "));
    if !privilege::needs_tracing(&test) {
        return;
    }
    watched(&test, LIMIT, || {
        let mut program = program!("every-instruction", points);
        program.command().args(names);
        let printed = program.succeed();
        println!("{printed}");
        let last = printed.lines().last().unwrap_or_default();
        let numbers: Vec<u32> = last.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [tried, recoveries, ..] = numbers[..] else { panic!("not a sum: {last}") };
        assert!(tried > 50, "too few points were tried: {last}");
        assert!(recoveries >= least, "who was killed held nothing that anybody was told of: {last}");
    });
}

#[test]
fn mutexes() {
    killed_within(&["Mutex"], POINTS, 40);
}

#[test]
fn reentrant_locks() {
    killed_within(&["RLock"], POINTS, 20);
}

#[test]
fn reader_writer_locks() {
    killed_within(&["RwLock"], POINTS, 20);
}

#[test]
fn semaphores() {
    killed_within(&["Semaphore", "Permit"], POINTS, 10);
}

#[test]
fn events() {
    killed_within(&["Event"], POINTS, 3);
}

#[test]
fn conditions() {
    killed_within(&["Condition"], FEWER, 3);
}

#[test]
fn barriers() {
    killed_within(&["Barrier"], POINTS, 3);
}

#[test]
fn names() {
    killed_within(&["named"], POINTS, 0);
}

#[test]
fn channels() {
    killed_within(&["Sender::", "Receiver::", "both ends", "JoinableQueue"], FEWER, 3);
}

#[test]
fn ends_of_channels() {
    killed_within(&["the last", "Queue::close"], FEWER, 3);
}

#[test]
fn pipes() {
    killed_within(&["Connection"], POINTS, 3);
}

#[test]
fn pools() {
    // One that waits for a task spins and looks through all slots, which takes minutes in single steps of a build for tests.
    killed_within(&["a short result", "a future", "Pool, a chunk", "its worker leaves"], FEWER, 10);
}
