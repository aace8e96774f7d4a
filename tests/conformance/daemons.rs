//! Daemon children, and those that live on, when their program ends.

use multiprocess::{Process, StartMethod, current};
use multiprocess_tests::methods::{self, start};
use multiprocess_tests::program;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

multiprocess_tests::for_each_start_method![
    daemon_argument,
    daemon_ends_with_its_program,
    daemon_may_have_children,
    other_children_live_on,
];

/// `_TestProcess.test_daemon_argument`: what was asked for, else as the process that makes it.
fn daemon_argument(method: StartMethod) {
    assert!(!start_as(method, None));
    assert!(!start_as(method, Some(false)));
    assert!(start_as(method, Some(true)));
}

/// The parent's and the child's view agree.
fn start_as(method: StartMethod, daemon: Option<bool>) -> bool {
    let process = Process::new(|| current().is_daemon(), ()).start_method(method);
    let process = match daemon {
        Some(daemon) => process.daemon(daemon),
        None => process,
    };
    let child = process.start().expect("the child starts");
    let seen_here = child.is_daemon();
    assert_eq!(child.join().expect("the child returns"), seen_here);
    seen_here
}

/// Python forbids it. A grandchild is a daemon unless it is told otherwise.
fn daemon_may_have_children(method: StartMethod) {
    let process = Process::new(start_grandchildren, (methods::name(method).to_owned(),)).daemon(true);
    let child = process.start_method(method).start().expect("the child starts");
    assert_eq!(child.join().expect("the child returns"), (true, false));
}

fn start_grandchildren(method: String) -> (bool, bool) {
    let method = methods::named(&method);
    let default = start(method, || current().is_daemon(), ()).join().expect("the grandchild returns");
    let told = Process::new(|| current().is_daemon(), ()).daemon(false).start_method(method);
    (default, told.start().expect("the grandchild starts").join().expect("the grandchild returns"))
}

/// The program returns from `main` while its daemon child waits for ever. Its output is closed, so the child is gone.
fn daemon_ends_with_its_program(method: StartMethod) {
    let output = program!("leaves-a-daemon", methods::name(method)).succeed();
    assert_eq!(output, "started\n");
}

/// The program returns from `main`; its child then still reads and writes. Several times, because the program may end
/// before its child has come far.
fn other_children_live_on(method: StartMethod) {
    for _ in 0..20 {
        let output = output_of_a_child_left_behind(method);
        assert_eq!(output, "started\nthe child read words\n");
    }
}

fn output_of_a_child_left_behind(method: StartMethod) -> String {
    let mut program = program!("leaves-a-child", methods::name(method));
    program.command().stdin(Stdio::piped()).stderr(Stdio::inherit());
    let mut program = program.start();
    // Taken before the wait, which would close it, and it is the child's input too.
    let mut input = program.stdin.take().expect("the input is a pipe");
    assert!(program.wait().expect("the program can be waited for").success());
    input.write_all(b"words").expect("the child can still read");
    drop(input);
    let mut output = String::new();
    program.stdout.take().expect("the output is a pipe").read_to_string(&mut output).expect("the output can be read");
    output
}
