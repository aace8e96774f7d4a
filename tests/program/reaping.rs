//! A program that takes its children's statuses away from the library, or lets the kernel do so.
//!
//! Argument: `ignored` (SIGCHLD is ignored) or `stolen` (a thread waits for any child, all the time), and the start
//! method.

use crate::outcome;
use multiprocess::{Process, StartMethod};
use multiprocess_tests::{methods, pause, signals};
use rustix::process::{Signal, WaitOptions, wait};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// How many children end in each of the three ways.
const ROUNDS: u64 = 15;

/// Tells the thief that there is nothing left to steal. Relaxed is enough: nothing else goes with it.
static DONE: AtomicBool = AtomicBool::new(false);

/// Prints one line for each child: `returned`, `exited` or `killed`, and what the library knew about it.
pub fn run(arguments: &[String]) {
    let [kind, method] = arguments else { panic!("two arguments are needed") };
    let method = methods::named(method);
    match kind.as_str() {
        "ignored" => {
            signals::ignore(Signal::CHILD);
            end_in_every_way(method);
        }
        "stolen" => thread::scope(|scope| {
            scope.spawn(steal);
            end_in_every_way(method);
            DONE.store(true, Ordering::Relaxed);
        }),
        unknown => panic!("nothing is called {unknown:?}"),
    }
}

/// Waits for any child as a careless program does, and spins when there is none: the next one should be caught as well.
fn steal() {
    while !DONE.load(Ordering::Relaxed) {
        // An error says that there is no child now.
        if !matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {
            thread::yield_now();
        }
    }
}

fn end_in_every_way(method: StartMethod) {
    for number in 0..ROUNDS {
        let started = Process::new(|number: u64| number * 2, (number,)).start_method(method).start();
        println!("returned {number} {}", outcome::joined(started));

        let child = Process::new(exit_with_three, ()).start_method(method).start();
        let child = child.expect("a child that exits can be started");
        println!("exited wait {}", status(child.wait()));
        println!("exited join {}", outcome::value(child.join()));

        let child = Process::new(wait_for_signal, ()).start_method(method).start();
        let child = child.expect("a child that is killed can be started");
        child.kill().expect("a running child can be killed");
        println!("killed wait {}", status(child.wait()));
        println!("killed join {}", outcome::value(child.join()));
    }
}

fn exit_with_three() {
    std::process::exit(3)
}

fn wait_for_signal() {
    pause::for_ever()
}

fn status(waited: Result<ExitStatus, multiprocess::Error>) -> String {
    match waited {
        Ok(status) => format!("status {status}"),
        Err(error) => outcome::refusal(&error),
    }
}
