//! Whoever holds something, or waits for it, is killed while others are blocked: each kind of object.

use crate::waiters::{TOO_LONG, keep, kill, soon, start, start_blocked};
use multiprocess::{Barrier, Condition, Event, Lock, Message, Mutex, OwnerDied, RLock, RwLock, Semaphore};
use multiprocess_tests::checked;
use multiprocess_tests::ready::{Sayer, say};
use std::time::{Duration, Instant};

/// A wait that lasts as long as this has been forgotten.
const LIMIT: Duration = Duration::from_secs(15);

/// What a waiter returns: whether it was told of a death, and of whose.
type Told = Option<u32>;

/// Kills a child that holds `object` while two others are blocked, and returns what they were told and who died.
fn holder_killed<T: Message + Clone>(
    what: &str,
    object: &T,
    hold: impl Fn(T, Sayer) + Copy + Send + 'static,
    wait: impl Fn(T, Sayer) -> Told + Copy + Send + 'static,
) -> ([Told; 2], u32) {
    let holder = start(hold, object.clone());
    let waiters = [start_blocked(wait, object.clone()), start_blocked(wait, object.clone())];
    let pid = holder.pid();
    kill(&holder);
    let death = Instant::now();
    (waiters.map(|waiter| soon(what, death, waiter)), pid)
}

/// Fails unless somebody was told, and of the right death only.
#[track_caller]
fn assert_told((told, pid): ([Told; 2], u32)) {
    assert!(told.contains(&Some(pid)), "{pid} died while it held, and they were told {told:?}");
    assert!(told.iter().flatten().all(|died| *died == pid), "{pid} died, and they were told {told:?}");
}

fn repaired<G>(attempt: Result<G, OwnerDied>, recover: impl FnOnce() -> G) -> Told {
    match attempt {
        Ok(_) => None,
        Err(died) => {
            drop(recover());
            Some(died.owner_pid())
        }
    }
}

#[test]
fn holder_of_a_lock() {
    checked("a killed holder of a lock", || {
        let lock = Lock::new().expect("a lock can be made");
        let hold = |lock: Lock, sayer| keep(lock.lock(), sayer);
        let wait = |lock: Lock, mut sayer: Sayer| {
            say(&mut sayer);
            repaired(lock.lock(), || lock.recover())
        };
        assert_told(holder_killed("Lock", &lock, hold, wait));
        assert!(lock.try_lock().expect("it was repaired").is_some(), "it is free");
    });
}

#[test]
fn holder_of_a_mutex() {
    checked("a killed holder of a mutex", || {
        let mutex = Mutex::new(7_u64).expect("a mutex can be made");
        let hold = |mutex: Mutex<u64>, sayer| keep(mutex.lock(), sayer);
        let wait = |mutex: Mutex<u64>, mut sayer: Sayer| {
            say(&mut sayer);
            repaired(mutex.lock_timeout(LIMIT), || mutex.recover_timeout(LIMIT))
        };
        assert_told(holder_killed("Mutex", &mutex, hold, wait));
        assert_eq!(mutex.try_lock().expect("it was repaired").as_deref(), Some(&7));
    });
}

#[test]
fn report_stays_until_somebody_recovers() {
    checked("a mutex that nobody repairs", || {
        let mutex = Mutex::new(7_u64).expect("a mutex can be made");
        let holder = start(|mutex: Mutex<u64>, sayer| keep(mutex.lock(), sayer), mutex.clone());
        kill(&holder);
        for _ in 0..3 {
            let died = mutex.lock().expect_err("the holder died");
            assert_eq!(died.owner_pid(), holder.pid());
            assert!(mutex.try_lock().is_err() && mutex.lock_timeout(LIMIT).is_err(), "every way to lock says so");
        }
        drop(mutex.recover());
        assert!(mutex.lock().is_ok() && !mutex.is_locked(), "it is a mutex like any other again");
    });
}

#[test]
fn holder_of_a_reentrant_lock() {
    checked("a killed holder of a reentrant lock", || {
        let lock = RLock::new().expect("a lock can be made");
        let hold = |lock: RLock, sayer| keep((lock.lock(), lock.lock()), sayer);
        let wait = |lock: RLock, mut sayer: Sayer| {
            say(&mut sayer);
            repaired(lock.lock(), || lock.recover())
        };
        assert_told(holder_killed("RLock", &lock, hold, wait));
        assert!(lock.try_lock().expect("it was repaired").is_some(), "it is free");
    });
}

#[test]
fn writer() {
    checked("a killed writer", || {
        let lock = RwLock::new(7_u64).expect("a lock can be made");
        let hold = |lock: RwLock<u64>, sayer| keep(lock.write(), sayer);
        let wait = |lock: RwLock<u64>, mut sayer: Sayer| {
            say(&mut sayer);
            repaired(lock.read().map(drop), || drop(lock.recover()))
        };
        assert_told(holder_killed("RwLock, writer", &lock, hold, wait));
        assert!(lock.try_write().expect("it was repaired").is_some(), "it is free");
    });
}

#[test]
fn reader() {
    checked("a killed reader", || {
        let lock = RwLock::new(7_u64).expect("a lock can be made");
        let hold = |lock: RwLock<u64>, sayer| keep(lock.read(), sayer);
        let wait = |lock: RwLock<u64>, mut sayer: Sayer| {
            say(&mut sayer);
            repaired(lock.write(), || lock.recover())
        };
        let (told, _) = holder_killed("RwLock, reader", &lock, hold, wait);
        assert_eq!(told, [None, None], "a reader changes nothing, so its death is nobody's business");
    });
}

#[test]
fn holder_of_permits() {
    checked("a killed holder of permits", || {
        let semaphore = Semaphore::new(2).expect("a semaphore can be made");
        let hold = |semaphore: Semaphore, sayer| keep((semaphore.acquire(), semaphore.acquire()), sayer);
        let wait = |semaphore: Semaphore, mut sayer: Sayer| {
            say(&mut sayer);
            drop(semaphore.acquire());
            None
        };
        holder_killed("Semaphore", &semaphore, hold, wait);
        let permits = [semaphore.try_acquire(), semaphore.try_acquire(), semaphore.try_acquire()];
        assert_eq!(permits.map(|permit| permit.is_some()), [true, true, false]);
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn forgotten_permits_stay_taken() {
    checked("forgotten permits of a dead process", || {
        let semaphore = Semaphore::new(2).expect("a semaphore can be made");
        let forget = |semaphore: Semaphore, sayer| {
            semaphore.acquire().forget();
            keep(semaphore, sayer);
        };
        kill(&start(forget, semaphore.clone()));
        let first = semaphore.try_acquire();
        assert!(first.is_some() && semaphore.acquire_timeout(Duration::from_millis(400)).is_none());
        semaphore.release(1).expect("there is no bound");
        assert!(semaphore.try_acquire().is_some(), "a release replaces the forgotten one");
    });
}

#[test]
fn waiter_for_an_event() {
    checked("a killed waiter for an event", || {
        let event = Event::new().expect("an event can be made");
        let wait = |event: Event, mut sayer: Sayer| {
            say(&mut sayer);
            event.wait_timeout(LIMIT)
        };
        let [victim, survivor] = [start_blocked(wait, event.clone()), start_blocked(wait, event.clone())];
        kill(&victim);
        let start = Instant::now();
        event.set();
        assert!(start.elapsed() < TOO_LONG, "set does not wait for the dead: {:?}", start.elapsed());
        event.clear();
        assert!(soon("Event", start, survivor), "the survivor wakes");
    });
}

#[test]
fn waiter_for_a_condition() {
    checked("a killed waiter for a condition", || {
        let pair =
            (Mutex::new(0_u64).expect("a mutex can be made"), Condition::new().expect("a condition can be made"));
        let wait = |(mutex, condition): (Mutex<u64>, Condition), mut sayer: Sayer| {
            let guard = mutex.lock().expect("nobody died with it");
            say(&mut sayer);
            let (_, result) = condition.wait_timeout(guard, LIMIT).expect("nobody died with it");
            !result.timed_out()
        };
        let [victim, survivor] = [start_blocked(wait, pair.clone()), start_blocked(wait, pair.clone())];
        // Both wait once the mutex can be had: the one who waits has let it go.
        drop(pair.0.lock().expect("nobody died with it"));
        kill(&victim);
        let start = Instant::now();
        pair.1.notify_one();
        assert!(start.elapsed() < TOO_LONG, "a notification does not wait for the dead: {:?}", start.elapsed());
        assert!(soon("Condition", start, survivor), "the one notification wakes the living");
    });
}

#[test]
fn waiter_that_comes_back_to_a_dead_owner() {
    checked("a killed notifier", || {
        let pair =
            (Mutex::new(0_u64).expect("a mutex can be made"), Condition::new().expect("a condition can be made"));
        let wait = |(mutex, condition): (Mutex<u64>, Condition), mut sayer: Sayer| {
            let guard = mutex.lock().expect("nobody died yet");
            say(&mut sayer);
            repaired(condition.wait(guard), || mutex.recover())
        };
        let notify = |(mutex, condition): (Mutex<u64>, Condition), sayer| {
            let guard = mutex.lock();
            condition.notify_all();
            keep(guard, sayer);
        };
        let waiter = start_blocked(wait, pair.clone());
        let notifier = start(notify, pair.clone());
        let pid = notifier.pid();
        kill(&notifier);
        assert_eq!(soon("Condition, notifier", Instant::now(), waiter), Some(pid));
    });
}

#[test]
fn party_of_a_barrier() {
    checked("a killed party of a barrier", || {
        let barrier = Barrier::new(3).expect("a barrier can be made");
        let wait = |barrier: Barrier, mut sayer: Sayer| {
            say(&mut sayer);
            barrier.wait_timeout(LIMIT).is_ok()
        };
        let [victim, survivor] = [start_blocked(wait, barrier.clone()), start_blocked(wait, barrier.clone())];
        kill(&victim);
        assert!(!soon("Barrier", Instant::now(), survivor), "the party that was there is told that another is missing");
        assert!(barrier.is_broken());
        barrier.reset();
        assert!(!barrier.is_broken() && barrier.waiting() == 0);
    });
}

#[test]
fn waiter_in_a_queue_for_a_lock() {
    checked("a killed waiter for a lock", || {
        let lock = Lock::new().expect("a lock can be made");
        let guard = lock.lock().expect("nobody died");
        let wait = |lock: Lock, mut sayer: Sayer| {
            say(&mut sayer);
            repaired(lock.lock(), || lock.recover())
        };
        let [victim, survivor] = [start_blocked(wait, lock.clone()), start_blocked(wait, lock.clone())];
        kill(&victim);
        let start = Instant::now();
        drop(guard);
        assert_eq!(soon("Lock, waiter", start, survivor), None, "nobody died with the lock");
    });
}
