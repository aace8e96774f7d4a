//! Tasks of a joinable queue: all are done, or some are lost, and whoever waits hears which.

use multiprocess_channel::{ErrorKind, JoinableQueue, Sender, bounded};
use multiprocess_process::spawn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

fn work(queue: JoinableQueue<u64>) -> u64 {
    let mut done = 0;
    for _ in queue.iter() {
        queue.task_done().unwrap();
        done += 1;
    }
    done
}

/// Takes so many tasks, finishes so many, says so, and waits until it is killed.
fn hold(queue: JoinableQueue<u64>, (take, finish): (u32, u32), ready: Sender<()>) {
    (0..take).for_each(|_| _ = queue.recv().unwrap());
    (0..finish).for_each(|_| queue.task_done().unwrap());
    ready.send(()).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn join_waits_for_the_last_task() {
    let queue = JoinableQueue::<u64>::bounded(4).unwrap();
    let workers: Vec<_> = (0..3).map(|_| spawn(work, (queue.clone(),)).unwrap()).collect();
    for round in 1..=20 {
        (0..50).for_each(|number| queue.send(number).unwrap());
        queue.join().unwrap();
        assert!(queue.is_empty(), "round {round}");
    }
    queue.close();
    assert_eq!(workers.into_iter().map(|child| child.join().unwrap()).sum::<u64>(), 1000);
    assert!(queue.task_done().is_err());
}

#[test]
fn tasks_of_a_killed_worker_do_not_hang_join() {
    let queue = JoinableQueue::<u64>::bounded(8).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    (0..5).for_each(|number| queue.send(number).unwrap());
    let child = spawn(hold, (queue.clone(), (3, 1), ready)).unwrap();
    is_ready.recv().unwrap();
    assert!(!queue.join_timeout(Duration::from_millis(1)).unwrap());
    let waiting = std::thread::spawn({
        let queue = queue.clone();
        move || queue.join()
    });
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(!queue.join_timeout(Duration::from_millis(1)).unwrap(), "two are still in the queue");
    for _ in 0..2 {
        queue.recv().unwrap();
        queue.task_done().unwrap();
    }
    let error = waiting.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Task);
    assert!(error.to_string().contains("2 tasks were lost"), "{error}");
    assert!(queue.join_timeout(SOON).unwrap());
    assert!(queue.task_done().is_err());
    queue.send(1).unwrap();
    queue.recv().unwrap();
    queue.task_done().unwrap();
    queue.join().unwrap();
}

#[test]
fn workers_that_only_wait_hold_no_task() {
    let queue = JoinableQueue::<u64>::bounded(8).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    queue.send(1).unwrap();
    let holder = spawn(hold, (queue.clone(), (1, 0), ready)).unwrap();
    is_ready.recv().unwrap();
    // These sleep in `recv` when the other one dies.
    let idle: Vec<_> = (0..2).map(|_| spawn(work, (queue.clone(),)).unwrap()).collect();
    holder.kill().unwrap();
    assert!(holder.join().is_err());
    assert!(queue.join_timeout(SOON).unwrap_err().to_string().contains("1 task was lost"));
    queue.close();
    idle.into_iter().for_each(|child| assert_eq!(child.join().unwrap(), 0));
}

#[test]
fn a_task_that_was_not_put_is_none() {
    let queue = JoinableQueue::<u64>::bounded(1).unwrap();
    queue.send(1).unwrap();
    assert!(queue.try_send(2).unwrap_err().is_full());
    assert!(queue.send_timeout(2, Duration::from_millis(20)).unwrap_err().is_timeout());
    assert!(format!("{queue:?}").contains("unfinished: 1"), "{queue:?}");
    queue.recv().unwrap();
    assert!(queue.try_recv().unwrap_err().is_empty());
    assert!(queue.recv_timeout(Duration::from_millis(20)).unwrap_err().is_timeout());
    queue.task_done().unwrap();
    queue.join().unwrap();
    queue.close();
    assert!(queue.send(3).unwrap_err().is_disconnected());
    queue.join().unwrap();
}

#[test]
fn its_sender_and_receiver_count_tasks_too() {
    let queue = JoinableQueue::<u64>::bounded(1).unwrap();
    let (tx, rx) = (queue.sender(), queue.receiver());
    tx.send(1).unwrap();
    rx.recv().unwrap();
    assert!(!queue.join_timeout(Duration::ZERO).unwrap());
    queue.task_done().unwrap();
    queue.join().unwrap();
}

#[test]
fn a_killed_sender_that_waited_for_room_leaves_no_task() {
    fn put(queue: JoinableQueue<u64>, ready: Sender<()>) {
        queue.send(1).unwrap();
        ready.send(()).unwrap();
        queue.send(2).unwrap(); // no room
    }
    let queue = JoinableQueue::<u64>::bounded(1).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    let child = spawn(put, (queue.clone(), ready)).unwrap();
    is_ready.recv().unwrap();
    child.kill().unwrap();
    assert!(child.join().is_err());
    queue.recv().unwrap();
    queue.task_done().unwrap();
    // It may have been killed while it looked for room: then its task is given up.
    match queue.join_timeout(SOON) {
        Ok(is_done) => assert!(is_done),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Task),
    }
    queue.join().unwrap();
}

/// Nobody has got it, so nobody can say that it is done.
#[test]
fn a_task_whose_decoder_panics_is_done() {
    #[derive(serde::Serialize)]
    struct Trap(Vec<u16>);

    impl<'de> serde::Deserialize<'de> for Trap {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Trap, D::Error> {
            Vec::deserialize(deserializer).map(|_: Vec<u16>| panic!("a type's own"))
        }
    }
    let queue = JoinableQueue::<Trap>::bounded(2).unwrap();
    for length in [3, 30_000] {
        queue.send(Trap(vec![7; length])).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| queue.recv().map(drop))).is_err());
        assert!(queue.is_empty() && queue.join_timeout(SOON).unwrap(), "{length}");
    }
    assert!(queue.task_done().is_err());
}
