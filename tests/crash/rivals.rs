//! Rivals that are busy all the time do not keep anybody from noticing a death.

use crate::waiters::{PATIENCE, TOO_LONG, keep, kill, start};
use multiprocess::{Mutex, Semaphore, SharedMemory};
use multiprocess_tests::ready::{Sayer, say};
use multiprocess_tests::{checked, pause};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many processes are inside at the same time, and how many there were at most.
const INSIDE: usize = 0;
const MOST: usize = 1;
/// How often anybody was inside.
const TURNS: usize = 2;

#[test]
fn permits_come_back_though_others_acquire_all_the_time() {
    checked("busy rivals for a semaphore", || {
        let semaphore = Semaphore::new(2).expect("a semaphore can be made");
        let memory = SharedMemory::new(64).expect("shared memory can be made");
        let hold = |semaphore: Semaphore, sayer| keep(semaphore.acquire(), sayer);
        let victim = start(hold, semaphore.clone());
        let rivals: Vec<_> = (0..3).map(|_| start(compete, (semaphore.clone(), memory.clone()))).collect();
        let numbers: &[AtomicU64] = memory.as_atomics();
        pause::until("the rivals to be busy", PATIENCE, || numbers[TURNS].load(Ordering::SeqCst) > 1_000);
        assert_eq!(numbers[MOST].load(Ordering::SeqCst), 1, "one of two permits is held by somebody who lives");
        kill(&victim);
        let death = Instant::now();
        let came_back = pause::holds_within(PATIENCE, || numbers[MOST].load(Ordering::SeqCst) == 2);
        let time = death.elapsed();
        println!("busy rivals: both permits were in use {:.1} ms after the death", time.as_secs_f64() * 1e3);
        // Before the rivals die: one that is killed inside stays counted, while its permit goes to another.
        let most = numbers[MOST].load(Ordering::SeqCst);
        rivals.iter().for_each(kill);
        assert!(came_back && time < TOO_LONG, "the permit of the dead was back after {time:?}, if at all");
        assert_eq!(most, 2, "and no more than the two");
    });
}

/// Acquires and releases without end.
fn compete((semaphore, memory): (Semaphore, SharedMemory), mut sayer: Sayer) {
    say(&mut sayer);
    let numbers: &[AtomicU64] = memory.as_atomics();
    loop {
        let _permit = semaphore.acquire();
        let inside = numbers[INSIDE].fetch_add(1, Ordering::SeqCst) + 1;
        numbers[MOST].fetch_max(inside, Ordering::SeqCst);
        numbers[TURNS].fetch_add(1, Ordering::SeqCst);
        (0..500).for_each(|_| spin_loop());
        numbers[INSIDE].fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn death_is_told_though_others_try_all_the_time() {
    checked("busy rivals for a mutex", || {
        let mutex = Mutex::new(0_u64).expect("a mutex can be made");
        let victim = start(|mutex: Mutex<u64>, sayer| keep(mutex.lock(), sayer), mutex.clone());
        let rivals: Vec<_> = (0..3).map(|_| start(hammer, mutex.clone())).collect();
        kill(&victim);
        let death = Instant::now();
        let died = mutex.lock_timeout(PATIENCE).map(|guard| guard.map(drop)).expect_err("the holder died");
        let time = death.elapsed();
        println!("busy rivals: the death was told after {:.1} ms", time.as_secs_f64() * 1e3);
        assert!(time < TOO_LONG, "{time:?}");
        assert_eq!(died.owner_pid(), victim.pid());
        for rival in rivals {
            assert_eq!(rival.join().expect("a rival returns"), victim.pid(), "rivals are told the same");
        }
        drop(mutex.recover());
    });
}

/// Tries to lock, now and then with a little patience, until it is told of a death.
fn hammer(mutex: Mutex<u64>, mut sayer: Sayer) -> u32 {
    say(&mut sayer);
    loop {
        if let Err(died) = mutex.lock_timeout(Duration::from_micros(50)) {
            return died.owner_pid();
        }
    }
}
