//! Waiting for whichever of many tasks is done first: `channel::wait` on handles, where CPython has `wait` and `as_completed`.

use multiprocess::channel::{Waitable, wait};
use multiprocess::{Event, GetTimeoutError, Pool, TaskError, TaskHandle};
use multiprocess_tests::{pause, processes};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

multiprocess_tests::checked_tests![
    all_completed,
    as_completed_duplicate_futures,
    as_completed_future_times_out,
    as_completed_no_timeout,
    correct_timeout_exception_msg,
    first_completed,
    first_completed_some_already_completed,
    first_exception,
    first_exception_one_already_failed,
    first_exception_some_already_complete,
    free_reference_yielded_future,
    others_collect_for_those_who_watch,
    result_of_a_dead_worker,
    tasks_beside_other_things,
    ten_thousand_tasks,
    timeout,
    wait_20369,
];

/// More than anything here takes.
const LONG: Option<Duration> = Some(Duration::from_secs(30));
/// Less than a task takes that waits at a gate.
const SHORT: Option<Duration> = Some(Duration::from_millis(20));

fn identity(x: u64) -> u64 {
    x
}

static GATES: OnceLock<Vec<Event>> = OnceLock::new();

fn keep(gates: Vec<Event>) {
    GATES.set(gates).expect("each worker is prepared once");
}

fn wait_at_gate(gate: usize, value: u64) -> u64 {
    GATES.get().expect("the worker is prepared")[gate].wait();
    value
}

/// A pool of as many workers as there are gates, and the gates.
fn gated(count: usize) -> (Pool, Vec<Event>) {
    let gates: Vec<_> = (0..count).map(|_| Event::new().expect("an event can be made")).collect();
    let pool = Pool::builder().workers(count).initializer(keep, (gates.clone(),)).build();
    (pool.expect("a pool can be made"), gates)
}

/// A task that waits at each gate.
fn waiting(pool: &Pool, gates: &[Event]) -> Vec<TaskHandle<u64>> {
    let submit = |gate| pool.submit(wait_at_gate, (gate, gate as u64)).expect("the task is taken");
    (0..gates.len()).map(submit).collect()
}

fn ready<R>(tasks: &[TaskHandle<R>], limit: Option<Duration>) -> Vec<usize> {
    let objects: Vec<&dyn Waitable> = tasks.iter().map(|task| task as &dyn Waitable).collect();
    wait(&objects, limit).expect("tasks can be waited for")
}

/// All results, as they come, each with the place of its task.
fn as_completed<R>(
    tasks: Vec<TaskHandle<R>>,
    limit: Option<Duration>,
    mut each: impl FnMut(usize, TaskHandle<R>) -> bool,
) {
    let mut tasks: Vec<_> = tasks.into_iter().enumerate().collect();
    while !tasks.is_empty() {
        let objects: Vec<&dyn Waitable> = tasks.iter().map(|(_, task)| task as &dyn Waitable).collect();
        let ready = wait(&objects, limit).expect("tasks can be waited for");
        if ready.is_empty() {
            return;
        }
        for index in ready.into_iter().rev() {
            let (place, task) = tasks.swap_remove(index);
            if !each(place, task) {
                return;
            }
        }
    }
}

/// `WaitTests.test_20369`: the same task twice.
fn wait_20369() {
    let pool = Pool::new(1).expect("a pool can be made");
    let task = pool.submit(identity, (7,)).expect("the task is taken");
    let objects: [&dyn Waitable; 2] = [&task, &task];
    assert_eq!(wait(&objects, LONG).expect("tasks can be waited for"), [0, 1]);
    assert_eq!(task.get().expect("it returns"), 7);
}

/// `WaitTests.test_first_completed`.
fn first_completed() {
    let (pool, gates) = gated(2);
    let tasks = waiting(&pool, &gates);
    let opener = thread::spawn({
        let gate = gates[1].clone();
        move || gate.set()
    });
    assert_eq!(ready(&tasks, LONG), [1]);
    opener.join().expect("the gate is opened");
    gates[0].set();
}

/// `WaitTests.test_first_completed_some_already_completed`.
fn first_completed_some_already_completed() {
    let (pool, gates) = gated(2);
    let mut tasks = waiting(&pool, &gates);
    gates[0].set();
    assert!(tasks[0].wait_timeout(Duration::from_secs(30)));
    tasks.swap(0, 1);
    assert_eq!(ready(&tasks, LONG), [1]);
    gates[1].set();
}

/// The place of the first task that fails.
fn first_failure(tasks: Vec<TaskHandle<u64>>) -> Option<usize> {
    let mut failed = None;
    as_completed(tasks, LONG, |place, task| {
        if task.get().is_err() {
            failed = Some(place);
        }
        failed.is_none()
    });
    failed
}

fn panics(x: u64) -> u64 {
    panic!("{x}")
}

/// `WaitTests.test_first_exception`: two return, one fails, one would wait for ever.
fn first_exception() {
    let (pool, gates) = gated(2);
    let mut tasks = waiting(&pool, &gates[..1]);
    tasks.push(pool.submit(identity, (1,)).expect("the task is taken"));
    tasks.push(pool.submit(panics, (2,)).expect("the task is taken"));
    assert_eq!(first_failure(tasks), Some(2));
    gates[0].set();
}

/// `WaitTests.test_first_exception_some_already_complete`.
fn first_exception_some_already_complete() {
    let (pool, gates) = gated(2);
    let mut tasks = waiting(&pool, &gates[..1]);
    tasks.push(pool.submit(identity, (1,)).expect("the task is taken"));
    assert!(tasks[1].wait_timeout(Duration::from_secs(30)));
    tasks.push(pool.submit(panics, (2,)).expect("the task is taken"));
    assert_eq!(first_failure(tasks), Some(2));
    gates[0].set();
}

/// `WaitTests.test_first_exception_one_already_failed`.
fn first_exception_one_already_failed() {
    let (pool, gates) = gated(2);
    let mut tasks = waiting(&pool, &gates[..1]);
    tasks.push(pool.submit(panics, (1,)).expect("the task is taken"));
    assert!(tasks[1].wait_timeout(Duration::from_secs(30)));
    assert_eq!(first_failure(tasks), Some(1));
    gates[0].set();
}

/// `WaitTests.test_all_completed`.
fn all_completed() {
    let pool = Pool::new(2).expect("a pool can be made");
    let fate = |x: u64| if x == 3 { panic!("no luck") } else { x };
    let tasks: Vec<_> = (0..8).map(|x| pool.submit(fate, (x,)).expect("the task is taken")).collect();
    as_completed(tasks, LONG, |place, task| {
        match task.get() {
            Ok(value) => assert!(value == place as u64 && place != 3),
            Err(error) => assert!(matches!(error, TaskError::Panicked(_)) && place == 3, "{error}"),
        }
        true
    });
}

/// `WaitTests.test_timeout`: what is done when the time is over, and what is not.
fn timeout() {
    let (pool, gates) = gated(2);
    let tasks = waiting(&pool, &gates);
    assert_eq!(ready(&tasks, SHORT), [0; 0]);
    gates[0].set();
    assert_eq!(ready(&tasks, LONG), [0]);
    assert_eq!(ready(&tasks, Some(Duration::ZERO)), [0]);
    gates[1].set();
}

/// `AsCompletedTests.test_no_timeout`.
fn as_completed_no_timeout() {
    let (pool, gates) = gated(2);
    let mut tasks = waiting(&pool, &gates);
    tasks.extend((2..20).map(|x| pool.submit(identity, (x,)).expect("the task is taken")));
    gates.iter().for_each(Event::set);
    let mut values = Vec::new();
    as_completed(tasks, None, |_, task| {
        values.push(task.get().expect("it returns"));
        true
    });
    values.sort_unstable();
    assert_eq!(values, (0..20).collect::<Vec<u64>>());
}

/// `AsCompletedTests.test_future_times_out`: at once, and after a moment; what is done is had.
fn as_completed_future_times_out() {
    for limit in [Some(Duration::ZERO), SHORT] {
        let (pool, gates) = gated(2);
        let mut tasks = waiting(&pool, &gates[..1]);
        tasks.push(pool.submit(identity, (1,)).expect("the task is taken"));
        assert!(tasks[1].wait_timeout(Duration::from_secs(30)));
        let mut places = Vec::new();
        as_completed(tasks, limit, |place, task| {
            places.push(place);
            task.get().is_ok()
        });
        assert_eq!(places, [1]);
        gates[0].set();
    }
}

/// `AsCompletedTests.test_duplicate_futures`: a handle is one thing, so each task is had once by its type.
fn as_completed_duplicate_futures() {
    let pool = Pool::new(1).expect("a pool can be made");
    let task = pool.submit(identity, (7,)).expect("the task is taken");
    assert_eq!(wait(&[&task, &task], LONG).expect("tasks can be waited for").len(), 2);
    let mut count = 0;
    as_completed(vec![task], LONG, |_, task| {
        count += 1;
        task.get().is_ok()
    });
    assert_eq!(count, 1);
}

/// `AsCompletedTests.test_free_reference_yielded_future`: what was had is kept by nobody.
fn free_reference_yielded_future() {
    const LENGTH: usize = 1 << 20;
    let pool = Pool::new(2).expect("a pool can be made");
    let make = |x: u64| (x % 10).to_string().repeat(LENGTH);
    let tasks: Vec<_> = (0..40).map(|x| pool.submit(make, (x,)).expect("the task is taken")).collect();
    assert_eq!(ready(&tasks[39..], LONG), [0], "all are done");
    let before = processes::own_memory();
    let mut count = 0;
    as_completed(tasks, LONG, |place, task| {
        let text = task.get().expect("it returns");
        assert!(text.len() == LENGTH && text.starts_with(&(place % 10).to_string()));
        count += 1;
        true
    });
    let after = processes::own_memory();
    assert!(count == 40 && after < before + 10 * LENGTH, "{before} bytes before, {after} after");
}

/// `AsCompletedTests.test_correct_timeout_exception_msg`: how many are not done is the caller's to count; the error of one says it.
fn correct_timeout_exception_msg() {
    let (pool, gates) = gated(1);
    let task = waiting(&pool, &gates).pop().expect("there is one");
    let error = task.get_timeout(Duration::from_millis(1)).expect_err("it waits at the gate");
    assert_eq!(error.to_string(), "the task is not done yet");
    assert!(matches!(error, GetTimeoutError::Unfinished(_)));
    gates[0].set();
}

/// Tasks beside an event, a pipe and a child.
fn tasks_beside_other_things() {
    let (pool, gates) = gated(2);
    let tasks = waiting(&pool, &gates);
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    let event = Event::new().expect("an event can be made");
    let child = multiprocess::spawn(|gate: Event| gate.wait(), (gates[1].clone(),)).expect("the child starts");
    let objects: [&dyn Waitable; 5] = [&tasks[0], &reader, &event, &tasks[1], &child];
    assert_eq!(wait(&objects, SHORT).expect("they can be waited for"), [0; 0]);
    let opener = thread::spawn({
        let gate = gates[0].clone();
        move || gate.set()
    });
    assert_eq!(wait(&objects, LONG).expect("they can be waited for"), [0]);
    opener.join().expect("the gate is opened");
    drop(writer);
    event.set();
    gates[1].set();
    pause::until("the end of all", Duration::from_secs(30), || {
        wait(&objects, LONG).expect("they can be waited for") == [0, 1, 2, 3, 4]
    });
    child.join().expect("the child returns");
}

/// Another thread waits for results of the same pool, and takes in those that somebody else watches for.
fn others_collect_for_those_who_watch() {
    let pool = Pool::new(2).expect("a pool can be made");
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..500).for_each(|x| assert_eq!(pool.apply(identity, (x,)).expect("it returns"), x)));
        }
        for round in 0..200_u64 {
            let tasks: Vec<_> = (0..5).map(|x| pool.submit(identity, (x + round,)).expect("it is taken")).collect();
            let mut sum = 0;
            as_completed(tasks, LONG, |_, task| {
                sum += task.get().expect("it returns");
                true
            });
            assert_eq!(sum, 10 + 5 * round);
        }
    });
}

/// R6: who waits hears of a task whose worker is killed.
fn result_of_a_dead_worker() {
    let (pool, gates) = gated(2);
    let tasks = waiting(&pool, &gates);
    pause::until("both tasks to run", Duration::from_secs(30), || pool.stats().running == 2);
    let pid = pool.worker_pids()[0];
    let killer = thread::spawn(move || processes::signal(pid, processes::Signal::KILL));
    let dead = ready(&tasks, LONG);
    assert_eq!(dead.len(), 1);
    killer.join().expect("it is killed");
    let mut tasks = tasks;
    assert!(matches!(tasks.remove(dead[0]).get(), Err(TaskError::WorkerDied(_))));
    gates.iter().for_each(Event::set);
}

/// All tasks of a pool share a word, so many cost no threads.
fn ten_thousand_tasks() {
    let (pool, gates) = gated(1);
    let mut tasks = waiting(&pool, &gates);
    tasks.extend((1..10_000).map(|x| pool.submit(identity, (x,)).expect("the task is taken")));
    assert_eq!(ready(&tasks, SHORT), [0; 0]);
    gates[0].set();
    assert!(tasks[9_999].wait_timeout(Duration::from_secs(30)));
    assert_eq!(ready(&tasks, LONG).len(), 10_000);
}
