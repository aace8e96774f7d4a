//! `Pool` where CPython has `ProcessPoolExecutor`: tasks that are submitted, and what must not hang.
//!
//! What the executor calls broken is here one task that has failed.

use multiprocess::{Event, Pool, PoolError, TaskError, TaskHandle};
use multiprocess_tests::{pause, processes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

multiprocess_tests::checked_tests![
    cancel_futures,
    context_manager_shutdown,
    crash_at_task_unpickle,
    crash_big_data,
    crash_during_func_exec_on_worker,
    crash_during_result_pickle_on_worker,
    del_shutdown,
    error_at_task_pickle,
    error_at_task_unpickle,
    error_during_func_exec_on_worker,
    error_during_result_pickle_on_worker,
    error_during_result_unpickle_in_result_handler,
    exit_at_task_unpickle,
    exit_during_func_exec_on_worker,
    exit_during_result_pickle_on_worker,
    gh105829_should_not_deadlock_if_wakeup_pipe_full,
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
    shutdown_deadlock,
    shutdown_deadlock_pickle,
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

static GATE: OnceLock<Event> = OnceLock::new();

fn keep(gate: Event) {
    GATE.set(gate).expect("each worker is prepared once");
}

fn wait_at_gate(value: u64) -> u64 {
    GATE.get().expect("the worker is prepared").wait();
    value
}

fn gated(workers: usize) -> (Pool, Event) {
    let gate = Event::new().expect("an event can be made");
    let pool = Pool::builder().workers(workers).initializer(keep, (gate.clone(),)).build();
    (pool.expect("a pool can be made"), gate)
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
        thread::scope(|scope| {
            scope.spawn(|| {
                for task in submit_all(&pool, 10) {
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
/// (`test_exit_during_result_unpickle_in_result_handler` would end this program, as in any thread.)
fn error_during_result_unpickle_in_result_handler() {
    let pool = pool(2);
    let error = pool.apply(|| Bad::<WHEN_READ, ERROR>, ()).expect_err("it cannot be read");
    assert!(matches!(&error, TaskError::Transfer(e) if e.to_string().contains("bad luck")), "{error:?}");
    assert_goes_on(pool);
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
    assert_goes_on(pool);
}
