//! One task from its beginning to its end: what its handle says and does in each state (`FutureTests`).

use multiprocess::{Event, GetTimeoutError, Pool, TaskError, TaskHandle};
use multiprocess_tests::pause;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

multiprocess_tests::checked_tests![
    cancel,
    cancelled,
    done,
    done_callback_already_cancelled,
    done_callback_already_failed,
    done_callback_already_successful,
    done_callback_raises,
    done_callback_with_cancel,
    done_callback_with_exception,
    done_callback_with_result,
    exception_with_success,
    exception_with_timeout,
    multiple_set_result,
    repr,
    result_with_cancel,
    result_with_success,
    result_with_timeout,
    running,
];

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(30);

static GATE: OnceLock<Event> = OnceLock::new();

fn keep(gate: Event) {
    GATE.set(gate).expect("each worker is prepared once");
}

/// Waits, and fails if it is told to.
fn run(fails: bool) -> u64 {
    GATE.get().expect("the worker is prepared").wait();
    if fails { panic!("out of luck") } else { 42 }
}

/// A pool of one worker, a task in it, and the gate at which that waits.
fn task(fails: bool) -> (Pool, TaskHandle<u64>, Event) {
    let gate = Event::new().expect("an event can be made");
    let pool = Pool::builder().workers(1).initializer(keep, (gate.clone(),)).build().expect("a pool can be made");
    let task = pool.submit(run, (fails,)).expect("the task is taken");
    (pool, task, gate)
}

/// A callback: how often it was called, and whether it panics.
struct Callback(AtomicU32, bool);

impl Wake for Callback {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
        assert!(!self.1, "a callback that fails");
    }
}

impl Callback {
    fn new(panics: bool) -> Arc<Callback> {
        Arc::new(Callback(AtomicU32::new(0), panics))
    }

    fn was_called(&self) -> bool {
        self.0.load(SeqCst) > 0
    }
}

fn poll(task: &mut TaskHandle<u64>, callback: &Arc<Callback>) -> Poll<Result<u64, TaskError>> {
    let waker = Waker::from(Arc::clone(callback));
    Pin::new(task).poll(&mut Context::from_waker(&waker))
}

/// Polls, lets `happen`, and waits for the callback, which comes once; what the task came to.
fn called_back(fails: bool, happen: impl FnOnce(&TaskHandle<u64>, &Event)) -> Result<u64, TaskError> {
    let (_pool, mut task, gate) = task(fails);
    let callback = Callback::new(false);
    assert!(poll(&mut task, &callback).is_pending());
    happen(&task, &gate);
    pause::until("the callback", LONG, || callback.was_called());
    assert_eq!(callback.0.load(SeqCst), 1);
    let Poll::Ready(result) = poll(&mut task, &callback) else { panic!("it was called back too early") };
    result
}

/// `FutureTests.test_done_callback_with_result`.
fn done_callback_with_result() {
    assert_eq!(called_back(false, |_, gate| gate.set()).expect("it returns"), 42);
}

/// `FutureTests.test_done_callback_with_exception`.
fn done_callback_with_exception() {
    assert!(matches!(called_back(true, |_, gate| gate.set()), Err(TaskError::Panicked(_))));
}

/// `FutureTests.test_done_callback_with_cancel`.
fn done_callback_with_cancel() {
    assert!(matches!(called_back(false, |task, _| assert!(task.cancel())), Err(TaskError::Cancelled)));
}

/// `FutureTests.test_done_callback_raises`, and `test_done_callback_raises_already_succeeded`: a waker that panics is its own affair:
/// other tasks of the pool are called back, and the pool goes on.
fn done_callback_raises() {
    let (pool, mut task, gate) = task(false);
    let mut other = pool.submit(run, (false,)).expect("the task is taken");
    let (bad, good) = (Callback::new(true), Callback::new(false));
    assert!(poll(&mut task, &bad).is_pending() && poll(&mut other, &good).is_pending());
    gate.set();
    pause::until("the callbacks", LONG, || bad.was_called() && good.was_called());
    assert_eq!(task.get().expect("it returns") + other.get().expect("it returns"), 84);
    assert_eq!(pool.apply(run, (false,)).expect("it returns"), 42);
    pool.join().expect("the worker ends");
}

/// Added late, a callback is not needed: the first poll is ready.
fn already(fails: bool, happen: impl FnOnce(&TaskHandle<u64>, &Event)) -> Result<u64, TaskError> {
    let (_pool, mut task, gate) = task(fails);
    happen(&task, &gate);
    assert!(task.wait_timeout(LONG));
    let callback = Callback::new(true);
    let Poll::Ready(result) = poll(&mut task, &callback) else { panic!("it is done") };
    result
}

/// `FutureTests.test_done_callback_already_successful`.
fn done_callback_already_successful() {
    assert_eq!(already(false, |_, gate| gate.set()).expect("it returns"), 42);
}

/// `FutureTests.test_done_callback_already_failed`.
fn done_callback_already_failed() {
    assert!(matches!(already(true, |_, gate| gate.set()), Err(TaskError::Panicked(_))));
}

/// `FutureTests.test_done_callback_already_cancelled`.
fn done_callback_already_cancelled() {
    assert!(matches!(already(false, |task, _| assert!(task.cancel())), Err(TaskError::Cancelled)));
}

/// `FutureTests.test_cancel`: once; a task that runs is cancelled, too, one that is done is not.
fn cancel() {
    let (pool, task, gate) = task(false);
    let waiting = pool.submit(run, (false,)).expect("the task is taken");
    assert!(waiting.cancel() && !waiting.cancel());
    gate.set();
    assert!(task.wait_timeout(LONG) && !task.cancel());
    assert_eq!(task.get().expect("it returned"), 42);
}

/// `FutureTests.test_cancelled`.
fn cancelled() {
    let (_pool, task, _gate) = task(false);
    assert!(task.cancel() && task.is_done());
    assert!(matches!(task.get(), Err(TaskError::Cancelled)));
}

/// `FutureTests.test_done`.
fn done() {
    for fails in [false, true] {
        let (_pool, task, gate) = task(fails);
        assert!(!task.is_done());
        gate.set();
        assert!(task.wait_timeout(LONG) && task.is_done());
    }
}

/// `FutureTests.test_running`: the pool counts those that run and those that wait.
fn running() {
    let (pool, task, gate) = task(false);
    let waiting = pool.submit(run, (false,)).expect("the task is taken");
    pause::until("the task to run", LONG, || (pool.stats().running, pool.stats().waiting) == (1, 1));
    gate.set();
    assert!(task.wait_timeout(LONG) && waiting.wait_timeout(LONG));
    assert_eq!((pool.stats().running, pool.stats().waiting), (0, 0));
}

/// `FutureTests.test_result_with_timeout`: while it waits, and when it is done.
fn result_with_timeout() {
    let (_pool, task, gate) = task(false);
    let Err(GetTimeoutError::Unfinished(task)) = task.get_timeout(Duration::ZERO) else { panic!("it waits") };
    gate.set();
    assert_eq!(task.get_timeout(LONG).expect("it returns"), 42);
}

/// `FutureTests.test_result_with_success`.
fn result_with_success() {
    let (_pool, task, gate) = task(false);
    std::thread::scope(|scope| {
        scope.spawn(|| gate.set());
        assert_eq!(task.get().expect("it returns"), 42);
    });
}

/// `FutureTests.test_result_with_cancel`: cancelled by another thread while this one waits.
fn result_with_cancel() {
    let (_pool, task, _gate) = task(false);
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(task.cancel()));
        assert!(task.wait_timeout(LONG));
    });
    assert!(matches!(task.get(), Err(TaskError::Cancelled)));
}

/// `FutureTests.test_exception_with_timeout`.
fn exception_with_timeout() {
    let (_pool, task, gate) = task(true);
    let Err(GetTimeoutError::Unfinished(task)) = task.get_timeout(Duration::ZERO) else { panic!("it waits") };
    gate.set();
    assert!(matches!(task.get_timeout(LONG), Err(GetTimeoutError::Failed(TaskError::Panicked(_)))));
}

/// `FutureTests.test_exception_with_success`.
fn exception_with_success() {
    let (_pool, task, gate) = task(true);
    std::thread::scope(|scope| {
        scope.spawn(|| gate.set());
        assert!(matches!(task.get(), Err(TaskError::Panicked(report)) if report.message() == "out of luck"));
    });
}

/// `FutureTests.test_multiple_set_result` and `test_multiple_set_exception`: only a worker sets a result, and once; one that was
/// taken by a poll is not there again.
fn multiple_set_result() {
    let (_pool, mut task, gate) = task(false);
    gate.set();
    assert!(task.wait_timeout(LONG));
    let callback = Callback::new(true);
    assert!(matches!(poll(&mut task, &callback), Poll::Ready(Ok(42))));
    assert!(matches!(poll(&mut task, &callback), Poll::Ready(Err(TaskError::Closed))));
}

/// `FutureTests.test_repr`.
fn repr() {
    let (_pool, task, gate) = task(false);
    assert_eq!(format!("{task:?}"), "TaskHandle { is_done: false, .. }");
    gate.set();
    assert!(task.wait_timeout(LONG));
    assert_eq!(format!("{task:?}"), "TaskHandle { is_done: true, .. }");
}
