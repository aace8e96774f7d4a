//! A program whose spare child is killed while nobody starts anything, and that looks for its zombie.

use crate::outcome;
use multiprocess::{Process, StartMethod};
use multiprocess_tests::processes::{self, SPARE_CHILD, Signal};
use multiprocess_tests::{leaks, pause};
use std::time::Duration;

/// How long what happens by itself may take on a busy machine.
const GUARD: Duration = Duration::from_secs(20);

/// How often it is killed.
const ROUNDS: u32 = 10;

/// Prints what each start gave, and `gone` for each spare child whose zombie went away before the next start.
///
/// In every other round the program has looked at the spare child and knows its number, in the others it does not.
pub fn killed(_arguments: &[String]) {
    println!("outcome {}", start());
    let descriptors = leaks::descriptors().len();
    for round in 0..ROUNDS {
        let spare = born();
        if round % 2 == 0 {
            pause::until("the spare child to say hello", GUARD, multiprocess::process::spare_ready);
        }
        processes::signal(spare, Signal::KILL);
        pause::until("the zombie of the spare child to go away", GUARD, || processes::find(spare).is_none());
        println!("gone");
        println!("outcome {}", start());
    }
    // With no spare child or a new one, which has one descriptor here or two.
    born();
    pause::until("the descriptors of killed spare children to be closed", GUARD, || {
        leaks::descriptors().len() <= descriptors + 2
    });
}

/// The spare child's number, once it sleeps.
fn born() -> u32 {
    let mut spare = None;
    pause::until("the spare child to sleep", GUARD, || {
        spare = processes::children().into_iter().find(|child| child.name == SPARE_CHILD && child.state == 'S');
        spare.is_some()
    });
    spare.expect("it was seen").pid
}

fn start() -> String {
    outcome::joined(Process::new(|| 42, ()).start_method(StartMethod::ForkServer).start())
}
