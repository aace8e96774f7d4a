//! Programs that are killed, end, or are interrupted: daemon children and the fork server go with them, other
//! children live on.
//!
//! Times count from the moment at which the program's pidfd is readable: before that, it is not dead.

use crate::line;
use multiprocess_tests::names::unique;
use multiprocess_tests::processes::{self, Signal};
use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::{pause, program, watched};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, PidfdFlags, kill_process_group, pidfd_open, pidfd_send_signal};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// The promise: daemon children and the fork server are gone this soon after the program.
const PROMISED: Duration = Duration::from_millis(100);

/// How often a time may be missed before it counts: other builds and tests share this machine's processors.
const ATTEMPTS: u32 = 3;

/// How long to wait for what should be there long before.
const GUARD: Duration = Duration::from_secs(20);

const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn daemons_and_fork_server_go_with_a_killed_program() {
    watched("the family of a killed program", LIMIT, || goes_in_time("return", |family| family.kill_program()));
}

#[test]
fn daemons_go_when_the_program_ends_by_itself() {
    watched("the families of programs that end", LIMIT, || {
        for end in ["return", "exit", "panic", "abort"] {
            goes_in_time(end, |family| drop(family.input.take()));
        }
    });
}

#[test]
fn stopped_daemon_goes_with_a_killed_program() {
    watched("a stopped daemon of a killed program", LIMIT, || {
        goes_in_time("return", |family| {
            let stopped = family.daemons[0];
            processes::signal(stopped, Signal::STOP);
            let is_stopped = || processes::find(stopped).is_some_and(|process| process.state == 'T');
            pause::until("a daemon to stop", GUARD, is_stopped);
            family.kill_program();
        });
    });
}

#[test]
fn forked_copy_of_the_program_does_not_keep_its_daemons_alive() {
    watched("the daemons of a killed program that had forked itself", LIMIT, || {
        goes_in_time("fork", |family| family.kill_program());
    });
}

/// Starts a family, ends its program, and checks: daemons and helpers are gone in the promised time, the plain child
/// lives on.
fn goes_in_time(end: &str, finish: impl Fn(&mut Family)) {
    let mut times = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut family = Family::start(end);
        finish(&mut family);
        let time = family.gone_after();
        family.assert_plain_child_lives();
        println!("{end}: {} daemons and {} helpers were gone after {time:?}", family.daemons.len(), family.helpers);
        times.push(time);
        if time <= PROMISED {
            return;
        }
    }
    panic!("{end}: daemons or helpers were gone after {times:?}, promised is {PROMISED:?}");
}

/// A program with children, as its standard output told of them.
struct Family {
    folder: Scratch,
    program: Child,
    input: Option<ChildStdin>,
    daemons: Vec<u32>,
    plain: OwnedFd,
    /// How many processes of the library's own are among those that must go.
    helpers: usize,
    must_go: Vec<OwnedFd>,
    /// The forked copy of the program, which ends with this value.
    copy: Option<u32>,
}

impl Family {
    fn start(end: &str) -> Family {
        let folder = Scratch::new();
        mknodat(CWD, folder.join("gate"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .expect("a named pipe can be made");
        let mut program = program!("family", folder.path(), end);
        program.command().stdin(Stdio::piped()).stderr(Stdio::null());
        let mut program = program.start();
        let lines = lines_until_ready(&mut program);
        let of = |role: &str| -> Vec<u32> {
            let own = lines.iter().filter_map(|line| line.strip_prefix(role)?.strip_prefix(' '));
            own.map(|pid| pid.parse().expect("a process has a number")).collect()
        };
        let (daemons, servers, spares) = (of("daemon"), of("server"), of("spare"));
        let family = Family {
            input: program.stdin.take(),
            plain: pidfd(of("plain")[0]),
            helpers: servers.len() + spares.len(),
            must_go: daemons.iter().chain(&servers).chain(&spares).map(|pid| pidfd(*pid)).collect(),
            copy: of("copy").first().copied(),
            folder,
            program,
            daemons,
        };
        assert_eq!((family.daemons.len(), servers.len()), (3, 1), "{lines:?}");
        family
    }

    fn kill_program(&mut self) {
        self.program.kill().expect("the program can be killed");
    }

    /// How long after the program all that must go was gone.
    fn gone_after(&mut self) -> Duration {
        let program = pidfd(self.program.id());
        assert!(ended_within(&program, GUARD), "the program does not end");
        let start = Instant::now();
        for process in &self.must_go {
            let left = GUARD.saturating_sub(start.elapsed());
            assert!(
                ended_within(process, left),
                "a daemon or the fork server lives on: {:?} {:?}",
                self.daemons,
                self.helpers
            );
        }
        let time = start.elapsed();
        self.program.wait().expect("the program can be waited for");
        time
    }

    /// Opens the plain child's gate, and sees it go on.
    fn assert_plain_child_lives(&self) {
        assert!(!ended_within(&self.plain, Duration::ZERO), "the plain child has ended with the program");
        let gate = OpenOptions::new().write(true).open(self.folder.join("gate")).expect("the gate can be opened");
        drop(gate);
        pause::until("the plain child to go on", GUARD, || self.folder.join("went").exists());
        assert!(ended_within(&self.plain, GUARD), "the plain child does not end");
    }
}

impl Drop for Family {
    /// Nobody is left of a family whose test has failed.
    fn drop(&mut self) {
        // What has ended already cannot be killed, which is no failure.
        let _ = self.program.kill();
        let _ = self.program.wait();
        let _ = pidfd_send_signal(&self.plain, Signal::KILL);
        for process in &self.must_go {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        if let Some(copy) = self.copy {
            processes::signal(copy, Signal::KILL);
        }
    }
}

#[test]
fn program_killed_during_starts_leaves_nobody() {
    watched("programs killed while they start children", Duration::from_secs(600), || {
        let seed = 0x5eed_2026_u64;
        let (mut random, mut worst) = (seed, Duration::ZERO);
        let folder = Scratch::new();
        for round in 0..50 {
            // A link of its own for each round: every process of the program, wherever it has gone, shows that name.
            let link = own_link(folder.path());
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let starts = (random >> 33) % 40;
            let mut program = multiprocess_tests::program::Program::new(&link, "storm");
            program.command().stderr(Stdio::null());
            let mut program = program.start();
            let output = BufReader::new(program.stdout.take().expect("the output is a pipe"));
            for line in output.lines().take(usize::try_from(starts).expect("a small number")) {
                assert!(line.expect("the output can be read").starts_with("started "));
            }
            program.kill().expect("the program can be killed");
            program.wait().expect("the program can be waited for");

            let start = Instant::now();
            let mut left = Vec::new();
            let gone = pause::holds_within(GUARD, || {
                left = running_from(&link);
                left.is_empty()
            });
            assert!(gone, "seed {seed:#x}, round {round}, killed after {starts} starts: these are left: {left:?}");
            worst = worst.max(start.elapsed());
        }
        println!("seed {seed:#x}: the last process of a killed program was gone after {worst:?} at worst");
    });
}

/// Another name for the test program. A link, not a copy, where the file system allows it.
fn own_link(folder: &Path) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_multiprocess-test-program"));
    let link = folder.join(unique("storm"));
    if fs::hard_link(program, &link).is_err() {
        fs::copy(program, &link).expect("the program can be copied");
    }
    link
}

/// Every live process that was started from this file, with its name and state.
fn running_from(file: &Path) -> Vec<String> {
    let all = processes::all().into_iter();
    let own = all.filter(|process| fs::read_link(format!("/proc/{}/exe", process.pid)).is_ok_and(|exe| exe == file));
    own.map(|process| format!("{} {} {}", process.pid, process.name, process.state)).collect()
}

#[test]
fn interrupt_of_the_group_reaches_children_and_spares_the_server() {
    watched("a process group that is interrupted", LIMIT, || {
        let mut program = program!("interrupted");
        program.command().process_group(0);
        let mut program = program.start();
        let mut output = BufReader::new(program.stdout.take().expect("the output is a pipe"));
        read_until_ready(&mut output);
        let group = Pid::from_raw(program.id().cast_signed()).expect("a process has a number");
        kill_process_group(group, Signal::INT).expect("the group can be interrupted");
        let mut printed = String::new();
        output.read_to_string(&mut printed).expect("the output can be read");
        let status = program.wait().expect("the program can be waited for");
        assert!(status.success(), "{status}\n{printed}");

        let children: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("child ")).collect();
        assert_eq!(children.len(), 2, "{printed}");
        assert!(children.iter().all(|status| status.contains("signal: 2")), "{printed}");
        assert_eq!(line(&printed, "next"), "value 42");
        assert_eq!(line(&printed, "server"), "lives");
    });
}

#[test]
fn thread_that_made_the_first_start_may_end() {
    watched("a program whose first start was made by a thread that ended", LIMIT, || {
        let printed = program!("orphaned-by-thread").succeed();
        assert_eq!(line(&printed, "daemon"), "lives");
        assert_eq!(line(&printed, "server"), "lives");
    });
}

fn lines_until_ready(program: &mut Child) -> Vec<String> {
    read_until_ready(&mut BufReader::new(program.stdout.take().expect("the output is a pipe")))
}

fn read_until_ready(output: &mut BufReader<ChildStdout>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let count = output.read_line(&mut line).expect("the output can be read");
        assert_ne!(count, 0, "the program ended before it was ready: {lines:?}");
        if line == "ready\n" {
            return lines;
        }
        lines.push(line.trim_end().to_owned());
    }
}

fn pidfd(pid: u32) -> OwnedFd {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process has a number");
    pidfd_open(pid, PidfdFlags::empty()).expect("a process that runs, or was not waited for, can be watched")
}

fn ended_within(process: &OwnedFd, limit: Duration) -> bool {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    let limit = limit.try_into().expect("a limit is short");
    poll(&mut fds, Some(&limit)).expect("a process can be watched") == 1
}
