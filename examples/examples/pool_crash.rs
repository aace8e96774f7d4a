//! A worker is killed in the middle of its task. That task has failed, and everything else arrives.

use std::error::Error;
use std::os::unix::process::ExitStatusExt as _;

use multiprocess::{Pool, TaskError};

/// A computation with a mistake that shows rarely, and then brings the whole process down.
fn collatz(start: u64) -> u64 {
    if start == 27 {
        std::process::abort();
    }
    let mut number = start;
    let mut steps = 0;
    while number != 1 {
        number = if number.is_multiple_of(2) { number / 2 } else { 3 * number + 1 };
        steps += 1;
    }
    steps
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new(2)?;
    let before = pool.worker_pids();

    let (mut longest, mut arrived) = ((0, 0), 0);
    for (number, steps) in (1..=40).zip(pool.imap(collatz, 1..=40)) {
        match steps {
            Ok(steps) => {
                arrived += 1;
                longest = longest.max((steps, number));
            }
            Err(TaskError::WorkerDied(status)) => {
                println!("{number}: the worker died by signal {}", status.signal().unwrap_or_default());
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("{arrived} of 40 results arrived");
    println!("the longest of them: {} has {} steps", longest.1, longest.0);

    // The pool is as good as before: another worker is on its way while this one goes on.
    assert_eq!(pool.map(|x: u64| x + 1, 0..1000)?.len(), 1000);
    let now = pool.worker_pids();
    let gone = before.iter().filter(|pid| !now.contains(pid)).count();
    println!("{gone} of 2 workers is gone, {} replaced", pool.stats().restarts);
    pool.join()?;
    Ok(())
}
