//! Children that hold something or wait for it, and the look from outside that tells whether they are blocked.

use multiprocess::{Child, Message, Process};
use multiprocess_tests::processes::{self, Signal};
use multiprocess_tests::ready::{self, Ready, Sayer};
use multiprocess_tests::{pause, trace};
use std::time::{Duration, Instant};

/// Within this a child gets to where it should be, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What is promised is 200 ms; a busy machine gets more before it counts as a failure.
pub const TOO_LONG: Duration = Duration::from_secs(2);

/// Starts `function`, which says once that it has come so far and then goes on.
pub fn start<T: Message, R: Message>(function: impl Fn(T, Sayer) -> R + Copy + Send + 'static, object: T) -> Child<R> {
    let (mut ready, sayer) = Ready::new();
    let child = Process::new(function, (object, sayer)).daemon(true).start().expect("a child can be started");
    ready.wait();
    child
}

/// Starts `function`, which says that it is about to wait, and comes back when it is blocked.
pub fn start_blocked<T: Message, R: Message>(
    function: impl Fn(T, Sayer) -> R + Copy + Send + 'static,
    object: T,
) -> Child<R> {
    let child = start(function, object);
    pause::until("a child to be blocked", PATIENCE, || trace::is_blocked(child.pid()));
    child
}

/// Says that it has what it wants, and keeps it until it is killed.
pub fn keep<T>(_kept: T, mut sayer: Sayer) {
    ready::say(&mut sayer);
    pause::for_ever();
}

/// Kills a child; it is gone when this returns.
pub fn kill<R>(child: &Child<R>) {
    processes::signal(child.pid(), Signal::KILL);
    child.wait().expect("a child can be waited for");
}

/// What `child` returns, which it must do soon after `since`; prints how long it took.
pub fn soon<R: Message>(what: &str, since: Instant, child: Child<R>) -> R {
    let value = child.join().expect("whoever waited returns");
    let time = since.elapsed();
    println!("{what}: {:.1} ms after the death", time.as_secs_f64() * 1e3);
    assert!(time < TOO_LONG, "{what}: {time:?} after the death");
    value
}
