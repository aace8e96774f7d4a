//! Many processes with random operations on shared objects, killed and stopped at random, and whether what was promised holds
//! all the time.
//!
//! First the objects, then a channel, each for the time that was asked for.
//!
//! `multiprocess-soak [--seconds N] [--seed S]` prints the seed, and at the end how much was tried; the exit code is 1 if
//! anything was wrong. A seed fixes what each process tries and who is killed, not how the machine interleaves them.

mod director;
mod ledger;
mod messages;
mod random;
mod worker;
mod world;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a run takes if nobody says.
const SECONDS: u64 = 10;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((seconds, seed)) = read(&arguments) else {
        eprintln!("multiprocess-soak [--seconds N] [--seed S]");
        return ExitCode::FAILURE;
    };
    println!("seed {seed}, {seconds} s");
    let outcome = director::run(Duration::from_secs(seconds), seed);
    outcome.violations.iter().for_each(|wrong| println!("violation: {wrong}"));
    println!(
        "seed {seed}: {} kills, {} stops, {} operations, {} recoveries, {} violations",
        outcome.kills,
        outcome.stops,
        outcome.operations,
        outcome.recoveries,
        outcome.violations.len()
    );
    let messages = messages::run(seconds, seed);
    messages.violations.iter().for_each(|wrong| println!("violation: {wrong}"));
    println!(
        "seed {seed}: {} kills of senders and receivers, {} messages acknowledged, {} lost with {} killed receivers, {} violations",
        messages.kills,
        messages.acknowledged,
        messages.missing,
        messages.receivers,
        messages.violations.len()
    );
    if outcome.violations.is_empty() && messages.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The seconds and the seed that the arguments ask for.
fn read(arguments: &[String]) -> Option<(u64, u64)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64);
    let (mut seconds, mut seed) = (SECONDS, now);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return None };
        match name.as_str() {
            "--seconds" => seconds = value.parse().ok()?,
            "--seed" => seed = value.parse().ok()?,
            _ => return None,
        }
    }
    Some((seconds, seed))
}
