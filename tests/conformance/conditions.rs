//! `Condition`: who waits, who is woken, and by how many notifications. Waiters are processes and threads.
//!
//! CPython's tests sleep until the waiters are probably waiting. Here a waiter counts itself under the mutex before it
//! waits; `wait` releases the mutex only when the waiter can be notified, so whoever sees the count sees waiters.

use multiprocess::bytemuck::{Pod, Zeroable};
use multiprocess::{Child, Condition, Mutex, StartMethod, Value};
use multiprocess_tests::methods::start;
use multiprocess_tests::processes::Signal;
use multiprocess_tests::{pause, signals};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

multiprocess_tests::for_each_start_method![
    notify,
    notify_all,
    notify_n,
    timeout,
    wait_result,
    wait_result_with_a_signal,
    waitfor,
    waitfor_timeout,
];

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// How long something is waited for that does not come.
const IN_VAIN: Duration = Duration::from_millis(100);

/// How long nobody more may wake up: longer than the longest slice of a wait.
const QUIET: Duration = Duration::from_millis(250);

/// What the waiters tell: how many have begun to wait, and how their waits ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Pod, Zeroable)]
#[bytemuck(crate = "multiprocess::bytemuck")]
#[repr(C)]
struct Counts {
    waiting: u32,
    woken: u32,
    timed_out: u32,
}

/// A mutex and its condition, and the waiters on them.
struct Scene {
    method: StartMethod,
    counts: Mutex<Counts>,
    condition: Condition,
    processes: Vec<Child<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Scene {
    fn new(method: StartMethod) -> Scene {
        let counts = Mutex::new(Counts::default()).expect("a mutex can be made");
        let condition = Condition::new().expect("a condition can be made");
        Scene { method, counts, condition, processes: Vec::new(), threads: Vec::new() }
    }

    /// Adds waiters, and returns when all of them wait.
    fn add(&mut self, processes: u32, threads: u32, timeout: Option<Duration>) {
        let before = self.counts().waiting;
        for _ in 0..processes {
            let arguments = (self.counts.clone(), self.condition.clone(), timeout);
            self.processes.push(start(self.method, wait_once, arguments));
        }
        for _ in 0..threads {
            let (counts, condition) = (self.counts.clone(), self.condition.clone());
            self.threads.push(thread::spawn(move || wait_once(counts, condition, timeout)));
        }
        self.until("all to wait", |counts| counts.waiting == before + processes + threads);
    }

    fn counts(&self) -> Counts {
        *self.counts.lock().expect("nobody died")
    }

    #[track_caller]
    fn until(&self, what: &str, condition: impl Fn(Counts) -> bool) {
        pause::until(what, LONG, || condition(self.counts()));
    }

    /// Waits until so many have been woken, and sees that they stay so many.
    #[track_caller]
    fn woken_stays(&self, count: u32) {
        self.until("waiters to wake up", |counts| counts.woken >= count);
        assert!(!pause::holds_within(QUIET, || self.counts().woken > count), "{:?}", self.counts());
    }

    fn notify(&self, count: u32) {
        let _guard = self.counts.lock().expect("nobody died");
        self.condition.notify(count);
    }

    fn join(self) {
        self.processes.into_iter().for_each(|child| child.join().expect("the child returns"));
        self.threads.into_iter().for_each(|thread| thread.join().expect("the thread returns"));
    }
}

/// Waits once, and counts how it ended.
fn wait_once(counts: Mutex<Counts>, condition: Condition, timeout: Option<Duration>) {
    let mut guard = counts.lock().expect("nobody died");
    guard.waiting += 1;
    let (mut guard, timed_out) = match timeout {
        None => (condition.wait(guard).expect("nobody died"), false),
        Some(timeout) => {
            let (guard, result) = condition.wait_timeout(guard, timeout).expect("nobody died");
            (guard, result.timed_out())
        }
    };
    if timed_out {
        guard.timed_out += 1;
    } else {
        guard.woken += 1;
    }
}

/// `_TestCondition.test_notify`: a process and a thread wait; each notification wakes exactly one.
fn notify(method: StartMethod) {
    let mut scene = Scene::new(method);
    scene.add(1, 1, None);
    assert_eq!(scene.counts().woken, 0);
    scene.condition.notify_one();
    scene.woken_stays(1);
    scene.condition.notify_one();
    scene.woken_stays(2);
    scene.join();
}

/// `_TestCondition.test_notify_all`: six waiters whose time runs out leave nothing behind; of six more, all are woken.
fn notify_all(method: StartMethod) {
    let mut scene = Scene::new(method);
    scene.add(3, 3, Some(IN_VAIN));
    scene.until("six to time out", |counts| counts.timed_out == 6);
    scene.add(3, 3, None);
    assert_eq!(scene.counts(), Counts { waiting: 12, woken: 0, timed_out: 6 });
    scene.condition.notify_all();
    scene.until("six to wake up", |counts| counts.woken == 6);
    scene.join();
}

/// `_TestCondition.test_notify_n`: so many are woken as were asked for, and never more than wait.
fn notify_n(method: StartMethod) {
    let mut scene = Scene::new(method);
    scene.add(3, 3, None);
    scene.notify(2);
    scene.woken_stays(2);
    scene.notify(4);
    scene.woken_stays(6);
    scene.notify(3);
    // What was notified while nobody waited is not kept for who comes later.
    scene.add(1, 1, None);
    scene.woken_stays(6);
    scene.notify(2);
    scene.woken_stays(8);
    scene.join();
}

/// `_TestCondition.test_timeout`: the wait ends when its time is over, says so, and has the mutex again.
fn timeout(method: StartMethod) {
    let scene = Scene::new(method);
    let child = start(method, time_out, (scene.counts.clone(), scene.condition.clone()));
    child.join().expect("the child returns");
    time_out(scene.counts.clone(), scene.condition.clone());
    assert!(!scene.counts.is_locked());
}

fn time_out(counts: Mutex<Counts>, condition: Condition) {
    let guard = counts.lock().expect("nobody died");
    let begin = Instant::now();
    let (guard, result) = condition.wait_timeout(guard, IN_VAIN).expect("nobody died");
    assert!(result.timed_out());
    assert!(begin.elapsed() >= IN_VAIN);
    assert!(counts.is_locked());
    drop(guard);
}

/// `_TestCondition.test_waitfor`: a child waits for one value and makes the next ones, of which this process waits for the
/// last.
fn waitfor(method: StartMethod) {
    let state = Mutex::new(0_u32).expect("a mutex can be made");
    let condition = Condition::new().expect("a condition can be made");
    let guard = state.lock().expect("nobody died");
    let guard = condition.wait_while(guard, |state| *state != 0).expect("nobody died");
    assert_eq!(*guard, 0, "what holds already is not waited for");
    let child = start(method, count_to_four, (state.clone(), condition.clone()));
    let mut guard = condition.wait_while(guard, |state| *state != 4).expect("nobody died");
    assert_eq!(*guard, 4);
    *guard = 5;
    condition.notify_all();
    drop(guard);
    child.join().expect("the child returns");
    assert_eq!(*state.lock().expect("nobody died"), 6);
}

/// Counts to four, telling each step, then waits for somebody else to make it five.
fn count_to_four(state: Mutex<u32>, condition: Condition) {
    for _ in 0..4 {
        *state.lock().expect("nobody died") += 1;
        condition.notify_all();
    }
    let guard = state.lock().expect("nobody died");
    let mut guard = condition.wait_while(guard, |state| *state < 5).expect("nobody died");
    *guard += 1;
}

/// `_TestCondition.test_waitfor_timeout`: a condition that does not come true in time; the wait is not shortened by
/// notifications that change nothing of it.
fn waitfor_timeout(method: StartMethod) {
    let state = Mutex::new(0_u32).expect("a mutex can be made");
    let condition = Condition::new().expect("a condition can be made");
    let finished = Value::new(0_u32).expect("a value can be made");
    let child = start(method, wait_for_four, (state.clone(), condition.clone(), finished.clone()));
    // Only three steps: the fourth, which the child waits for, does not come.
    for step in 1..=3 {
        *state.lock().expect("nobody died") = step;
        condition.notify_one();
    }
    child.join().expect("the child returns");
    assert_eq!(finished.get(), 1);
}

fn wait_for_four(state: Mutex<u32>, condition: Condition, finished: Value<u32>) {
    let begin = Instant::now();
    let guard = state.lock().expect("nobody died");
    let wait = condition.wait_timeout_while(guard, IN_VAIN, |state| *state != 4);
    let (guard, result) = wait.expect("nobody died");
    assert!(result.timed_out());
    assert_ne!(*guard, 4);
    assert!(begin.elapsed() >= IN_VAIN);
    finished.set(1);
}

/// `_TestCondition.test_wait_result`: a wait of no length, one in vain, one that is notified.
fn wait_result(method: StartMethod) {
    let scene = Scene::new(method);
    let guard = scene.counts.lock().expect("nobody died");
    let (guard, result) = scene.condition.wait_timeout(guard, Duration::ZERO).expect("nobody died");
    assert!(result.timed_out());
    let (mut guard, result) = scene.condition.wait_timeout(guard, IN_VAIN).expect("nobody died");
    assert!(result.timed_out());
    // The child cannot notify before this process waits: it needs the mutex for it.
    let arguments = (scene.counts.clone(), scene.condition.clone());
    let child = start(method, notify_under_mutex, arguments);
    guard.waiting += 1;
    let (guard, result) = scene.condition.wait_timeout(guard, LONG).expect("nobody died");
    assert!(!result.timed_out());
    assert_eq!(guard.woken, 1);
    drop(guard);
    child.join().expect("the child returns");
}

fn notify_under_mutex(counts: Mutex<Counts>, condition: Condition) {
    let mut guard = counts.lock().expect("nobody died");
    assert_eq!(guard.waiting, 1);
    guard.woken += 1;
    condition.notify_one();
}

/// The end of `_TestCondition.test_wait_result`, adapted: there an interrupt raises an exception in the wait. Here a signal
/// that is handled does not end it; the handler runs, and the wait goes on.
fn wait_result_with_a_signal(method: StartMethod) {
    let scene = Scene::new(method);
    let child = start(method, wait_through_signal, (scene.counts.clone(), scene.condition.clone()));
    scene.until("the child to wait", |counts| counts.waiting == 1);
    child.interrupt().expect("the child can be interrupted");
    assert!(!pause::holds_within(QUIET, || scene.counts().woken > 0), "the signal ended the wait");
    scene.condition.notify_one();
    assert!(child.join().expect("the child returns"), "the wait ended without the notification");
    assert_eq!(scene.counts().woken, 1);
}

fn wait_through_signal(counts: Mutex<Counts>, condition: Condition) -> bool {
    signals::count(Signal::INT);
    let mut guard = counts.lock().expect("nobody died");
    guard.waiting += 1;
    let (mut guard, result) = condition.wait_timeout(guard, LONG).expect("nobody died");
    guard.woken += 1;
    drop(guard);
    pause::until("the interrupt", LONG, || signals::arrived() == 1);
    !result.timed_out()
}
