//! A program that says how its process group is called and starts a child by each method: for process namespaces in which the
//! group has no number.

use crate::outcome;
use multiprocess::{Process, StartMethod};
use multiprocess_tests::processes;

/// Prints the group as `/proc` has it, and what came of a start by each method.
pub fn run(_arguments: &[String]) {
    if let Some(this) = processes::find(std::process::id()) {
        println!("group {}", this.group);
    }
    for (name, method) in [("fork-server", StartMethod::ForkServer), ("spawn", StartMethod::Spawn)] {
        // Twice, so that a spare child has its turn.
        for _ in 0..2 {
            println!("{name} {}", outcome::joined(Process::new(|a: u8| a + 1, (41,)).start_method(method).start()));
        }
    }
}
