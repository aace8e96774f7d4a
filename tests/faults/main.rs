//! Each call to the operating system fails once during a start: an error from the call that failed or success,
//! nothing is leaked, and the next start works. The same for shared objects, in `objects.rs`.

mod objects;

use multiprocess_tests::program::Program;
use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::step::{Step, steps};
use multiprocess_tests::{program, watched};
use std::time::Duration;

/// The variable in which the fork server and the children find their plan.
const PLAN: &str = "MULTIPROCESS_FAULTS";

const EPERM: i32 = 1;
const EINTR: i32 = 4;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EMFILE: i32 = 24;

/// What each call fails with: no descriptors, no memory, no processes, no right, and an interruption, which must not
/// be seen.
const CODES: [i32; 5] = [EMFILE, ENOMEM, EAGAIN, EPERM, EINTR];

/// The variable that makes the program one whose children are heard.
const SUBSCRIBER: &str = "MULTIPROCESS_TEST_SUBSCRIBER";

const METHODS: [&str; 2] = ["fork-server", "spawn"];

/// So many calls in a row whose failure nobody notices show that none is left.
const QUIET: u32 = 12;

const LIMIT: Duration = Duration::from_secs(1800);

#[test]
fn call_of_the_program_fails_in_a_later_start() {
    watched("a program in which each call of a start fails once", LIMIT, || in_a_later_start("start", false));
}

#[test]
fn call_of_the_program_fails_in_a_later_start_or_join() {
    watched("a program in which each call of a start or join fails once", LIMIT, || in_a_later_start("join", false));
}

/// The letterbox is there already: a start goes on without it, or fails as with any other call.
#[test]
fn call_of_a_program_with_a_subscriber_fails_in_a_later_start_or_join() {
    watched("a program with a subscriber in which each call of a start or join fails", LIMIT, || {
        in_a_later_start("join", true);
    });
}

fn in_a_later_start(span: &str, is_heard: bool) {
    let mut wrong = Vec::new();
    for method in METHODS {
        for code in CODES {
            let folder = Scratch::new();
            let program = program!("fault-in-each", folder.path(), method, span, code.to_string());
            let finished = heard(program, is_heard).run();
            let steps = steps(&finished.stdout);
            let struck = steps.iter().filter(|step| step.struck > 0).count();
            println!("later {span}, {method}, code {code}: {struck} calls failed");
            let mut complain = |what: &str| wrong.push(format!("later {span}, {method}, code {code}: {what}"));
            if !finished.status.success() {
                complain(&format!("the program failed: {}\n{}", finished.status, finished.stderr));
            }
            if struck == 0 {
                complain("no call failed: the plan is not heard");
            }
            complaints(&steps, span, code).iter().for_each(|what| complain(what));
        }
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn call_of_the_program_fails_in_the_first_start() {
    watched("programs in which a call of the first start fails", LIMIT, || {
        let mut wrong = Vec::new();
        for method in METHODS {
            for code in CODES {
                in_the_first_start(method, code, false, &mut wrong);
            }
        }
        assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
    });
}

/// This start makes the letterbox, or goes on without it.
#[test]
fn call_of_a_program_with_a_subscriber_fails_in_the_first_start() {
    watched("programs with a subscriber in which a call of the first start fails", LIMIT, || {
        let mut wrong = Vec::new();
        for code in [EMFILE, EINTR] {
            in_the_first_start("fork-server", code, true, &mut wrong);
        }
        assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
    });
}

fn heard(mut program: Program, is_heard: bool) -> Program {
    if is_heard {
        program.command().env(SUBSCRIBER, "yes");
    }
    program
}

fn in_the_first_start(method: &str, code: i32, is_heard: bool, wrong: &mut Vec<String>) {
    let run = |nth: u32, descriptors: &str| {
        let folder = Scratch::new();
        let (code, nth) = (code.to_string(), nth.to_string());
        heard(program!("fault-in-first", folder.path(), method, "start", code, nth, descriptors), is_heard).run()
    };
    // No call is the 0th: this run tells what is right.
    let reference = steps(&run(0, "unknown").succeeded());
    assert!(reference.iter().all(Step::has_value), "without a fault: {reference:?}");
    let descriptors = reference.last().expect("a run has steps").descriptors;
    let (mut quiet, mut struck, mut nth) = (0, 0, 0);
    while quiet < QUIET {
        nth += 1;
        let finished = run(nth, &descriptors.to_string());
        let steps = steps(&finished.stdout);
        let mut complain = |what: &str| wrong.push(format!("first start, {method}, code {code}: {what}"));
        if !finished.status.success() {
            complain(&format!("call {nth}: the program failed: {}\n{}", finished.status, finished.stderr));
        }
        complaints(&steps, "start", code).iter().for_each(|what| complain(what));
        if steps.last().is_some_and(|step| step.descriptors > descriptors) {
            complain(&format!("call {nth}: more than {descriptors} descriptors are left: {steps:?}"));
        }
        let now = u32::from(steps.iter().any(|step| step.struck > 0));
        struck += now;
        quiet = if now == 0 { quiet + 1 } else { 0 };
    }
    println!("first start, {method}, code {code}: {struck} calls failed");
    if struck == 0 {
        wrong.push(format!("first start, {method}, code {code}: no call failed: the plan is not heard"));
    }
}

/// What is wrong with the steps of one program: pairs of a start with a fault and a start after it.
fn complaints(steps: &[Step], span: &str, code: i32) -> Vec<String> {
    let mut expected = steps.first().map_or(0, |step| step.descriptors);
    let mut wrong = Vec::new();
    for step in steps {
        let mut complain = |what: String| wrong.push(format!("call {}: {what}: {}", step.number, step.outcome));
        step.broken_promises().into_iter().for_each(&mut complain);
        if step.struck == 0 && !step.has_value() {
            complain("a start without a fault failed".to_owned());
        }
        if code == EINTR && !step.has_value() {
            complain("an interruption was not hidden".to_owned());
        }
        let from_the_call =
            step.error_code() == Some(code) || (span == "join" && step.outcome.starts_with("join-error "));
        if !step.has_value() && !from_the_call {
            complain(format!("the error is not from the call that failed with {code}"));
        }
        if steps.len() > 2 && step.descriptors > expected {
            complain(format!("{} descriptors are left instead of {expected}", step.descriptors));
            expected = step.descriptors; // once for each leak
        }
    }
    wrong
}

#[test]
fn call_of_the_fork_server_fails() {
    watched("fork servers in which each call fails once", LIMIT, || elsewhere("server", &["fork-server"], false));
}

#[test]
fn call_of_the_child_fails() {
    watched("children in which each call fails once", LIMIT, || elsewhere("child", &METHODS, false));
}

#[test]
fn call_of_a_child_that_is_heard_fails() {
    watched("children with a slot in which each call fails once", LIMIT, || elsewhere("child", &METHODS, true));
}

/// Each call of another process fails once. What that process cannot do it says; so no error is required to hold the
/// code.
fn elsewhere(role: &str, methods: &[&str], is_heard: bool) {
    let mut wrong = Vec::new();
    for method in methods {
        let reference = other_run(method, None, "unknown", is_heard);
        assert!(reference.iter().all(Step::has_value), "without a fault: {reference:?}");
        let descriptors = reference.last().expect("a run has steps").descriptors;
        let mut reach = 0;
        for code in CODES {
            let (mut quiet, mut failed, mut nth) = (0, 0, 0);
            // An interruption shows nowhere: it goes as far as the others did.
            while quiet < QUIET || nth < reach {
                nth += 1;
                let plan = format!("{role}:{nth}:{code}");
                let steps = other_run(method, Some(&plan), &descriptors.to_string(), is_heard);
                let now = steps.iter().filter(|step| !step.has_value()).count();
                failed += usize::from(now > 0);
                quiet = if now == 0 { quiet + 1 } else { 0 };
                let named = other_complaints(&steps, code, descriptors).into_iter();
                wrong.extend(named.map(|what| format!("{role}, {method}, code {code}, call {nth}: {what}")));
            }
            reach = reach.max(nth);
            println!("{role}, {method}, code {code}: {failed} of {nth} faults were seen");
        }
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

fn other_run(method: &str, plan: Option<&str>, descriptors: &str, is_heard: bool) -> Vec<Step> {
    let folder = Scratch::new();
    let mut program = heard(program!("steps", folder.path(), method, "1", descriptors), is_heard);
    match plan {
        Some(plan) => program.command().env(PLAN, plan),
        None => program.command().env_remove(PLAN),
    };
    let steps = steps(&program.succeed());
    assert_eq!(steps.len(), 3, "{steps:?}");
    steps
}

fn other_complaints(steps: &[Step], code: i32, descriptors: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for step in steps {
        let broken = step.broken_promises().into_iter();
        wrong.extend(broken.map(|broken| format!("start {}: {broken}: {}", step.number, step.outcome)));
        if code == EINTR && !step.has_value() {
            wrong.push(format!("start {}: an interruption was not hidden: {}", step.number, step.outcome));
        }
    }
    let (last, others) = steps.split_last().expect("a run has steps");
    if others.iter().all(|step| !step.has_value()) {
        wrong.push(format!("the start after a failed one does not work: {others:?}"));
    }
    if !last.has_value() {
        wrong.push(format!("the last start does not work: {}", last.outcome));
    }
    if last.descriptors > descriptors {
        wrong.push(format!("{} descriptors are left instead of {descriptors}", last.descriptors));
    }
    wrong
}
