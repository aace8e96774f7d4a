//! A program that forks itself through the C library, before and after it has started children, and starts more on
//! both sides.
//!
//! Argument: the start method.

use crate::outcome;
use multiprocess::{Process, StartMethod};
use multiprocess_fixture_native::{Side, fork};
use multiprocess_tests::gate::{Gate, pass};
use multiprocess_tests::methods;
use rustix::process::{Pid, WaitOptions, waitpid};
use std::io::Write;

/// Prints, with the side in front: what starts gave, and how the forked side ended.
pub fn run(arguments: &[String]) {
    let [method] = arguments else { panic!("one argument is needed") };
    let method = methods::named(method);

    // Before the first start: each side makes what it needs for itself.
    on_both_sides("fresh", || starts(method));

    // With a fork server, and with a child that runs meanwhile.
    let (gate, closed) = Gate::new();
    let child = Process::new(pass, (closed,)).start_method(method).start().expect("a child that waits can be started");
    on_both_sides("used", || starts(method));
    gate.open();
    println!("running child {}", outcome::value(child.join()));

    // The forked side drops what belongs to the other, and asks for it.
    let (gate, closed) = Gate::new();
    let mut child =
        Some(Process::new(pass, (closed,)).start_method(method).start().expect("a child that waits can be started"));
    let mut gate = Some(gate);
    on_both_sides("heir", || {
        // As long as this side's gate is closed, the child runs.
        println!("children {}", multiprocess::active_children().len());
        // Whoever opens the gate: it is open when both sides have.
        gate.take().expect("each side has a gate").open();
        let child = child.take().expect("each side has a handle");
        println!("inherited {}", outcome::value(child.join()));
        starts(method);
    });
}

/// Forks, runs `work` in the forked process to its end and then in this one, and says how the forked one ended.
fn on_both_sides(name: &str, mut work: impl FnMut()) {
    println!("-- {name}");
    match fork().expect("the program can be forked") {
        Side::Child => {
            println!("-- {name} forked");
            work();
            // The rest of the scenario is the other side's.
            std::io::stdout().flush().expect("the lines can be written");
            std::process::exit(0);
        }
        Side::Parent(pid) => {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process has a number");
            let ended = waitpid(Some(pid), WaitOptions::empty()).expect("the forked side can be waited for");
            println!("-- {name} original, after {:?}", ended.and_then(|(_, status)| status.exit_status()));
            work();
        }
    }
}

fn starts(method: StartMethod) {
    for number in 0..3_u64 {
        let started = Process::new(|x: u64| x * 2, (number,)).start_method(method).start();
        println!("start {number} {}", outcome::joined(started));
    }
}
