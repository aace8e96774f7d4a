//! Programs that reap our children, or close our descriptors: results stay right, and what is unknown is said to be.

use crate::line;
use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::{program, watched};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn ignored_child_signal_loses_no_result() {
    watched("a program that ignores SIGCHLD", LIMIT, || results_are_right("ignored"));
}

#[test]
fn statuses_stolen_by_the_program_lose_no_result() {
    watched("a program that waits for any child all the time", LIMIT, || results_are_right("stolen"));
}

fn results_are_right(kind: &str) {
    for method in ["fork-server", "spawn"] {
        let printed = program!("reaping", kind, method).succeed();
        let mut wrong = Vec::new();
        for line in printed.lines() {
            let (way, rest) = line.split_once(' ').expect("a line has words");
            let good = match way {
                "returned" => {
                    let (number, outcome) = rest.split_once(' ').expect("a line has words");
                    let number: u64 = number.parse().expect("a child has a number");
                    outcome == format!("value {}", number * 2)
                }
                "exited" => is_status(rest, "exit status: 3"),
                _ => is_status(rest, "signal: 9"),
            };
            if !good {
                wrong.push(line);
            }
        }
        assert_eq!(printed.lines().count(), 75, "{printed}");
        assert!(wrong.is_empty(), "{kind}, {method}:\n{}", wrong.join("\n"));
    }
}

/// Whether a wait or a join tells this status; where the kernel does not keep it for a pidfd, whether it says that it
/// is unknown. A status that was there before anybody could steal it is right on any kernel.
fn is_status(said: &str, status: &str) -> bool {
    said.contains(status) || (!kernel_keeps_statuses() && said.contains("unknown"))
}

/// Whether the kernel tells a status through a pidfd after somebody else has reaped the process: from 6.15 on.
fn kernel_keeps_statuses() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel says its release");
    let mut numbers = release.split(['.', '-']).map(|number| number.trim().parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 15)
}

#[test]
fn descriptors_closed_by_the_program_harm_nobody() {
    watched("a program that closes every descriptor", LIMIT, || {
        for method in ["fork-server", "spawn"] {
            let folder = Scratch::new();
            for name in ["plain", "daemon", "dropped"] {
                let gate = folder.join(&format!("{name}.gate"));
                mknodat(CWD, &gate, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe can be made");
            }
            let printed = program!("descriptors", folder.path(), method).succeed();
            let told = |key| line(&printed, key);
            assert_eq!(told("markers"), "intact", "{method}: the program's own files were touched\n{printed}");
            assert_eq!(told("next"), "value 11", "{method}\n{printed}");
            assert_eq!(told("again"), "value 12", "{method}\n{printed}");
            assert_eq!(told("waiting for ended"), "Ok([0])", "{method}\n{printed}");
            let waiting = told("waiting for plain");
            let is_clear =
                ["Err", "Closed", "index 1, of 2", "closed by the program"].iter().all(|part| waiting.contains(part));
            assert!(is_clear, "{method}: the error of a wait: {waiting}\n{printed}");
            for child in ["plain", "daemon", "dropped"] {
                assert_eq!(told(child), "undisturbed", "{method}, child {child}\n{printed}");
            }
            for join in ["ended", "later", "plain join", "daemon join"] {
                let outcome = told(join);
                // A result that had been read before is a result.
                if outcome == "value 9" {
                    continue;
                }
                let clear = outcome.starts_with("join-error ") && outcome.contains("closed");
                assert!(
                    clear,
                    "{method}, {join}: the error does not say that a descriptor was closed: {outcome}\n{printed}"
                );
            }
        }
    });
}
