//! Pools of programs, and workers, that close all their descriptors: an error that says so, results that arrive, and no hang.

use multiprocess::{Pool, Process, TaskError};
use multiprocess_fixture_native::close_from;
use multiprocess_tests::{checked, pause, processes};
use rustix::fs::{MemfdFlags, memfd_create};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn double(x: u64) -> u64 {
    2 * x
}

/// One thread waits for a task when the descriptors go, and files of the program's own take their numbers.
fn close_all_of_mine() {
    let pool = Pool::new(2).expect("a pool can be made");
    let pids = pool.worker_pids();
    let endless = pool.submit(|| pause::for_ever(), ()).expect("the task is taken");
    let waiter = std::thread::spawn(move || endless.get().map(|never: ()| never));
    pause::until("the task to run", PATIENCE, || pool.stats().running == 1);
    close_from(3).expect("the kernel closes all descriptors");
    let files: Vec<_> =
        (0..64).map(|_| memfd_create("own", MemfdFlags::CLOEXEC).expect("a file can be made")).collect();

    let error = waiter.join().expect("it does not panic").expect_err("nobody would hear of the worker's end");
    assert!(matches!(&error, TaskError::Transfer(e) if e.to_string().contains("descriptors were closed")), "{error}");
    let error = pool.apply(double, (1,)).expect_err("the pool is broken");
    assert!(error.to_string().contains("broken down"), "{error}");
    drop(pool);
    for file in &files {
        let length = rustix::fs::fstat(file).expect("it was not closed").st_size;
        assert_eq!(length, 0, "nobody has written to it");
    }
    let another = Pool::new(1).expect("another pool can be made");
    assert_eq!(another.apply(double, (21,)).expect("it returns"), 42);
    another.join().expect("its worker ends");
    let idle_has_left =
        || pids.iter().filter(|pid| processes::find(**pid).is_some_and(|p| !p.is_zombie())).count() <= 1;
    pause::until("the end of the worker that had nothing to do", PATIENCE, idle_has_left);
    // What it would return has no way back; the worker that has something to do for ever goes with it.
    std::process::exit(0);
}

#[test]
fn program_that_closes_all_descriptors() {
    checked("the pool of a process that closed all descriptors", || {
        let child = Process::<()>::new(close_all_of_mine, ()).start().expect("a child can be started");
        assert!(child.wait().expect("it ends").success());
    });
}

/// A flag that a future sets.
struct Told(AtomicBool);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// It cannot ring the bell any more, and is heard of nevertheless.
#[test]
fn worker_that_closes_all_descriptors() {
    checked("a worker that closed all descriptors", || {
        let pool = Pool::new(1).expect("a pool can be made");
        let close = || close_from(3).map(|()| std::process::id()).expect("the kernel closes all descriptors");
        let mut task = pool.submit(close, ()).expect("the task is taken");
        let told = Arc::new(Told(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&told));
        let pid = match Pin::new(&mut task).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                pause::until("the future", PATIENCE, || told.0.load(SeqCst));
                task.get()
            }
        };
        assert_eq!(pool.worker_pids(), [pid.expect("it returns")]);
        assert_eq!(pool.map(double, 0..100).expect("they return")[99], 198);
        pool.join().expect("the worker ends");
    });
}
