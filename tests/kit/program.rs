//! Runs the second program, `multiprocess-test-program`, in one of its scenarios.
//!
//! A test needs it where its own process will not do: because the process itself has to end, be killed, have its standard
//! streams closed, or be a file that can be deleted.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A scenario of the test program: `program!("hello")`, `program!("hello", "argument")`.
///
/// Only for suites of this package, which is where the program's path is known.
#[macro_export]
macro_rules! program {
    ($scenario:expr $(, $argument:expr)* $(,)?) => {
        $crate::program::Program::new(env!("CARGO_BIN_EXE_multiprocess-test-program"), $scenario)$(.argument($argument))*
    };
}

/// A scenario that has not been started.
#[derive(Debug)]
pub struct Program {
    command: Command,
    scenario: String,
}

/// How a scenario ended, and what it printed.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed to standard output.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
    scenario: String,
}

impl Program {
    /// The scenario called `scenario` of the program at `path`, without standard input.
    pub fn new(path: impl AsRef<Path>, scenario: &str) -> Program {
        let mut command = Command::new(path.as_ref());
        command.arg(scenario).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Program { command, scenario: scenario.to_owned() }
    }

    /// Adds an argument of the scenario.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Program {
        self.command.arg(argument);
        self
    }

    /// The command, for what has no method here.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts it and leaves it to the caller.
    ///
    /// # Panics
    ///
    /// When the program cannot be started.
    pub fn start(mut self) -> Child {
        self.command.spawn().unwrap_or_else(|error| panic!("starting {:?}: {error}", self.command))
    }

    /// Runs it until its output is closed and it has ended.
    ///
    /// # Panics
    ///
    /// When the program cannot be started.
    pub fn run(mut self) -> Finished {
        let output = self.command.output().unwrap_or_else(|error| panic!("running {:?}: {error}", self.command));
        Finished {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            scenario: self.scenario,
        }
    }

    /// Runs it and returns what it printed.
    ///
    /// # Panics
    ///
    /// When the scenario failed; the message holds all that it printed.
    #[track_caller]
    pub fn succeed(self) -> String {
        self.run().succeeded()
    }
}

impl Finished {
    /// What it printed.
    ///
    /// # Panics
    ///
    /// When the scenario failed; the message holds all that it printed.
    #[track_caller]
    pub fn succeeded(self) -> String {
        let Finished { status, stdout, stderr, scenario } = self;
        assert!(status.success(), "scenario {scenario}: {status}\nits output:\n{stdout}\nits errors:\n{stderr}");
        stdout
    }
}
