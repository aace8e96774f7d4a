//! `Pool` where CPython has `ProcessPoolExecutor`: tasks that are submitted, and what must not hang.
//!
//! What the executor calls broken is here one task that has failed.

use crate::pool_gate::{gated, wait_at_gate};
use multiprocess::{Pool, PoolError, TaskError, TaskHandle};
use multiprocess_tests::{pause, processes};
use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

multiprocess_tests::checked_tests![
    cancel_futures,
    context_manager_shutdown,
    del_shutdown,
    hang_gh83386,
    hang_gh94440,
    hang_issue12364,
    idle_process_reuse_multiple,
    idle_process_reuse_one,
    initializer_that_fails,
    interpreter_shutdown,
    kill_workers,
    killed_child,
    map,
    map_buffersize,
    map_chunksize,
    map_exception,
    map_timeout,
    max_tasks_early_shutdown,
    max_tasks_per_child,
    max_workers_negative,
    one_of_ten_crashes,
    processes_terminate,
    run_after_shutdown,
    saturation,
    shutdown_no_wait,
    shutdown_race_issue12456,
    submit,
    terminate_workers,
];

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(30);

fn pool(workers: usize) -> Pool {
    Pool::new(workers).expect("a pool can be made")
}

fn power(base: u64, exponent: u32) -> u64 {
    base.pow(exponent)
}

fn identity(x: u64) -> u64 {
    x
}

fn wait_for_ever() {
    pause::for_ever()
}

fn submit_all(pool: &Pool, count: u64) -> Vec<TaskHandle<u64>> {
    (0..count).map(|x| pool.submit(identity, (x,)).expect("the task is taken")).collect()
}

/// `ExecutorTest.test_submit`.
fn submit() {
    let task = pool(1).submit(power, (2, 8)).map(TaskHandle::get);
    assert!(matches!(task, Ok(Ok(256)) | Ok(Err(TaskError::Closed))), "the pool is dropped at once: {task:?}");
    let pool = pool(1);
    assert_eq!(pool.submit(power, (2, 8)).expect("the task is taken").get().expect("it returns"), 256);
}

/// `ExecutorTest.test_map`: the shorter of two inputs ends both.
fn map() {
    let pool = pool(2);
    assert_eq!(pool.starmap(power, (0..10).zip(0..10)).expect("the tasks return")[9], 9_u64.pow(9));
    assert_eq!(pool.starmap(power, (2..4).zip(0..100)).expect("the tasks return"), [1, 3]);
}

/// `ExecutorTest.test_map_exception`.
fn map_exception() {
    let pool = pool(2);
    let mut quotients = pool.imap(|x: u64| 60 / x, [2, 3, 0, 4]);
    assert_eq!(quotients.next().expect("there are four").expect("it returns"), 30);
    assert_eq!(quotients.next().expect("there are four").expect("it returns"), 20);
    assert!(matches!(quotients.next(), Some(Err(TaskError::Panicked(_)))));
    assert_eq!(quotients.next().expect("there are four").expect("it returns"), 15);
}

/// `ExecutorTest.test_map_timeout`: here it is a limit for each item.
fn map_timeout() {
    let pool = pool(2);
    let fate = |x: u64| if x == 2 { pause::for_ever() } else { x };
    let results: Vec<_> = pool.tasks().timeout(Duration::from_millis(100)).imap(fate, 0..3).collect();
    assert!(matches!(results[..], [Ok(0), Ok(1), Err(TaskError::TimedOut)]), "{results:?}");
}

/// `ExecutorTest.test_map_buffersize_*`.
fn map_buffersize() {
    let pool = pool(2);
    assert!(pool.tasks().look_ahead(0).imap(identity, 0..4).next().expect("an error").is_err());
    assert_eq!(pool.tasks().look_ahead(2).imap(identity, []).count(), 0);
    let values = pool.tasks().look_ahead(1).imap(identity, 0..50).collect::<Result<Vec<_>, _>>();
    assert_eq!(values.expect("the tasks return"), (0..50).collect::<Vec<_>>());
    let endless = pool.tasks().look_ahead(3).imap(identity, 0..).take(5).flatten();
    assert_eq!(endless.collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

/// `ExecutorTest.test_shutdown_race_issue12456`: tasks that follow from results, while the pool is closed.
fn shutdown_race_issue12456() {
    for _ in 0..20 {
        let pool = pool(1);
        let tasks = submit_all(&pool, 10);
        thread::scope(|scope| {
            scope.spawn(|| {
                for task in tasks {
                    let value = task.get().expect("it was taken");
                    if pool.submit(identity, (value,)).is_err() {
                        break;
                    }
                }
            });
            pool.map(identity, 0..3).expect("the tasks return");
            pause::holds_within(Duration::from_millis(3), || false);
            pool.close();
        });
        pool.join().expect("the worker ends");
    }
}

/// `ExecutorTest.test_max_workers_negative`.
fn max_workers_negative() {
    Pool::builder().workers(0).build().expect_err("a pool has workers");
}

/// `ProcessPoolExecutorTest.test_killed_child`: the task has failed, and the next one does not.
fn killed_child() {
    let pool = pool(1);
    let task = pool.submit(wait_for_ever, ()).expect("the task is taken");
    pause::until("the task waits", LONG, || processes::state(pool.worker_pids()[0]) == Some('S'));
    processes::signal(pool.worker_pids()[0], processes::Signal::KILL);
    assert_killed(task.get());
    assert_eq!(pool.apply(power, (6, 8)).expect("another worker"), 6_u64.pow(8));
}

#[track_caller]
fn assert_killed<T: std::fmt::Debug>(result: Result<T, TaskError>) {
    match result {
        Err(TaskError::WorkerDied(status)) if status.signal().is_some() => {}
        other => panic!("its worker was killed: {other:?}"),
    }
}

/// `ProcessPoolExecutorTest.test_map_chunksize`.
fn map_chunksize() {
    let pool = pool(2);
    let reference: Vec<u64> = (0..40).map(|x| power(x, 2)).collect();
    for size in [6, 50, 100] {
        assert_eq!(pool.tasks().chunk_size(size).map(|x: u64| power(x, 2), 0..40).expect("they return"), reference);
    }
    pool.tasks().chunk_size(0).map(identity, 0..40).expect_err("a chunk of none is none");
}

/// `ProcessPoolExecutorTest.test_saturation`: many tasks that wait are no reason for more processes.
fn saturation() {
    let (pool, gate) = gated(3);
    let tasks: Vec<_> = (0..200).map(|x| pool.submit(wait_at_gate, (x,)).expect("the task is taken")).collect();
    assert_eq!(pool.worker_pids().len(), 3);
    gate.set();
    for (x, task) in (0..).zip(tasks) {
        assert_eq!(task.get().expect("the task returns"), x);
    }
    assert_eq!(pool.worker_pids().len(), 3);
}

/// `ProcessPoolExecutorTest.test_idle_process_reuse_one`.
fn idle_process_reuse_one() {
    let pool = pool(1);
    let pids: HashSet<u32> = (0..20).map(|_| pool.apply(std::process::id, ()).expect("it returns")).collect();
    assert_eq!(pids.len(), 1);
}

/// `ProcessPoolExecutorTest.test_idle_process_reuse_multiple`.
fn idle_process_reuse_multiple() {
    let pool = pool(3);
    let before = pool.worker_pids();
    let pids = pool.map(|_: u64| std::process::id(), 0..100).expect("the tasks return");
    assert!(pids.iter().all(|pid| before.contains(pid)));
}

/// `ProcessPoolExecutorTest.test_max_tasks_per_child`.
fn max_tasks_per_child() {
    let pool = Pool::builder().workers(1).max_tasks_per_child(3).build().expect("a pool can be made");
    let pids: Vec<u32> = (0..6).map(|_| pool.apply(std::process::id, ()).expect("it returns")).collect();
    assert!(pids[0] == pids[2] && pids[3] == pids[5] && pids[0] != pids[3], "{pids:?}");
}

/// `ProcessPoolExecutorTest.test_max_tasks_early_shutdown`.
fn max_tasks_early_shutdown() {
    let pool = Pool::builder().workers(3).max_tasks_per_child(1).build().expect("a pool can be made");
    let tasks: Vec<_> = (0..6).map(|x| pool.submit(power, (x, 2)).expect("the task is taken")).collect();
    pool.join().expect("the workers end");
    for (x, task) in (0..).zip(tasks) {
        assert_eq!(task.get().expect("the task returned"), power(x, 2));
    }
}

/// `ProcessPoolExecutorTest.test_terminate_workers`, and the variant in which a task runs.
fn terminate_workers() {
    let pool = pool(2);
    let running = pool.submit(wait_for_ever, ()).expect("the task is taken");
    let pids = pool.worker_pids();
    pool.terminate();
    assert!(pids.iter().all(|pid| processes::find(*pid).is_none()));
    assert!(matches!(running.get(), Err(TaskError::Closed)));
}

/// `ProcessPoolExecutorTest.test_kill_workers`, and the variants in which one is dead already, or does not listen.
fn kill_workers() {
    let pool = pool(3);
    let pids = pool.worker_pids();
    processes::signal(pids[0], processes::Signal::KILL);
    processes::signal(pids[1], processes::Signal::STOP);
    let begin = Instant::now();
    pool.stop(Duration::from_millis(50));
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(pids.iter().all(|pid| processes::find(*pid).is_none()));
}

/// `ProcessPoolShutdownTest.test_processes_terminate`.
fn processes_terminate() {
    let pool = pool(3);
    pool.map(identity, 0..30).expect("the tasks return");
    let pids = pool.worker_pids();
    pool.join().expect("the workers end");
    assert!(pids.iter().all(|pid| processes::find(*pid).is_none()));
}

/// `ProcessPoolShutdownTest.test_context_manager_shutdown`: `join` waits for the tasks, too.
fn context_manager_shutdown() {
    let pool = pool(2);
    let tasks = submit_all(&pool, 50);
    pool.join().expect("the workers end");
    assert!(tasks.iter().all(TaskHandle::is_done));
}

/// `ProcessPoolShutdownTest.test_del_shutdown`.
fn del_shutdown() {
    let pool = pool(2);
    let pids = pool.worker_pids();
    drop(pool);
    assert!(pids.iter().all(|pid| processes::find(*pid).is_none()));
}

/// `ProcessPoolShutdownTest.test_shutdown_no_wait`: `close` returns at once, what was taken is done, and the workers end.
fn shutdown_no_wait() {
    let (pool, gate) = gated(2);
    let task = pool.submit(wait_at_gate, (7,)).expect("the task is taken");
    let pids = pool.worker_pids();
    pool.close();
    gate.set();
    assert_eq!(task.get().expect("the task returns"), 7);
    pause::until("the end of the workers", LONG, || pids.iter().all(|pid| processes::find(*pid).is_none()));
}

/// `FailingInitializerMixin.test_initializer`.
fn initializer_that_fails() {
    let error = Pool::builder().workers(2).initializer(|| panic!("no luck"), ()).build().expect_err("none gets ready");
    assert!(error.to_string().contains("no luck"), "{error}");
}

/// `ExecutorShutdownTest.test_run_after_shutdown`.
fn run_after_shutdown() {
    let pool = pool(1);
    pool.close();
    assert!(matches!(pool.submit(power, (2, 5)), Err(PoolError::Closed)));
}

/// `ExecutorShutdownTest.test_interpreter_shutdown`: here the end of the program waits for nobody; `join` does.
fn interpreter_shutdown() {
    let child = multiprocess::spawn(
        || {
            let pool = pool(2);
            let task = pool.submit(power, (2, 5)).expect("the task is taken");
            pool.join().expect("the workers end");
            task.get().expect("the task returned")
        },
        (),
    );
    assert_eq!(child.expect("the child starts").join().expect("the child returns"), 32);
}

/// `ExecutorShutdownTest.test_hang_issue12364`.
fn hang_issue12364() {
    let pool = pool(2);
    let tasks = submit_all(&pool, 50);
    pool.join().expect("the workers end");
    for (x, task) in (0..).zip(tasks) {
        assert_eq!(task.get().expect("the task returned"), x);
    }
}

/// `ExecutorShutdownTest.test_cancel_futures`: of 50 tasks some are done, the others cancelled, none is lost.
fn cancel_futures() {
    let (pool, gate) = gated(2);
    let tasks: Vec<_> = (0..50).map(|x| pool.submit(wait_at_gate, (x,)).expect("the task is taken")).collect();
    let cancelled: Vec<bool> = tasks.iter().map(|task| !task.is_done() && task.cancel()).collect();
    gate.set();
    for ((x, task), cancelled) in (0..).zip(tasks).zip(cancelled) {
        match task.get() {
            Ok(value) => assert!(value == x && !cancelled),
            Err(error) => assert!(matches!(error, TaskError::Cancelled) && cancelled, "{error:?}"),
        }
    }
    pool.join().expect("the workers end");
}

/// `ExecutorShutdownTest.test_hang_gh83386`: the program ends while a closed pool works.
fn hang_gh83386() {
    let child = multiprocess::spawn(
        || {
            let pool = pool(1);
            let task = pool.submit(wait_for_ever, ()).expect("the task is taken");
            pool.close();
            std::mem::forget((pool, task));
        },
        (),
    );
    child.expect("the child starts").join().expect("the child returns");
}

/// `ExecutorShutdownTest.test_hang_gh94440`: another thread submits while the program ends.
fn hang_gh94440() {
    let child = multiprocess::spawn(
        || {
            let pool: &'static Pool = Box::leak(Box::new(pool(2)));
            thread::spawn(move || {
                loop {
                    drop(pool.submit(identity, (1,)));
                }
            });
            pool.map(identity, 0..100).expect("the tasks return");
        },
        (),
    );
    child.expect("the child starts").join().expect("the child returns");
}

/// X02: CPython loses eight of ten, and the executor.
fn one_of_ten_crashes() {
    let pool = pool(2);
    let fate = |x: u64| if x == 4 { std::process::abort() } else { x };
    let tasks: Vec<_> = (0..10).map(|x| pool.submit(fate, (x,)).expect("the task is taken")).collect();
    for (x, task) in (0..).zip(tasks) {
        match x {
            4 => assert_killed(task.get()),
            _ => assert_eq!(task.get().expect("the task returns"), x),
        }
    }
    assert_eq!(pool.map(identity, 0..20).expect("the tasks return").len(), 20);
}
