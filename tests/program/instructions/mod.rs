//! A process killed after each instruction of an operation, while two others use the same object: they must go on, in bounded
//! time, and be told where they have to be.
//!
//! Each operation is a [`Case`]; `round.rs` plays it, point by point. What a case checks are the promises about death: a lock
//! is free or reports its dead owner, permits come back, wake-ups are not lost, a barrier breaks or completes, a name can be
//! used again, a pool loses one task and no more.

mod barriers;
mod case;
mod channels;
mod conditions;
mod ends;
mod events;
mod locks;
mod named;
mod pipes;
mod pools;
mod reentrant;
mod round;
mod rwlocks;
mod semaphores;
mod stopped;
mod survivor;
mod victim;
mod waits;

pub use stopped::run as stopped;

use case::Case;
use round::Budget;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
use std::time::Instant;

/// Makes a case with objects of its own.
type Make = fn() -> Case;

/// Arguments: `all`, `most`, or about how many points of each operation to try; then parts of the names of operations, or none.
pub fn run(arguments: &[String]) {
    let (first, names) = arguments.split_first().expect("the number of points is needed");
    let budget = match first.as_str() {
        "all" => Budget::All,
        "most" => Budget::Most,
        number => Budget::About(number.parse().expect("the number of points is a number")),
    };
    allow_many_descriptors();
    keep_to_one_processor();
    let (mut points, mut recoveries, mut violations) = (0, 0, 0);
    println!(
        "{:<40} {:<36} {:>12} {:>6} {:>10} {:>9}",
        "operation", "condition", "instructions", "points", "recoveries", "worst, ms"
    );
    let start = Instant::now();
    for make in cases() {
        let case = make();
        let (operation, condition) = (case.operation, case.condition);
        let title = format!("{operation}, {condition}");
        if !names.is_empty() && !names.iter().any(|name| title.contains(name.as_str())) {
            continue;
        }
        let found = round::play(case, make, budget);
        let worst = found.worst.as_secs_f64() * 1e3;
        println!(
            "{operation:<40} {condition:<36} {:>12} {:>6} {:>10} {worst:>9.1}",
            found.instructions, found.points, found.recoveries
        );
        found.violations.iter().for_each(|wrong| println!("  violation: {wrong}"));
        points += found.points;
        recoveries += found.recoveries;
        violations += found.violations.len();
    }
    println!(
        "{points} kill points, {recoveries} recoveries, {violations} violations, {:.1} s",
        start.elapsed().as_secs_f64()
    );
    if points == 0 || violations > 0 {
        std::process::exit(1);
    }
}

/// Objects of cases live as long as this process does, each with a descriptor.
fn allow_many_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With fewer descriptors fewer points can be tried, which is then seen as a failure to make an object.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// A step is two changes between tracer and victim, which is three times as fast if both are on one processor. The survivors
/// are let go again.
fn keep_to_one_processor() {
    let mut only = CpuSet::new();
    only.set(sched_getcpu());
    // Where it is refused, everything takes longer.
    let _ = sched_setaffinity(None, &only);
}

/// All operations in all conditions.
fn cases() -> Vec<Make> {
    [
        locks::CASES,
        reentrant::CASES,
        rwlocks::CASES,
        semaphores::CASES,
        events::CASES,
        conditions::CASES,
        barriers::CASES,
        named::CASES,
        pipes::CASES,
        waits::CASES,
        channels::CASES,
        ends::CASES,
        pools::CASES,
    ]
    .concat()
}

/// A value that lives as long as the process, so that guards of it do too.
fn forever<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}
