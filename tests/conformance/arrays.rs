//! `Array`: a fixed number of plain values under one lock.

use multiprocess::{Array, MutexGuard, SharedMemory, StartMethod};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::start;
use multiprocess_tests::ready::{Ready, Sayer, say};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

multiprocess_tests::for_each_start_method![array, array_from_size, getobj_getlock_obj, rawarray];

/// CPython's ten numbers.
const NUMBERS: [i32; 10] = [680, 626, 934, 821, 150, 233, 548, 982, 714, 831];

/// Makes of each element the sum of those up to it.
fn add_up(numbers: &mut [i32]) {
    for i in 1..numbers.len() {
        numbers[i] += numbers[i - 1];
    }
}

/// `_TestArray.test_array`: length, single elements, parts of it; what a child has made of it.
fn array(method: StartMethod) {
    let mut expected = NUMBERS;
    let array = Array::new(&expected).expect("an array can be made");
    assert_eq!((array.len(), array.is_empty()), (expected.len(), false));
    assert_eq!((array.get(3), array.get(10), array.get(usize::MAX)), (Some(expected[3]), None, None));
    assert_eq!(array.lock().expect("nobody died")[2..7], expected[2..7]);

    array.lock().expect("nobody died")[4..8].copy_from_slice(&[1, 2, 3, 4]);
    expected[4..8].copy_from_slice(&[1, 2, 3, 4]);
    array.set(0, -7);
    expected[0] = -7;
    assert_eq!(array.to_vec(), expected);

    let child = start(method, |array: Array<i32>| add_up(&mut array.lock().expect("nobody died")), (array.clone(),));
    child.join().expect("the child returns");
    add_up(&mut expected);
    assert_eq!(array.to_vec(), expected);
}

/// `_TestArray.test_array_from_size`: an array of a size is zero, also when its memory was used before. A child sees the
/// zeros, and uses the memory.
fn array_from_size(method: StartMethod) {
    for _ in 0..3 {
        let array = Array::<i32>::zeroed(10).expect("an array can be made");
        assert_eq!(array.to_vec(), [0; 10]);
        let child = start(method, see_zeros_and_fill, (array.clone(),));
        assert!(child.join().expect("the child returns"));
        assert_eq!(array.to_vec(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}

fn see_zeros_and_fill(array: Array<i32>) -> bool {
    let zeros = array.to_vec() == [0; 10];
    array.lock().expect("nobody died").copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    zeros
}

/// `_TestArray.test_rawarray`, adapted: an array without a lock is atomics in shared memory.
fn rawarray(method: StartMethod) {
    let mut expected = NUMBERS;
    let memory = SharedMemory::new(size_of_val(&expected)).expect("shared memory can be made");
    let atomics = &memory.as_atomics::<AtomicI32>()[..expected.len()];
    atomics.iter().zip(expected).for_each(|(atomic, number)| atomic.store(number, SeqCst));
    start(method, add_up_without_lock, (memory.clone(),)).join().expect("the child returns");
    add_up(&mut expected);
    assert_eq!(atomics.iter().map(|atomic| atomic.load(SeqCst)).collect::<Vec<_>>(), expected);
}

fn add_up_without_lock(memory: SharedMemory) {
    for pair in memory.as_atomics::<AtomicI32>()[..NUMBERS.len()].windows(2) {
        pair[1].fetch_add(pair[0].load(SeqCst), SeqCst);
    }
}

/// `_TestArray.test_getobj_getlock_obj`, adapted as for a value: the guard is the lock and the object.
fn getobj_getlock_obj(method: StartMethod) {
    let array = Array::new(&NUMBERS).expect("an array can be made");
    let (mut ready, sayer) = Ready::new();
    let (gate, closed) = Gate::new();
    let child = start(method, hold_and_reverse, (array.clone(), sayer, closed));
    ready.wait();
    assert!(array.try_lock().expect("nobody died").is_none());
    gate.open();
    child.join().expect("the child returns");
    let guard: MutexGuard<'_, [i32]> = array.lock().expect("nobody died");
    assert!(guard.iter().eq(NUMBERS.iter().rev()));
}

fn hold_and_reverse(array: Array<i32>, mut sayer: Sayer, gate: Closed) {
    let mut guard = array.lock().expect("nobody died");
    say(&mut sayer);
    pass(gate);
    guard.reverse();
}
