//! A program whose fork server or child fails or is killed at one call to the operating system; it starts again
//! afterwards.
//!
//! The plan is in the environment, `MULTIPROCESS_FAULTS`, which the fork server and the children read.

use crate::step;
use multiprocess_tests::{environment, methods, pause, processes};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How many starts: the first under the plan; a fork server that outlived the first may reach the plan in the second.
const STARTS: u32 = 3;

/// Arguments: a folder for notes, the start method, the size of the result, and how many descriptors are right at the
/// end.
pub fn run(arguments: &[String]) {
    let [folder, method, size, descriptors] = arguments else { panic!("four arguments are needed") };
    let (folder, method) = (PathBuf::from(folder), methods::named(method));
    let size = size.parse().expect("the size is a number");
    for number in 1..=STARTS {
        let outcome = step::outcome(step::start(&folder, number, size, method).map(|child| child.join()));
        let expected = descriptors.parse().ok().filter(|_| number == STARTS);
        step::report(&folder, number, 0, expected, &outcome);
        forget_plan();
    }
}

/// Makes the starts from here on undisturbed: a fork server whose children would all find the plan goes, and the child
/// that it has made in advance with the plan. A server that has the plan itself stays, and may meet it in a later start.
fn forget_plan() {
    let of_children = std::env::var("MULTIPROCESS_FAULTS").is_ok_and(|plan| plan.starts_with("child:"));
    environment::remove("MULTIPROCESS_FAULTS");
    if of_children {
        pause::until("the fork server and its spare child to end", Duration::from_secs(10), || {
            let children = processes::children();
            let helpers = children.iter().filter(|child| child.is_own_helper());
            helpers.map(|helper| processes::signal(helper.pid, processes::Signal::KILL)).count() == 0
        });
    }
}

/// Kills the child as soon as its start has returned, round after round: at that time it is about to read its
/// request. Arguments: a folder, the start method, the number of rounds, the size of the result, and a seed for how
/// long the program waits before it kills, in turns of an empty loop.
pub fn killed_children(arguments: &[String]) {
    let [folder, method, rounds, size, seed] = arguments else { panic!("five arguments are needed") };
    let (folder, method) = (PathBuf::from(folder), methods::named(method));
    let size: usize = size.parse().expect("the size is a number");
    let rounds: u32 = rounds.parse().expect("the rounds are a number");
    let mut random = Random(seed.parse().expect("the seed is a number"));
    // What the library keeps for good is there after one start of the same kind.
    step::outcome(step::start(&folder, 0, size, method).map(|child| child.join()));
    let expected = step::descriptors();
    for number in 1..=rounds {
        let started = step::start(&folder, number, size, method);
        let turns = if size == 0 { 0 } else { random.below(4_000_000) };
        (0..turns).for_each(|_| std::hint::spin_loop());
        let outcome = step::outcome(started.map(|child| {
            child.kill().expect("a child can be killed");
            child.join()
        }));
        step::report(&folder, number, 0, Some(expected), &outcome);
    }
    let outcome = step::outcome(step::start(&folder, rounds + 1, size, method).map(|child| child.join()));
    step::report(&folder, rounds + 1, 0, Some(expected), &outcome);
}

/// Kills the fork server between starts, with a child running that must not notice. Argument: a folder.
pub fn killed_server(arguments: &[String]) {
    let [folder] = arguments else { panic!("one argument is needed") };
    let folder = PathBuf::from(folder);
    let method = multiprocess::StartMethod::ForkServer;
    let (gate, closed) = multiprocess_tests::gate::Gate::new();
    let running = multiprocess::spawn(multiprocess_tests::gate::pass, (closed,)).expect("a child can be started");
    step::outcome(step::start(&folder, 0, 1, method).map(|child| child.join()));
    let expected = step::descriptors();
    let mut killed = 0;
    for number in 1..=40 {
        // After a start that a spare child of the killed server has served there is none.
        if let Some(server) = processes::fork_server() {
            processes::signal(server.pid, processes::Signal::KILL);
            killed += 1;
        }
        let outcome = step::outcome(step::start(&folder, number, 1, method).map(|child| child.join()));
        println!("outcome {outcome}");
    }
    println!("killed {killed}");
    gate.open();
    println!("running {}", crate::outcome::value(running.join()));
    step::report(&folder, 40, 0, Some(expected), "value 1");
}

/// Kills every fork server that appears while a hundred threads start children. Argument: a folder.
pub fn killed_servers(arguments: &[String]) {
    let [folder] = arguments else { panic!("one argument is needed") };
    let folder = PathBuf::from(folder);
    let method = multiprocess::StartMethod::ForkServer;
    step::outcome(step::start(&folder, 0, 1, method).map(|child| child.join()));
    let expected = step::descriptors();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Relaxed: only the word itself matters. Five are enough, so that some starts meet a dead server and some
            // a live one.
            let mut killed = 0;
            while killed < 5 && !over.load(Ordering::Relaxed) {
                if let Some(server) = processes::fork_server() {
                    processes::signal(server.pid, processes::Signal::KILL);
                    killed += 1;
                }
            }
            println!("killed {killed}");
        });
        let folder = &folder;
        let starts: Vec<_> = (1..=100)
            .map(|number| {
                scope.spawn(move || step::outcome(step::start(folder, number, 1, method).map(|child| child.join())))
            })
            .collect();
        for (number, start) in (1..).zip(starts) {
            println!("outcome {number} {}", start.join().expect("a thread that starts a child does not panic"));
        }
        over.store(true, Ordering::Relaxed);
    });
    for number in 1..=100 {
        step::report(&folder, number, 0, Some(expected), "checked above");
    }
    let outcome = step::outcome(step::start(&folder, 101, 1, method).map(|child| child.join()));
    step::report(&folder, 101, 0, Some(expected), &outcome);
}

/// Numbers that look random and can be had again: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
