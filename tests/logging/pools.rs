//! What happens in a pool, and what its workers say.

use crate::subscriber::{self, messages, take, take_of};
use multiprocess::{Pool, TaskError, flush_logs};
use std::time::Duration;
use tracing::Level;
use tracing::level_filters::LevelFilter;

crate::logged![
    lost_retried_and_late_tasks_are_told,
    task_has_a_span_at_the_lowest_level,
    workers_of_a_pool_that_does_not_forward_are_not_heard,
    workers_speak_here,
];

fn pool_events() -> Vec<subscriber::Seen> {
    take().into_iter().filter(|seen| seen.target == "multiprocess::pool").collect()
}

fn workers_speak_here() {
    let pool = Pool::builder().workers(1).name("clerk").build().expect("a pool can be made");
    pool.apply(|| tracing::info!("at work"), ()).expect("the task returns");
    flush_logs();
    assert_eq!(messages(&take_of("clerk-1")), ["at work"]);
    pool.apply(|| tracing::info!("still at work"), ()).expect("the task returns");
    pool.join().expect("the pool ends");
    let seen = take();
    let spoken: Vec<_> = seen.iter().filter(|seen| seen.field("process.name") == "clerk-1").collect();
    assert_eq!(spoken.len(), 1, "the end of a pool waits for what its workers said: {seen:?}");
    let told: Vec<_> =
        seen.iter().filter(|seen| seen.target == "multiprocess::pool").map(|seen| seen.message()).collect();
    assert_eq!(told, ["pool closed", "worker left", "pool ended"]);
}

fn workers_of_a_pool_that_does_not_forward_are_not_heard() {
    let pool = Pool::builder().workers(1).name("mute").forward_logs(false).build().expect("a pool can be made");
    pool.apply(|| tracing::info!("unheard"), ()).expect("the task returns");
    pool.join().expect("the pool ends");
    assert!(take_of("mute-1").is_empty());
}

fn lost_retried_and_late_tasks_are_told() {
    let pool = Pool::builder().workers(1).build().expect("a pool can be made");
    drop(take());
    let error = pool.tasks().retries(1).apply(|| -> u32 { std::process::abort() }, ()).expect_err("it aborts");
    assert!(matches!(error, TaskError::WorkerDied(_)), "{error}");
    // The next one is taken by a worker that was started in the place of another.
    assert_eq!(pool.apply(|| 1, ()).expect("the task returns"), 1);
    let late = pool.tasks().timeout(Duration::from_millis(20)).apply(std::thread::park, ());
    assert!(matches!(late, Err(TaskError::TimedOut)));
    let task = pool.submit(std::thread::park, ()).expect("the task is taken");
    assert!(task.cancel());
    pool.join().expect("the pool ends");
    let seen = pool_events();
    // Each thread tells what it has found out, so there is no order among threads.
    let count = |level: Level, message: &str| {
        seen.iter().filter(|seen| seen.message() == message).inspect(|seen| assert_eq!(seen.level, level)).count()
    };
    assert_eq!(count(Level::INFO, "task begins again"), 1);
    assert_eq!(count(Level::WARN, "task lost with its worker"), 1);
    assert_eq!(count(Level::WARN, "task timed out"), 1);
    assert_eq!(count(Level::DEBUG, "task cancelled"), 1);
    assert_eq!(count(Level::DEBUG, "pool closed"), 1);
    assert!(count(Level::WARN, "worker died") >= 3 && count(Level::DEBUG, "worker started") >= 2, "{seen:?}");
    assert!(count(Level::INFO, "worker replaced") >= 2, "{seen:?}");
    let died = seen.iter().find(|seen| seen.message() == "worker died").expect("a worker died");
    assert!(died.field("status").contains("signal"), "{seen:?}");
}

fn task_has_a_span_at_the_lowest_level() {
    subscriber::set_level(LevelFilter::TRACE);
    let pool = Pool::builder().workers(1).name("clerk").build().expect("a pool can be made");
    pool.map(|x: u32| tracing::info!(x, "at work"), 0..3).expect("the tasks return");
    pool.join().expect("the pool ends");
    let seen = take_of("clerk-1");
    let of_tasks = |message: &str| seen.iter().filter(|seen| seen.message() == message).count();
    assert_eq!(of_tasks("at work"), 3);
    assert!(of_tasks("task ended") >= 1, "a chunk is a task: {seen:?}");
    assert!(seen.iter().all(|seen| seen.field("process.spans").starts_with("task{number=")), "{seen:?}");
}
