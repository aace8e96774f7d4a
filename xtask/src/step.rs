//! One command of a run: announced, timed, and counted if it is a test run.

use crate::count::{Count, Runner};
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How long a step's output may stay open once the step has ended.
const HELD_OUTPUT: Duration = Duration::from_secs(5);

/// What a run has to do, one after the other.
pub struct Step {
    /// What it is for, in a few words.
    pub title: String,
    /// The arguments for cargo.
    pub arguments: Vec<String>,
    /// Environment variables beside the inherited ones.
    pub variables: Vec<(String, String)>,
    /// Whose tests it runs, if it runs tests.
    pub runner: Option<Runner>,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the command succeeded, all tests passed, and nothing was left behind.
    pub success: bool,
    /// The tests that ran.
    pub count: Count,
}

/// What a running command does, as seen from here.
enum Event {
    /// A line of its standard output or, if so marked, of its standard error.
    Line { error: bool, text: String },
    /// One of the two is closed.
    Closed,
    /// It has ended.
    Ended(std::io::Result<ExitStatus>),
}

impl Step {
    /// A step that runs cargo with `arguments`.
    pub fn cargo<'a>(title: &str, arguments: impl IntoIterator<Item = &'a str>) -> Step {
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        Step { title: title.to_owned(), arguments, variables: Vec::new(), runner: None }
    }

    /// The same step, its tests counted.
    pub fn counted(mut self, runner: Runner) -> Step {
        self.runner = Some(runner);
        self
    }

    /// The same step with an environment variable.
    pub fn variable(mut self, key: &str, value: impl Into<String>) -> Step {
        self.variables.push((key.to_owned(), value.into()));
        self
    }

    /// Runs it, showing what it prints.
    pub fn run(&self) -> Outcome {
        println!("\n=== {}: cargo {}", self.title, self.arguments.join(" "));
        let start = Instant::now();
        let mut command = cargo();
        command.args(&self.arguments).envs(self.variables.iter().map(|(key, value)| (key, value)));
        let mut outcome = match self.runner {
            None => Outcome { success: succeeds(&mut command), count: Count::default() },
            Some(runner) => counted(runner, &mut command),
        };
        if !outcome.success && outcome.count.failed == 0 {
            // A step that fails before it counts (it did not compile) must not read as `0 failed`.
            outcome.count.failed = 1;
        }
        report(&self.title, outcome.success, start);
        outcome
    }
}

/// Says how a step ended and how long it took.
pub fn report(title: &str, success: bool, start: Instant) {
    let word = if success { "ok" } else { "FAILED" };
    println!("=== {title}: {word} in {:.1} s", start.elapsed().as_secs_f64());
}

/// Cargo in the repository's root, as if it were typed there: without standard input, and without what the cargo that runs
/// this program says about this package.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::root()).stdin(Stdio::null());
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(|key| key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(key);
        }
    }
    command
}

/// Whether a command can be started and succeeds.
pub fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("starting {:?}: {error}", command.get_program());
            false
        }
    }
}

/// Runs a test runner, showing its lines as they come.
fn counted(runner: Runner, command: &mut Command) -> Outcome {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if std::io::stderr().is_terminal() && std::env::var_os("CARGO_TERM_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let (lines, success) = match command.spawn() {
        Ok(child) => watch(child),
        Err(error) => {
            eprintln!("starting {:?}: {error}", command.get_program());
            (Vec::new(), false)
        }
    };
    let count = runner.count(lines.iter().map(String::as_str));
    Outcome { success: success && count.failed == 0, count }
}

/// Shows and keeps the lines of a command until it has ended and both its outputs are closed.
///
/// A process that outlives the command and still holds an output is a leak: this waits for a moment, says so, and fails.
fn watch(mut child: Child) -> (Vec<String>, bool) {
    let (sender, events) = mpsc::channel();
    let outputs = [
        child.stdout.take().map(|output| Box::new(output) as Box<dyn Read + Send>),
        child.stderr.take().map(|output| Box::new(output) as _),
    ];
    let mut open = 0;
    for (index, output) in outputs.into_iter().enumerate() {
        let Some(output) = output else { continue };
        open += 1;
        let sender = sender.clone();
        thread::spawn(move || read(output, index == 1, &sender));
    }
    thread::spawn(move || sender.send(Event::Ended(child.wait())));
    let (mut lines, mut success, mut ended) = (Vec::new(), false, None);
    while open > 0 || ended.is_none() {
        let patience = ended.map_or(Duration::MAX, |end: Instant| HELD_OUTPUT.saturating_sub(end.elapsed()));
        match events.recv_timeout(patience) {
            Ok(Event::Line { error, text }) => {
                if error {
                    eprintln!("{text}")
                } else {
                    println!("{text}")
                }
                lines.push(text);
            }
            Ok(Event::Closed) => open -= 1,
            Ok(Event::Ended(status)) => {
                success = status.is_ok_and(|status| status.success());
                ended = Some(Instant::now());
            }
            Err(RecvTimeoutError::Timeout) => {
                eprintln!("a process that this step started has outlived it and holds its output");
                return (lines, false);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    (lines, success)
}

/// Sends each line of an output.
fn read(output: impl Read, error: bool, events: &Sender<Event>) {
    let mut output = BufReader::new(output);
    let mut bytes = Vec::new();
    while output.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
        bytes.clear();
        if events.send(Event::Line { error, text }).is_err() {
            return;
        }
    }
    // Nobody listens once the step was given up.
    let _ = events.send(Event::Closed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell script with both outputs piped.
    fn shell(script: &str) -> (Vec<String>, bool) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        watch(command.spawn().unwrap())
    }

    #[test]
    fn both_outputs_are_kept() {
        let (mut lines, success) = shell("echo one; echo two >&2; printf three");
        lines.sort();
        assert_eq!((lines, success), (vec!["one".to_owned(), "three".to_owned(), "two".to_owned()], true));
    }

    #[test]
    fn a_failing_command_fails() {
        assert_eq!(shell("exit 3"), (Vec::new(), false));
    }

    #[test]
    fn bytes_that_are_no_text_do_not_end_the_reading() {
        let (lines, _) = shell("printf '\\377\\nlast\\n'");
        assert_eq!(lines.last().map(String::as_str), Some("last"));
    }

    #[test]
    fn a_step_that_fails_without_a_count_counts_as_one_failure() {
        let outcome = Step::cargo("an unknown command", ["there-is-no-such-command"]).run();
        assert_eq!(outcome, Outcome { success: false, count: Count { passed: 0, failed: 1 } });
    }

    #[test]
    fn cargo_is_told_nothing_about_this_package() {
        let removed = cargo().get_envs().filter(|(key, value)| *key == "CARGO_PKG_NAME" && value.is_none()).count();
        assert_eq!(removed, usize::from(std::env::var_os("CARGO_PKG_NAME").is_some()));
    }
}
