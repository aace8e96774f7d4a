//! `Pool` where CPython's executor hung: something bad happens while a task or a result is on its way (`ExecutorDeadlockTest`).

use crate::pool_gate::{gated, wait_at_gate};
use multiprocess::channel::Connection;
use multiprocess::{JoinError, Pool, TaskError};
use multiprocess_tests::{pause, processes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

multiprocess_tests::checked_tests![
    crash_at_task_unpickle,
    crash_big_data,
    crash_during_func_exec_on_worker,
    crash_during_result_pickle_on_worker,
    error_at_task_pickle,
    error_at_task_unpickle,
    error_during_func_exec_on_worker,
    error_during_result_pickle_on_worker,
    error_during_result_unpickle_in_result_handler,
    exit_at_task_unpickle,
    exit_during_func_exec_on_worker,
    exit_during_result_pickle_on_worker,
    exit_during_result_unpickle_in_result_handler,
    gh105829_should_not_deadlock_if_wakeup_pipe_full,
    shutdown_deadlock,
    shutdown_deadlock_pickle,
];

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(30);

fn pool(workers: usize) -> Pool {
    Pool::new(workers).expect("a pool can be made")
}

fn identity(x: u64) -> u64 {
    x
}

#[track_caller]
fn assert_killed<T: std::fmt::Debug>(result: Result<T, TaskError>) {
    match result {
        Err(TaskError::WorkerDied(status)) if status.signal().is_some() => {}
        other => panic!("its worker was killed: {other:?}"),
    }
}

/// A value that does something bad when it is sent or read.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bad<const WHEN: u8, const WHAT: u8>;

const WHEN_SENT: u8 = 0;
const WHEN_READ: u8 = 1;
const ERROR: u8 = 0;
const EXIT: u8 = 1;
const CRASH: u8 = 2;

fn happen(what: u8) -> &'static str {
    match what {
        EXIT => std::process::exit(1),
        CRASH => std::process::abort(),
        _ => "bad luck",
    }
}

impl<const WHEN: u8, const WHAT: u8> Serialize for Bad<WHEN, WHAT> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if WHEN == WHEN_SENT {
            return Err(serde::ser::Error::custom(happen(WHAT)));
        }
        serializer.serialize_u8(0)
    }
}

impl<'de, const WHEN: u8, const WHAT: u8> Deserialize<'de> for Bad<WHEN, WHAT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer)?;
        if WHEN == WHEN_READ { Err(serde::de::Error::custom(happen(WHAT))) } else { Ok(Bad) }
    }
}

/// The pool does what it did before.
#[track_caller]
fn assert_goes_on(pool: Pool) {
    assert_eq!(pool.map(identity, 0..20).expect("the tasks return").len(), 20);
    pool.join().expect("the workers end");
}

/// `ExecutorDeadlockTest.test_error_at_task_pickle`.
fn error_at_task_pickle() {
    let pool = pool(2);
    let error = pool.submit(|_: Bad<WHEN_SENT, ERROR>| (), (Bad,)).expect_err("it cannot be sent");
    assert!(error.to_string().contains("bad luck"), "{error}");
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_exit_at_task_unpickle`.
fn exit_at_task_unpickle() {
    let pool = pool(2);
    let result = pool.apply(|_: Bad<WHEN_READ, EXIT>| (), (Bad,));
    assert!(matches!(result, Err(TaskError::WorkerDied(status)) if status.code() == Some(1)), "{result:?}");
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_error_at_task_unpickle`: the error of that task alone.
fn error_at_task_unpickle() {
    let pool = pool(2);
    let error = pool.apply(|_: Bad<WHEN_READ, ERROR>| (), (Bad,)).expect_err("it cannot be read");
    assert!(matches!(&error, TaskError::Transfer(e) if e.to_string().contains("bad luck")), "{error:?}");
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_crash_at_task_unpickle`.
fn crash_at_task_unpickle() {
    let pool = pool(2);
    assert_killed(pool.apply(|_: Bad<WHEN_READ, CRASH>| (), (Bad,)));
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_crash_during_func_exec_on_worker`.
fn crash_during_func_exec_on_worker() {
    let pool = pool(2);
    assert_killed(pool.apply(|| -> u64 { std::process::abort() }, ()));
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_exit_during_func_exec_on_worker`.
fn exit_during_func_exec_on_worker() {
    let pool = pool(2);
    let result = pool.apply(|| -> u64 { std::process::exit(1) }, ());
    assert!(matches!(result, Err(TaskError::WorkerDied(status)) if status.code() == Some(1)), "{result:?}");
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_error_during_func_exec_on_worker`.
fn error_during_func_exec_on_worker() {
    let pool = pool(2);
    assert!(matches!(pool.apply(|| -> u64 { panic!("no luck") }, ()), Err(TaskError::Panicked(_))));
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_crash_during_result_pickle_on_worker`.
fn crash_during_result_pickle_on_worker() {
    let pool = pool(2);
    assert_killed(pool.apply(|| Bad::<WHEN_SENT, CRASH>, ()));
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_exit_during_result_pickle_on_worker`.
fn exit_during_result_pickle_on_worker() {
    let pool = pool(2);
    let result = pool.apply(|| Bad::<WHEN_SENT, EXIT>, ());
    assert!(matches!(result, Err(TaskError::WorkerDied(status)) if status.code() == Some(1)), "{result:?}");
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_error_during_result_pickle_on_worker`.
fn error_during_result_pickle_on_worker() {
    let pool = pool(2);
    let error = pool.apply(|| Bad::<WHEN_SENT, ERROR>, ()).expect_err("it cannot be sent");
    assert!(matches!(&error, TaskError::Transfer(e) if e.to_string().contains("bad luck")), "{error:?}");
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_error_during_result_unpickle_in_result_handler`: what reads a result is the thread that asks for it.
fn error_during_result_unpickle_in_result_handler() {
    let pool = pool(2);
    let error = pool.apply(|| Bad::<WHEN_READ, ERROR>, ()).expect_err("it cannot be read");
    assert!(matches!(&error, TaskError::Transfer(e) if e.to_string().contains("bad luck")), "{error:?}");
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_exit_during_result_unpickle_in_result_handler`: the thread that reads a result makes its process exit, as
/// any thread may; that hangs nowhere, and its workers are gone.
fn exit_during_result_unpickle_in_result_handler() {
    let (theirs, ours) = multiprocess::channel::pipe::<Vec<u32>, ()>().expect("a pipe can be made");
    let child = multiprocess::spawn(
        |pids: Connection<Vec<u32>, ()>| {
            let pool = pool(2);
            pids.send(pool.worker_pids()).expect("the parent listens");
            pool.apply(|| Bad::<WHEN_READ, EXIT>, ()).is_ok()
        },
        (theirs,),
    );
    let error = child.expect("the child starts").join().expect_err("it exits");
    let pids = ours.recv().expect("the child has told its workers");
    pause::until("the end of its workers", LONG, || pids.iter().all(|pid| processes::find(*pid).is_none()));
    assert!(matches!(error, JoinError::Exited(status) if status.code() == Some(1)), "{error}");
}

/// `ExecutorDeadlockTest.test_shutdown_deadlock`: closed right after a crash.
fn shutdown_deadlock() {
    let pool = pool(2);
    let task = pool.submit(|| -> u64 { std::process::abort() }, ()).expect("the task is taken");
    pool.join().expect("the workers end");
    assert_killed(task.get());
}

/// `ExecutorDeadlockTest.test_shutdown_deadlock_pickle`: closed right after a task that could not be sent.
fn shutdown_deadlock_pickle() {
    let pool = pool(2);
    pool.submit(|_: Bad<WHEN_SENT, ERROR>| (), (Bad,)).expect_err("it cannot be sent");
    pool.join().expect("the workers end");
}

/// `ExecutorDeadlockTest.test_crash_big_data`: more data than any pipe holds goes to a worker that crashes.
fn crash_big_data() {
    let pool = pool(2);
    let data = vec![7_u8; 4 << 20];
    let tasks: Vec<_> = (0..6)
        .map(|_| pool.submit(|_: Vec<u8>| -> Vec<u8> { std::process::abort() }, (data.clone(),)).expect("it is taken"))
        .collect();
    for task in tasks {
        assert_killed(task.get());
    }
    assert!(pool.apply(|data: Vec<u8>| data, (data.clone(),)).expect("the task returns") == data);
    assert_goes_on(pool);
}

/// `ExecutorDeadlockTest.test_gh105829_should_not_deadlock_if_wakeup_pipe_full`: as many tasks as one likes, without a descriptor
/// for each.
fn gh105829_should_not_deadlock_if_wakeup_pipe_full() {
    let (pool, gate) = gated(2);
    let before = multiprocess_tests::leaks::descriptors().len();
    let tasks: Vec<_> = (0..100_000).map(|x| pool.submit(wait_at_gate, (x,)).expect("the task is taken")).collect();
    assert_eq!(multiprocess_tests::leaks::descriptors().len(), before);
    gate.set();
    for (x, task) in (0..100_000_u32).zip(tasks).rev() {
        let x = u64::from(x);
        assert_eq!(task.get().expect("the task returns"), x);
    }
    pool.join().expect("the workers end");
}
