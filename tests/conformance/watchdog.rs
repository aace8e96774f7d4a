//! The watchdog of these tests, on a program that hangs on purpose.

use multiprocess::StartMethod;
use multiprocess_tests::{methods, pause, processes, program};
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

multiprocess_tests::for_each_start_method![hang_is_reported_and_ended];

fn hang_is_reported_and_ended(method: StartMethod) {
    let finished = program!("hangs", methods::name(method)).run();
    let child: u32 = finished.stdout.trim().parse().expect("the program prints its child's id");
    assert_eq!(finished.status.signal(), Some(processes::Signal::ABORT.as_raw()), "{}", finished.stderr);
    let expected = ["still waiting: for the child that never ends".to_owned(), format!("started process {child} (")];
    for part in expected {
        assert!(finished.stderr.contains(&part), "no {part:?} in:\n{}", finished.stderr);
    }
    pause::until("the child to be gone", Duration::from_secs(20), || {
        processes::find(child).is_none_or(|child| child.is_zombie())
    });
}
