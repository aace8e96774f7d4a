//! The reference of every start: `fork`, `_exit` and `waitpid`, here or in a small process that does it on request.
//!
//! The time of a fork grows with the memory of the process that forks. A process of its own, started while this one is
//! still small, keeps the reference small.

use std::env;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, waitpid};

use crate::options::FORKER;

/// Forks a child that ends at once, and waits for it.
pub(crate) fn fork_and_wait() {
    // SAFETY: the child calls `_exit` and nothing else, which is allowed after a fork of a process with threads.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: `_exit` has no preconditions.
        unsafe { libc::_exit(0) };
    }
    let pid = Pid::from_raw(pid).filter(|_| pid > 0).expect("fork makes a child");
    waitpid(Some(pid), WaitOptions::empty()).expect("the child can be waited for");
}

/// What the small process does: it reads how often to fork, and answers how many nanoseconds that took, to the end of input.
pub(crate) fn serve() -> io::Result<()> {
    let (mut requests, mut answers) = (io::stdin().lock(), io::stdout().lock());
    let mut request = [0; 4];
    while requests.read_exact(&mut request).is_ok() {
        let start = Instant::now();
        for _ in 0..u32::from_le_bytes(request) {
            fork_and_wait();
        }
        let time = u64::try_from(start.elapsed().as_nanos()).map_err(io::Error::other)?;
        answers.write_all(&time.to_le_bytes())?;
        answers.flush()?;
    }
    Ok(())
}

/// The small process, seen from here. It ends with this value.
pub(crate) struct Forker {
    process: Child,
    requests: Option<ChildStdin>,
    answers: ChildStdout,
}

impl Forker {
    pub(crate) fn start() -> io::Result<Forker> {
        let mut process =
            Command::new(env::current_exe()?).arg(FORKER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let requests = process.stdin.take();
        let answers = process.stdout.take().expect("stdout is piped");
        Ok(Forker { process, requests, answers })
    }

    /// Returns how long so many forks took there, one after the other.
    pub(crate) fn fork(&mut self, times: u32) -> io::Result<Duration> {
        let requests = self.requests.as_mut().expect("the requests stay open until the end");
        requests.write_all(&times.to_le_bytes())?;
        let mut answer = [0; 8];
        self.answers.read_exact(&mut answer)?;
        Ok(Duration::from_nanos(u64::from_le_bytes(answer)))
    }
}

impl Drop for Forker {
    fn drop(&mut self) {
        // The end of its input ends the process. There is nobody to tell if waiting for that fails.
        drop(self.requests.take());
        let _ = self.process.wait();
    }
}
