//! `Semaphore`: how many permits there are at each step, in every process.

use multiprocess::{Semaphore, StartMethod};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::start;
use multiprocess_tests::ready::{Ready, Sayer, another, say};
use std::time::{Duration, Instant};

multiprocess_tests::for_each_start_method![
    bounded_semaphore,
    bounded_semaphore_is_bounded_for_all_at_once,
    semaphore,
    timeout,
];

/// How long a permit is waited for that does not come.
const IN_VAIN: Duration = Duration::from_millis(150);

/// The number of permits, as this process and a child see it.
#[track_caller]
fn assert_available(method: StartMethod, semaphore: &Semaphore, count: u32) {
    assert_eq!(semaphore.available(), count);
    let there = start(method, |semaphore: Semaphore| semaphore.available(), (semaphore.clone(),));
    assert_eq!(there.join().expect("the child returns"), count);
}

/// Takes both permits, gives them back, and tells the number after each step. CPython's `acquire` gives no permit to hold, so
/// what is taken here is forgotten, and given back by `release`.
fn take_two_and_return_them(method: StartMethod, semaphore: &Semaphore) {
    assert_available(method, semaphore, 2);
    semaphore.acquire().forget();
    assert_available(method, semaphore, 1);
    let child = start(method, |semaphore: Semaphore| semaphore.acquire().forget(), (semaphore.clone(),));
    child.join().expect("the child returns");
    assert_available(method, semaphore, 0);
    assert!(semaphore.try_acquire().is_none());
    semaphore.release(1).expect("one is missing");
    assert_available(method, semaphore, 1);
    let child = start(method, |semaphore: Semaphore| semaphore.release(1).is_ok(), (semaphore.clone(),));
    assert!(child.join().expect("the child returns"));
    assert_available(method, semaphore, 2);
}

/// `_TestSemaphore.test_semaphore`: it may be released beyond its first number.
fn semaphore(method: StartMethod) {
    let semaphore = Semaphore::new(2).expect("a semaphore can be made");
    take_two_and_return_them(method, &semaphore);
    semaphore.release(1).expect("there is no bound");
    assert_available(method, &semaphore, 3);
    semaphore.release(1).expect("there is no bound");
    assert_available(method, &semaphore, 4);
    let permits: Vec<_> = (0..4).map(|_| semaphore.acquire()).collect();
    assert_available(method, &semaphore, 0);
    drop(permits);
    assert_available(method, &semaphore, 4);
}

/// `_TestSemaphore.test_bounded_semaphore`, strengthened: a release above the bound is an error on every platform, and
/// changes nothing, also when only a part of it is too many.
fn bounded_semaphore(method: StartMethod) {
    let semaphore = Semaphore::bounded(2).expect("a semaphore can be made");
    take_two_and_return_them(method, &semaphore);
    semaphore.release(1).expect_err("both permits are there");
    assert_available(method, &semaphore, 2);
    semaphore.acquire().forget();
    semaphore.release(2).expect_err("only one is missing");
    assert_available(method, &semaphore, 1);
    let permit = semaphore.acquire();
    semaphore.release(2).expect_err("only one is missing, the other is held");
    drop(permit);
    semaphore.release(1).expect("one is missing");
    assert_available(method, &semaphore, 2);
}

/// The bound holds also when several processes release at the same time: just as many succeed as permits are missing.
fn bounded_semaphore_is_bounded_for_all_at_once(method: StartMethod) {
    const MISSING: u32 = 50;
    let semaphore = Semaphore::bounded(MISSING).expect("a semaphore can be made");
    (0..MISSING).for_each(|_| semaphore.acquire().forget());
    let (mut ready, sayer) = Ready::new();
    let (gates, children): (Vec<_>, Vec<_>) = (0..4)
        .map(|_| {
            let (gate, closed) = Gate::new();
            (gate, start(method, release_many, (semaphore.clone(), another(&sayer), closed)))
        })
        .unzip();
    children.iter().for_each(|_| ready.wait());
    drop(gates);
    let succeeded: u32 = children.into_iter().map(|child| child.join().expect("the child returns")).sum();
    assert_eq!(succeeded, MISSING);
    assert_available(method, &semaphore, MISSING);
}

fn release_many(semaphore: Semaphore, mut sayer: Sayer, gate: Closed) -> u32 {
    say(&mut sayer);
    pass(gate);
    (0..100).map(|_| u32::from(semaphore.release(1).is_ok())).sum()
}

/// `_TestSemaphore.test_timeout`: without a permit, a try returns at once and a timed call when its time is over. (CPython
/// lets one pass a time to a call that does not wait; here these are two functions.)
fn timeout(method: StartMethod) {
    let semaphore = Semaphore::new(0).expect("a semaphore can be made");
    let child = start(method, wait_in_vain, (semaphore,));
    let [at_once, timed] = child.join().expect("the child returns");
    assert!(at_once < IN_VAIN, "a try took {at_once:?}");
    assert!(timed >= IN_VAIN, "waited for {timed:?} only");
}

/// How long a try and a timed call take.
fn wait_in_vain(semaphore: Semaphore) -> [Duration; 2] {
    let begin = Instant::now();
    assert!(semaphore.try_acquire().is_none());
    let at_once = begin.elapsed();
    let begin = Instant::now();
    assert!(semaphore.acquire_timeout(IN_VAIN).is_none());
    [at_once, begin.elapsed()]
}
