//! The clock of the examples: the time as Python's `time.ctime` writes it, and the pauses of the tutorial.

use std::env;
use std::time::Duration;

use jiff::Zoned;

/// Returns the local time in the form `Thu Jul 20 15:56:17 2017`.
///
/// # Examples
///
/// ```
/// let time = multiprocess_examples::clock::now();
/// assert_eq!(time.len(), "Thu Jul 20 15:56:17 2017".len());
/// ```
pub fn now() -> String {
    Zoned::now().strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// Returns a pause of so many seconds, or a fiftieth of it if the program was started with `--quick`.
///
/// The program asks once and passes the answer to its children as an argument.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// // This program was started without `--quick`.
/// assert_eq!(multiprocess_examples::clock::pause(2), Duration::from_secs(2));
/// ```
pub fn pause(seconds: u64) -> Duration {
    let quick = env::args().any(|argument| argument == "--quick");
    Duration::from_secs(seconds) / if quick { 50 } else { 1 }
}
