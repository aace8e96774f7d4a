//! A child as a descriptor that can be polled.

use multiprocess::StartMethod;
use multiprocess_tests::gate::{Gate, pass};
use multiprocess_tests::methods::start;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsFd, AsRawFd as _};
use std::thread;
use std::time::Duration;

multiprocess_tests::for_each_start_method![sentinel, sentinel_of_a_large_result, several_waiters];

const LONG: Duration = Duration::from_secs(20);

/// `_TestProcess.test_sentinel`: not ready while the child runs, ready once it has ended, and for every later look.
fn sentinel(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    assert!(child.as_raw_fd() >= 0);
    assert_eq!(child.as_fd().as_raw_fd(), child.as_raw_fd());
    assert!(!is_ready(&child, Duration::ZERO));
    gate.open();
    assert!(is_ready(&child, LONG));
    assert!(is_ready(&child, Duration::ZERO));
    assert!(!child.is_alive());
    child.join().expect("the child returns");
}

/// The child ends, and so becomes ready, although nobody has read its large result.
fn sentinel_of_a_large_result(method: StartMethod) {
    let child = start(method, || "x".repeat(16 << 20), ());
    assert!(is_ready(&child, LONG));
    assert_eq!(child.join().expect("the child returns").len(), 16 << 20);
}

/// Any number of threads may wait for one child, by the descriptor and by the handle.
fn several_waiters(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    thread::scope(|scope| {
        let pollers: Vec<_> = (0..3).map(|_| scope.spawn(|| is_ready(&child, LONG))).collect();
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| child.wait_timeout(LONG))).collect();
        gate.open();
        for poller in pollers {
            assert!(poller.join().expect("the thread ends well"));
        }
        for waiter in waiters {
            let status = waiter.join().expect("the thread ends well").expect("the child can be waited for");
            assert!(status.expect("the child ends in time").success());
        }
    });
    child.join().expect("the child returns");
}

/// Whether `object` becomes readable within `timeout`.
fn is_ready(object: &impl AsFd, timeout: Duration) -> bool {
    let timeout = Timespec { tv_sec: timeout.as_secs().cast_signed(), tv_nsec: 0 };
    let mut polled = [PollFd::new(object, PollFlags::IN)];
    poll(&mut polled, Some(&timeout)).expect("descriptors can be polled") == 1
}
