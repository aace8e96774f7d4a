//! `Pool`: the ways of giving work, and how a pool begins and ends.

use crate::pool_gate::{gated, wait_at_gate};
use multiprocess::{ErrorKind, GetTimeoutError, Pool, PoolError, RemoteError, TaskError, TaskHandle};
use multiprocess_tests::{pause, processes};
use serde::{Deserialize, Serialize, Serializer};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

multiprocess_tests::checked_tests![
    apply,
    asynchronous,
    async_timeout,
    context,
    empty_iterable,
    enter,
    imap,
    imap_handle_iterable_exception,
    imap_unordered,
    imap_unordered_handle_iterable_exception,
    looks_ahead_so_far_and_no_further,
    make_pool,
    map,
    map_async,
    map_async_callbacks,
    map_chunksize,
    map_handle_iterable_exception,
    map_no_failfast,
    map_unplicklable,
    release_task_refs,
    resource_warning,
    starmap,
    terminate,
    traceback,
    wrapped_exception,
];

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(30);

fn pool(workers: usize) -> Pool {
    Pool::new(workers).expect("a pool can be made")
}

fn square(x: u64) -> u64 {
    x * x
}

fn multiply(a: u64, b: u64) -> u64 {
    a * b
}

/// `_TestPool.test_apply`.
fn apply() {
    let pool = pool(4);
    assert_eq!(pool.apply(square, (5,)).expect("the task returns"), 25);
    assert_eq!(pool.apply(multiply, (5, 6)).expect("the task returns"), 30);
    pool.apply(|| (), ()).expect("the task returns");
}

/// `_TestPool.test_map`: as without a pool, whatever the size of chunks.
fn map() {
    let pool = pool(4);
    let expected: Vec<u64> = (0..100).map(square).collect();
    assert_eq!(pool.map(square, 0..10).expect("the tasks return"), expected[..10]);
    for size in [1, 3, 20, 99, 100, 1000] {
        assert_eq!(pool.tasks().chunk_size(size).map(square, 0..100).expect("the tasks return"), expected);
    }
    let words = pool.map(|text: String| text.repeat(3), ["a".to_owned(), String::new(), "x".repeat(100_000)]);
    let words = words.expect("the tasks return");
    assert_eq!((words[0].as_str(), words[1].as_str(), words[2].len()), ("aaa", "", 300_000));
}

/// `_TestPool.test_starmap`.
fn starmap() {
    let pool = pool(2);
    let pairs: Vec<(u64, u64)> = (0..100).map(|x| (x, 99 - x)).collect();
    let expected: Vec<u64> = pairs.iter().map(|(a, b)| a * b).collect();
    assert_eq!(pool.starmap(multiply, pairs.clone()).expect("the tasks return"), expected);
    assert_eq!(pool.tasks().chunk_size(20).starmap(multiply, pairs).expect("the tasks return"), expected);
}

/// `_TestPool.test_map_async` and `test_starmap_async`: another thread does something else meanwhile.
fn map_async() {
    let (pool, gate) = gated(2);
    thread::scope(|scope| {
        let squares = scope.spawn(|| pool.map(wait_at_gate, 0..10));
        let products = scope.spawn(|| pool.starmap(|a: u64, b: u64| wait_at_gate(a * b), [(1, 2), (3, 4)]));
        gate.set();
        assert_eq!(squares.join().expect("no panic").expect("the tasks return"), (0..10).collect::<Vec<_>>());
        assert_eq!(products.join().expect("no panic").expect("the tasks return"), [2, 12]);
    });
}

/// `_TestPool.test_map_async_callbacks`: what follows a result is a future's affair.
fn map_async_callbacks() {
    let pool = pool(2);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    let (sum, failures) = runtime.block_on(async {
        let divide = |x: u64| pool.submit(|x: u64| 60 / x, (x,)).expect("the task is taken");
        let tasks: Vec<TaskHandle<u64>> = [3, 0, 4, 5].map(divide).into();
        let (mut sum, mut failures) = (0, 0);
        for task in tasks.into_iter().map(tokio::spawn) {
            match task.await.expect("no task of the runtime panics") {
                Ok(value) => sum += value,
                Err(error) => {
                    assert!(matches!(error, TaskError::Panicked(_)), "{error:?}");
                    failures += 1;
                }
            }
        }
        (sum, failures)
    });
    assert_eq!((sum, failures), (20 + 15 + 12, 1));
}

/// A value that cannot be sent.
#[derive(Debug, Clone, Deserialize)]
struct Unsendable;

impl Serialize for Unsendable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it stays here"))
    }
}

/// `_TestPool.test_map_unplicklable`: an argument that cannot be sent is an error, and no hang.
fn map_unplicklable() {
    let pool = pool(2);
    for _ in 0..10 {
        let error = pool.map(|_: Unsendable| 1_u64, vec![Unsendable; 10]).expect_err("it cannot be sent");
        assert!(error.to_string().contains("it stays here"), "{error}");
        let error = pool.submit(|_: Unsendable| (), (Unsendable,)).expect_err("it cannot be sent");
        assert!(matches!(error, PoolError::Failed(_)) && error.to_string().contains("it stays here"), "{error}");
    }
    assert_eq!(pool.apply(square, (3,)).expect("the pool goes on"), 9);
}

/// `_TestPool.test_map_chunksize`.
fn map_chunksize() {
    let pool = pool(2);
    assert!(pool.tasks().chunk_size(1).map(square, []).expect("nothing is to be done").is_empty());
    pool.tasks().chunk_size(0).map(square, [1]).expect_err("a chunk of none is none");
}

/// `_TestPool.test_map_handle_iterable_exception`: inputs that panic; and inputs that lie about their number.
fn map_handle_iterable_exception() {
    let pool = pool(2);
    for fatal in [0, 1, 500] {
        let inputs = (0..1000).inspect(|x| assert!(*x != fatal, "no more inputs"));
        catch_unwind(|| pool.map(square, inputs)).expect_err("the input panics");
    }
    struct Liar(u64);
    impl Iterator for Liar {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            self.0 = self.0.checked_sub(1)?;
            Some(self.0)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (1, Some(1))
        }
    }
    assert_eq!(pool.map(square, Liar(1000)).expect("the tasks return").len(), 1000);
}

/// `_TestPool.test_async`.
fn asynchronous() {
    let (pool, gate) = gated(1);
    let task = pool.submit(wait_at_gate, (7,)).expect("the task is taken");
    assert!(!task.is_done());
    gate.set();
    assert_eq!(task.get().expect("the task returns"), 7);
}

/// `_TestPool.test_async_timeout`: the task goes on.
fn async_timeout() {
    let (pool, gate) = gated(1);
    let task = pool.submit(wait_at_gate, (7,)).expect("the task is taken");
    let task = match task.get_timeout(Duration::from_millis(50)) {
        Err(GetTimeoutError::Unfinished(task)) => task,
        other => panic!("the gate is closed: {other:?}"),
    };
    assert!(!task.wait_timeout(Duration::from_millis(1)));
    gate.set();
    assert!(task.wait_timeout(LONG));
    assert_eq!(task.get_timeout(LONG).expect("the task returns"), 7);
}

/// `_TestPool.test_imap`.
fn imap() {
    let pool = pool(4);
    let expected: Vec<u64> = (0..1000).map(square).collect();
    let all = pool.imap(square, 0..1000).collect::<Result<Vec<_>, _>>();
    assert_eq!(all.expect("the tasks return"), expected);
    let all = pool.tasks().chunk_size(100).imap(square, 0..1000).collect::<Result<Vec<_>, _>>();
    assert_eq!(all.expect("the tasks return"), expected);
    let mut few = pool.imap(square, 0..3);
    for expected in [0, 1, 4] {
        assert_eq!(few.next().expect("there are three").expect("the task returns"), expected);
    }
    assert!(few.next().is_none() && few.next().is_none());
}

/// `_TestPool.test_imap_handle_iterable_exception`: what came before an input that fails is delivered.
fn imap_handle_iterable_exception() {
    let pool = pool(2);
    let inputs = (0..10).map(|x| if x == 5 { Err(()) } else { Ok(x) }).map_while(Result::ok);
    assert_eq!(pool.imap(square, inputs).count(), 5);
    let inputs = (0..10_u64).map(|x| if x == 5 { None } else { Some(x) }).map(Sendable);
    let results: Vec<_> = pool.imap(|x: Sendable| x.0, inputs).collect();
    assert_eq!(results.len(), 6);
    for (x, result) in results[..5].iter().enumerate() {
        assert_eq!(*result.as_ref().expect("the task returns"), Some(x as u64));
    }
    assert!(matches!(results[5], Err(TaskError::Transfer(_))), "{results:?}");
    let mut panics = pool.imap(square, (0..).inspect(|x| assert!(*x < 40, "no more inputs")));
    let values = catch_unwind(AssertUnwindSafe(|| panics.by_ref().take(100).count()));
    values.expect_err("the input panics");
    drop(panics);
    assert_eq!(pool.apply(square, (3,)).expect("the pool goes on"), 9);
}

/// `_TestPool.test_imap_unordered`.
fn imap_unordered() {
    let pool = pool(4);
    for size in [1, 100] {
        let all = pool.tasks().chunk_size(size).imap_unordered(square, 0..1000).collect::<Result<Vec<_>, _>>();
        let mut all = all.expect("the tasks return");
        all.sort_unstable();
        assert_eq!(all, (0..1000).map(square).collect::<Vec<_>>());
    }
    // A value that comes later does not keep the others.
    let (pool, gate) = gated(2);
    let mut values = pool.imap_unordered(|x| if x == 0 { wait_at_gate(x) } else { x }, 0..5);
    let first: Vec<u64> = values.by_ref().take(4).map(|value| value.expect("the task returns")).collect();
    assert_eq!(first, [1, 2, 3, 4]);
    gate.set();
    assert_eq!(values.next().expect("one is left").expect("the task returns"), 0);
    assert!(values.next().is_none());
}

/// A number that can be sent, or nothing, which cannot.
#[derive(Debug, Deserialize)]
struct Sendable(Option<u64>);

impl Serialize for Sendable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(_) => serializer.serialize_newtype_struct("Sendable", &self.0),
            None => Err(serde::ser::Error::custom("it stays here")),
        }
    }
}

/// `_TestPool.test_imap_unordered_handle_iterable_exception`.
fn imap_unordered_handle_iterable_exception() {
    let pool = pool(2);
    let inputs = (0..10_u64).map(|x| if x == 5 { None } else { Some(x) }).map(Sendable);
    let results: Vec<_> = pool.imap_unordered(|x: Sendable| x.0, inputs).collect();
    let mut values: Vec<u64> = results.iter().flatten().map(|x| x.expect("only numbers are sent")).collect();
    values.sort_unstable();
    assert_eq!(values, [0, 1, 2, 3, 4]);
    assert_eq!(results.len(), 6);
}

/// X15: CPython takes 1,711 inputs ahead.
fn looks_ahead_so_far_and_no_further() {
    let pool = pool(2);
    let taken = Cell::new(0_u64);
    let inputs = (0..).inspect(|_| taken.set(taken.get() + 1));
    let mut given = 0;
    for (expected, value) in (0..20).zip(pool.imap(square, inputs)) {
        assert_eq!(value.expect("the task returns"), expected * expected);
        given += 1;
        assert!(taken.get() <= given + 16, "{} taken, {given} given", taken.get());
    }
    let taken = Cell::new(0_u64);
    let inputs = (0..).inspect(|_| taken.set(taken.get() + 1));
    let mut values = pool.tasks().look_ahead(1).imap_unordered(square, inputs);
    values.next().expect("there is no end").expect("the task returns");
    assert!(taken.get() <= 2);
}

/// `_TestPool.test_make_pool`.
fn make_pool() {
    Pool::new(0).expect_err("a pool has workers");
    for too_many in [1024, 1 << 20, usize::MAX] {
        let error = Pool::new(too_many).expect_err("no object has so many users");
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    }
    let pool = pool(3);
    let pids = pool.worker_pids();
    assert_eq!((pool.workers(), pids.len()), (3, 3));
    for pid in &pids {
        assert_eq!(processes::find(*pid).expect("the worker runs").parent, std::process::id());
    }
    pool.join().expect("the workers end");
    assert!(pids.iter().all(|pid| processes::find(*pid).is_none()));
}

/// `_TestPool.test_terminate`: thousands of tasks wait.
fn terminate() {
    let pool = pool(4);
    let tasks: Vec<_> =
        (0..10_000).map(|_| pool.submit(|| pause::for_ever(), ()).expect("the task is taken")).collect();
    let begin = Instant::now();
    pool.terminate();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    for task in tasks {
        let error = task.get().map(|never: ()| never).expect_err("the pool was terminated");
        assert!(matches!(error, TaskError::Closed), "{error:?}");
    }
}

/// `_TestPool.test_empty_iterable`.
fn empty_iterable() {
    let pool = pool(1);
    assert!(pool.map(square, []).expect("nothing is to be done").is_empty());
    assert_eq!(pool.imap(square, []).count(), 0);
    assert_eq!(pool.imap_unordered(square, []).count(), 0);
    assert!(pool.starmap(multiply, []).expect("nothing is to be done").is_empty());
    pool.join().expect("the worker ends");
}

/// `_TestPool.test_context`: the end of the scope is the end of the pool. One that is closed takes nothing.
fn context() {
    let pids = {
        let pool = pool(2);
        assert_eq!(pool.map(square, 0..10).expect("the tasks return")[9], 81);
        pool.worker_pids()
    };
    assert!(pids.iter().all(|pid| processes::find(*pid).is_none()));
    let pool = pool(1);
    pool.close();
    assert!(matches!(pool.submit(square, (1,)), Err(PoolError::Closed)));
    assert!(matches!(pool.apply(square, (1,)), Err(TaskError::Closed)));
    assert!(matches!(pool.map(square, [1]), Err(TaskError::Closed)));
    assert!(matches!(pool.imap(square, [1]).next(), Some(Err(TaskError::Closed))));
    pool.join().expect("the worker ends");
}

/// `_TestPool.test_enter`: here a pool that was terminated cannot be named any more; one that was closed can.
fn enter() {
    let pool = pool(1);
    pool.close();
    pool.close();
    pool.stop(LONG);
}

/// `_TestPool.test_traceback`: the place of a panic arrives, and the causes of an error.
fn traceback() {
    let pool = pool(1);
    let error = pool.apply(|| -> u64 { panic!("out of luck") }, ()).expect_err("it panics");
    let TaskError::Panicked(report) = error else { panic!("{error:?}") };
    assert_eq!(report.message(), "out of luck");
    assert!(report.location().is_some_and(|place| place.contains("pools.rs")), "{report:?}");
    assert!(report.process().starts_with("PoolWorker-"), "{report:?}");
    let parse = |text: String| text.parse::<u64>().map_err(RemoteError::new);
    let error = pool.apply(parse, ("many".to_owned(),)).expect("the task returns").expect_err("it is no number");
    assert_eq!(error.to_string(), "invalid digit found in string");
}

/// An error that travels as itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Refusal {
    TooLarge { by: u64 },
}

/// `_TestPool.test_wrapped_exception`.
fn wrapped_exception() {
    let pool = pool(1);
    let refuse = |x: u64| if x > 10 { Err(Refusal::TooLarge { by: x - 10 }) } else { Ok(x) };
    let results = pool.map(refuse, [3, 12]).expect("the tasks return");
    assert_eq!(results, [Ok(3), Err(Refusal::TooLarge { by: 2 })]);
}

/// `_TestPool.test_map_no_failfast`: large errors of two tasks, and all others are done before `map` returns.
fn map_no_failfast() {
    static DONE: AtomicU32 = AtomicU32::new(0);
    let pool = pool(1);
    let fail = |x: u64| {
        if x == 5 || x == 8 {
            panic!("{}", "x".repeat(1 << 20));
        }
        DONE.fetch_add(1, Relaxed);
        x
    };
    let error = pool.tasks().chunk_size(1).map(fail, 0..20).expect_err("two of them panic");
    assert!(matches!(error, TaskError::Panicked(report) if report.message().len() == 1 << 20));
    assert_eq!(pool.apply(|| DONE.load(Relaxed), ()).expect("the task returns"), 18);
    pool.join().expect("the worker ends");
}

/// `_TestPool.test_release_task_refs`: a worker keeps neither arguments nor results.
fn release_task_refs() {
    static ALIVE: AtomicU32 = AtomicU32::new(0);
    #[derive(Deserialize)]
    #[serde(from = "u64")]
    struct Counted(u64);
    impl From<u64> for Counted {
        fn from(x: u64) -> Counted {
            ALIVE.fetch_add(1, Relaxed);
            Counted(x)
        }
    }
    impl Serialize for Counted {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u64(self.0)
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, Relaxed);
        }
    }
    let pool = pool(1);
    let inputs = (0..100).map(Counted::from);
    assert_eq!(pool.map(|x: Counted| x, inputs).expect("the tasks return").len(), 100);
    assert_eq!(pool.apply(|| ALIVE.load(Relaxed), ()).expect("the task returns"), 0);
    assert_eq!(ALIVE.load(Relaxed), 0);
}

/// `_TestPool.test_resource_warning`: a pool that is dropped while it works leaves nothing behind.
fn resource_warning() {
    let pool = pool(2);
    let pids = pool.worker_pids();
    let task = pool.submit(|| pause::for_ever(), ()).expect("the task is taken");
    drop(pool);
    assert!(pids.iter().all(|pid| processes::find(*pid).is_none()));
    assert!(matches!(task.get().map(|never: ()| never), Err(TaskError::Closed)));
}
