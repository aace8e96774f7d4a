//! How long a named object lives: as long as anybody has it open, and not longer, however its users end.

use multiprocess::bytemuck::{Pod, Zeroable};
use multiprocess::{Array, Child, ErrorKind, Mutex, Process, SharedMemory, StartMethod, Stdio};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::{self, start};
use multiprocess_tests::names::unique;
use multiprocess_tests::processes::{self, Signal};
use multiprocess_tests::ready::{Ready, Sayer, say};
use multiprocess_tests::{pause, signals};
use rustix::process::{Pid, kill_process_group, setpgid};
use std::io::{BufRead as _, BufReader, Read as _};
use std::time::Duration;

multiprocess_tests::for_each_start_method![
    shared_memory_cleaned_after_process_termination,
    shared_memory_cleaned_after_termination_of_the_group,
    shared_memory_server_ignores_sigint,
    shared_memory_shareable_list_basics,
    shared_memory_shareable_list_pickling,
    shared_memory_shareable_list_pickling_dead_object,
    shared_memory_manager_basics,
    shared_memory_manager_reuses_resource_tracker,
    shared_memory_tracking,
    shared_memory_untracking,
    last_handle_in_arguments_leaves_nothing_behind,
];

/// The file that a name has as long as anybody has it.
fn file_of(name: &str) -> Option<std::path::PathBuf> {
    let files = std::fs::read_dir("/dev/shm").expect("the folder of names").flatten();
    files.map(|file| file.path()).find(|path| path.to_string_lossy().ends_with(name))
}

/// An object that is moved into the arguments has its last handle there: it goes, and its file too, when the process was never
/// started, and when it has ended, however soon.
fn last_handle_in_arguments_leaves_nothing_behind(method: StartMethod) {
    let name = unique("moved");
    let process = Process::new(drop::<SharedMemory>, (SharedMemory::create(&name, SIZE).expect("a free name"),));
    assert!(file_of(&name).is_some(), "it lives as long as the process may be started");
    drop(process);
    assert_eq!(file_of(&name), None, "never started");
    for _ in 0..20 {
        let memory = SharedMemory::create(&name, SIZE).expect("a free name");
        start(method, drop::<SharedMemory>, (memory,)).join().expect("the child returns");
        assert_eq!(file_of(&name), None, "the child has ended");
    }
}

const SIZE: usize = 512;

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(20);

fn is_there(name: &str) -> bool {
    match SharedMemory::open(name) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            false
        }
    }
}

/// Creates memory of that name, says so, and keeps it until the gate opens.
fn create_and_wait(name: String, mut sayer: Sayer, gate: Closed) {
    let memory = SharedMemory::create(&name, SIZE).expect("shared memory can be made");
    memory.write(0, b"mine");
    say(&mut sayer);
    pass(gate);
}

/// A child that has created memory of that name, and the gate at which it waits.
fn owner(method: StartMethod, name: &str) -> (Child<()>, Gate) {
    let (mut ready, sayer) = Ready::new();
    let (gate, closed) = Gate::new();
    let child = start(method, create_and_wait, (name.to_owned(), sayer, closed));
    ready.wait();
    (child, gate)
}

/// `_TestSharedMemory.test_shared_memory_cleaned_after_process_termination`, strengthened: after a termination that the
/// owner can react to and after one that it cannot, the name is free.
fn shared_memory_cleaned_after_process_termination(method: StartMethod) {
    for signal in [Signal::TERM, Signal::KILL] {
        let name = unique("terminated");
        let (child, gate) = owner(method, &name);
        assert!(is_there(&name));
        processes::signal(child.pid(), signal);
        child.wait().expect("the child can be waited for");
        assert!(!is_there(&name));
        let again = SharedMemory::create(&name, SIZE).expect("the name is free");
        let mut bytes = [0; 4];
        again.read(0, &mut bytes);
        assert_eq!(bytes, [0; 4], "nothing is left of the dead owner's");
        gate.open();
    }
}

/// The same when every user is killed in one blow: an owner, and one that has opened the memory. Nobody is left who could
/// clean up.
fn shared_memory_cleaned_after_termination_of_the_group(method: StartMethod) {
    let name = unique("group");
    let arguments = (methods::name(method).to_owned(), name.clone());
    let leader = Process::new(lead_group, arguments).start_method(method).stdout(Stdio::piped());
    let mut leader = leader.start().expect("the child starts");
    let mut lines = BufReader::new(leader.stdout.take().expect("its output is piped")).lines();
    let owner: u32 = lines.next().expect("a line").expect("text").parse().expect("the owner's id");
    assert!(is_there(&name));
    let group = processes::find(owner).expect("the owner runs").group;
    assert_eq!(group, leader.pid(), "the owner is in its parent's group");
    let group = Pid::from_raw(i32::try_from(group).expect("an id")).expect("an id is positive");
    kill_process_group(group, Signal::KILL).expect("the group can be killed");
    leader.wait().expect("the leader can be waited for");
    // Whoever adopts the owner waits for it when it likes; an ended process has nothing open.
    pause::until("the owner to end", LONG, || processes::find(owner).is_none_or(|process| process.is_zombie()));
    assert!(!is_there(&name));
    drop(SharedMemory::create(&name, SIZE).expect("the name is free"));
}

/// Makes a group of its own, in it an owner, and opens what that has created.
fn lead_group(method: String, name: String) {
    setpgid(None, None).expect("a child may lead a group");
    let (child, _gate) = owner(methods::named(&method), &name);
    let _opened = SharedMemory::open(&name).expect("it is there");
    println!("{}", child.pid());
    pause::for_ever();
}

/// `_TestSharedMemory.test_shared_memory_untracking`, strengthened: a process that opens memory and ends does not destroy it
/// (X05). CPython can be told so; here it is always so.
fn shared_memory_untracking(method: StartMethod) {
    let name = unique("untracked");
    let memory = SharedMemory::create(&name, SIZE).expect("shared memory can be made");
    let open = |name: String| SharedMemory::open(&name).expect("it is there").write(0, b"seen");
    start(method, open, (name.clone(),)).join().expect("the child returns");
    let mut bytes = [0; 4];
    memory.read(0, &mut bytes);
    assert_eq!(bytes, *b"seen");
    assert!(is_there(&name));
}

/// `_TestSharedMemory.test_shared_memory_tracking`, inverted: CPython asserts that a program that only opened the memory
/// destroys it at its end. Here it is there for the others also when that program is killed.
fn shared_memory_tracking(method: StartMethod) {
    let name = unique("tracked");
    let memory = SharedMemory::create(&name, SIZE).expect("shared memory can be made");
    let (mut ready, sayer) = Ready::new();
    let child = start(method, open_and_wait, (name.clone(), sayer));
    ready.wait();
    child.kill().expect("the child can be killed");
    child.wait().expect("the child can be waited for");
    assert!(is_there(&name));
    let there = start(method, |name: String| is_there(&name), (name.clone(),)).join().expect("the child returns");
    assert!(there);
    drop(memory);
    assert!(!is_there(&name));
}

fn open_and_wait(name: String, mut sayer: Sayer) {
    let _memory = SharedMemory::open(&name).expect("it is there");
    say(&mut sayer);
    pause::for_ever();
}

/// `_TestSharedMemory.test_shared_memory_SharedMemoryServer_ignores_sigint`, adapted: no server owns the memory, so that an
/// interrupt typed at a terminal, which reaches every process, has none to end: an owner that handles it goes on, and what
/// an interrupted one had made lives with whoever has it open.
fn shared_memory_server_ignores_sigint(method: StartMethod) {
    let name = unique("interrupted");
    let (child, gate) = owner(method, &name);
    let opened = SharedMemory::open(&name).expect("it is there");
    if let Some(server) = processes::fork_server() {
        processes::signal(server.pid, Signal::INT);
    }
    child.interrupt().expect("the child can be interrupted");
    assert!(!child.wait().expect("the child can be waited for").success(), "the interrupt ended it");
    gate.open();
    assert!(is_there(&name));

    let (mut ready, sayer) = Ready::new();
    let child = start(method, open_and_count_interrupt, (name.clone(), sayer));
    ready.wait();
    child.interrupt().expect("the child can be interrupted");
    assert_eq!(child.join().expect("the child goes on"), *b"mine");
    drop(opened);
    assert!(!is_there(&name));
}

fn open_and_count_interrupt(name: String, mut sayer: Sayer) -> [u8; 4] {
    signals::count(Signal::INT);
    let memory = SharedMemory::open(&name).expect("it is there");
    say(&mut sayer);
    pause::until("the interrupt", LONG, || signals::arrived() == 1);
    let mut bytes = [0; 4];
    memory.read(0, &mut bytes);
    bytes
}

/// `_TestSharedMemory.test_shared_memory_SharedMemoryManager_reuses_resource_tracker`, strengthened: whoever makes, opens and
/// drops memory, nobody complains of a leak, and no process more is there.
fn shared_memory_manager_reuses_resource_tracker(method: StartMethod) {
    let name = unique("silent");
    let memory = SharedMemory::create(&name, SIZE).expect("shared memory can be made");
    let process = Process::new(use_memory, (name.clone(), methods::name(method).to_owned()));
    let mut child = process.start_method(method).stderr(Stdio::piped()).start().expect("the child starts");
    let mut text = String::new();
    child.stderr.take().expect("its errors are piped").read_to_string(&mut text).expect("it can be read");
    assert_eq!(child.join().expect("the child returns"), Vec::<String>::new(), "the child's own children");
    assert_eq!(text, "");
    drop(memory);
}

/// Uses memory of several kinds, also in a child, and lists the children that are left, but for the library's own two.
fn use_memory(name: String, method: String) -> Vec<String> {
    let own = SharedMemory::create(&unique("own"), SIZE).expect("shared memory can be made");
    let anonymous = SharedMemory::new(SIZE).expect("shared memory can be made");
    let opened = SharedMemory::open(&name).expect("it is there");
    let arguments = (own.clone(), anonymous.clone());
    let child = start(methods::named(&method), |a: SharedMemory, b: SharedMemory| a.len() + b.len(), arguments);
    assert_eq!(child.join().expect("the grandchild returns"), own.len() + anonymous.len());
    assert_eq!(opened.len(), SIZE);
    processes::started_children().into_iter().map(|process| process.name).collect()
}

/// `_TestSharedMemory.test_shared_memory_SharedMemoryManager_basics`, adapted: a manager's blocks go with it. Here the
/// process that has them open is the manager: with it they go, all of them.
fn shared_memory_manager_basics(method: StartMethod) {
    let names = [unique("managed"), unique("managed")];
    let [(first, first_gate), (second, second_gate)] = names.each_ref().map(|name| owner(method, name));
    assert!(names.iter().all(|name| is_there(name)));
    first_gate.open();
    first.join().expect("the child returns");
    assert_eq!(names.each_ref().map(|name| is_there(name)), [false, true]);
    second_gate.open();
    second.join().expect("the child returns");
    assert_eq!(names.each_ref().map(|name| is_there(name)), [false, false]);
}

/// CPython's list of a number, a text and a float, as a plain type.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[bytemuck(crate = "multiprocess::bytemuck")]
#[repr(C)]
struct Row {
    count: i64,
    ratio: f64,
    text: [u8; 16],
}

const ROW: Row = Row { count: -273, ratio: 3.25, text: *b"howdy\0\0\0\0\0\0\0\0\0\0\0" };

/// `_TestSharedMemory.test_shared_memory_ShareableList_basics`, adapted: a list of values of several types is a mutex over a
/// plain struct, one of a single type an array. A value of another type, or too long for its place, does not compile.
fn shared_memory_shareable_list_basics(method: StartMethod) {
    let row = Mutex::create(&unique("row"), ROW).expect("a mutex can be made");
    let name = unique("list");
    let array = Array::create(&name, &[10_i32, 20, 10, 30]).expect("an array can be made");
    start(method, change_list, (row.clone(), name.clone())).join().expect("the child returns");
    let changed = Row { count: 42, text: *b"sixteen letters!", ..ROW };
    assert_eq!(*row.lock().expect("nobody died"), changed);
    assert_eq!(array.to_vec(), [10, 20, 10, 31]);

    // A list may be empty, and is found by its name too.
    let empty_name = unique("empty");
    let empty = Array::<i32>::create(&empty_name, &[]).expect("an array can be made");
    assert!(empty.is_empty());
    let length = |name: String| Array::<i32>::open(&name).expect("it is there").to_vec().len();
    assert_eq!(start(method, length, (empty_name,)).join().expect("the child returns"), 0);

    // A copy under another name is another list.
    let copy = Array::create(&unique("copy"), &array.to_vec()).expect("an array can be made");
    copy.set(0, 0);
    assert_eq!(array.get(0), Some(10));
    assert_eq!(Array::<i32>::create(&name, &[1]).expect_err("the name is taken").kind(), ErrorKind::AlreadyExists);
}

fn change_list(row: Mutex<Row>, name: String) {
    let mut guard = row.lock().expect("nobody died");
    assert_eq!(*guard, ROW);
    guard.count = 42;
    guard.text = *b"sixteen letters!";
    drop(guard);
    let array = Array::<i32>::open(&name).expect("it is there");
    assert_eq!((array.len(), array.get(3), array.get(4)), (4, Some(30), None));
    let guard = array.lock().expect("nobody died");
    assert_eq!(guard.iter().filter(|number| **number == 10).count(), 2);
    assert_eq!(guard.iter().position(|number| *number == 20), Some(1));
    drop(guard);
    array.set(3, 31);
}

/// `_TestSharedMemory.test_shared_memory_ShareableList_pickling`, adapted: what travels is a handle, whose size does not
/// depend on the length; both ends see what is written.
fn shared_memory_shareable_list_pickling(method: StartMethod) {
    let names = [unique("short"), unique("large")];
    let short = Array::create(&names[0], &[1_u8; 10]).expect("an array can be made");
    let large = Array::create(&names[1], &[1_u8; 100_000]).expect("an array can be made");
    let text_lengths = [&short, &large].map(|array| serde_json::to_string(array).expect("a name is text").len());
    assert_eq!(text_lengths[0] - names[0].len(), text_lengths[1] - names[1].len());
    let write = |array: Array<u8>| {
        array.set(array.len() - 1, 2);
        array
    };
    for array in [short, large, Array::zeroed(100_000).expect("an array can be made")] {
        let back = start(method, write, (array.clone(),)).join().expect("the child returns");
        assert_eq!(array.get(array.len() - 1), Some(2));
        back.set(0, 3);
        assert_eq!(array.get(0), Some(3));
    }
}

/// `_TestSharedMemory.test_shared_memory_ShareableList_pickling_dead_object`: a text that outlives its list opens nothing.
fn shared_memory_shareable_list_pickling_dead_object(method: StartMethod) {
    let name = unique("gone");
    let list = Array::create(&name, &[1_u8, 2, 3]).expect("an array can be made");
    let text = serde_json::to_string(&list).expect("a name is text");
    drop(list);
    let fail = |text: String| serde_json::from_str::<Array<u8>>(&text).expect_err("it is gone").to_string();
    let failure = start(method, fail, (text,)).join().expect("the child returns");
    assert!(failure.contains(&name), "{failure}");
    assert_eq!(Array::<u8>::open(&name).expect_err("it is gone").kind(), ErrorKind::NotFound);
}
