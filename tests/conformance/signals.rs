//! Interrupting, terminating, killing and stopping a child.

use multiprocess::{Fd, StartMethod};
use multiprocess_tests::gate::{Gate, pass};
use multiprocess_tests::methods::start;
use multiprocess_tests::processes::Signal;
use multiprocess_tests::{pause, signals};
use std::io::{PipeWriter, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

multiprocess_tests::for_each_start_method![
    interrupt,
    interrupt_no_handler,
    kill,
    stop_is_gentle_first,
    stop_kills_what_ignores_termination,
    stopped_child_can_be_killed,
    terminate,
];

const LONG: Duration = Duration::from_secs(20);

/// `_TestProcess.test_interrupt`: a child that handles the interrupt ends as its handling says.
fn interrupt(method: StartMethod) {
    let (mut ready, writer) = std::io::pipe().expect("a pipe can be made");
    let child = start(method, leave_when_interrupted, (Fd(writer),));
    await_ready(&mut ready);
    child.interrupt().expect("the child can be interrupted");
    assert_eq!(child.wait().expect("the child can be waited for").code(), Some(5));
    let error = child.join().expect_err("a child that left returns nothing");
    assert_eq!(error.exit_status().and_then(|status| status.code()), Some(5), "{error}");
}

fn leave_when_interrupted(ready: Fd<PipeWriter>) {
    signals::count(Signal::INT);
    say_ready(ready);
    pause::until("an interrupt", LONG, || signals::arrived() > 0);
    std::process::exit(5);
}

/// `_TestProcess.test_interrupt_no_handler`: without a handler the interrupt ends the child. (The fork server ignores
/// it, and its children must not.)
fn interrupt_no_handler(method: StartMethod) {
    ends_by(method, Signal::INT, |child| child.interrupt());
}

/// `_TestProcess.test_terminate`: waits of no length return at once while the child runs.
fn terminate(method: StartMethod) {
    ends_by(method, Signal::TERM, |child| {
        assert_eq!(child.wait_timeout(Duration::ZERO)?, None);
        assert_eq!(child.wait_deadline(Instant::now())?, None);
        child.terminate()
    });
}

/// `_TestProcess.test_kill`.
fn kill(method: StartMethod) {
    ends_by(method, Signal::KILL, |child| child.kill());
}

type End = fn(&multiprocess::Child<()>) -> Result<(), multiprocess::Error>;

fn ends_by(method: StartMethod, signal: Signal, end: End) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    assert!(child.is_alive());
    end(&child).expect("the child can be signalled");
    let status = child.wait().expect("the child can be waited for");
    assert_eq!((status.code(), status.signal()), (None, Some(signal.as_raw())));
    assert!(!child.is_alive());
    let error = child.join().expect_err("a child that a signal ended returns nothing");
    assert_eq!(error.signal(), Some(signal.as_raw()), "{error}");
    assert_eq!(error.exit_status(), Some(status), "{error}");
    gate.open();
}

/// A child that lets itself be terminated is not killed, and the grace is not used up.
fn stop_is_gentle_first(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    let begin = Instant::now();
    let status = child.stop(LONG).expect("the child can be stopped");
    assert!(begin.elapsed() < LONG);
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    gate.open();
}

/// A child that ignores termination is killed when the grace has passed.
fn stop_kills_what_ignores_termination(method: StartMethod) {
    let (mut ready, writer) = std::io::pipe().expect("a pipe can be made");
    let child = start(method, ignore_termination, (Fd(writer),));
    await_ready(&mut ready);
    let grace = Duration::from_millis(50);
    let begin = Instant::now();
    let status = child.stop(grace).expect("the child can be stopped");
    assert!(begin.elapsed() >= grace);
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
}

fn ignore_termination(ready: Fd<PipeWriter>) {
    signals::ignore(Signal::TERM);
    say_ready(ready);
    pause::for_ever();
}

/// A child that is stopped as by Ctrl-Z is alive, and can be killed.
fn stopped_child_can_be_killed(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    multiprocess_tests::processes::signal(child.pid(), Signal::STOP);
    pause::until("the child to stop", LONG, || {
        multiprocess_tests::processes::find(child.pid()).is_some_and(|process| process.state == 'T')
    });
    assert!(child.is_alive());
    assert_eq!(child.try_wait().expect("the child can be asked"), None);
    child.kill().expect("the child can be killed");
    assert_eq!(child.wait().expect("the child can be waited for").signal(), Some(Signal::KILL.as_raw()));
    gate.open();
}

fn say_ready(mut ready: Fd<PipeWriter>) {
    ready.write_all(b"r").expect("the parent listens");
}

fn await_ready(ready: &mut std::io::PipeReader) {
    let mut word = [0];
    ready.read_exact(&mut word).expect("the child gets ready");
}
