//! Processes that die at the wrong moment: at every step of a start, at every instruction of an operation on a shared object,
//! while they hold what others wait for. Nothing hangs, the reason is told, and the next use works.
//!
//! This file has the starts, and each other file a kind of death of those who share objects.
//!
//! A fork server or a child that is told to kills itself right before its n-th call to the operating system; a loop
//! raises n until nothing is left to kill. Where the moment cannot be counted, a seeded number is taken.

mod departures;
mod holders;
mod instructions;
mod openers;
mod pools;
mod rivals;
mod soak;
mod waiters;

use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::step::{Step, steps};
use multiprocess_tests::{program, watched};
use std::time::Duration;

/// The variable in which the fork server and the children find their plan.
const PLAN: &str = "MULTIPROCESS_FAULTS";

/// The code that means SIGKILL instead of a failure.
const KILL: i32 = -9;

/// So many calls in a row that kill nobody show that none is left. More than one, since a process may be killed
/// behind its last duty, where nobody misses it.
const QUIET: u32 = 12;

/// A run that takes longer than this has hung, whatever the machine does meanwhile.
const LIMIT: Duration = Duration::from_secs(900);

/// A result that goes through no socket in one piece.
const LARGE: usize = 64 << 20;

#[test]
fn child_killed_at_every_step() {
    watched("children that are killed at each step", LIMIT, || {
        let wrong = ["fork-server", "spawn"].map(|method| kill_at_every_step("child", method, 1)).concat();
        assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
    });
}

#[test]
fn child_killed_at_every_step_of_a_large_result() {
    watched("children that are killed while they send", LIMIT, || {
        let wrong = kill_at_every_step("child", "fork-server", LARGE);
        assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
    });
}

#[test]
fn fork_server_killed_at_every_step() {
    watched("fork servers that are killed at each step", LIMIT, || {
        let wrong = kill_at_every_step("server", "fork-server", 1);
        assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
    });
}

/// Returns what was wrong.
fn kill_at_every_step(role: &str, method: &str, size: usize) -> Vec<String> {
    let reference = run(method, size, None, None);
    assert!(reference.iter().all(Step::has_value), "without a plan: {reference:?}");
    let descriptors = reference.last().expect("a run has steps").descriptors;

    let (mut quiet, mut deaths, mut nth, mut wrong) = (0, 0, 0, Vec::new());
    while quiet < QUIET {
        nth += 1;
        let steps = run(method, size, Some(&format!("{role}:{nth}:{KILL}")), Some(descriptors));
        let failed = steps.iter().filter(|step| !step.has_value()).count();
        if failed == 0 {
            quiet += 1;
        } else {
            (quiet, deaths) = (0, deaths + 1);
        }
        wrong.extend(
            complaints(role, &steps, descriptors)
                .into_iter()
                .map(|what| format!("{role}, {method}, call {nth}: {what}")),
        );
    }
    println!("{role}, {method}, result of {size} bytes: killed at {deaths} of {nth} calls");
    assert!(deaths > 0, "no {role} was killed at any call: the plan is not heard");
    wrong
}

/// The steps of a run of three starts, of which the plan may meet one.
fn run(method: &str, size: usize, plan: Option<&str>, descriptors: Option<usize>) -> Vec<Step> {
    let folder = Scratch::new();
    let descriptors = descriptors.map_or("unknown".to_owned(), |number| number.to_string());
    let mut program = program!("steps", folder.path(), method, size.to_string(), descriptors);
    match plan {
        Some(plan) => program.command().env(PLAN, plan),
        None => program.command().env_remove(PLAN),
    };
    let steps = steps(&program.succeed());
    assert_eq!(steps.len(), 3, "{steps:?}");
    steps
}

fn complaints(role: &str, steps: &[Step], descriptors: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for step in steps {
        wrong.extend(
            step.broken_promises()
                .into_iter()
                .map(|broken| format!("start {}: {broken}: {}", step.number, step.outcome)),
        );
        let tells = match role {
            "child" => step.outcome.contains("signal: 9"),
            _ => step.outcome.contains("fork server"),
        };
        if !step.has_value() && !tells {
            wrong.push(format!("start {}: the error does not tell of the death: {}", step.number, step.outcome));
        }
    }
    // One plan kills one process: the start after that is undisturbed.
    for pair in steps.windows(2) {
        if !pair[0].has_value() && !pair[1].has_value() {
            wrong.push(format!("start {} after a failed one does not work: {}", pair[1].number, pair[1].outcome));
        }
    }
    let last = steps.last().expect("a run has steps");
    if !last.has_value() {
        wrong.push(format!("the last start does not work: {}", last.outcome));
    }
    if last.descriptors > descriptors {
        wrong.push(format!("{} descriptors are left instead of {descriptors}", last.descriptors));
    }
    wrong
}

#[test]
fn child_killed_before_it_reads_its_request() {
    watched("children that are killed at once", LIMIT, || {
        for method in ["fork-server", "spawn"] {
            killed_by_the_program(method, "100", "0");
        }
    });
}

#[test]
fn child_killed_while_it_sends_a_large_result() {
    watched("children that are killed while they send 64 MiB", LIMIT, || {
        killed_by_the_program("fork-server", "30", &LARGE.to_string());
    });
}

fn killed_by_the_program(method: &str, rounds: &str, size: &str) {
    let (folder, seed) = (Scratch::new(), "20260101");
    let steps = steps(&program!("killed-children", folder.path(), method, rounds, size, seed).succeed());
    let (last, killed) = steps.split_last().expect("there are steps");
    let told = |step: &&Step| step.has_value() || step.outcome.contains("signal: 9");
    let untold: Vec<&Step> = killed.iter().filter(|step| !told(step)).collect();
    assert!(untold.is_empty(), "seed {seed}, {method}: these do not tell of the signal: {untold:#?}");
    let broken: Vec<_> = steps.iter().filter(|step| !step.broken_promises().is_empty()).collect();
    assert!(broken.is_empty(), "seed {seed}, {method}: {broken:#?}");
    assert!(last.has_value(), "the start after all the killed ones does not work: {last:?}");
    assert!(steps.iter().all(|step| step.descriptors <= steps[0].descriptors), "descriptors pile up: {steps:#?}");
}

#[test]
fn fork_server_killed_between_starts() {
    watched("starts after their fork server was killed", LIMIT, || {
        let folder = Scratch::new();
        let printed = program!("killed-server", folder.path()).succeed();
        let outcomes: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("outcome ")).collect();
        assert_eq!(outcomes, ["value 1"; 40], "a start after its fork server was killed does not work");
        let killed = printed.lines().find_map(|line| line.strip_prefix("killed ")?.parse::<u32>().ok());
        assert!(killed.is_some_and(|killed| killed >= 10), "too few fork servers were killed: {killed:?}");
        assert!(printed.contains("running value ()"), "the child that ran meanwhile was disturbed: {printed}");
        let left = &steps(&printed)[0];
        assert!(left.children == 0, "{left:?}");
    });
}

#[test]
fn fork_servers_killed_during_a_hundred_starts() {
    watched("a hundred starts whose fork servers are killed", LIMIT, || {
        let folder = Scratch::new();
        let printed = program!("killed-servers", folder.path()).succeed();
        let outcomes: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("outcome ")).collect();
        assert_eq!(outcomes.len(), 100, "{printed}");
        let unclear: Vec<&&str> = outcomes
            .iter()
            .filter(|outcome| !outcome.ends_with(" value 1") && !outcome.contains("fork server"))
            .collect();
        assert!(unclear.is_empty(), "these failures do not tell of the fork server: {unclear:#?}");
        let returned = outcomes.iter().filter(|outcome| outcome.ends_with(" value 1")).count();
        println!("{returned} of 100 starts returned a value");

        let steps = steps(&printed);
        let (last, others) = steps.split_last().expect("there are steps");
        assert!(others.iter().all(|step| step.runs <= 1), "a function ran twice: {others:#?}");
        assert!(steps.iter().all(|step| step.children == 0), "children are left: {steps:#?}");
        assert_eq!(last.outcome, "value 1", "the start after all that does not work");
    });
}
