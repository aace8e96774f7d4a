//! Names of shared objects: which there are, whose they are, and that nobody needs to keep track of them.
//!
//! CPython has a process, the resource tracker, that removes what killed programs leave behind, and warns of leaks. Here the
//! kernel knows who is alive, so there is no such process; its tests become tests that none is needed.

use multiprocess::{
    Barrier, Condition, Error, ErrorKind, Event, Lock, Mutex, Process, RLock, RwLock, Semaphore, SharedMemory,
    StartMethod, Stdio, Value,
};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::{self, start};
use multiprocess_tests::names::unique;
use multiprocess_tests::processes::{self, Signal};
use multiprocess_tests::ready::{Ready, Sayer, say};
use multiprocess_tests::{pause, program};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

multiprocess_tests::for_each_start_method![
    global_named_resource_spawn,
    resource_tracker,
    resource_tracker_blocked_signals,
    resource_tracker_exit_code,
    resource_tracker_reused,
    resource_tracker_sigint,
    resource_tracker_sigkill,
    resource_tracker_sigterm,
    that_shared_memory_name_with_colons_has_no_resource_tracker_errors,
    too_long_name_resource,
];

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// A named lock of the whole program.
static GLOBAL: std::sync::Mutex<Option<Lock>> = std::sync::Mutex::new(None);

fn global() -> std::sync::MutexGuard<'static, Option<Lock>> {
    GLOBAL.lock().expect("nobody panics while holding it")
}

/// Makes an object of every kind that has a name, each under a name of its own that begins with `prefix`.
fn one_of_each(prefix: &str) -> Result<Vec<Box<dyn Send>>, Error> {
    Ok(vec![
        Box::new(Lock::create(&format!("{prefix}-lock"))?),
        Box::new(Mutex::create(&format!("{prefix}-mutex"), 1_u64)?),
        Box::new(RLock::create(&format!("{prefix}-rlock"))?),
        Box::new(RwLock::create(&format!("{prefix}-rwlock"), 1_u64)?),
        Box::new(Event::create(&format!("{prefix}-event"))?),
        Box::new(Semaphore::create(&format!("{prefix}-semaphore"), 3)?),
        Box::new(Condition::create(&format!("{prefix}-condition"))?),
        Box::new(Barrier::create(&format!("{prefix}-barrier"), 3)?),
        Box::new(Value::create(&format!("{prefix}-value"), 1_u64)?),
        Box::new(SharedMemory::create(&format!("{prefix}-memory"), 64)?),
    ])
}

/// The entries in the folder of shared memory whose names hold `part`.
fn entries(part: &str) -> Vec<String> {
    let folder = fs::read_dir("/dev/shm").expect("the folder of shared memory can be read");
    let names = folder.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(part)).collect()
}

/// `TestNamedResource.test_global_named_resource_spawn`, strengthened: a child does not make its parent's globals again, so a
/// named one among them is neither taken nor lost, and nobody warns of it.
fn global_named_resource_spawn(method: StartMethod) {
    let name = unique("global");
    *global() = Some(Lock::create(&name).expect("a lock can be made"));
    let process = Process::new(find_globals, (name.clone(),)).start_method(method).stderr(Stdio::piped());
    let mut child = process.start().expect("the child starts");
    let mut errors = String::new();
    child.stderr.take().expect("its errors are piped").read_to_string(&mut errors).expect("it can be read");
    assert_eq!(child.join().expect("the child returns"), (false, true));
    assert_eq!(errors, "");
    drop(global().take().expect("it was made above").lock().expect("nobody died"));
    assert_eq!(Lock::open(&name).expect_err("the last user is gone").kind(), ErrorKind::NotFound);
}

/// Whether there is a global lock here, and whether the named one is there.
fn find_globals(name: String) -> (bool, bool) {
    (global().is_some(), Lock::open(&name).is_ok())
}

/// `TestSharedMemoryNames.test_that_shared_memory_name_with_colons_has_no_resource_tracker_errors`, adapted: CPython's tracker
/// reads lines and splits them at colons. Here names with such characters are refused, and nothing is left of the attempt.
fn that_shared_memory_name_with_colons_has_no_resource_tracker_errors(method: StartMethod) {
    for odd in ["a:b:c", "a\nb", "a:b\nc:d", ":", "\n"] {
        let name = format!("{}{odd}", unique("odd"));
        let before = entries(&name);
        refuse(name.clone());
        start(method, refuse, (name.clone(),)).join().expect("the child returns");
        assert_eq!(entries(&name), before);
    }
}

fn refuse(name: String) {
    let error = SharedMemory::create(&name, 64).expect_err("no such name");
    assert_eq!(error.kind(), ErrorKind::InvalidName, "{error}");
    assert_eq!(SharedMemory::open(&name).expect_err("no such name").kind(), ErrorKind::InvalidName);
}

/// `TestResourceTracker.test_too_long_name_resource`: a name has at most 200 characters.
fn too_long_name_resource(method: StartMethod) {
    let longest = format!("{:x<200}", unique("long"));
    let too_long = format!("{longest}x");
    start(method, refuse, (too_long.clone(),)).join().expect("the child returns");
    refuse(too_long);
    let memory = SharedMemory::create(&longest, 64).expect("this one is just short enough");
    let open = |name: String| SharedMemory::open(&name).is_ok();
    assert!(start(method, open, (longest,)).join().expect("the child returns"));
    drop(memory);
}

/// `TestResourceTracker.test_resource_tracker`, strengthened: a killed process leaves no name that is taken. What it used
/// without a name is not to be seen in the folder of shared memory at all.
fn resource_tracker(method: StartMethod) {
    let prefix = unique("tracked");
    let (mut ready, sayer) = Ready::new();
    let (gate, closed) = Gate::new();
    let child = start(method, make_and_wait, (prefix.clone(), sayer, closed));
    ready.wait();
    assert_eq!(entries(&prefix).len(), 10, "{:?}", entries(&prefix));
    assert_eq!(mapped_by(child.pid()), named_files(&prefix), "what it has without a name lies elsewhere");
    one_of_each(&prefix).map(drop).expect_err("the names are taken");
    child.kill().expect("the child can be killed");
    child.wait().expect("the child can be waited for");
    drop(one_of_each(&prefix).expect("the names are free"));
    assert_eq!(entries(&prefix), Vec::<String>::new());
    gate.open();
}

/// The numbers of the files in the folder of shared memory that a process has mapped.
fn mapped_by(pid: u32) -> BTreeSet<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("a child's memory can be listed");
    let mapped = maps.lines().filter(|line| line.contains("/dev/shm/"));
    mapped.filter_map(|line| line.split_whitespace().nth(4)?.parse().ok()).collect()
}

/// The numbers of the files in that folder whose names hold `prefix`.
fn named_files(prefix: &str) -> BTreeSet<u64> {
    let number = |name: &String| fs::metadata(format!("/dev/shm/{name}")).expect("the file is there").ino();
    entries(prefix).iter().map(number).collect()
}

fn make_and_wait(prefix: String, mut sayer: Sayer, gate: Closed) {
    let _objects = one_of_each(&prefix).expect("the names are free");
    let _anonymous = (Lock::new().expect("a lock can be made"), SharedMemory::new(64).expect("memory can be made"));
    say(&mut sayer);
    pass(gate);
}

/// `TestResourceTracker.test_resource_tracker_sigint`, adapted: the helper of this library that could be hit is the fork
/// server. Whatever happens to it, objects work on.
fn resource_tracker_sigint(method: StartMethod) {
    objects_outlive_signal_to_server(method, Signal::INT);
}

/// `TestResourceTracker.test_resource_tracker_sigterm`, adapted likewise.
fn resource_tracker_sigterm(method: StartMethod) {
    objects_outlive_signal_to_server(method, Signal::TERM);
}

/// `TestResourceTracker.test_resource_tracker_sigkill`, adapted likewise.
fn resource_tracker_sigkill(method: StartMethod) {
    objects_outlive_signal_to_server(method, Signal::KILL);
}

fn objects_outlive_signal_to_server(method: StartMethod, signal: Signal) {
    let name = unique("outlives");
    let lock = Lock::create(&name).expect("a lock can be made");
    let (mut ready, sayer) = Ready::new();
    let (gate, closed) = Gate::new();
    let child = start(method, hold, (lock.clone(), sayer, closed));
    ready.wait();
    let server = start_server();
    processes::signal(server, signal);
    if signal == Signal::KILL {
        pause::until("the server to end", LONG, || processes::find(server).is_none_or(|server| server.is_zombie()));
        another_server();
    }
    assert!(lock.try_lock().expect("nobody died").is_none(), "the child holds it");
    gate.open();
    child.join().expect("the child returns");
    let locks = |name: String| Lock::open(&name).expect("it is there").try_lock().expect("nobody died").is_some();
    assert!(start(method, locks, (name,)).join().expect("the child returns"));
}

fn hold(lock: Lock, mut sayer: Sayer, gate: Closed) {
    let _guard = lock.lock().expect("nobody died");
    say(&mut sayer);
    pass(gate);
}

/// The process id of the fork server, which the first start makes.
fn start_server() -> u32 {
    start(StartMethod::ForkServer, || (), ()).join().expect("the child returns");
    processes::fork_server().expect("the first start has made a fork server").pid
}

/// Has a new server made. A child that was made in advance needs no server, so it may take more than one start.
fn another_server() {
    pause::until("another server", LONG, || {
        start(StartMethod::ForkServer, || (), ()).join().expect("the child returns");
        processes::fork_server().is_some()
    });
}

/// `TestResourceTracker.test_resource_tracker_reused`, adapted: a child needs no helper for its objects, its own or its
/// parent's: it makes no process for them.
fn resource_tracker_reused(method: StartMethod) {
    let before = processes::started_children();
    let objects = one_of_each(&unique("parent")).expect("objects can be made");
    assert_eq!(processes::started_children(), before);
    let children = start(method, count_children_with_objects, (unique("child"),)).join().expect("the child returns");
    assert_eq!(children, 0);
    drop(objects);
}

fn count_children_with_objects(prefix: String) -> usize {
    let _objects = one_of_each(&prefix).expect("objects can be made");
    processes::children().len()
}

/// `TestResourceTracker.test_resource_tracker_exit_code`, adapted: there the helper's exit code tells whether something was
/// left. Here a program that forgets every object ends well and silently, and leaves nothing that anybody must remove.
fn resource_tracker_exit_code(method: StartMethod) {
    let prefix = unique("forgotten");
    let finished = program!("forgets-objects", methods::name(method), &prefix).run();
    assert_eq!(finished.stderr, "");
    assert_eq!(finished.succeeded(), "both processes have forgotten theirs\n");
    for child in ["parent", "child"] {
        let name = format!("{prefix}-{child}");
        assert_eq!(Lock::open(&name).expect_err("nobody has it open").kind(), ErrorKind::NotFound);
    }
    assert_eq!(entries(&prefix), Vec::<String>::new());
}

/// `TestResourceTracker.test_resource_tracker_blocked_signals`: making and using objects leaves the caller's blocked signals as
/// they are, whichever those are.
fn resource_tracker_blocked_signals(method: StartMethod) {
    assert!(start(method, signals_stay, (unique("mask"),)).join().expect("the child returns"));
}

fn signals_stay(prefix: String) -> bool {
    [None, Some(Signal::INT), Some(Signal::TERM), Some(Signal::USR1)].into_iter().all(|signal| {
        signal.into_iter().for_each(multiprocess_tests::signals::block);
        let before = blocked_signals();
        let objects = one_of_each(&prefix).expect("objects can be made");
        let lock = Lock::open(&format!("{prefix}-lock")).expect("it is there");
        drop(lock.lock().expect("nobody died"));
        drop(objects);
        blocked_signals() == before
    })
}

fn blocked_signals() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").expect("a thread can read its status");
    status.lines().find(|line| line.starts_with("SigBlk:")).expect("it has a mask").to_owned()
}
