//! Runs every example as a program of its own, with `--quick`, and checks its exit code and what it prints.
//!
//! Lines that are the same in every run are compared whole. Of the others, the order and the meaning are checked: which
//! numbers are equal, which differ, what is a number at all.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long an example may take. The longest computes for some seconds where it is not optimised.
const PATIENCE: Duration = Duration::from_secs(120);

/// The examples that have a test below.
const TESTED: [&str; 8] =
    ["cpu_bound", "daemon", "hello", "inherit", "isolation", "panic_and_exit_codes", "process_info", "tutorial"];

#[test]
fn every_example_has_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found: Vec<String> = fs::read_dir(folder)
        .expect("the folder of examples can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .map(|path| path.file_stem().expect("an example has a name").to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, TESTED);
}

#[test]
fn hello() {
    check_hello(&run("hello").lines());
}

#[test]
fn inherit() {
    check_inherit(&run("inherit").lines());
}

#[test]
fn cpu_bound() {
    check_cpu_bound(&run("cpu_bound").lines());
}

#[test]
fn process_info() {
    check_process_info(&run("process_info").lines());
}

#[test]
fn isolation() {
    check_isolation(&run("isolation").lines());
}

#[test]
fn panic_and_exit_codes() {
    let output = run("panic_and_exit_codes");
    let lines = output.lines();
    assert_eq!(lines.len(), 6, "six lines: {lines:?}");
    assert_eq!(lines[0], "add: 42, exit code 0");
    // The place is the file, the line and the column, which change with the file.
    let panic = after(lines[1], "divide: a panic at ");
    assert!(panic.contains("panic_and_exit_codes.rs:"), "no place: {panic}");
    assert!(panic.ends_with(": cannot divide 1 by zero"), "no message: {panic}");
    assert_eq!(lines[2], "divide: exit code 101");
    assert_eq!(lines[3], "leave: exit code 3");
    assert_eq!(lines[4], "wait_for_ever: signal 9");
    // How the error is framed is the library's affair; the system's words must be in it.
    assert!(after(lines[5], "size: ").contains("No such file or directory"), "no reason: {}", lines[5]);
    assert!(output.errors.contains("cannot divide 1 by zero"), "the child printed no panic: {}", output.errors);
}

#[test]
fn daemon() {
    let output = run("daemon");
    let lines = output.lines();
    assert_eq!(lines.len(), 3, "three lines: {lines:?}");
    let (program, daemon) = after(lines[0], "the program is process ")
        .split_once(", its daemon is process ")
        .expect("two processes are named");
    assert_ne!(number(program), number(daemon));
    assert_eq!(lines[1], "the program was ended by signal 9");
    let time = after(lines[2], "the daemon has ended too, ");
    number(time.strip_suffix(" ms after the kill").expect("a time in milliseconds"));
}

#[test]
fn tutorial() {
    let output = run("tutorial");
    let lines = output.lines();
    // Each part begins with an empty line and a heading.
    let mut parts = lines.split(|line| line.starts_with("== "));
    assert_eq!(parts.next(), Some(&[""][..]), "the first line is empty");
    let parts: Vec<&[&str]> = parts.map(|part| part.strip_suffix(&[""]).unwrap_or(part)).collect();
    assert_eq!(parts.len(), 7, "seven parts: {lines:?}");
    check_hello(parts[0]);
    check_inherit(parts[1]);
    check_cpu_bound(parts[2]);
    assert!(parts[3].len() == 2 && parts[3][0].starts_with("for: ") && parts[3][1].starts_with("against: "));
    check_attributes(parts[4]);
    check_process_info(parts[5]);
    check_isolation(parts[6]);
}

fn check_hello(lines: &[&str]) {
    let place = |text: &str| {
        let found = lines.iter().position(|line| is_time(line.strip_prefix(text).unwrap_or_default()));
        found.unwrap_or_else(|| panic!("no line {text:?} with a time: {lines:?}"))
    };
    assert_eq!(lines.len(), 3, "three lines: {lines:?}");
    assert!(place("hello world------> ") < place("func ending------> "));
    assert!(place("ending------> ") < place("func ending------> "), "the parent waited for the child: {lines:?}");
}

fn check_inherit(lines: &[&str]) {
    assert_eq!(lines.len(), 4, "four lines: {lines:?}");
    for i in 0..3 {
        let hello = format!("{i} hello ------> ");
        let mut times = lines[..3].iter().filter_map(|line| line.strip_prefix(&hello));
        assert!(times.next().is_some_and(is_time), "process {i} said nothing: {lines:?}");
    }
    assert!(is_time(after(lines[3], "ending------> ")));
}

fn check_cpu_bound(lines: &[&str]) {
    assert_eq!(lines.len(), 5, "five lines: {lines:?}");
    assert_eq!(lines[0], "the sum is 4999999950000000; the product has 456569 digits and ends in 24994 zeros");
    let (sequential, _) =
        after(lines[1], "one after the other, cost time: ").split_once(" s (").expect("a time in seconds");
    assert_eq!(lines[2], "ending");
    let parallel = after(lines[3], "in two processes, cost time: ").strip_suffix(" s").expect("a time in seconds");
    let (speed_up, _) = after(lines[4], "speed-up: ").split_once(" on ").expect("a number of CPUs");
    // The ratio was rounded from unrounded times. How large it is depends on what else the machine does.
    let expected = number(sequential) / number(parallel);
    assert!((number(speed_up) - expected).abs() < 0.05, "{speed_up} is not {sequential} / {parallel}");
}

fn check_attributes(lines: &[&str]) {
    assert_eq!(lines.len(), 7, "seven lines: {lines:?}");
    assert_eq!(lines[0], "name: worker");
    assert!(number(after(lines[1], "pid: ")) > 1.0);
    assert_eq!(
        lines[2..],
        [
            "daemon: true",
            "is_alive: true",
            "ended after the timeout: false",
            "is_alive after terminate: false",
            "signal: 15"
        ]
    );
}

fn check_process_info(lines: &[&str]) {
    assert_eq!(lines.len(), 13, "three blocks of four lines, and one more: {lines:?}");
    let mut pids = Vec::new();
    for (block, name) in lines.chunks_exact(4).zip(["main process", "process1", "process2"]) {
        assert_eq!(after(block[0], "process name: "), name);
        let parent = number(after(block[1], "parent process: "));
        pids.push(number(after(block[2], "process: ")).to_string());
        assert_eq!(block[3], "---------");
        if name != "main process" {
            assert_eq!(parent.to_string(), pids[0], "the main process is not the parent of {name}");
        }
    }
    assert_eq!(pids.iter().collect::<HashSet<_>>().len(), 3, "three processes have three numbers: {pids:?}");
    assert_eq!(lines[12], "ending");
}

fn check_isolation(lines: &[&str]) {
    assert_eq!(
        lines,
        [
            "the main process writes 100",
            "the main process writes 200",
            "child 1 found 0, wrote 1, and reads 1",
            "child 2 found 0, wrote 2, and reads 2",
            "the main process reads 200",
        ]
    );
}

/// Returns the rest of a line that must begin with `start`.
fn after<'a>(line: &'a str, start: &str) -> &'a str {
    line.strip_prefix(start).unwrap_or_else(|| panic!("{line:?} does not begin with {start:?}"))
}

/// Returns the positive number that `text` must be.
fn number(text: &str) -> f64 {
    let number: f64 = text.parse().unwrap_or_else(|_| panic!("{text:?} is not a number"));
    assert!(number.is_finite() && number >= 0.0, "{text:?} is not a number of anything");
    number
}

/// Tells whether `text` has the form `Thu Jul 20 15:56:17 2017`.
fn is_time(text: &str) -> bool {
    text.len() == 24
        && text.bytes().zip("Thu Jul 20 15:56:17 2017".bytes()).all(|(byte, sample)| match sample {
            b'0'..=b'9' => byte.is_ascii_digit() || byte == b' ',
            b' ' | b':' => byte == sample,
            _ => byte.is_ascii_alphabetic(),
        })
}

/// What an example printed.
struct Output {
    text: String,
    errors: String,
}

impl Output {
    fn lines(&self) -> Vec<&str> {
        self.text.lines().collect()
    }
}

/// Runs an example to its end, which must be a success.
///
/// The pipes end when the example and every process that it started have ended, so a child that is left behind is
/// noticed here: the watchdog then ends the example and says what it had printed so far.
fn run(name: &str) -> Output {
    let started = Instant::now();
    let mut program = Command::new(binary(name))
        .arg("--quick")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("example {name} does not start: {error}"));
    let (sender, receiver) = mpsc::channel();
    forward(0, program.stdout.take().expect("stdout is piped"), sender.clone());
    forward(1, program.stderr.take().expect("stderr is piped"), sender);

    let mut printed = [Vec::new(), Vec::new()];
    loop {
        match receiver.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
            Ok((stream, bytes)) => printed[stream].extend_from_slice(&bytes),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                program.kill().expect("the example can be killed");
                let [text, errors] = printed.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                panic!("example {name}, or a process that it started, still runs after {PATIENCE:?}\n{text}\n{errors}");
            }
        }
    }
    let status = program.wait().expect("the example can be waited for");
    let [text, errors] = printed.map(|bytes| String::from_utf8(bytes).expect("an example prints text"));
    assert!(status.success(), "example {name}: {status}\n{text}\n{errors}");
    Output { text, errors }
}

/// Sends everything that comes out of `stream` to the watchdog, and hangs up at its end.
fn forward(stream: usize, mut from: impl Read + Send + 'static, to: mpsc::Sender<(usize, Vec<u8>)>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if to.send((stream, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
}

/// Finds the built example: cargo puts this test into `target/<profile>/deps` and the examples beside that folder.
fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("this test has a path");
    let profile = test.ancestors().nth(2).expect("this test is two folders below the profile's");
    let path = profile.join("examples").join(name).with_extension(env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is not built: run `cargo test -p multiprocess-examples`", path.display());
    path
}
