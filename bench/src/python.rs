//! CPython's pools, in a process of CPython that takes its turns with all others.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::placement::Placement;

/// Where Debian and most others put CPython.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

const SCRIPT: &str = include_str!("pools.py");

/// CPython, with a `multiprocessing.Pool` and a `ProcessPoolExecutor` of two workers each.
pub(crate) struct Python {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Python {
    /// Nothing if there is no CPython here.
    pub(crate) fn start(placement: Placement) -> io::Result<Option<Python>> {
        if !Path::new(PYTHON).exists() {
            println!("# {placement}: there is no {PYTHON}, so CPython is left out");
            return Ok(None);
        }
        let mut command = Command::new(PYTHON);
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if placement == Placement::Split {
            command.arg("1");
        }
        let mut child = command.spawn()?;
        let (to, from) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        let from = from.ok_or_else(|| io::Error::other("CPython has no output"))?;
        Ok(Some(Python { child, to, from }))
    }

    /// Has `count` tasks done in a way that the script knows; with arguments of so many bytes, or of a number.
    pub(crate) fn sample(&mut self, way: &str, time: Duration, length: usize, count: u32) -> io::Result<Duration> {
        let to = self.to.as_mut().ok_or_else(|| io::Error::other("CPython has no input"))?;
        writeln!(to, "{way} {} {length} {count}", time.as_secs_f64())?;
        let mut answer = String::new();
        self.from.read_line(&mut answer)?;
        answer.trim().parse().map(Duration::from_secs_f64).map_err(io::Error::other)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // At the end of its input it ends.
        drop(self.to.take());
        let _ = self.child.wait();
    }
}
