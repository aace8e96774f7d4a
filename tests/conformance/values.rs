//! `Value`: one plain value, written in one process and seen in another.

use multiprocess::bytemuck::Pod;
use multiprocess::{Child, MutexGuard, SharedMemory, StartMethod, Value};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::{self, start};
use multiprocess_tests::ready::{Ready, Sayer, say};
use std::fmt::Debug;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU8, AtomicU64, Ordering::SeqCst};

multiprocess_tests::for_each_start_method![
    getobj_getlock,
    mixed_startmethod,
    rawvalue,
    value,
    value_is_updated_by_one_at_a_time,
    value_of_many,
];

/// `_TestValue.test_value`: numbers of every sort have their first value, and then what a child has made of them.
fn value(method: StartMethod) {
    is_written(method, 4343_i32, 24_234);
    is_written(method, 3.625_f64, -4.25);
    is_written(method, -232_i16, 234);
    is_written(method, 1_i64 << 33, 1 << 34);
    is_written(method, b'x', b'y');
}

/// An array of any length is plain data too.
fn value_of_many(method: StartMethod) {
    let value = Value::new([1_u32; 100]).expect("a value can be made");
    let count =
        |value: Value<[u32; 100]>| value.update(|numbers| (1..).zip(numbers).for_each(|(n, number)| *number = n));
    start(method, count, (value.clone(),)).join().expect("the child returns");
    assert_eq!((value.get()[0], value.get()[99]), (1, 100));
}

fn is_written<T>(method: StartMethod, before: T, after: T)
where
    T: Pod + PartialEq + Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let value = Value::new(before).expect("a value can be made");
    assert_eq!(value.get(), before);
    let child: Child<T> = start(method, replace::<T>, (value.clone(), after));
    assert_eq!(child.join().expect("the child returns"), before);
    assert_eq!(value.get(), after);
}

fn replace<T: Pod>(value: Value<T>, by: T) -> T {
    let before = value.get();
    assert!(multiprocess::bytemuck::bytes_of(&value.replace(by)) == multiprocess::bytemuck::bytes_of(&before));
    value.set(by);
    before
}

/// `_TestValue.test_rawvalue`, adapted: a value without a lock is an atomic in shared memory. Of a float the bits are shared.
fn rawvalue(method: StartMethod) {
    let memory = SharedMemory::new(64).expect("shared memory can be made");
    memory.as_atomics::<AtomicI32>()[0].store(4343, SeqCst);
    memory.as_atomics::<AtomicU64>()[1].store(3.625_f64.to_bits(), SeqCst);
    memory.as_atomics::<AtomicI64>()[2].store(1 << 33, SeqCst);
    memory.as_atomics::<AtomicU8>()[24].store(b'x', SeqCst);
    start(method, change_without_lock, (memory.clone(),)).join().expect("the child returns");
    assert_eq!(memory.as_atomics::<AtomicI32>()[0].load(SeqCst), 24_234);
    assert_eq!(f64::from_bits(memory.as_atomics::<AtomicU64>()[1].load(SeqCst)), -4.25);
    assert_eq!(memory.as_atomics::<AtomicI64>()[2].load(SeqCst), 1 << 34);
    assert_eq!(memory.as_atomics::<AtomicU8>()[24].load(SeqCst), b'y');
}

fn change_without_lock(memory: SharedMemory) {
    assert_eq!(memory.as_atomics::<AtomicI32>()[0].swap(24_234, SeqCst), 4343);
    let bits = memory.as_atomics::<AtomicU64>()[1].swap((-4.25_f64).to_bits(), SeqCst);
    assert_eq!(f64::from_bits(bits), 3.625);
    assert_eq!(memory.as_atomics::<AtomicI64>()[2].fetch_add(1 << 33, SeqCst), 1 << 33);
    assert_eq!(memory.as_atomics::<AtomicU8>()[24].fetch_add(1, SeqCst), b'x');
}

/// `_TestValue.test_getobj_getlock`, adapted: `lock` gives the lock and the object in one, so that neither can be had
/// without the other. A lock of the caller's own, no lock at all, and something that is no lock are types here: a `Mutex`, an
/// atomic, and a program that does not compile.
fn getobj_getlock(method: StartMethod) {
    let value = Value::new(5_i32).expect("a value can be made");
    let (mut ready, sayer) = Ready::new();
    let (gate, closed) = Gate::new();
    let child = start(method, hold_and_set, (value.clone(), sayer, closed));
    ready.wait();
    assert!(value.try_lock().expect("nobody died").is_none());
    gate.open();
    child.join().expect("the child returns");
    let mut guard: MutexGuard<'_, i32> = value.lock().expect("nobody died");
    assert_eq!(*guard, 6);
    *guard += 1;
    drop(guard);
    assert_eq!(value.get(), 7);
}

fn hold_and_set(value: Value<i32>, mut sayer: Sayer, gate: Closed) {
    let mut guard = value.lock().expect("nobody died");
    say(&mut sayer);
    pass(gate);
    *guard = 6;
}

/// CPython's `value.value += 1` loses additions when two processes do it (X13). There is no such operation here: what
/// changes a value does so as one.
fn value_is_updated_by_one_at_a_time(method: StartMethod) {
    const EACH: u64 = 20_000;
    let value = Value::new(0_u64).expect("a value can be made");
    let count = |value: Value<u64>| (0..EACH).for_each(|_| value.update(|count| *count += 1));
    let children = [(); 2].map(|()| start(method, count, (value.clone(),)));
    children.into_iter().for_each(|child| child.join().expect("the child returns"));
    assert_eq!(value.get(), 2 * EACH);
}

/// `TestStartMethod.test_mixed_startmethod`, strengthened: CPython refuses to pass an object made for one method to a child of
/// another. Here one object serves children of both, and theirs.
fn mixed_startmethod(method: StartMethod) {
    let value = Value::new(0_u32).expect("a value can be made");
    let children = [method, methods::other_than(method)].map(|method| {
        let inner = methods::name(methods::other_than(method)).to_owned();
        start(method, add_here_and_below, (value.clone(), inner))
    });
    children.into_iter().for_each(|child| child.join().expect("the child returns"));
    assert_eq!(value.get(), 22);
}

fn add_here_and_below(value: Value<u32>, method: String) {
    value.update(|sum| *sum += 1);
    let add = |value: Value<u32>| value.update(|sum| *sum += 10);
    start(methods::named(&method), add, (value,)).join().expect("the grandchild returns");
}
