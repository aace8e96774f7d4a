//! What is printed, by whom, and how often.

use multiprocess::{Process, StartMethod, Stdio};
use multiprocess_tests::methods::{self, start};
use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::{program, streams};
use std::fs;
use std::io::Read as _;

multiprocess_tests::for_each_start_method![
    error_on_stdio_flush_1,
    error_on_stdio_flush_2,
    flushing,
    no_fork_bomb,
    output_is_flushed_at_the_end,
    output_is_flushed_by_exit,
    stderr_flush,
];

/// `TestStdinBadfiledescriptor.test_flushing`: what the parent has printed but not yet written is written once, by the
/// parent.
fn flushing(method: StartMethod) {
    let output = program!("prints-half-a-line", methods::name(method)).succeed();
    assert_eq!(output.matches("half a line").count(), 1, "{output}");
    assert_eq!(output.matches("the child's line").count(), 1, "{output}");
}

/// `_TestProcess.test_error_on_stdio_flush_1`: a child works when its parent has no standard streams, because it was
/// started without them or has closed them.
fn error_on_stdio_flush_1(method: StartMethod) {
    for how in ["closed", "absent"] {
        let scratch = Scratch::new();
        let report = scratch.join("report");
        let status = program!("works-without-streams", methods::name(method), how, &report).run().status;
        let report = fs::read_to_string(&report).unwrap_or_default();
        assert!(status.success(), "with {how} streams: {status}: {report}");
        assert_eq!(report, "all is well", "with {how} streams");
    }
}

/// `_TestProcess.test_error_on_stdio_flush_2`: a child works when it breaks its own standard streams.
fn error_on_stdio_flush_2(method: StartMethod) {
    let child = start(method, break_streams, ());
    assert!(child.wait().expect("the child can be waited for").success());
    assert_eq!(child.join().expect("the child returns"), 5);
}

fn break_streams() -> u8 {
    print!("not flushed yet");
    for stream in 0..3 {
        streams::close(stream);
    }
    5
}

/// `_TestSubclassingProcess.test_stderr_flush`: the whole report of a panic is there before the child has ended.
fn stderr_flush(method: StartMethod) {
    let process = Process::new(|| -> u8 { panic!("the reason") }, ()).name("reporter").stderr(Stdio::piped());
    let mut child = process.start_method(method).start().expect("the child starts");
    child.wait().expect("the child can be waited for");
    let mut text = String::new();
    child.stderr.take().expect("the errors are a pipe").read_to_string(&mut text).expect("the errors can be read");
    for part in ["reporter", "the reason", "output.rs"] {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
    assert!(text.ends_with('\n'), "{text:?}");
    child.join().expect_err("a panic is no value");
}

fn output_is_flushed_at_the_end(method: StartMethod) {
    assert_eq!(printed(Process::new(|| print!("no end of line"), ()), method), "no end of line");
}

fn output_is_flushed_by_exit(method: StartMethod) {
    let leave = || {
        print!("no end of line");
        std::process::exit(0)
    };
    assert_eq!(printed(Process::new(leave, ()), method), "no end of line");
}

/// What `process` printed before it ended, however it ended.
fn printed(process: Process<()>, method: StartMethod) -> String {
    let mut child = process.stdout(Stdio::piped()).start_method(method).start().expect("the child starts");
    let mut text = String::new();
    child.stdout.take().expect("the output is a pipe").read_to_string(&mut text).expect("the output can be read");
    child.wait().expect("the child can be waited for");
    text
}

/// `TestNoForkBomb.test_noforkbomb`: a program that starts a child first thing in `main` needs no guard: its `main` runs
/// once.
fn no_fork_bomb(method: StartMethod) {
    let output = program!("starts-without-a-guard", methods::name(method)).succeed();
    assert_eq!(output, "main runs\nthe child says 123\n");
}
