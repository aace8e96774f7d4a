//! The other half: an object that is passed to a child is shared with that child, and with nobody else.

use multiprocess::{Array, Lock, Mutex, SharedMemory, StartMethod, Value};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::{self, start};
use multiprocess_tests::processes;
use multiprocess_tests::ready::{Ready, Sayer, say};
use std::collections::BTreeSet;
use std::fs;

multiprocess_tests::for_each_start_method![
    anonymous_objects_have_no_name,
    clone_of_a_handle_is_the_same_object,
    grandchild_shares_what_was_passed_on,
    members_are_not_shared_by_their_neighbours,
    passed_objects_are_shared_with_that_child,
    passed_objects_are_shared_with_nobody_else,
];

type Objects = (Value<u64>, Array<u32>, Mutex<[u8; 4]>, SharedMemory);

fn new_objects() -> Objects {
    let value = Value::new(1).expect("a value can be made");
    let array = Array::new(&[1, 2, 3]).expect("an array can be made");
    let mutex = Mutex::new(*b"here").expect("a mutex can be made");
    (value, array, mutex, SharedMemory::new(100).expect("shared memory can be made"))
}

type Seen = (u64, Vec<u32>, [u8; 4], u8);

fn look((value, array, mutex, memory): &Objects) -> Seen {
    let mut last = [0];
    memory.read(99, &mut last);
    (value.get(), array.to_vec(), *mutex.lock().expect("nobody died"), last[0])
}

/// What `new_objects` holds.
fn initial() -> Seen {
    (1, vec![1, 2, 3], *b"here", 0)
}

/// What `change` makes of it.
fn changed() -> Seen {
    (2, vec![1, 2, 33], *b"more", 9)
}

fn change(objects: Objects) -> Seen {
    let before = look(&objects);
    objects.0.update(|value| *value += 1);
    objects.1.set(2, 33);
    *objects.2.lock().expect("nobody died") = *b"more";
    objects.3.write(99, &[9]);
    before
}

/// What was passed is one object in two processes, in both directions.
fn passed_objects_are_shared_with_that_child(method: StartMethod) {
    let objects = new_objects();
    let child = start(method, change, (objects.clone(),));
    assert_eq!(child.join().expect("the child returns"), initial());
    assert_eq!(look(&objects), changed());

    // What its parent changes while it runs, the child sees too.
    let (mut ready, sayer) = Ready::new();
    let (gate, closed) = Gate::new();
    let child = start(method, look_twice, (objects.clone(), sayer, closed));
    ready.wait();
    objects.0.set(7);
    objects.1.lock().expect("nobody died")[0] = 7;
    gate.open();
    let (before, after) = child.join().expect("the child returns");
    assert_eq!(before, changed());
    assert_eq!((after.0, after.1), (7, vec![7, 2, 33]));
}

fn look_twice(objects: Objects, mut sayer: Sayer, gate: Closed) -> (Seen, Seen) {
    let before = look(&objects);
    say(&mut sayer);
    pass(gate);
    (before, look(&objects))
}

/// The memory of a process: the numbers of the files without a name that it has mapped or open.
fn nameless_files(pid: u32) -> BTreeSet<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mapped = maps.lines().filter(|line| line.contains("/memfd:"));
    let mapped = mapped.filter_map(|line| line.split_whitespace().nth(4)?.parse().ok());
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open = entries.filter(|entry| {
        fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:"))
    });
    let open = open.filter_map(|entry| Some(std::os::unix::fs::MetadataExt::ino(&fs::metadata(entry.path()).ok()?)));
    mapped.chain(open).collect()
}

/// A sibling that got objects of its own has those. It, an older one that got nothing, and the fork server have nothing of
/// the passed ones: not their values, not their memory, not their descriptors.
fn passed_objects_are_shared_with_nobody_else(method: StartMethod) {
    let (mut ready, sayer) = Ready::new();
    let (gate, closed) = Gate::new();
    let older = start(method, wait_for_end, (sayer, closed));
    ready.wait();
    let before = nameless_files(std::process::id());
    let objects = new_objects();
    let shared: BTreeSet<u64> = &nameless_files(std::process::id()) - &before;
    assert_eq!(shared.len(), 4, "each object has memory of its own");

    let others = new_objects();
    let (mut receiver_ready, sayer) = Ready::new();
    let (receiver_gate, closed) = Gate::new();
    let receiver = start(method, look_twice, (objects.clone(), sayer, closed));
    receiver_ready.wait();
    let (mut sibling_ready, sayer) = Ready::new();
    let (sibling_gate, closed) = Gate::new();
    let sibling = start(method, look_twice, (others.clone(), sayer, closed));
    sibling_ready.wait();

    let has = |pid: u32| nameless_files(pid).intersection(&shared).count();
    assert_eq!(has(receiver.pid()), 4);
    assert_eq!((has(sibling.pid()), has(older.pid())), (0, 0));
    for helper in processes::children().into_iter().filter(processes::Running::is_own_helper) {
        assert_eq!(has(helper.pid), 0, "{} has shared memory", helper.name);
    }

    // A change of the one is seen by its receiver, and not by the sibling.
    change(objects);
    receiver_gate.open();
    sibling_gate.open();
    assert_eq!(receiver.join().expect("the child returns"), (initial(), changed()));
    assert_eq!(sibling.join().expect("the child returns"), (initial(), initial()));
    assert_eq!(look(&others), initial());
    gate.open();
    older.join().expect("the child returns");
}

fn wait_for_end(mut sayer: Sayer, gate: Closed) {
    say(&mut sayer);
    pass(gate);
}

/// What was not named cannot be found by a name.
fn anonymous_objects_have_no_name(method: StartMethod) {
    let objects = new_objects();
    let lines = start(method, named_maps_with, (objects,)).join().expect("the child returns");
    assert_eq!(lines, Vec::<String>::new());
}

/// The lines of this process's memory that have a name in the folder of shared memory.
fn named_maps_with(objects: Objects) -> Vec<String> {
    assert_eq!(look(&objects), initial());
    let maps = fs::read_to_string("/proc/self/maps").expect("a process can list its memory");
    maps.lines().filter(|line| line.contains("/dev/shm/")).map(str::to_owned).collect()
}

fn clone_of_a_handle_is_the_same_object(method: StartMethod) {
    let objects = new_objects();
    let clones = objects.clone();
    start(method, change, (objects.clone(),)).join().expect("the child returns");
    assert_eq!(look(&clones), changed());
    // Passed twice in one message, it is one object at the other end too.
    let same = |one: Value<u64>, other: Value<u64>| {
        one.set(5);
        other.get()
    };
    assert_eq!(start(method, same, (objects.0.clone(), clones.0)).join().expect("the child returns"), 5);
}

/// A child may pass on what it got; then its own child shares it with the root.
fn grandchild_shares_what_was_passed_on(method: StartMethod) {
    let objects = new_objects();
    let child = start(method, pass_on, (methods::name(method).to_owned(), objects.clone()));
    assert_eq!(child.join().expect("the child returns"), initial());
    assert_eq!(look(&objects), changed());
}

fn pass_on(method: String, objects: Objects) -> Seen {
    start(methods::named(&method), change, (objects,)).join().expect("the grandchild returns")
}

/// Locks made one after the other lie in memory of their own each: who gets one cannot reach the next.
fn members_are_not_shared_by_their_neighbours(method: StartMethod) {
    let before = nameless_files(std::process::id());
    let locks = [(); 3].map(|()| Lock::new().expect("a lock can be made"));
    let memory = &nameless_files(std::process::id()) - &before;
    assert_eq!(memory.len(), 3);
    let child = start(method, own_nameless_files, (locks[1].clone(),));
    let there = child.join().expect("the child returns");
    assert_eq!(memory.intersection(&there).count(), 1);
}

fn own_nameless_files(lock: Lock) -> BTreeSet<u64> {
    assert!(!lock.is_locked());
    nameless_files(std::process::id())
}
