//! Waiting for a child with and without a limit.

use multiprocess::StartMethod;
use multiprocess_tests::gate::{Gate, pass};
use multiprocess_tests::methods::start;
use std::thread;
use std::time::{Duration, Instant};

multiprocess_tests::for_each_start_method![
    deadline_in_the_past,
    deadline_is_kept,
    endless_timeout,
    one_thread_waits_while_another_kills,
    status_is_kept,
    timeout_is_kept,
];

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(20);

fn timeout_is_kept(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    let begin = Instant::now();
    assert_eq!(child.wait_timeout(SHORT).expect("the child can be waited for"), None);
    assert!(begin.elapsed() >= SHORT);
    gate.open();
    let status = child.wait_timeout(LONG).expect("the child can be waited for");
    assert!(status.expect("the child ends in time").success());
    child.join().expect("the child returns");
}

fn deadline_is_kept(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    let deadline = Instant::now() + SHORT;
    assert_eq!(child.wait_deadline(deadline).expect("the child can be waited for"), None);
    assert!(Instant::now() >= deadline);
    gate.open();
    let status = child.wait_deadline(Instant::now() + LONG).expect("the child can be waited for");
    assert!(status.expect("the child ends in time").success());
    child.join().expect("the child returns");
}

/// A deadline that has passed is a single look.
fn deadline_in_the_past(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    let past = Instant::now();
    assert_eq!(child.wait_deadline(past).expect("the child can be waited for"), None);
    gate.open();
    child.wait().expect("the child can be waited for");
    assert!(child.wait_deadline(past).expect("the child can be waited for").is_some());
}

/// The longest duration that there is does not overflow.
fn endless_timeout(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    gate.open();
    let status = child.wait_timeout(Duration::MAX).expect("the child can be waited for");
    assert!(status.expect("it ends before the end of time").success());
}

fn status_is_kept(method: StartMethod) {
    let child = start(method, || 3, ());
    let status = child.wait().expect("the child can be waited for");
    assert_eq!(child.wait().expect("again"), status);
    assert_eq!(child.try_wait().expect("again"), Some(status));
    assert_eq!(child.wait_timeout(Duration::ZERO).expect("again"), Some(status));
    assert_eq!(child.stop(Duration::ZERO).expect("nothing to stop"), status);
    assert_eq!(child.join().expect("the value is kept too"), 3);
}

fn one_thread_waits_while_another_kills(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    let status = thread::scope(|scope| {
        let waiter = scope.spawn(|| child.wait());
        child.kill().expect("the child can be killed");
        waiter.join().expect("the thread ends well")
    });
    assert!(!status.expect("the child can be waited for").success());
    gate.open();
}
