//! A process from before its start until after its end.

use multiprocess::{Process, StartMethod, current};
use multiprocess_tests::gate::{Gate, pass};
use multiprocess_tests::methods::start;
use multiprocess_tests::processes;
use rustix::process::{getpid, getppid};
use rustix::thread::gettid;
use std::io::Read as _;
use std::num::NonZero;
use std::thread::available_parallelism;

multiprocess_tests::for_each_start_method![
    close,
    cpu_count,
    current_process,
    lose_target_ref,
    many_processes,
    mixed_functions_in_one_list,
    process,
    process_mainthread_native_id,
];

/// `_TestProcess.test_current`: the current process knows itself, in the root and in a child.
fn current_process(method: StartMethod) {
    assert_eq!(current().pid(), std::process::id());
    assert_eq!(current().name(), "MainProcess");
    assert!(!current().is_daemon());

    let child =
        Process::new(describe_current, ()).name("child").start_method(method).start().expect("the child starts");
    let pid = child.pid();
    assert_eq!(child.join().expect("the child returns"), (pid, std::process::id(), "child".to_owned(), false));
}

fn describe_current() -> (u32, u32, String, bool) {
    assert_eq!(current().pid(), std::process::id());
    let parent = getppid().expect("a child has a parent").as_raw_nonzero().get().unsigned_abs();
    (current().pid(), parent, current().name().to_owned(), current().is_daemon())
}

/// `_TestProcess.test_process`: the whole life of a process, as its parent sees it.
fn process(method: StartMethod) {
    let listed = |pid: u32| multiprocess::active_children().iter().any(|child| child.pid() == pid);
    let (gate, closed) = Gate::new();
    let process = Process::new(pass_and_describe, (closed, 7)).name("worker").start_method(method);
    let child = process.start().expect("the child starts");
    let pid = child.pid();

    assert_eq!(child.name(), "worker");
    assert!(!child.is_daemon());
    assert!(child.is_alive());
    assert_eq!(child.try_wait().expect("the child can be asked"), None);
    assert!(listed(pid));

    gate.open();
    let status = child.wait().expect("the child can be waited for");
    assert_eq!(status.code(), Some(0));
    assert!(!child.is_alive());
    assert!(!listed(pid));
    assert_eq!(child.try_wait().expect("an ended child can be asked"), Some(status));
    assert_eq!(child.join().expect("the child returns"), ("worker".to_owned(), pid, 7));
}

fn pass_and_describe(closed: multiprocess_tests::gate::Closed, number: u8) -> (String, u32, u8) {
    pass(closed);
    (current().name().to_owned(), current().pid(), number)
}

/// `_TestProcess.test_process_mainthread_native_id`: the function runs on the main thread of the child, and that is
/// another thread than the parent's.
fn process_mainthread_native_id(method: StartMethod) {
    let (thread, process) = start(method, thread_and_process, ()).join().expect("the child returns");
    assert_eq!(thread, process);
    assert_ne!(thread, gettid().as_raw_nonzero().get());
}

fn thread_and_process() -> (i32, i32) {
    (gettid().as_raw_nonzero().get(), getpid().as_raw_nonzero().get())
}

/// `_TestProcess.test_cpu_count`: a child counts as many processors as its parent, and at least one.
fn cpu_count(method: StartMethod) {
    let here = available_parallelism().map_or(0, NonZero::get);
    let there =
        start(method, || available_parallelism().map_or(0, NonZero::get), ()).join().expect("the child returns");
    assert!(there >= 1);
    assert_eq!(there, here);
}

/// `_TestProcess.test_close`: what Python refuses at run time cannot be written: joining takes the handle. An ended child
/// still answers, and a signal to it is no error and reaches nobody.
fn close(method: StartMethod) {
    let child = start(method, || 5, ());
    let pid = child.pid();
    child.wait().expect("the child can be waited for");
    child.interrupt().expect("interrupting an ended child is nothing");
    child.terminate().expect("terminating an ended child is nothing");
    child.kill().expect("killing an ended child is nothing");
    assert_eq!(child.pid(), pid);
    assert!(!child.is_alive());
    assert_eq!(child.wait().expect("the status stays").code(), Some(0));
    assert_eq!(child.join().expect("the value is kept"), 5);

    // A child whose handle is dropped runs on.
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    let (gate, closed) = Gate::new();
    drop(start(method, pass_and_report, (closed, multiprocess::Fd(writer))));
    gate.open();
    let mut report = String::new();
    { reader }.read_to_string(&mut report).expect("the report can be read");
    assert_eq!(report, "went on");
}

fn pass_and_report(closed: multiprocess_tests::gate::Closed, mut report: multiprocess::Fd<std::io::PipeWriter>) {
    use std::io::Write as _;
    pass(closed);
    report.write_all(b"went on").expect("the report can be written");
}

/// `_TestProcess.test_many_processes`: a hundred that end by themselves, and a hundred that are terminated.
fn many_processes(method: StartMethod) {
    let children: Vec<_> = (0..100).map(|number: u32| start(method, |n: u32| n * 2, (number,))).collect();
    for (number, child) in (0..100).zip(children) {
        assert_eq!(child.wait().expect("the child can be waited for").code(), Some(0));
        assert_eq!(child.join().expect("the child returns"), number * 2);
    }

    let (gate, closed) = Gate::new();
    let another = || multiprocess::Fd(closed.try_clone().expect("a descriptor can be copied"));
    let children: Vec<_> = (0..100).map(|_| start(method, pass, (another(),))).collect();
    for child in &children {
        child.terminate().expect("the child can be terminated");
    }
    for child in children {
        let error = child.join().expect_err("a terminated child returns nothing");
        assert_eq!(error.signal(), Some(processes::Signal::TERM.as_raw()), "{error}");
    }
    drop(gate);
}

/// `_TestProcess.test_lose_target_ref`: once started, the parent keeps nothing of the arguments: the pipe's end that it
/// passed is the child's alone.
fn lose_target_ref(method: StartMethod) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let child =
        start(method, |writer: multiprocess::Fd<std::io::PipeWriter>| drop(writer), (multiprocess::Fd(writer),));
    let mut nothing = Vec::new();
    reader.read_to_end(&mut nothing).expect("the pipe can be read");
    assert_eq!(nothing, b"");
    child.join().expect("the child returns");
}

/// Processes of different functions have one type if their results have.
fn mixed_functions_in_one_list(method: StartMethod) {
    let list: Vec<Process<u32>> = vec![
        Process::new(|| 1, ()),
        Process::new(|a: u32| a, (2,)),
        Process::new(|a: u32, text: String| a + text.len() as u32, (1, "ab".to_owned())),
    ];
    let children: Vec<_> =
        list.into_iter().map(|process| process.start_method(method).start().expect("the child starts")).collect();
    let results: Vec<u32> = children.into_iter().map(|child| child.join().expect("the child returns")).collect();
    assert_eq!(results, [1, 2, 3]);
}
