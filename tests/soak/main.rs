//! Many processes with random operations on shared objects, killed and stopped at random, and whether what was promised holds
//! all the time.
//!
//! First the objects, then a channel, then pools, each for the time that was asked for.
//!
//! `multiprocess-soak [--seconds N] [--seed S] [--only PART]` prints the seed, and at the end how much was tried; the exit code is 1 if
//! anything was wrong. A seed fixes what each process tries and who is killed, not how the machine interleaves them.

mod clients;
mod director;
mod ledger;
mod messages;
mod pools;
mod random;
mod worker;
mod world;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a run takes if nobody says.
const SECONDS: u64 = 10;

/// What runs for so many seconds with a seed, prints a line, and returns how much was wrong.
type Part = fn(u64, u64) -> usize;

/// The parts, in order.
const PARTS: [(&str, Part); 3] = [("objects", objects), ("messages", messages), ("pools", pools)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(Asked { seconds, seed, only }) = read(&arguments) else {
        eprintln!("multiprocess-soak [--seconds N] [--seed S] [--only objects|messages|pools]");
        return ExitCode::FAILURE;
    };
    println!("seed {seed}, {seconds} s");
    let parts = PARTS.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name));
    let violations: usize = parts.map(|(_, part)| part(seconds, seed)).sum();
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints what was wrong; how much.
fn complain(violations: &[String]) -> usize {
    violations.iter().for_each(|wrong| println!("violation: {wrong}"));
    violations.len()
}

fn objects(seconds: u64, seed: u64) -> usize {
    let outcome = director::run(Duration::from_secs(seconds), seed);
    let violations = complain(&outcome.violations);
    println!(
        "seed {seed}: {} kills, {} stops, {} operations, {} recoveries, {violations} violations",
        outcome.kills, outcome.stops, outcome.operations, outcome.recoveries
    );
    violations
}

fn messages(seconds: u64, seed: u64) -> usize {
    let outcome = messages::run(seconds, seed);
    let violations = complain(&outcome.violations);
    println!(
        "seed {seed}: {} kills of senders and receivers, {} messages acknowledged, {} lost with {} killed receivers \
         that had asked for {}, {violations} violations",
        outcome.kills, outcome.acknowledged, outcome.missing, outcome.receivers, outcome.asked
    );
    violations
}

fn pools(seconds: u64, seed: u64) -> usize {
    let outcome = pools::run(seconds, seed);
    let violations = complain(&outcome.violations);
    println!(
        "seed {seed}: {} kills of workers, {} stops, {} tasks, {} died with their workers, {} restarts, \
         {violations} violations",
        outcome.kills, outcome.stops, outcome.tasks, outcome.died, outcome.restarts
    );
    violations
}

/// What the arguments ask for.
struct Asked {
    seconds: u64,
    seed: u64,
    only: Option<String>,
}

fn read(arguments: &[String]) -> Option<Asked> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64);
    let mut asked = Asked { seconds: SECONDS, seed: now, only: None };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return None };
        match name.as_str() {
            "--seconds" => asked.seconds = value.parse().ok()?,
            "--seed" => asked.seed = value.parse().ok()?,
            "--only" => asked.only = Some(PARTS.iter().find(|(part, _)| part == value)?.0.to_owned()),
            _ => return None,
        }
    }
    Some(asked)
}
