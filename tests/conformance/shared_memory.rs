//! `SharedMemory`: bytes that several processes see, with a name and without; how long they live is in `lifetimes.rs`.

use multiprocess::{ErrorKind, SharedMemory, StartMethod};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::start;
use multiprocess_tests::names::unique;
use multiprocess_tests::ready::{Ready, Sayer, another, say};

multiprocess_tests::for_each_start_method![
    invalid_shared_memory_creation,
    shared_memory_across_processes,
    shared_memory_basics,
    shared_memory_name_with_embedded_null,
    shared_memory_pickle_unpickle,
    shared_memory_pickle_unpickle_dead_object,
    shared_memory_recreate,
];

const SIZE: usize = 512;

fn create(name: &str) -> SharedMemory {
    SharedMemory::create(name, SIZE).expect("shared memory can be made")
}

/// The first bytes of `memory`.
fn beginning(memory: &SharedMemory) -> [u8; 5] {
    let mut bytes = [0; 5];
    memory.read(0, &mut bytes);
    bytes
}

/// What opening `name` fails with.
fn kind_of_open(name: String) -> String {
    let error = SharedMemory::open(&name).expect_err("it cannot be opened");
    assert_eq!(error.object(), Some(name.as_str()), "{error}");
    format!("{:?}", error.kind())
}

/// `_TestSharedMemory.test_shared_memory_name_with_embedded_null`: the system would cut such a name short; here it is
/// refused, for making and for opening. (Nothing is unlinked by name here.)
fn shared_memory_name_with_embedded_null(method: StartMethod) {
    let name = format!("{}\0b", unique("null"));
    assert_eq!(SharedMemory::create(&name, SIZE).expect_err("no such name").kind(), ErrorKind::InvalidName);
    assert_eq!(SharedMemory::open_or_create(&name, SIZE).expect_err("no such name").kind(), ErrorKind::InvalidName);
    let there = start(method, kind_of_open, (name,)).join().expect("the child returns");
    assert_eq!(there, "InvalidName");
}

/// `_TestSharedMemory.test_shared_memory_basics`: name and size, two handles of the same bytes, a name that is taken, a name
/// that nobody has, a name that is free again. Negative sizes cannot be written; an attachment has no size to say.
fn shared_memory_basics(method: StartMethod) {
    let name = unique("basics");
    let memory = create(&name);
    assert_eq!(memory.len(), SIZE);
    assert!(format!("{memory:?}").contains(&name), "{memory:?}");
    assert_eq!(beginning(&memory), [0; 5]);
    memory.write(0, b"howdy");
    memory.write(SIZE - 1, &[42]);

    let child = start(method, look_and_write, (name.clone(),));
    assert_eq!(child.join().expect("the child returns"), (SIZE, *b"howdy", 42));
    assert_eq!(beginning(&memory), *b"owdyh");
    let also = SharedMemory::open(&name).expect("it is there");
    also.write(0, b"again");
    assert_eq!(beginning(&memory), *b"again");

    let taken = SharedMemory::create(&name, SIZE).expect_err("the name is taken");
    assert_eq!((taken.kind(), taken.object()), (ErrorKind::AlreadyExists, Some(name.as_str())), "{taken}");
    let opened = SharedMemory::open_or_create(&name, SIZE).expect("it is there");
    assert_eq!(beginning(&opened), *b"again");
    // One of several handles goes, and then the last; there is no `unlink` that could be called twice.
    drop((memory, opened));
    assert_eq!(beginning(&also), *b"again");
    drop(also);
    assert_eq!(start(method, kind_of_open, (name.clone(),)).join().expect("the child returns"), "NotFound");
    assert_eq!(kind_of_open(name), "NotFound");
    assert_eq!(SharedMemory::open("").expect_err("no such name").kind(), ErrorKind::InvalidName);
}

fn look_and_write(name: String) -> (usize, [u8; 5], u8) {
    let memory = SharedMemory::open(&name).expect("it is there");
    let bytes = beginning(&memory);
    let mut last = [0];
    memory.read(memory.len() - 1, &mut last);
    let mut rotated = bytes;
    rotated.rotate_left(1);
    memory.write(0, &rotated);
    (memory.len(), bytes, last[0])
}

/// `_TestSharedMemory.test_shared_memory_recreate`, adapted: there a random name that is taken is drawn again. Here what has
/// no name cannot collide; a name that many want at once goes to one of them, and what it was used for before is gone.
fn shared_memory_recreate(method: StartMethod) {
    const RIVALS: usize = 4;
    let name = unique("recreate");
    create(&name).write(0, b"trace");
    let (mut ready, sayer) = Ready::new();
    let (start_gate, closed) = Gate::new();
    let (end_gate, ended) = Gate::new();
    let copy = |gate: &Closed| multiprocess::Fd(gate.try_clone().expect("a descriptor can be copied"));
    let children: Vec<_> = (0..RIVALS)
        .map(|_| start(method, try_to_create, (name.clone(), another(&sayer), copy(&closed), copy(&ended))))
        .collect();
    children.iter().for_each(|_| ready.wait());
    start_gate.open();
    children.iter().for_each(|_| ready.wait());
    end_gate.open();
    let created = children.into_iter().filter_map(|child| child.join().expect("the child returns"));
    assert_eq!(created.collect::<Vec<_>>(), [[0; 5]]);
}

/// Tries when the first gate opens, and keeps what it has until the second one does.
fn try_to_create(name: String, mut sayer: Sayer, begin: Closed, end: Closed) -> Option<[u8; 5]> {
    say(&mut sayer);
    pass(begin);
    let created = SharedMemory::create(&name, SIZE);
    say(&mut sayer);
    pass(end);
    match created {
        Ok(memory) => Some(beginning(&memory)),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
            None
        }
    }
}

/// `_TestSharedMemory.test_invalid_shared_memory_creation`: no bytes, and more than any machine has. A size below zero or
/// none at all cannot be written.
fn invalid_shared_memory_creation(method: StartMethod) {
    let name = unique("invalid");
    refuse_sizes(name.clone());
    start(method, refuse_sizes, (name,)).join().expect("the child returns");
}

fn refuse_sizes(name: String) {
    for size in [0, usize::MAX, usize::MAX / 2, isize::MAX as usize - 4096] {
        let _ = SharedMemory::new(size).expect_err("no such size");
        let error = SharedMemory::create(&name, size).expect_err("no such size");
        assert_eq!(error.object(), Some(name.as_str()), "{error}");
        let _ = SharedMemory::open_or_create(&name, size).expect_err("no such size");
        assert_eq!(kind_of_open(name.clone()), "NotFound", "nothing is left of {size} bytes");
    }
}

/// `_TestSharedMemory.test_shared_memory_pickle_unpickle`, adapted: a handle that travels is the same memory at its other
/// end, in both directions; a named one also travels as text.
fn shared_memory_pickle_unpickle(method: StartMethod) {
    let name = unique("pickle");
    for memory in [SharedMemory::new(SIZE).expect("shared memory can be made"), create(&name)] {
        memory.write(0, b"hello");
        let child = start(method, rotate_and_return, (memory.clone(),));
        let back: SharedMemory = child.join().expect("the child returns");
        assert_eq!(beginning(&memory), *b"elloh");
        assert_eq!((beginning(&back), back.len()), (*b"elloh", SIZE));
        back.write(0, b"H");
        assert_eq!(beginning(&memory), *b"Hlloh");
    }

    let memory = create(&name);
    let text = serde_json::to_string(&memory).expect("a name is text");
    start(method, write_by_text, (text,)).join().expect("the child returns");
    assert_eq!(beginning(&memory), *b"texts");
}

fn rotate_and_return(memory: SharedMemory) -> SharedMemory {
    let mut bytes = beginning(&memory);
    bytes.rotate_left(1);
    memory.write(0, &bytes);
    memory
}

fn write_by_text(text: String) {
    let memory: SharedMemory = serde_json::from_str(&text).expect("it is there");
    memory.write(0, b"texts");
}

/// `_TestSharedMemory.test_shared_memory_pickle_unpickle_dead_object`: a text outlives its object, and then opens nothing. A
/// handle on its way is the object: that lives on although its sender has dropped it.
fn shared_memory_pickle_unpickle_dead_object(method: StartMethod) {
    let name = unique("dead");
    let memory = create(&name);
    let text = serde_json::to_string(&memory).expect("a name is text");
    drop(memory);
    let there = start(method, failure_of_text, (text,)).join().expect("the child returns");
    assert!(there.contains(&name), "{there}");

    for memory in [SharedMemory::new(SIZE).expect("shared memory can be made"), create(&name)] {
        memory.write(0, b"alive");
        let (gate, closed) = Gate::new();
        let child = start(method, look_later, (memory, closed));
        gate.open();
        assert_eq!(child.join().expect("the child returns"), *b"alive");
    }
}

fn failure_of_text(text: String) -> String {
    serde_json::from_str::<SharedMemory>(&text).expect_err("there is no such object any more").to_string()
}

fn look_later(memory: SharedMemory, gate: Closed) -> [u8; 5] {
    pass(gate);
    beginning(&memory)
}

/// `_TestSharedMemory.test_shared_memory_across_processes`: by handle and by name.
fn shared_memory_across_processes(method: StartMethod) {
    let name = unique("across");
    let memory = create(&name);
    let by_handle = start(method, |memory: SharedMemory| memory.write(0, b"a"), (memory.clone(),));
    by_handle.join().expect("the child returns");
    assert_eq!(beginning(&memory), *b"a\0\0\0\0");
    let by_name = |name: String| SharedMemory::open(&name).expect("it is there").write(1, b"b");
    start(method, by_name, (name,)).join().expect("the child returns");
    assert_eq!(beginning(&memory), *b"ab\0\0\0");
}
