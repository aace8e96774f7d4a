//! What a pool keeps of finished work, on both sides: nothing. And what its workers are born with.

use multiprocess::{Pool, TaskError};
use multiprocess_tests::{pause, processes};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

multiprocess_tests::checked_tests![
    executor_traceback,
    failing_initializer_leaves_nothing,
    free_reference,
    max_tasks_per_child_defaults_to_spawn_context,
    no_stale_references,
    process_pool_executor_terminate_kill_workers,
    ressources_gced_in_workers,
];

/// How long a large value is: one that has memory of its own, which is given back.
const LARGE: usize = 1 << 20;

fn pool(workers: usize) -> Pool {
    Pool::new(workers).expect("a pool can be made")
}

fn large(x: u64) -> String {
    (x % 10).to_string().repeat(LARGE)
}

/// `ExecutorTest.test_no_stale_references`: neither arguments nor results of finished tasks.
fn no_stale_references() {
    let pool = pool(2);
    let give = |x: u64| pool.apply(|text: String| text, (large(x),)).expect("it returns").len();
    give(0);
    let before = processes::own_memory();
    assert_eq!((0..40).map(give).sum::<usize>(), 40 * LARGE);
    let after = processes::own_memory();
    assert!(after < before + 10 * LARGE, "{before} bytes before, {after} after");
}

/// `ExecutorTest.test_free_reference`: a value that was given out is the caller's alone.
fn free_reference() {
    let pool = pool(2);
    let mut values = pool.tasks().look_ahead(2).imap(large, 0..60);
    assert_eq!(values.next().expect("there are many").expect("it returns").len(), LARGE);
    let before = processes::own_memory();
    for value in values {
        assert_eq!(value.expect("it returns").len(), LARGE);
        let now = processes::own_memory();
        assert!(now < before + 20 * LARGE, "{before} bytes before, {now} now");
    }
}

/// `ProcessPoolExecutorTest.test_ressources_gced_in_workers`: a result is given up before the next task begins.
fn ressources_gced_in_workers() {
    static ALIVE: AtomicU32 = AtomicU32::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, Relaxed);
        }
    }
    impl serde::Serialize for Counted {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }
    }
    impl<'de> serde::Deserialize<'de> for Counted {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Counted, D::Error> {
            <()>::deserialize(deserializer)?;
            ALIVE.fetch_add(1, Relaxed);
            Ok(Counted)
        }
    }
    let make = || {
        ALIVE.fetch_add(1, Relaxed);
        Counted
    };
    let pool = pool(1);
    for _ in 0..10 {
        drop(pool.apply(make, ()).expect("it returns"));
        assert_eq!(pool.apply(|| ALIVE.load(Relaxed), ()).expect("it returns"), 0);
    }
    assert_eq!(ALIVE.load(Relaxed), 0);
}

/// `ProcessPoolExecutorTest.test_traceback`: the place in the worker, and which worker it was.
fn executor_traceback() {
    let pool = pool(1);
    let task = pool.submit(|| -> u64 { panic!("no luck") }, ()).expect("the task is taken");
    let text = task.get().expect_err("it panics").to_string();
    for part in ["no luck", "pool_memory.rs", "PoolWorker-1"] {
        assert!(text.contains(part), "{text:?} does not tell of {part:?}");
    }
}

/// `ProcessPoolExecutorTest.test_max_tasks_per_child_defaults_to_spawn_context`: no worker, the first ones and those that take their
/// places, is a copy of this program.
fn max_tasks_per_child_defaults_to_spawn_context() {
    static MINE: AtomicU32 = AtomicU32::new(0);
    MINE.store(1, Relaxed);
    let pool = Pool::builder().workers(1).max_tasks_per_child(1).build().expect("a pool can be made");
    assert_eq!(pool.tasks().chunk_size(1).map(|_: u64| MINE.load(Relaxed), 0..4).expect("they return"), [0; 4]);
}

/// `ProcessPoolExecutorTest.test_process_pool_executor_terminate_kill_workers`, for each way of ending it: a worker is dead already; no
/// task was ever given; a task runs. (`terminate_workers` and `kill_workers` look at each way by itself.)
fn process_pool_executor_terminate_kill_workers() {
    let ways: [fn(Pool); 3] =
        [Pool::terminate, |pool| pool.stop(Duration::ZERO), |pool| pool.stop(Duration::from_secs(9))];
    for end in ways {
        let pids = |pool: &Pool| pool.worker_pids();
        let (idle, hurt, busy) = (pool(2), pool(2), pool(2));
        let task = busy.submit(|| pause::for_ever(), ()).expect("the task is taken");
        let all: Vec<u32> = [&idle, &hurt, &busy].into_iter().flat_map(pids).collect();
        processes::signal(hurt.worker_pids()[0], processes::Signal::KILL);
        [idle, hurt, busy].into_iter().for_each(end);
        assert!(matches!(task.get().map(|never: ()| never), Err(TaskError::Closed)));
        assert!(all.iter().all(|pid| processes::find(*pid).is_none()));
    }
}

/// `FailingInitializerResourcesTest.test_spawn` and `test_forkserver`: there is one way of starting workers. The test's own check
/// finds what is left.
fn failing_initializer_leaves_nothing() {
    for _ in 0..3 {
        let builder = Pool::builder().workers(3).initializer(|| panic!("no luck"), ());
        assert!(builder.build().expect_err("none gets ready").to_string().contains("no luck"));
    }
    assert!(processes::started_children().is_empty(), "{:?}", processes::started_children());
}
