//! `Queue` and `JoinableQueue`: what goes in comes out in order, in every process, and every form of call says what it finds.

use multiprocess::channel::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};
use multiprocess::{ErrorKind, Fd, JoinableQueue, Queue, StartMethod};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::start;
use std::time::{Duration, Instant};

multiprocess_tests::for_each_start_method![
    close,
    closed,
    closed_queue_empty_exceptions,
    closed_queue_put_get_exceptions,
    empty,
    empty_exceptions,
    fork,
    get,
    put,
    qsize,
    queue_feeder_donot_stop_onexc,
    task_done,
    timeout,
];

/// How long something is waited for that does not come.
const IN_VAIN: Duration = Duration::from_millis(100);
/// How long a call may take that does not wait, or that waits for what comes.
const LONG: Duration = Duration::from_secs(30);

/// Runs `call`, which takes at least `least`.
#[track_caller]
fn taking<T>(least: Duration, call: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = call();
    assert!(start.elapsed() >= least, "it did not wait");
    result
}

/// `_TestQueue.test_put`: a queue of 6 takes six by every form of sending, then says that it is full, at once or in time; another
/// process drains it.
fn put(method: StartMethod) {
    let queue = Queue::<u32>::bounded(6).expect("a queue can be made");
    let (gate, closed) = Gate::new();
    let child = start(
        method,
        |queue: Queue<u32>, gate: Closed| {
            pass(gate);
            (0..6).map(|_| queue.recv().expect("six are there")).collect::<Vec<_>>()
        },
        (queue.clone(), closed),
    );
    assert!(queue.is_empty() && !queue.is_full());
    queue.send(1).expect("there is room");
    queue.try_send(2).expect("there is room");
    queue.send_timeout(3, LONG).expect("there is room");
    queue.send_timeout(4, Duration::ZERO).expect("there is room");
    queue.send_deadline(5, Instant::now()).expect("there is room");
    queue.sender().send(6).expect("there is room");
    assert!(queue.is_full() && !queue.is_empty());
    assert!(matches!(queue.try_send(7), Err(TrySendError::Full(7))));
    assert!(matches!(queue.send_timeout(7, Duration::ZERO), Err(SendTimeoutError::Timeout(7))));
    assert!(matches!(taking(IN_VAIN, || queue.send_timeout(7, IN_VAIN)), Err(SendTimeoutError::Timeout(7))));
    let later = Instant::now() + IN_VAIN;
    assert!(matches!(taking(IN_VAIN, || queue.send_deadline(7, later)), Err(SendTimeoutError::Timeout(7))));
    gate.open();
    assert_eq!(child.join().expect("the child returns"), [1, 2, 3, 4, 5, 6]);
    assert!(queue.is_empty() && !queue.is_full());
}

/// `_TestQueue.test_get`: what another process sends comes in order by every form of receiving, which then say that there is no
/// more, at once or in time.
fn get(method: StartMethod) {
    let queue = Queue::<u32>::bounded(6).expect("a queue can be made");
    assert!(queue.is_empty());
    let child = start(
        method,
        |queue: Queue<u32>| (2..=6).for_each(|number| queue.send(number).expect("there is room")),
        (queue.clone(),),
    );
    assert_eq!(queue.recv().expect("one comes"), 2);
    child.join().expect("the child returns");
    assert!(!queue.is_empty());
    assert_eq!(queue.try_recv().expect("it is there"), 3);
    assert_eq!(queue.recv_timeout(Duration::ZERO).expect("it is there"), 4);
    assert_eq!(queue.recv_deadline(Instant::now()).expect("it is there"), 5);
    assert_eq!(queue.receiver().recv_timeout(LONG).expect("it is there"), 6);
    assert!(queue.is_empty());
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
    assert!(matches!(queue.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout)));
    assert!(matches!(taking(IN_VAIN, || queue.recv_timeout(IN_VAIN)), Err(RecvTimeoutError::Timeout)));
    let later = Instant::now() + IN_VAIN;
    assert!(matches!(taking(IN_VAIN, || queue.recv_deadline(later)), Err(RecvTimeoutError::Timeout)));
}

/// `_TestQueue.test_fork`, adapted: a queue that is in use goes to a new process, which adds to it: all come in order, then none.
fn fork(method: StartMethod) {
    let queue = Queue::<u32>::bounded(64).expect("a queue can be made");
    (0..10).for_each(|number| queue.send(number).expect("there is room"));
    let child = start(
        method,
        |queue: Queue<u32>| (10..20).for_each(|number| queue.send(number).expect("there is room")),
        (queue.clone(),),
    );
    child.join().expect("the child returns");
    let all: Vec<u32> = queue.try_iter().collect();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Empty)));
}

/// `_TestQueue.test_qsize`, on every platform: exact while nobody else works.
fn qsize(method: StartMethod) {
    let queue = Queue::<u32>::bounded(8).expect("a queue can be made");
    let there = |queue: &Queue<u32>| {
        let child = start(method, |queue: Queue<u32>| queue.len(), (queue.clone(),));
        child.join().expect("the child returns")
    };
    let mut sizes = vec![(queue.len(), there(&queue))];
    for number in 1..=2 {
        queue.send(number).expect("there is room");
        sizes.push((queue.len(), there(&queue)));
    }
    for _ in 0..2 {
        queue.recv().expect("it is there");
        sizes.push((queue.len(), there(&queue)));
    }
    assert_eq!(sizes, [0, 1, 2, 1, 0].map(|size| (size, size)));
}

/// `_TestQueue.test_task_done`: four workers work on ten tasks; the join returns when all are done, and not before.
fn task_done(method: StartMethod) {
    let queue = JoinableQueue::<u32>::bounded(64).expect("a queue can be made");
    let worker = |queue: JoinableQueue<u32>| {
        let mut done = 0;
        for _ in &queue {
            queue.task_done().expect("it was taken");
            done += 1;
        }
        done
    };
    queue.send(0).expect("there is room");
    assert!(!queue.join_timeout(IN_VAIN).expect("nobody died"), "a task that nobody has done");
    let workers: Vec<_> = (0..4).map(|_| start(method, worker, (queue.clone(),))).collect();
    (1..10).for_each(|number| queue.send(number).expect("there is room"));
    queue.join().expect("nobody died");
    assert!(queue.is_empty());
    assert!(queue.task_done().is_err(), "more done than there were");
    queue.close();
    let done: u32 = workers.into_iter().map(|worker| worker.join().expect("the worker returns")).sum();
    assert_eq!(done, 10);
}

/// `_TestQueue.test_timeout`: an empty queue is waited for as long as was asked.
fn timeout(method: StartMethod) {
    let queue = Queue::<u32>::bounded(1).expect("a queue can be made");
    let wait = |queue: Queue<u32>| {
        let start = Instant::now();
        let timed_out = matches!(queue.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout));
        (timed_out, start.elapsed())
    };
    let (timed_out, took) = start(method, wait, (queue.clone(),)).join().expect("the child returns");
    assert!(timed_out && took >= Duration::from_millis(200), "{took:?}");
}

/// `_TestQueue.test_queue_feeder_donot_stop_onexc`, strengthened: a value that cannot go is an error of its own call, which gives
/// it back; the queue and its size are as before.
fn queue_feeder_donot_stop_onexc(method: StartMethod) {
    type Item = Result<u32, Fd<std::fs::File>>;
    let queue = Queue::<Item>::bounded(1).expect("a queue can be made");
    let file = std::fs::File::open("/dev/null").expect("a file can be opened");
    let Err(SendError::Failed(Err(_), error)) = queue.send(Err(Fd(file))) else {
        panic!("a handle does not go through a queue");
    };
    assert_eq!(error.kind(), ErrorKind::Encode);
    let text = error.to_string();
    assert!(text.contains("handles travel in arguments, pool initialisers and pipes, not in"), "{text}");
    assert_eq!((queue.len(), queue.is_full()), (0, false));
    let send = |queue: Queue<Item>| queue.send(Ok(7)).is_ok();
    assert!(start(method, send, (queue.clone(),)).join().expect("the child returns"));
    assert!(matches!(queue.recv(), Ok(Ok(7))));
}

/// `_TestQueue.test_closed_queue_empty_exceptions`, adapted: closing a queue that was never used is no error; one that was used
/// still says what is in it, since others may take it.
fn closed_queue_empty_exceptions(method: StartMethod) {
    let unused = Queue::<u32>::bounded(1).expect("a queue can be made");
    unused.close();
    let queue = Queue::<u32>::bounded(2).expect("a queue can be made");
    queue.send(1).expect("there is room");
    queue.close();
    let look = |queue: Queue<u32>| (queue.is_empty(), queue.recv().ok(), queue.is_empty(), queue.recv().is_err());
    let seen = start(method, look, (queue.clone(),)).join().expect("the child returns");
    assert_eq!(seen, (false, Some(1), true, true));
    assert!(unused.is_empty());
}

/// `_TestQueue.test_closed_queue_put_get_exceptions`: nothing goes into a closed queue, in no process, and what is in it comes out.
fn closed_queue_put_get_exceptions(method: StartMethod) {
    let queue = Queue::<u32>::bounded(4).expect("a queue can be made");
    queue.send(1).expect("there is room");
    let close = |queue: Queue<u32>| queue.close();
    start(method, close, (queue.clone(),)).join().expect("the child returns");
    assert!(matches!(queue.send(2), Err(SendError::Disconnected(2))));
    assert!(matches!(queue.try_send(2), Err(TrySendError::Disconnected(2))));
    assert!(matches!(queue.send_timeout(2, LONG), Err(SendTimeoutError::Disconnected(2))));
    assert_eq!((&queue).into_iter().collect::<Vec<_>>(), [1]);
    assert!(matches!(queue.recv(), Err(RecvError::Disconnected)));
    assert!(matches!(queue.try_recv(), Err(TryRecvError::Disconnected)));
    assert!(matches!(queue.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected)));
}

/// `TestSimpleQueue.test_empty`: it is empty, then not, then again, as another process sees it too.
fn empty(method: StartMethod) {
    let (queue, answers) = (Queue::<u32>::bounded(1).expect("a queue"), Queue::<bool>::bounded(4).expect("a queue"));
    let (gate, closed) = Gate::new();
    let look = |queue: Queue<u32>, answers: Queue<bool>, gate: Closed| {
        pass(gate);
        answers.send(queue.is_empty()).expect("there is room");
        queue.recv().expect("it is there");
        answers.send(queue.is_empty()).expect("there is room");
    };
    let child = start(method, look, (queue.clone(), answers.clone(), closed));
    assert!(queue.is_empty());
    queue.send(1).expect("there is room");
    gate.open();
    child.join().expect("the child returns");
    assert_eq!(answers.try_iter().collect::<Vec<_>>(), [false, true]);
    assert!(queue.is_empty());
}

/// `TestSimpleQueue.test_empty_exceptions`, adapted: a closed queue that is empty says so to whoever takes from it.
fn empty_exceptions(method: StartMethod) {
    let queue = Queue::<u32>::bounded(1).expect("a queue can be made");
    queue.close();
    let take = |queue: Queue<u32>| matches!(queue.try_recv(), Err(TryRecvError::Disconnected));
    assert!(start(method, take, (queue.clone(),)).join().expect("the child returns"));
    assert!(queue.is_empty());
}

/// `TestSimpleQueue.test_close`: closing twice is closing once, whoever does it.
fn close(method: StartMethod) {
    let queue = Queue::<u32>::bounded(1).expect("a queue can be made");
    queue.close();
    let close = |queue: Queue<u32>| queue.close();
    start(method, close, (queue.clone(),)).join().expect("the child returns");
    queue.close();
    assert!(matches!(queue.recv(), Err(RecvError::Disconnected)));
}

/// `TestSimpleQueue.test_closed`, adapted: both ends are closed at once, and whoever waits at either is told.
fn closed(method: StartMethod) {
    let (empty, full) = (Queue::<u32>::bounded(1).expect("a queue"), Queue::<u32>::bounded(1).expect("a queue"));
    full.send(1).expect("there is room");
    let take = |queue: Queue<u32>| matches!(queue.recv(), Err(RecvError::Disconnected));
    let give = |queue: Queue<u32>| matches!(queue.send(2), Err(SendError::Disconnected(2)));
    let taker = start(method, take, (empty.clone(),));
    let giver = start(method, give, (full.clone(),));
    empty.close();
    full.close();
    assert!(taker.join().expect("the child returns"));
    assert!(giver.join().expect("the child returns"));
    assert_eq!(full.try_iter().collect::<Vec<_>>(), [1]);
}
