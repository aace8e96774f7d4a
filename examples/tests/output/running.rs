//! Runs an example as a program of its own, and reads what it prints.

use std::env;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long an example may take. The longest computes for some seconds where it is not optimised.
const PATIENCE: Duration = Duration::from_secs(120);

/// What an example printed.
pub struct Output {
    text: String,
    pub errors: String,
}

impl Output {
    pub fn lines(&self) -> Vec<&str> {
        self.text.lines().collect()
    }
}

/// Runs an example to its end, which must be a success.
///
/// The pipes end when the example and every process that it started have ended, so a child that is left behind is
/// noticed here: the watchdog then ends the example and says what it had printed so far.
pub fn run(name: &str) -> Output {
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

/// Returns the rest of a line that must begin with `start`.
pub fn after<'a>(line: &'a str, start: &str) -> &'a str {
    line.strip_prefix(start).unwrap_or_else(|| panic!("{line:?} does not begin with {start:?}"))
}

/// Returns the positive number that `text` must be.
pub fn number(text: &str) -> f64 {
    let number: f64 = text.parse().unwrap_or_else(|_| panic!("{text:?} is not a number"));
    assert!(number.is_finite() && number >= 0.0, "{text:?} is not a number of anything");
    number
}

/// Tells whether `text` has the form `Thu Jul 20 15:56:17 2017`.
pub fn is_time(text: &str) -> bool {
    text.len() == 24
        && text.bytes().zip("Thu Jul 20 15:56:17 2017".bytes()).all(|(byte, sample)| match sample {
            b'0'..=b'9' => byte.is_ascii_digit() || byte == b' ',
            b' ' | b':' => byte == sample,
            _ => byte.is_ascii_alphabetic(),
        })
}
