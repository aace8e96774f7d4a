//! How many tests passed and failed, read from what a test runner printed.

use std::fmt;
use std::ops::AddAssign;

/// The two numbers of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Tests that did what they promise and left nothing behind.
    pub passed: u64,
    /// All others that ran: failed, timed out, could not start, left a process behind.
    pub failed: u64,
}

/// Whose summary lines a run prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// `cargo nextest run`: one summary at the end.
    Nextest,
    /// `cargo test`: a result for each program and each crate's documentation.
    Cargo,
}

impl Runner {
    /// The tests of a whole run.
    pub fn count<'a>(self, lines: impl IntoIterator<Item = &'a str>) -> Count {
        let results = lines.into_iter().filter_map(|line| self.result(&plain(line)));
        match self {
            Runner::Nextest => results.last().unwrap_or_default(),
            Runner::Cargo => results.fold(Count::default(), |mut sum, count| {
                sum += count;
                sum
            }),
        }
    }

    /// The numbers of one line, if it is a summary.
    fn result(self, line: &str) -> Option<Count> {
        let items = match self {
            // Exactly so far from the margin: what a failing test printed is shown further to the right.
            Runner::Nextest => line.strip_prefix("     Summary [")?.split_once(" run: ")?.1,
            Runner::Cargo => line.strip_prefix("test result: ")?.split_once(". ")?.1,
        };
        let mut count = Count::default();
        for item in items.split([',', ';', '(', ')']) {
            let Some((number, what)) = item.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what.trim() {
                "passed" => count.passed += number,
                "failed" | "exec failed" | "timed out" => count.failed += number,
                // A runner that only warns of a leak counts such a test among those that passed.
                "leaky" => {
                    count.passed = count.passed.saturating_sub(number);
                    count.failed += number;
                }
                _ => {}
            }
        }
        Some(count)
    }
}

/// A line without the escape sequences that colour it.
fn plain(line: &str) -> String {
    let mut rest = line.chars();
    let mut text = String::new();
    while let Some(character) = rest.next() {
        if character == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            text.push(character);
        }
    }
    text
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What nextest's summary line says.
    fn nextest(line: &str) -> (u64, u64) {
        let count = Runner::Nextest.count(["", "  Starting 5 tests across 3 binaries", line, "error: test run failed"]);
        (count.passed, count.failed)
    }

    #[test]
    fn nextest_counts_what_passed() {
        assert_eq!(nextest("     Summary [   0.005s] 3 tests run: 3 passed, 1 skipped"), (3, 0));
    }

    #[test]
    fn nextest_counts_every_way_to_fail() {
        let line =
            "     Summary [ 600.1s] 9/11 tests run: 3 passed (1 slow), 2 failed, 1 exec failed, 3 timed out, 0 skipped";
        assert_eq!(nextest(line), (3, 6));
    }

    #[test]
    fn a_leak_that_nextest_calls_a_failure_counts_once() {
        assert_eq!(
            nextest("     Summary [ 1s] 5 tests run: 3 passed, 2 failed (1 due to being leaky), 0 skipped"),
            (3, 2)
        );
    }

    #[test]
    fn a_leak_that_nextest_forgives_is_not_forgiven() {
        assert_eq!(nextest("     Summary [ 1s] 5 tests run: 5 passed (1 slow, 2 leaky), 0 skipped"), (3, 2));
    }

    #[test]
    fn a_summary_that_a_test_printed_is_not_the_run_s() {
        let lines =
            ["     Summary [ 1s] 2 tests run: 1 passed, 1 failed", "         Summary [ 1s] 9 tests run: 9 passed"];
        assert_eq!(Runner::Nextest.count(lines), Count { passed: 1, failed: 1 });
    }

    #[test]
    fn colour_is_read_past() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.005s] \u{1b}[1m3\u{1b}[0m tests run: \u{1b}[1m3\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped";
        assert_eq!(nextest(line), (3, 0));
    }

    #[test]
    fn cargo_s_results_are_summed() {
        let lines = [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
        ];
        assert_eq!(Runner::Cargo.count(lines), Count { passed: 4, failed: 2 });
    }

    #[test]
    fn no_summary_is_no_test() {
        assert_eq!(Runner::Nextest.count(["error: could not compile"]), Count::default());
        assert_eq!(Runner::Cargo.count(["error: could not compile"]), Count::default());
    }

    #[test]
    fn the_last_line_reads_as_promised() {
        assert_eq!(Count { passed: 12, failed: 0 }.to_string(), "12 passed, 0 failed");
    }
}
