//! The workers of a `Pool`: how they begin, how they die, and what that costs.

use multiprocess::{Event, Fd, Pool, PoolError, TaskError, Value};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::{pause, processes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

multiprocess_tests::checked_tests![
    async_error_callback,
    cancelled_task_costs_nobody_else,
    chunks_lose_one_item,
    dead_worker_costs_one_task,
    dead_workers_are_replaced,
    error_that_cannot_be_rebuilt,
    exits_are_told_by_their_code,
    handles_travel_in_the_initializer,
    idle_worker_that_is_killed_costs_nothing,
    interrupts_are_ignored,
    killed_in_a_loop,
    max_tasks_and_one_worker,
    panics_cost_no_worker,
    pool_initializer,
    pool_maxtasksperchild_invalid,
    pool_worker_lifetime,
    pool_worker_lifetime_early_close,
    release_unused_processes,
    replacement_that_fails_to_prepare,
    retried_tasks_begin_again,
    stopped_worker_is_replaced_when_time_is_over,
    timed_out_task_costs_nobody_else,
    unpickleable_result,
    worker_finalization_via_atexit_handler_of_multiprocessing,
];

const LONG: Duration = Duration::from_secs(30);

fn pool(workers: usize) -> Pool {
    Pool::new(workers).expect("a pool can be made")
}

fn wait_for_ever() {
    pause::for_ever()
}

fn kill_yourself() {
    processes::signal(std::process::id(), processes::Signal::KILL);
    pause::for_ever()
}

/// Counts up; the number that it has come to.
fn add_one(count: &Value<u32>) -> u32 {
    count.update(|count| {
        *count += 1;
        *count
    })
}

#[track_caller]
fn assert_killed<T: std::fmt::Debug>(result: Result<T, TaskError>) {
    match result {
        Err(TaskError::WorkerDied(status)) if status.signal() == Some(9) => {}
        other => panic!("its worker was killed: {other:?}"),
    }
}

/// `_TestPoolWorkerErrors.test_async_error_callback`: the error arrives.
fn async_error_callback() {
    let pool = pool(2);
    let task = pool.submit(|| -> u64 { panic!("out of luck") }, ()).expect("the task is taken");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    let error = runtime.block_on(task).expect_err("it panics");
    assert!(matches!(error, TaskError::Panicked(report) if report.message() == "out of luck"));
}

/// A value that can be made but not sent.
#[derive(Debug, Deserialize)]
struct Unsendable;

impl Serialize for Unsendable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it stays here"))
    }
}

/// `_TestPoolWorkerErrors.test_unpickleable_result`: in 20 rounds, with the same workers.
fn unpickleable_result() {
    let pool = pool(2);
    let pids = pool.worker_pids();
    for _ in 0..20 {
        let error = pool.apply(|| Unsendable, ()).expect_err("it cannot be sent");
        assert!(matches!(&error, TaskError::Transfer(e) if e.to_string().contains("it stays here")), "{error:?}");
    }
    assert_eq!(pool.worker_pids(), pids);
}

/// X09: CPython hangs.
fn error_that_cannot_be_rebuilt() {
    #[derive(Debug, Serialize)]
    struct Stubborn;
    impl<'de> Deserialize<'de> for Stubborn {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Stubborn, D::Error> {
            Err(serde::de::Error::custom("it cannot be rebuilt"))
        }
    }
    let pool = pool(1);
    let error = pool.apply(|| Err::<u64, _>(Stubborn), ()).expect_err("it cannot be read");
    let text = error.to_string();
    assert!(text.contains("Stubborn") && text.contains("it cannot be rebuilt"), "{text}");
    let error = pool.apply(|_: Stubborn| 1_u64, (Stubborn,)).expect_err("it cannot be read");
    assert!(error.to_string().contains("it cannot be rebuilt"), "{error}");
    assert_eq!(pool.apply(|| 42, ()).expect("the pool goes on"), 42);
}

/// `_TestPoolWorkerLifetime.test_pool_worker_lifetime`.
fn pool_worker_lifetime() {
    let pool = Pool::builder().workers(3).max_tasks_per_child(10).build().expect("a pool can be made");
    let before = pool.worker_pids();
    let tasks: Vec<_> = (0..100).map(|x| pool.submit(|x: u64| x * x, (x,)).expect("the task is taken")).collect();
    for (x, task) in (0..).zip(tasks) {
        assert_eq!(task.get().expect("the task returns"), x * x);
    }
    pause::until("other workers", LONG, || {
        let now = pool.worker_pids();
        now.len() == 3 && now.iter().all(|pid| !before.contains(pid))
    });
    pool.join().expect("the workers end");
}

/// `_TestPoolWorkerLifetime.test_pool_worker_lifetime_early_close`.
fn pool_worker_lifetime_early_close() {
    let pool = Pool::builder().workers(3).max_tasks_per_child(1).build().expect("a pool can be made");
    let tasks: Vec<_> = (0..6).map(|x| pool.submit(|x: u64| x * x, (x,)).expect("the task is taken")).collect();
    pool.close();
    pool.join().expect("the workers end");
    for (x, task) in (0..).zip(tasks) {
        assert_eq!(task.get().expect("the task returned"), x * x);
    }
}

/// `_TestPoolWorkerLifetime.test_pool_maxtasksperchild_invalid`.
fn pool_maxtasksperchild_invalid() {
    Pool::builder().workers(1).max_tasks_per_child(0).build().expect_err("a worker does a task");
}

/// X12: one worker for two tasks, ten tasks. CPython's executor hangs after two.
fn max_tasks_and_one_worker() {
    let pool = Pool::builder().workers(1).max_tasks_per_child(2).build().expect("a pool can be made");
    let pids: Vec<u32> = pool.imap(|_: u64| std::process::id(), 0..10).collect::<Result<_, _>>().expect("all return");
    let different: HashSet<&u32> = pids.iter().collect();
    assert_eq!((pids.len(), different.len()), (10, 5));
    let squares = pool.tasks().chunk_size(1).map(|x: u64| x * x, 0..100).expect("the tasks return");
    assert_eq!(squares[99], 9801);
}

/// `_TestPoolWorkerLifetime.test_worker_finalization_via_atexit_handler_of_multiprocessing`: a program that ends with a live pool
/// in a static ends as it should.
fn worker_finalization_via_atexit_handler_of_multiprocessing() {
    static POOL: OnceLock<Pool> = OnceLock::new();
    let child = multiprocess::spawn(
        || {
            let pool = POOL.get_or_init(|| pool(2));
            pool.submit(wait_for_ever, ()).map(std::mem::forget).expect("the task is taken");
            pool.worker_pids()
        },
        (),
    );
    let pids = child.expect("the child starts").join().expect("the child returns");
    assert_eq!(pids.len(), 2);
    pause::until("the end of the workers", LONG, || {
        pids.iter().all(|pid| processes::state(*pid).is_none_or(|s| s == 'Z'))
    });
}

/// `TestInitializers.test_pool_initializer`, and `InitializerMixin.test_initializer`: once in each worker, and in each replacement.
fn pool_initializer() {
    let count = Value::new(0_u32).expect("a value can be made");
    let add = |count: Value<u32>| assert!(add_one(&count) > 0);
    let pool = Pool::builder().workers(3).initializer(add, (count.clone(),)).build().expect("a pool can be made");
    assert_eq!(count.get(), 3);
    assert_killed(pool.apply(kill_yourself, ()));
    pause::until("the initializer of another worker", LONG, || count.get() == 4);
}

fn handles_travel_in_the_initializer() {
    static FILE: OnceLock<Fd<File>> = OnceLock::new();
    static EVENT: OnceLock<Event> = OnceLock::new();
    let keep = |file: Fd<File>, event: Event| {
        FILE.set(file).expect("each worker is prepared once");
        EVENT.set(event).expect("each worker is prepared once");
    };
    let event = Event::new().expect("an event can be made");
    let file = File::open("/dev/zero").expect("the file can be opened");
    let pool = Pool::builder().workers(1).initializer(keep, (Fd(file), event.clone())).build();
    let pool = pool.expect("a pool can be made");
    for _ in 0..2 {
        event.clear();
        let read = || {
            use std::io::Read as _;
            let mut bytes = [1; 4];
            let mut file = &FILE.get().expect("the worker is prepared").0;
            file.read_exact(&mut bytes).expect("the file can be read");
            EVENT.get().expect("the worker is prepared").set();
            bytes
        };
        assert_eq!(pool.apply(read, ()).expect("the task returns"), [0; 4]);
        assert!(event.is_set());
        assert_killed(pool.apply(kill_yourself, ()));
    }
}

/// `TestPoolNotLeakOnFailure.test_release_unused_processes`: one of several workers does not get ready.
fn release_unused_processes() {
    let count = Value::new(0_u32).expect("a value can be made");
    let fail_at_fourth = |count: Value<u32>| {
        let number = add_one(&count);
        assert!(number != 4, "no luck with the fourth");
    };
    let error = Pool::builder().workers(5).initializer(fail_at_fourth, (count,)).build().expect_err("one fails");
    assert!(error.to_string().contains("no luck with the fourth"), "{error}");
    // The check for leaks that follows would find the others.
    let error = Pool::builder().workers(2).initializer(|| std::process::exit(7), ()).build().expect_err("all fail");
    assert!(error.to_string().contains("exit status: 7"), "{error}");
}

/// A pool whose replacements cannot begin breaks, and says why; it does not start processes for ever.
fn replacement_that_fails_to_prepare() {
    let (gate, is_first) = (Event::new().expect("made"), Value::new(0_u32).expect("made"));
    let only_once = |count: Value<u32>| {
        assert!(add_one(&count) == 1, "only once");
    };
    let pool = Pool::builder().workers(1).initializer(only_once, (is_first.clone(),)).build().expect("it is made");
    let waiting = pool.submit(kill_yourself, ()).expect("the task is taken");
    let next = pool.submit(|| 42, ()).expect("the task is taken");
    assert_killed(waiting.get());
    let error = next.get().expect_err("there is no worker any more");
    assert!(matches!(&error, TaskError::Transfer(e) if e.to_string().contains("only once")), "{error:?}");
    let error = pool.submit(|| 42, ()).expect_err("there is no worker any more");
    assert!(matches!(&error, PoolError::Failed(e) if e.to_string().contains("only once")), "{error:?}");
    assert!(is_first.get() < 20);
    pool.join().expect_err("it has broken down");
    gate.set();
}

/// X01: a worker is killed during `map`; and R6: the others' results arrive, and there are as many workers as before.
fn dead_worker_costs_one_task() {
    let pool = pool(3);
    let fate = |x: u64| {
        if x == 50 {
            kill_yourself();
        }
        x + 1
    };
    for chunk in [1, 7] {
        let results: Vec<_> = pool.tasks().chunk_size(chunk).imap(fate, 0..100).collect();
        for (x, result) in (0..).zip(results) {
            if x == 50 {
                assert_killed(result);
            } else {
                assert_eq!(result.expect("the task returns"), x + 1);
            }
        }
    }
    assert_killed(pool.map(fate, 0..100));
    pause::until("three workers", LONG, || pool.worker_pids().len() == 3);
    assert_eq!(pool.map(fate, 0..50).expect("the tasks return").len(), 50);
}

/// A chunk shares no fate: what was done is kept, what was not begun has another worker.
fn chunks_lose_one_item() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let pool = pool(1);
    let fate = |x: u64| {
        CALLS.fetch_add(1, Relaxed);
        if x % 10 == 3 {
            kill_yourself();
        }
        (x, CALLS.load(Relaxed))
    };
    let results: Vec<_> = pool.tasks().chunk_size(30).imap(fate, 0..30).collect();
    for (x, result) in (0..).zip(results) {
        match x % 10 {
            3 => assert_killed(result),
            // Nothing was called twice: each worker has called what its results say.
            _ => {
                assert_eq!(result.expect("the task returns"), (x, if x < 3 { x + 1 } else { (x + 6) % 10 + 1 } as u32))
            }
        }
    }
}

fn dead_workers_are_replaced() {
    let pool = pool(2);
    let before = pool.worker_pids();
    for pid in &before {
        processes::signal(*pid, processes::Signal::KILL);
    }
    pause::until("other workers", LONG, || {
        let now = pool.worker_pids();
        now.len() == 2 && now.iter().all(|pid| !before.contains(pid))
    });
    assert_eq!(pool.map(|x: u64| x, 0..10).expect("the tasks return").len(), 10);
}

fn idle_worker_that_is_killed_costs_nothing() {
    let pool = pool(1);
    for round in 0..10 {
        pause::until("a worker", LONG, || pool.worker_pids().len() == 1);
        processes::signal(pool.worker_pids()[0], processes::Signal::KILL);
        let result = pool.apply(|x: u64| x, (round,));
        // It may have been killed when it had taken the task.
        if let Ok(value) = result {
            assert_eq!(value, round);
        } else {
            assert_killed(result);
        }
    }
}

fn exits_are_told_by_their_code() {
    let pool = pool(1);
    for code in [0, 1, 7] {
        let result = pool.apply(|code: i32| -> u64 { std::process::exit(code) }, (code,));
        assert!(matches!(result, Err(TaskError::WorkerDied(status)) if status.code() == Some(code)), "{result:?}");
    }
}

fn panics_cost_no_worker() {
    let pool = pool(1);
    let pids = pool.worker_pids();
    for _ in 0..10 {
        assert!(matches!(pool.apply(|| -> u64 { panic!("no luck") }, ()), Err(TaskError::Panicked(_))));
    }
    assert_eq!(pool.worker_pids(), pids);
}

/// A worker is killed every few milliseconds while others work: each item has its result, or its worker died.
fn killed_in_a_loop() {
    let pool = pool(3);
    let end = Instant::now() + Duration::from_secs(3);
    let (mut done, mut lost) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while Instant::now() < end {
                let pids = pool.worker_pids();
                number += 1;
                if let Some(pid) = pids.get(number % 3) {
                    processes::signal(*pid, processes::Signal::KILL);
                }
                pause::holds_within(Duration::from_millis(5), || false);
            }
        });
        while Instant::now() < end {
            for chunk in [1, 16] {
                let results = pool.tasks().chunk_size(chunk).imap(|x: u64| x * 3, 0..2000).enumerate();
                let mut count = 0;
                for (x, result) in results {
                    count += 1;
                    match result {
                        Ok(value) => {
                            assert_eq!(value, x as u64 * 3);
                            done += 1;
                        }
                        other => {
                            assert_killed(other);
                            lost += 1;
                        }
                    }
                }
                assert_eq!(count, 2000);
            }
        }
    });
    assert!(done > lost, "{done} done, {lost} lost");
    pool.join().expect("the workers end");
}

fn retried_tasks_begin_again() {
    let count = Value::new(0_u32).expect("a value can be made");
    static COUNT: OnceLock<Value<u32>> = OnceLock::new();
    let keep = |count| COUNT.set(count).map_err(drop).expect("each worker is prepared once");
    let pool = Pool::builder().workers(2).initializer(keep, (count.clone(),)).build().expect("a pool can be made");
    let third_time = |x: u64| {
        let tries = add_one(COUNT.get().expect("the worker is prepared"));
        if tries < 3 {
            kill_yourself();
        }
        x + 1
    };
    assert_eq!(pool.tasks().retries(2).apply(third_time, (1,)).expect("the third time"), 2);
    count.set(0);
    assert_killed(pool.tasks().retries(1).apply(third_time, (1,)));
    count.set(0);
    let all = pool.tasks().retries(2).chunk_size(4).map(third_time, 0..10).expect("each has three tries");
    assert_eq!(all, (1..11).collect::<Vec<_>>());
}

fn timed_out_task_costs_nobody_else() {
    let pool = pool(2);
    let tasks = pool.tasks().timeout(Duration::from_millis(100));
    let fate = |x: u64| {
        if x == 3 {
            pause::for_ever();
        }
        x
    };
    for chunk in [1, 5] {
        for (x, result) in (0..).zip(tasks.chunk_size(chunk).imap(fate, 0..10)) {
            match x {
                3 => assert!(matches!(result, Err(TaskError::TimedOut)), "{result:?}"),
                _ => assert_eq!(result.expect("the task returns"), x),
            }
        }
    }
    assert!(matches!(tasks.apply(fate, (3,)), Err(TaskError::TimedOut)));
    // A task that waits in the queue is not late.
    let slow = pool.tasks().timeout(Duration::from_millis(400));
    let busy = |x: u64| {
        let end = Instant::now() + Duration::from_millis(60);
        while Instant::now() < end {}
        x
    };
    assert_eq!(slow.chunk_size(1).map(busy, 0..20).expect("none takes so long").len(), 20);
    // A time that no clock can say is no limit.
    assert_eq!(pool.tasks().timeout(Duration::MAX).retries(1).apply(|| 42, ()).expect("it is never late"), 42);
}

/// R6: a worker that is stopped by a signal is one that takes too long.
fn stopped_worker_is_replaced_when_time_is_over() {
    let pool = pool(1);
    let stop = || processes::signal(std::process::id(), processes::Signal::STOP);
    assert!(matches!(pool.tasks().timeout(Duration::from_millis(100)).apply(stop, ()), Err(TaskError::TimedOut)));
    assert_eq!(pool.apply(|| 42, ()).expect("another worker"), 42);
    let task = pool.submit(stop, ()).expect("the task is taken");
    pause::until("the worker is stopped", LONG, || {
        pool.worker_pids().first().is_some_and(|pid| processes::state(*pid) == Some('T'))
    });
    assert!(task.cancel());
    assert_eq!(pool.apply(|| 42, ()).expect("another worker"), 42);
}

fn cancelled_task_costs_nobody_else() {
    let (gate, closed) = Gate::new();
    static CLOSED: OnceLock<std::sync::Mutex<Option<Closed>>> = OnceLock::new();
    let keep = |closed: Closed| drop(CLOSED.set(std::sync::Mutex::new(Some(closed))));
    let pool = Pool::builder().workers(1).initializer(keep, (closed,)).build().expect("a pool can be made");
    let wait = || pass(CLOSED.get().and_then(|closed| closed.lock().ok()?.take()).expect("the worker is prepared"));
    let running = pool.submit(wait, ()).expect("the task is taken");
    let waiting = pool.submit(|| 1_u64, ()).expect("the task is taken");
    let last = pool.submit(|| 2_u64, ()).expect("the task is taken");
    assert!(waiting.cancel() && !waiting.cancel());
    assert!(matches!(waiting.get(), Err(TaskError::Cancelled)));
    let pids = pool.worker_pids();
    pause::until("the worker waits", LONG, || processes::state(pids[0]) == Some('S'));
    assert!(running.cancel());
    assert!(matches!(running.get(), Err(TaskError::Cancelled)));
    assert_eq!(last.get().expect("another worker does it"), 2);
    assert_ne!(pool.worker_pids(), pids);
    let done = pool.submit(|| 3_u64, ()).expect("the task is taken");
    assert!(done.wait_timeout(LONG) && !done.cancel());
    assert_eq!(done.get().expect("it was done"), 3);
    drop(gate);
}

/// Ctrl-C on a terminal is the program's affair.
fn interrupts_are_ignored() {
    let pool = pool(2);
    let pids = pool.worker_pids();
    for pid in &pids {
        processes::signal(*pid, processes::Signal::INT);
    }
    let interrupt = |x: u64| {
        processes::signal(std::process::id(), processes::Signal::INT);
        x
    };
    assert_eq!(pool.map(interrupt, 0..10).expect("the tasks return").len(), 10);
    assert_eq!(pool.worker_pids(), pids);
}
