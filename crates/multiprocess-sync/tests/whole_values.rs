//! Values and arrays whose users are killed: a value stays whole, a death with a guard is told once.

use multiprocess_process::{Child, Process, StartMethod};
use multiprocess_sync::{Array, Event, MutexGuard, Value};
use std::time::Duration;

/// Within this a child gets to where it should be, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A value of several words, all the same as long as it is whole.
type Wide = [u64; 16];

fn is_whole(value: Wide) -> bool {
    value == [value[0]; 16]
}

fn kill(child: &Child<()>) {
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
}

fn set_for_ever(value: Value<Wide>, going: Event) {
    for number in 1.. {
        value.set([number; 16]);
        value.update(|value| value.iter_mut().for_each(|word| *word += 1));
        going.set();
    }
}

#[test]
fn a_value_is_whole_while_and_after_writers_die() {
    let value = Value::new([0; 16]).expect("a value can be made");
    for round in 0..20 {
        let going = Event::new().expect("an event can be made");
        let writers = [(); 2].map(|()| {
            Process::new(set_for_ever, (value.clone(), going.clone())).daemon(true).start().expect("a child starts")
        });
        assert!(going.wait_timeout(PATIENCE), "the writers write");
        for _ in 0..round * 100 {
            assert!(is_whole(value.get()), "read while others write");
        }
        kill(&writers[0]);
        assert!(is_whole(value.get()), "one writer died");
        kill(&writers[1]);
        assert!(is_whole(value.get()), "both died");
        let before = value.replace([7; 16]);
        assert!(is_whole(before) && value.get() == [7; 16]);
        assert!(value.lock().is_ok(), "who dies in a write of the whole leaves nothing to repair");
    }
}

fn hold_value(value: Value<Wide>, held: Event) {
    let mut guard = value.lock().expect("nobody died");
    guard[3] = 9;
    held.set();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_death_with_a_guard_is_told_once_and_changes_nothing() {
    let value = Value::new([5; 16]).expect("a value can be made");
    let held = Event::new().expect("an event can be made");
    let start = Process::new(hold_value, (value.clone(), held.clone())).start_method(StartMethod::Spawn);
    let holder = start.daemon(true).start().expect("a child starts");
    assert!(held.wait_timeout(PATIENCE), "the child holds the value");
    assert_eq!(value.get(), [5; 16], "to read is not to wait");
    assert!(value.try_lock().expect("it lives").is_none());
    kill(&holder);
    assert_eq!(value.get(), [5; 16]);
    value.set([6; 16]);
    assert_eq!(value.lock().expect_err("the holder died").owner_pid(), holder.pid());
    let mut guard = value.lock().expect("it was told");
    assert_eq!((guard[3], MutexGuard::recovered(&guard)), (6, false));
    guard[3] = 7;
    drop(guard);
    assert_eq!(value.get()[3], 7);
}

#[test]
fn a_panic_under_a_guard_changes_nothing_and_is_told_once() {
    let value = Value::new(5_u64).expect("a value can be made");
    let other = value.clone();
    let panicking = std::thread::spawn(move || {
        let mut guard = other.lock().expect("nobody died");
        *guard = 6;
        panic!("on purpose");
    });
    assert!(panicking.join().is_err());
    assert_eq!(value.get(), 5);
    assert_eq!(value.lock().expect_err("a thread panicked").owner_pid(), std::process::id());
    assert_eq!(*value.lock().expect("it was told"), 5);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        value.update(|value| {
            *value = 8;
            panic!("on purpose");
        })
    }));
    assert!(result.is_err());
    assert_eq!(*value.lock().expect("an update that panics has not happened"), 5);
}

fn hold_array(array: Array<u32>, held: Event) {
    let mut guard = array.lock().expect("nobody died");
    guard[1] = 9;
    held.set();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_death_with_the_guard_of_an_array_is_told_once() {
    let array = Array::new(&[1_u32, 2, 3]).expect("an array can be made");
    let held = Event::new().expect("an event can be made");
    let holder = Process::new(hold_array, (array.clone(), held.clone())).daemon(true).start().expect("a child starts");
    assert!(held.wait_timeout(PATIENCE), "the child holds the array");
    kill(&holder);
    assert_eq!((array.get(1), array.to_vec()), (Some(9), vec![1, 9, 3]), "single values do not report");
    array.set(1, 4);
    assert_eq!(array.lock().expect_err("the holder died").owner_pid(), holder.pid());
    assert_eq!(array.lock().expect("it was told")[..], [1, 4, 3]);
}

#[test]
fn an_owned_guard_outlives_its_handle() {
    let array = Array::new(&[1_u32, 2, 3]).expect("an array can be made");
    let other = array.clone();
    let mut guard = MutexGuard::into_owned(array.lock().expect("nobody died"));
    drop(array);
    guard[0] = 8;
    assert!(other.try_lock().expect("nobody died").is_none());
    drop(guard);
    assert_eq!(other.get(0), Some(8));
}
