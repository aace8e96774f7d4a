//! The list of children that run.

use multiprocess::{Process, StartMethod, active_children};
use multiprocess_tests::gate::{Gate, pass};
use multiprocess_tests::methods::start;
use multiprocess_tests::{pause, processes};
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

multiprocess_tests::for_each_start_method![
    active_children_holds_what_runs,
    child_without_a_handle_is_listed,
    children_of_a_child_are_its_own,
    dropped_handles_harm_nobody_else,
    dropped_handles_leave_no_zombie,
    starts_in_a_row_leave_no_zombie,
];

const LONG: Duration = Duration::from_secs(20);

fn is_listed(pid: u32) -> bool {
    active_children().iter().any(|child| child.pid() == pid)
}

/// `_TestProcess.test_active_children`: a process is in the list from its start until its end.
fn active_children_holds_what_runs(method: StartMethod) {
    assert_eq!(active_children().len(), 0);
    let (gate, closed) = Gate::new();
    let process = Process::new(pass, (closed,)).name("listed").daemon(true).start_method(method);
    assert_eq!(active_children().len(), 0);
    let child = process.start().expect("the child starts");
    let list = active_children();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].pid(), list[0].name(), list[0].is_daemon()), (child.pid(), "listed", true));
    assert!(list[0].is_alive());
    gate.open();
    child.join().expect("the child returns");
    assert_eq!(active_children().len(), 0);
    assert!(!list[0].is_alive());
}

/// Python's `for p in active_children(): p.terminate()`, for a child that nobody holds any more.
fn child_without_a_handle_is_listed(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    let pid = child.pid();
    drop(child);
    let listed = active_children().into_iter().find(|child| child.pid() == pid).expect("the child is listed");
    assert_eq!(listed.wait_timeout(Duration::ZERO).expect("the child can be waited for"), None);
    listed.terminate().expect("the child can be terminated");
    let status = listed.wait_timeout(LONG).expect("the child can be waited for").expect("the child ends in time");
    assert_eq!(status.signal(), Some(processes::Signal::TERM.as_raw()));
    assert!(!is_listed(pid));
    gate.open();
}

/// A child starts with an empty list.
fn children_of_a_child_are_its_own(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let sibling = start(method, pass, (closed,));
    let count = start(method, || active_children().len(), ()).join().expect("the child returns");
    assert_eq!(count, 0);
    gate.open();
    sibling.join().expect("the child returns");
}

/// Children whose handles were dropped are waited for by the library.
fn dropped_handles_leave_no_zombie(method: StartMethod) {
    for number in 0..20_u8 {
        drop(start(method, |n: u8| n, (number,)));
    }
    pause::until("all children to be gone", LONG, || processes::started_children().is_empty());
    assert_eq!(active_children().len(), 0);
}

/// Whatever the library does for children that nobody holds, it closes no descriptor of another: a daemon lives on, and
/// later children are reaped as well.
fn dropped_handles_harm_nobody_else(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let process = Process::new(pass, (closed,)).daemon(true).start_method(method);
    let daemon = process.start().expect("the child starts");
    for _ in 0..20 {
        // Each is gone before the next comes, so that the same numbers are used again.
        drop(start(method, || (), ()));
        pause::until("the child to be gone", LONG, || processes::started_children().len() == 1);
    }
    assert!(daemon.is_alive());
    gate.open();
    daemon.join().expect("the child returns");
}

/// Neither do children that the library makes in advance, however they are used or not used.
fn starts_in_a_row_leave_no_zombie(method: StartMethod) {
    for number in 0..300_u32 {
        assert_eq!(start(method, |n: u32| n, (number,)).join().expect("the child returns"), number);
    }
    pause::until("all children to be gone", LONG, || processes::started_children().is_empty());
    let spares = processes::children().into_iter().filter(|process| process.name == processes::SPARE_CHILD);
    assert!(spares.count() <= 1, "more than one child was made in advance");
}
