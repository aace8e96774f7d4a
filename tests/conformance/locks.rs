//! `Lock` and `RLock`: one owner at a time among threads and processes, and what is said about a dead one.

use multiprocess::{Lock, MutexGuard, RLock, StartMethod};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::start;
use multiprocess_tests::ready::{Ready, Sayer, say};
use multiprocess_tests::text::mentions;
use std::mem;
use std::time::{Duration, Instant};

multiprocess_tests::for_each_start_method![
    lock,
    lock_context,
    lock_locked_2processes,
    repr_lock,
    repr_rlock,
    rlock,
    rlock_context,
    rlock_locked_2processes,
];

/// Longer than any lock here is waited for in vain.
const SHORT: Duration = Duration::from_millis(20);

/// How long a lock whose owner has died may keep that from the next one who wants it. The promise is 200 ms; the rest is for
/// a busy machine.
const REPORT: Duration = Duration::from_secs(5);

fn new_lock() -> Lock {
    Lock::new().expect("a lock can be made")
}

fn new_rlock() -> RLock {
    RLock::new().expect("a recursive lock can be made")
}

/// `_TestLock.test_repr_lock`, adapted: the text names the owner by its process id, where CPython names the process or says
/// "some other", and it does so in every process that looks.
fn repr_lock(method: StartMethod) {
    let lock = new_lock();
    let this = std::process::id();
    assert!(!mentions(&format!("{lock:?}"), this), "{lock:?}");
    let guard = lock.lock().expect("nobody died");
    assert!(mentions(&format!("{lock:?}"), this), "{lock:?}");
    let there = start(method, |lock: Lock| format!("{lock:?}"), (lock.clone(),)).join().expect("the child returns");
    assert!(mentions(&there, this), "{there}");
    drop(guard);

    let (mut ready, sayer) = Ready::new();
    let (gate, closed) = Gate::new();
    let child = start(method, hold, (lock.clone(), sayer, closed));
    ready.wait();
    assert!(mentions(&format!("{lock:?}"), child.pid()), "{lock:?}");
    gate.open();
    child.join().expect("the child returns");
    assert!(!mentions(&format!("{lock:?}"), this), "{lock:?}");
}

/// Holds the lock until the gate opens.
fn hold(lock: Lock, mut sayer: Sayer, gate: Closed) {
    let _guard = lock.lock().expect("nobody died");
    say(&mut sayer);
    pass(gate);
}

/// `_TestLock.test_lock`. CPython's last step, that one release too many is an error, has no counterpart: a guard can be
/// dropped once, and the compiler sees to it.
fn lock(method: StartMethod) {
    let lock = new_lock();
    assert!(!lock.is_locked());
    let guard = lock.lock().expect("nobody died");
    assert!(lock.is_locked());
    assert!(lock.try_lock().expect("nobody died").is_none());
    assert!(lock.lock_timeout(SHORT).expect("nobody died").is_none());
    assert!(lock.lock_deadline(Instant::now()).expect("nobody died").is_none());
    let child = start(method, can_lock, (lock.clone(),));
    assert_eq!(child.join().expect("the child returns"), [false, false]);
    drop(guard);
    assert!(!lock.is_locked());
    let child = start(method, can_lock, (lock.clone(),));
    assert_eq!(child.join().expect("the child returns"), [true, true]);
    assert!(!lock.is_locked(), "the child has released it");
}

/// Whether the lock can be had at once, and within a time.
fn can_lock(lock: Lock) -> [bool; 2] {
    let at_once = lock.try_lock().expect("nobody died").is_some();
    [at_once, lock.lock_timeout(SHORT).expect("nobody died").is_some()]
}

/// `_TestLock.test_lock_locked_2processes`: both processes see that it is locked. CPython's child ends while it holds the
/// lock, and nobody gets it any more; here the next one is told so, each time until it takes over.
fn lock_locked_2processes(method: StartMethod) {
    let lock = new_lock();
    let (mut ready, sayer) = Ready::new();
    let (gate, closed) = Gate::new();
    let child = start(method, leave_locked, (lock.clone(), sayer, closed));
    let pid = child.pid();
    ready.wait();
    assert!(lock.is_locked());
    assert!(lock.try_lock().expect("nobody died").is_none());
    gate.open();
    assert!(child.join().expect("the child returns"), "the child saw it locked");

    let begin = Instant::now();
    assert_eq!(lock.lock().expect_err("the owner has ended").owner_pid(), pid);
    assert!(begin.elapsed() < REPORT, "it took {:?} to say that the owner has ended", begin.elapsed());
    assert_eq!(lock.try_lock().expect_err("the mark stays").owner_pid(), pid);
    let guard = lock.recover();
    assert!(MutexGuard::recovered(&guard));
    drop(guard);
    assert!(!MutexGuard::recovered(&lock.lock().expect("the lock is as new")));
}

/// Takes the lock, and ends without releasing it.
fn leave_locked(lock: Lock, mut sayer: Sayer, gate: Closed) -> bool {
    mem::forget(lock.lock().expect("nobody died"));
    say(&mut sayer);
    pass(gate);
    lock.is_locked()
}

/// `_TestLock.test_lock_context`: a lock is held as long as its guard lives, also when a function returns in its middle.
fn lock_context(method: StartMethod) {
    let lock = new_lock();
    let free = || start(method, can_lock, (lock.clone(),)).join().expect("the child returns") == [true, true];
    {
        let _guard = lock.lock().expect("nobody died");
        assert!(!free());
    }
    assert!(free());
    let leaves_early = || -> Option<()> {
        let _guard = lock.lock().expect("nobody died");
        None?;
        unreachable!("the line above returns")
    };
    assert_eq!(leaves_early(), None);
    assert!(free());
    // The guard can be taken out of the function that locked.
    let guard = MutexGuard::into_owned(lock.clone().lock().expect("nobody died"));
    assert!(!free());
    drop(guard);
    assert!(free());
}

/// `_TestLock.test_repr_rlock`, adapted: the text names the owner by its process id, and how many times it holds the lock;
/// of an owner that has ended while it held the lock, the next one is told.
fn repr_rlock(method: StartMethod) {
    let lock = new_rlock();
    let this = std::process::id();
    assert!(!mentions(&format!("{lock:?}"), this), "{lock:?}");
    let guards: Vec<_> = (0..3).map(|_| lock.lock().expect("nobody died")).collect();
    let text = format!("{lock:?}");
    assert!(mentions(&text, this) && mentions(&text, 3), "{text}");
    let there = start(method, |lock: RLock| format!("{lock:?}"), (lock.clone(),)).join().expect("the child returns");
    assert!(mentions(&there, this), "{there}");
    drop(guards);
    assert!(!mentions(&format!("{lock:?}"), this), "{lock:?}");

    let child = start(method, leave_rlocked, (lock.clone(),));
    let pid = child.pid();
    child.join().expect("the child returns");
    assert!(format!("{lock:?}").contains("died"), "{lock:?}");
    assert_eq!(lock.lock().expect_err("the owner has ended").owner_pid(), pid);
    assert!(mentions(&format!("{lock:?}"), pid), "{lock:?}");
    drop(lock.recover());
    assert!(!mentions(&format!("{lock:?}"), pid), "{lock:?}");
}

/// Takes the lock twice, and ends without releasing it.
fn leave_rlocked(lock: RLock) {
    mem::forget(lock.lock().expect("nobody died"));
    mem::forget(lock.lock().expect("nobody died"));
}

/// `_TestLock.test_rlock`: taken three times by one thread, it is free when it has been released three times; meanwhile no
/// other thread and no other process has it. One release too many cannot be written: a guard is dropped once.
fn rlock(method: StartMethod) {
    let lock = new_rlock();
    let free = || start(method, can_rlock, (lock.clone(),)).join().expect("the child returns");
    let guards: Vec<_> = (0..3).map(|_| lock.lock().expect("nobody died")).collect();
    for guard in guards {
        assert!(!free());
        std::thread::scope(|scope| scope.spawn(|| assert!(!can_rlock(lock.clone()))).join())
            .expect("another thread does not get it");
        drop(guard);
    }
    assert!(free());
}

fn can_rlock(lock: RLock) -> bool {
    let at_once = lock.try_lock().expect("nobody died").is_some();
    assert_eq!(lock.lock_timeout(SHORT).expect("nobody died").is_some(), at_once);
    at_once
}

/// `_TestLock.test_rlock_locked_2processes`, adapted: whether it is locked is asked by trying. Its owner may take it again
/// while the other process may not; CPython's child ends while it holds the lock, and here the next one is told so.
fn rlock_locked_2processes(method: StartMethod) {
    let lock = new_rlock();
    let (mut ready, sayer) = Ready::new();
    let (gate, closed) = Gate::new();
    let child = start(method, rlock_and_leave, (lock.clone(), sayer, closed));
    let pid = child.pid();
    ready.wait();
    assert!(!can_rlock(lock.clone()));
    gate.open();
    assert!(child.join().expect("the child returns"), "the owner may take it again");
    assert_eq!(lock.lock().expect_err("the owner has ended").owner_pid(), pid);
    drop(lock.recover());
    assert!(can_rlock(lock));
}

fn rlock_and_leave(lock: RLock, mut sayer: Sayer, gate: Closed) -> bool {
    mem::forget(lock.lock().expect("nobody died"));
    say(&mut sayer);
    pass(gate);
    can_rlock(lock)
}

/// `_TestLock.test_rlock_context`: it is held as long as one of the guards lives.
fn rlock_context(method: StartMethod) {
    let lock = new_rlock();
    let free = || start(method, can_rlock, (lock.clone(),)).join().expect("the child returns");
    {
        let _outer = lock.lock().expect("nobody died");
        {
            let _inner = lock.lock().expect("nobody died");
            assert!(!free());
        }
        assert!(!free());
    }
    assert!(free());
}
