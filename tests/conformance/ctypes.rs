//! Structs, arrays and texts in shared memory: plain types with a layout that all processes agree on.

use multiprocess::bytemuck::{Pod, Zeroable};
use multiprocess::{Array, Mutex, SharedMemory, StartMethod, Value};
use multiprocess_tests::methods::start;

multiprocess_tests::for_each_start_method![copy, sharedctypes, synchronize];

/// CPython's struct of an int, a double and a long. A plain type has no hidden bytes, so those behind the int have a name.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[bytemuck(crate = "multiprocess::bytemuck")]
#[repr(C)]
struct Record {
    x: i32,
    padding: u32,
    y: f64,
    z: i64,
}

impl Record {
    fn new(x: i32, y: f64) -> Record {
        Record { x, padding: 0, y, z: 1 << 33 }
    }

    fn double(&mut self) {
        self.x *= 2;
        self.y *= 2.0;
    }
}

/// `_TestSharedCTypes.test_sharedctypes`, adapted: objects without a lock are plain values laid out in shared memory by the
/// program.
fn sharedctypes(method: StartMethod) {
    let memory =
        SharedMemory::new(size_of::<Record>() + size_of::<[f64; 10]>() + 20).expect("shared memory can be made");
    let floats: [f64; 10] = std::array::from_fn(|i| i as f64);
    write_at(&memory, 0, &Record::new(3, 2.0));
    write_at(&memory, size_of::<Record>(), &floats);
    memory.write(size_of::<Record>() + size_of_val(&floats), b"hello");
    start(method, double_in_memory, (memory.clone(),)).join().expect("the child returns");
    assert_eq!(read_at::<Record>(&memory, 0), Record::new(6, 4.0));
    assert_eq!(read_at::<[f64; 10]>(&memory, size_of::<Record>()), floats.map(|float| float * 2.0));
    let mut text = [0; 20];
    memory.read(size_of::<Record>() + size_of_val(&floats), &mut text);
    assert_eq!(text, *b"hellohello\0\0\0\0\0\0\0\0\0\0");
}

fn double_in_memory(memory: SharedMemory) {
    let mut record: Record = read_at(&memory, 0);
    record.double();
    write_at(&memory, 0, &record);
    let floats: [f64; 10] = read_at(&memory, size_of::<Record>());
    write_at(&memory, size_of::<Record>(), &floats.map(|float| float * 2.0));
    let place = size_of::<Record>() + size_of_val(&floats);
    let mut text = [0; 5];
    memory.read(place, &mut text);
    memory.write(place + text.len(), &text);
}

fn read_at<T: Pod>(memory: &SharedMemory, offset: usize) -> T {
    let mut value = T::zeroed();
    memory.read(offset, multiprocess::bytemuck::bytes_of_mut(&mut value));
    value
}

fn write_at<T: Pod>(memory: &SharedMemory, offset: usize, value: &T) {
    memory.write(offset, multiprocess::bytemuck::bytes_of(value));
}

/// `_TestSharedCTypes.test_synchronize`, adapted: the same objects, each with its lock.
fn synchronize(method: StartMethod) {
    let numbers = (Value::new(7_i32), Value::new(1.0_f64 / 3.0), Value::new(1_i64 << 33));
    let x = numbers.0.expect("a value can be made");
    let y = numbers.1.expect("a value can be made");
    let z = numbers.2.expect("a value can be made");
    let record = Mutex::new(Record::new(3, 2.0)).expect("a mutex can be made");
    let floats: Vec<f64> = (0..10).map(f64::from).collect();
    let array = Array::new(&floats).expect("an array can be made");
    let text = Array::<u8>::zeroed(20).expect("an array can be made");
    text.lock().expect("nobody died")[..5].copy_from_slice(b"hello");
    let arguments = (x.clone(), y.clone(), z.clone(), record.clone(), array.clone(), text.clone());
    start(method, double, arguments).join().expect("the child returns");
    assert_eq!((x.get(), y.get(), z.get()), (14, 2.0 / 3.0, 1 << 34));
    assert_eq!(*record.lock().expect("nobody died"), Record::new(6, 4.0));
    assert_eq!(array.to_vec(), floats.iter().map(|float| float * 2.0).collect::<Vec<_>>());
    assert_eq!(text.to_vec()[..11], *b"hellohello\0");
}

fn double(x: Value<i32>, y: Value<f64>, z: Value<i64>, record: Mutex<Record>, floats: Array<f64>, text: Array<u8>) {
    x.update(|x| *x *= 2);
    y.update(|y| *y *= 2.0);
    z.update(|z| *z *= 2);
    record.lock().expect("nobody died").double();
    floats.lock().expect("nobody died").iter_mut().for_each(|float| *float *= 2.0);
    text.lock().expect("nobody died").copy_within(..5, 5);
}

/// `_TestSharedCTypes.test_copy`, adapted: `get` and a dereferenced guard are copies, which nobody else changes; a clone of
/// the handle is the same object.
fn copy(method: StartMethod) {
    let record = Value::new(Record::new(2, 5.0)).expect("a value can be made");
    let copy = record.get();
    let handle = record.clone();
    let clear = |record: Value<Record>| record.set(Record { x: 0, padding: 0, y: 0.0, z: 0 });
    start(method, clear, (record.clone(),)).join().expect("the child returns");
    assert_eq!(copy, Record::new(2, 5.0));
    assert_eq!(handle.get(), Record::zeroed());
    assert_eq!(*record.lock().expect("nobody died"), Record::zeroed());
}
