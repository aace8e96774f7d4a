//! Parents, children, and their children.

use multiprocess::{Fd, Process, StartMethod, parent};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::{self, start};
use std::io::{BufRead as _, BufReader, PipeWriter, Read as _, Write as _};
use std::time::Duration;

multiprocess_tests::for_each_start_method![
    mixed_startmethod,
    nested_startmethod,
    parent_process,
    parent_process_attributes,
    parent_that_lives,
    process_in_process,
    queue_in_process,
    recursion,
];

const LONG: Duration = Duration::from_secs(20);

fn word(method: StartMethod) -> String {
    methods::name(method).to_owned()
}

fn copy(writer: &Fd<PipeWriter>) -> Fd<PipeWriter> {
    Fd(writer.try_clone().expect("a descriptor can be copied"))
}

/// `_TestProcess.test_parent_process_attributes`: the root has no parent; a child sees its parent's id and name.
fn parent_process_attributes(method: StartMethod) {
    assert!(parent().is_none());
    let seen = start(method, describe_parent, ()).join().expect("the child returns");
    assert_eq!(seen, Some((std::process::id(), "MainProcess".to_owned())));

    let child = Process::new(describe_grandchilds_parent, (word(method),)).name("middle").start_method(method);
    let child = child.start().expect("the child starts");
    let pid = child.pid();
    assert_eq!(child.join().expect("the child returns"), Some((pid, "middle".to_owned())));
}

fn describe_parent() -> Option<(u32, String)> {
    parent().map(|parent| (parent.pid(), parent.name().to_owned()))
}

fn describe_grandchilds_parent(method: String) -> Option<(u32, String)> {
    start(methods::named(&method), describe_parent, ()).join().expect("the grandchild returns")
}

/// `_TestProcess.test_parent_process`: a grandchild notices that its parent has been killed.
fn parent_process(method: StartMethod) {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    let (gate, closed) = Gate::new();
    let child = start(method, start_watcher, (word(method), Fd(writer), closed));
    let mut lines = BufReader::new(reader).lines();
    let mut line = || lines.next().expect("the grandchild speaks").expect("the pipe can be read");
    assert_eq!(line(), "alive: true, ended: false");
    child.kill().expect("the child can be killed");
    assert_eq!(line(), "alive: false, ended: true");
    child.join().expect_err("a killed child returns nothing");
    gate.open();
}

fn start_watcher(method: String, writer: Fd<PipeWriter>, closed: Closed) {
    let grandchild = start(methods::named(&method), watch_parent, (writer,));
    pass(closed);
    drop(grandchild);
}

fn watch_parent(mut writer: Fd<PipeWriter>) {
    let parent = parent().expect("a child has a parent");
    let ended = parent.wait_timeout(Duration::ZERO);
    writeln!(writer, "alive: {}, ended: {ended}", parent.is_alive()).expect("the root listens");
    let ended = parent.wait_timeout(LONG);
    writeln!(writer, "alive: {}, ended: {ended}", parent.is_alive()).expect("the root listens");
}

/// A parent that lives is waited for as long as was said, and no longer.
fn parent_that_lives(method: StartMethod) {
    let child = start(method, || parent().is_some_and(|parent| parent.wait_timeout(Duration::from_millis(20))), ());
    assert!(!child.join().expect("the child returns"));
}

/// `_TestProcess.test_recursion`: children of children of children, all writing to one pipe, in order.
fn recursion(method: StartMethod) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    start(method, recurse, (word(method), Fd(writer), String::from("."))).join().expect("the child returns");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("the pipe can be read");
    let expected = [".", ".0", ".00", ".01", ".1", ".10", ".11"];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

fn recurse(method: String, mut writer: Fd<PipeWriter>, path: String) {
    writeln!(writer, "{path}").expect("the root listens");
    if path.len() <= 2 {
        for digit in 0..2 {
            let arguments = (method.clone(), copy(&writer), format!("{path}{digit}"));
            start(methods::named(&method), recurse, arguments).join().expect("the descendant returns");
        }
    }
}

/// `TestStartMethod.test_nested_startmethod`: a child passes what it was given on to a child of its own, by either
/// method.
fn nested_startmethod(method: StartMethod) {
    for inner in [method, methods::other_than(method)] {
        let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
        start(method, write_two_and_pass_on, (word(inner), Fd(writer))).join().expect("the child returns");
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("the pipe can be read");
        assert_eq!(text, "child\ngrandchild\n");
    }
}

fn write_two_and_pass_on(method: String, mut writer: Fd<PipeWriter>) {
    writeln!(writer, "child").expect("the root listens");
    let write_one = |mut writer: Fd<PipeWriter>| writeln!(writer, "grandchild").expect("the root listens");
    start(methods::named(&method), write_one, (writer,)).join().expect("the grandchild returns");
}

/// `TestStartMethod.test_mixed_startmethod`: what one child uses, a child of the other method uses too, at the same
/// time.
fn mixed_startmethod(method: StartMethod) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let (gate, closed) = Gate::new();
    let writer = Fd(writer);
    let copied = (Fd(closed.try_clone().expect("a descriptor can be copied")), copy(&writer));
    let write = |closed: Closed, mut writer: Fd<PipeWriter>| {
        pass(closed);
        writeln!(writer, "x").expect("the parent listens");
    };
    let one = start(method, write, (closed, writer));
    let other = start(methods::other_than(method), write, copied);
    gate.open();
    one.join().expect("the child returns");
    other.join().expect("the child returns");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("the pipe can be read");
    assert_eq!(text, "x\nx\n");
}

/// `TestStdinBadfiledescriptor.test_queue_in_process`: a child that has lost its standard input talks with a child of
/// its own.
fn queue_in_process(method: StartMethod) {
    let child = start(method, talk_without_input, (word(method),));
    assert_eq!(child.join().expect("the child returns"), "grandchild");
}

fn talk_without_input(method: String) -> String {
    multiprocess_tests::streams::close(0);
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let write = |mut writer: Fd<PipeWriter>| writer.write_all(b"grandchild").expect("the child listens");
    start(methods::named(&method), write, (Fd(writer),)).join().expect("the grandchild returns");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("the pipe can be read");
    text
}

/// `TestStdinBadfiledescriptor.test_pool_in_process`, as far as it is about processes: a child that has lost its
/// standard input starts many at once.
fn process_in_process(method: StartMethod) {
    let child = start(method, start_many_without_input, (word(method),));
    assert_eq!(child.join().expect("the child returns"), (0..8).map(|n| n * n).collect::<Vec<u32>>());
}

fn start_many_without_input(method: String) -> Vec<u32> {
    multiprocess_tests::streams::close(0);
    let method = methods::named(&method);
    let children: Vec<_> = (0..8).map(|n: u32| start(method, |n: u32| n * n, (n,))).collect();
    children.into_iter().map(|child| child.join().expect("the grandchild returns")).collect()
}
