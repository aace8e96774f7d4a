//! Which descriptors a child has: its standard streams, what was passed, and very little else.

use multiprocess::{Fd, StartMethod};
use multiprocess_tests::gate::{Gate, pass};
use multiprocess_tests::leaks;
use multiprocess_tests::methods::start;
use multiprocess_tests::scratch::Scratch;
use rustix::io::{FdFlags, fcntl_setfd};
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;

multiprocess_tests::for_each_start_method![
    child_fd_inflation,
    closefd,
    parent_keeps_nothing,
    standard_streams_are_the_same
];

/// `_TestProcess.test_child_fd_inflation`: how many descriptors a child has does not depend on its siblings.
fn child_fd_inflation(method: StartMethod) {
    let count = || start(method, || leaks::descriptors().len(), ()).join().expect("the child returns");
    let alone = count();
    let (gates, siblings): (Vec<_>, Vec<_>) = (0..20)
        .map(|_| {
            let (gate, closed) = Gate::new();
            (gate, start(method, pass, (closed,)))
        })
        .unzip();
    assert_eq!(count(), alone);
    drop(gates);
    for sibling in siblings {
        sibling.join().expect("the child returns");
    }
}

/// `TestCloseFds.test_closefd`: descriptors of the parent, also those that a program of its own would inherit, are not
/// in the child.
fn closefd(method: StartMethod) {
    let scratch = Scratch::new();
    let open = |name: &str| File::create(scratch.join(name)).expect("a file can be made");
    let (private, inheritable, passed) = (open("private"), open("inheritable"), open("passed"));
    fcntl_setfd(&inheritable, FdFlags::empty()).expect("a flag can be cleared");

    let child = start(method, list_with, (Fd(passed),));
    let (number, found) = child.join().expect("the child returns");
    let target = |n: i32| found.iter().find(|entry| entry.number == n).map(|entry| entry.target.as_str());
    assert!(target(number).is_some_and(|target| target.ends_with("/passed")), "{found:?}");
    for stream in 0..3 {
        assert!(target(stream).is_some(), "no descriptor {stream} in {found:?}");
    }
    let others: Vec<_> = found.iter().filter(|entry| entry.number > 2 && entry.number != number).collect();
    assert!(others.len() <= 2, "more than the library's own: {others:?}");
    assert!(others.iter().all(|entry| entry.closes_on_exec), "a program started by the child would get {others:?}");
    assert!(!found.iter().any(|entry| entry.target.ends_with("private") || entry.target.ends_with("inheritable")));
    drop((private, inheritable));
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Entry {
    number: i32,
    target: String,
    closes_on_exec: bool,
}

fn list_with(passed: Fd<File>) -> (i32, Vec<Entry>) {
    let entries = leaks::descriptors().into_iter().map(|(number, target)| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).expect("a descriptor can be described");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("the flags are described");
        let flags = u32::from_str_radix(flags.trim(), 8).expect("the flags are octal");
        Entry { number, target, closes_on_exec: flags & 0o2_000_000 != 0 }
    });
    (passed.as_raw_fd(), entries.collect())
}

/// After children have been joined, their parent has no more descriptors than before, whatever was passed, but for the two
/// of a child made in advance.
fn parent_keeps_nothing(method: StartMethod) {
    let before = leaks::descriptors().len();
    for _ in 0..50 {
        let file = File::open("/dev/null").expect("a file can be opened");
        let back = start(method, |file: Fd<File>| file, (Fd(file),)).join().expect("the child returns");
        drop(back);
    }
    assert!(leaks::descriptors().len() <= before + 2, "{:?}", leaks::descriptors());
}

/// Unless told otherwise, the child's standard streams are its parent's.
fn standard_streams_are_the_same(method: StartMethod) {
    let there: Vec<String> = start(method, first_targets, ()).join().expect("the child returns");
    assert_eq!(there, first_targets());
}

fn first_targets() -> Vec<String> {
    leaks::descriptors().into_iter().take(3).map(|(_, target)| target).collect()
}
