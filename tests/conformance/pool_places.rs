//! Where a `Pool` may live, who may use it, and how large it may be.

use crate::pool_gate::{keep, wait_at_gate};
use multiprocess::channel::{Receiver, Sender, bounded};
use multiprocess::{Barrier, Event, Pool};
use std::sync::OnceLock;
use std::thread;

multiprocess_tests::checked_tests![
    all_workers_of_a_large_pool_work_at_once,
    global,
    large_pool,
    many_threads_share_a_pool,
    pool_in_process,
    pool_in_worker,
    pool_that_serves_other_processes,
    tasks_refuse_handles,
];

fn pool(workers: usize) -> Pool {
    Pool::new(workers).expect("a pool can be made")
}

fn square(x: u64) -> u64 {
    x * x
}

fn multiply(a: u64, b: u64) -> u64 {
    a * b
}

/// `MiscTestCase.test_large_pool`.
fn large_pool() {
    let pool = pool(200);
    assert_eq!(pool.map(square, 0..10).expect("the tasks return")[9], 81);
    assert_eq!(pool.worker_pids().len(), 200);
    pool.join().expect("the workers end");
}

static BARRIER: OnceLock<Barrier> = OnceLock::new();

fn meet(_: u64) {
    BARRIER.get().expect("the worker was prepared").wait().expect("all come");
}

/// Of many short tasks few workers take the most, and the others sleep; tasks that turn out long wake them.
fn all_workers_of_a_large_pool_work_at_once() {
    const WORKERS: u32 = 24;
    let barrier = Barrier::new(WORKERS).expect("a barrier can be made");
    let keep = |barrier: Barrier| BARRIER.set(barrier).expect("each worker is prepared once");
    let pool =
        Pool::builder().workers(WORKERS as usize).initializer(keep, (barrier,)).build().expect("a pool can be made");
    for _ in 0..3 {
        assert_eq!(pool.tasks().chunk_size(1).map(square, 0..2000).expect("the tasks return")[1999], 1999 * 1999);
        pool.tasks().chunk_size(1).map(meet, 0..2 * u64::from(WORKERS)).expect("the tasks return");
        assert_eq!(pool.imap_unordered(meet, 0..u64::from(WORKERS)).filter(Result::is_ok).count(), WORKERS as usize);
    }
}

/// `TestStdinBadfiledescriptor.test_pool_in_process`.
fn pool_in_process() {
    let child = multiprocess::spawn(|| pool(2).map(square, 0..10).expect("the tasks return"), ());
    let squares = child.expect("the child starts").join().expect("the child returns");
    assert_eq!(squares[9], 81);
}

/// `TestSyncManagerTypes.test_pool`: the pool lives in one process, its tasks come from others.
fn pool_that_serves_other_processes() {
    let (give, tasks) = bounded::<u64>(8).expect("a channel can be made");
    let (answer, answers) = bounded::<u64>(8).expect("a channel can be made");
    let serve = |tasks: Receiver<u64>, answer: Sender<u64>| {
        let pool = pool(2);
        for square in pool.imap(square, tasks.iter()) {
            answer.send(square.expect("the task returns")).expect("somebody takes answers");
        }
        pool.join().expect("the workers end");
    };
    let server = multiprocess::spawn(serve, (tasks, answer)).expect("the server starts");
    let client = |give: Sender<u64>| (1..=50).for_each(|x| give.send(x).expect("the server takes tasks"));
    let clients = [(); 2].map(|()| multiprocess::spawn(client, (give.clone(),)).expect("the client starts"));
    drop(give);
    let sum: u64 = answers.iter().sum();
    assert_eq!(sum, 2 * (1..=50).map(square).sum::<u64>());
    clients.into_iter().for_each(|client| client.join().expect("the client returns"));
    server.join().expect("the server returns");
}

/// Workers may have pools of their own.
fn pool_in_worker() {
    let outer = pool(2);
    let sums =
        outer.map(|n: u64| Pool::global().map(square, 0..n).expect("the tasks return").iter().sum::<u64>(), 0..10);
    assert_eq!(sums.expect("the tasks return")[3], 5);
    outer.join().expect("the workers end");
}

/// A lock, a file or a sender travels in the initializer.
fn tasks_refuse_handles() {
    let gate = Event::new().expect("an event can be made");
    let pool = Pool::builder().workers(1).initializer(keep, (gate.clone(),)).build().expect("a pool can be made");
    let error = pool.submit(|gate: Event| gate.set(), (gate.clone(),)).expect_err("a handle cannot travel");
    let text = error.to_string();
    assert!(text.contains("pool initialisers") && text.contains("a pool task"), "{text}");
    let error = pool.apply(|| Event::new().expect("an event can be made"), ()).expect_err("nor come back");
    assert!(error.to_string().contains("a pool task"), "{error}");
    gate.set();
    assert_eq!(pool.apply(wait_at_gate, (3,)).expect("the task returns"), 3);
}

fn many_threads_share_a_pool() {
    let pool = pool(3);
    thread::scope(|scope| {
        for number in 0..8_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..50 {
                    assert_eq!(pool.apply(multiply, (number, round)).expect("the task returns"), number * round);
                }
                assert_eq!(pool.map(square, 0..300).expect("the tasks return")[299], 299 * 299);
                assert_eq!(pool.imap(square, 0..50).flatten().count(), 50);
            });
        }
    });
}

/// As many workers as CPUs that this process may use. It lasts as long as the program: so in a child.
fn global() {
    let child = multiprocess::spawn(
        || {
            assert_eq!(Pool::global().apply(square, (3,)).expect("the task returns"), 9);
            Pool::global().workers()
        },
        (),
    );
    let workers = child.expect("the child starts").join().expect("the child returns");
    assert_eq!(workers, thread::available_parallelism().expect("the number is known").get());
}
