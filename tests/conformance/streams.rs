//! The builder's standard streams: inherited, none, pipes, files.

use multiprocess::{Fd, Process, StartMethod, Stdio};
use multiprocess_tests::methods::start;
use multiprocess_tests::scratch::Scratch;
use std::fs::{self, File};
use std::io::{PipeWriter, Read as _, Write as _};

multiprocess_tests::for_each_start_method![
    closed_pipe_is_an_error_not_a_signal,
    empty_input,
    files,
    more_output_than_a_pipe_holds,
    no_output,
    pipes,
    streams_that_were_not_asked_for,
];

fn shout() -> usize {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("the input can be read");
    print!("{}", text.to_uppercase());
    eprint!("{} bytes", text.len());
    text.len()
}

fn pipes(method: StartMethod) {
    let process = Process::new(shout, ()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process.start_method(method).start().expect("the child starts");
    let mut input = child.stdin.take().expect("the input is a pipe");
    input.write_all(b"hello").expect("the child reads");
    drop(input);
    let (mut output, mut errors) = (String::new(), String::new());
    child.stdout.take().expect("the output is a pipe").read_to_string(&mut output).expect("the output can be read");
    child.stderr.take().expect("the errors are a pipe").read_to_string(&mut errors).expect("the errors can be read");
    assert_eq!((output.as_str(), errors.as_str()), ("HELLO", "5 bytes"));
    assert_eq!(child.join().expect("the child returns"), 5);
}

fn files(method: StartMethod) {
    let scratch = Scratch::new();
    fs::write(scratch.join("input"), "from a file").expect("a file can be written");
    let create = |name: &str| File::create(scratch.join(name)).expect("a file can be made");
    let process = Process::new(shout, ())
        .stdin(File::open(scratch.join("input")).expect("the file is there"))
        .stdout(create("output"))
        .stderr(create("errors"));
    let child = process.start_method(method).start().expect("the child starts");
    assert_eq!(child.join().expect("the child returns"), 11);
    let read = |name: &str| fs::read_to_string(scratch.join(name)).expect("the file can be read");
    assert_eq!((read("output").as_str(), read("errors").as_str()), ("FROM A FILE", "11 bytes"));
}

fn empty_input(method: StartMethod) {
    let process = Process::new(shout, ()).stdin(Stdio::null()).stderr(Stdio::null());
    assert_eq!(process.start_method(method).start().expect("the child starts").join().expect("the child returns"), 0);
}

fn no_output(method: StartMethod) {
    let print_much = || {
        let line = "x".repeat(1 << 20);
        println!("{line}");
        eprintln!("{line}");
        fs::read_link("/proc/self/fd/1").map_err(|error| error.to_string())
    };
    let process = Process::new(print_much, ()).stdout(Stdio::null()).stderr(Stdio::null());
    let target = process.start_method(method).start().expect("the child starts").join().expect("the child returns");
    assert_eq!(target, Ok("/dev/null".into()));
}

/// The parent reads while the child still writes.
fn more_output_than_a_pipe_holds(method: StartMethod) {
    let process = Process::new(|| print!("{}", "x".repeat(1 << 20)), ()).stdout(Stdio::piped());
    let mut child = process.start_method(method).start().expect("the child starts");
    let mut output = String::new();
    child.stdout.take().expect("the output is a pipe").read_to_string(&mut output).expect("the output can be read");
    assert_eq!(output.len(), 1 << 20);
    child.join().expect("the child returns");
}

fn streams_that_were_not_asked_for(method: StartMethod) {
    let child = Process::new(|| (), ()).stdin(Stdio::inherit()).start_method(method).start().expect("the child starts");
    assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
    child.join().expect("the child returns");
}

/// As in any Rust program, writing to a pipe that nobody reads is an error and not the end.
fn closed_pipe_is_an_error_not_a_signal(method: StartMethod) {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let write = |mut writer: Fd<PipeWriter>| writer.write_all(b"x").map_err(|error| error.to_string());
    let result = start(method, write, (Fd(writer),)).join().expect("the child survives");
    assert!(result.expect_err("nobody reads").contains("Broken pipe"));
}
