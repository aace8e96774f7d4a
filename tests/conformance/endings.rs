//! The ways in which a child ends, and what its parent learns.

use multiprocess::{Fd, JoinError, Process, RemoteError, StartMethod};
use multiprocess_tests::methods::start;
use multiprocess_tests::processes::Signal;
use multiprocess_tests::{hooks, pause, processes};
use std::fs::File;
use std::io::{PipeWriter, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Mutex;
use std::thread;

multiprocess_tests::for_each_start_method![
    atexit,
    exit_from_another_thread,
    nothing_is_returned_by_exit_zero,
    panic_ends_with_101,
    panic_on_another_thread_is_no_end,
    returned_error_is_a_value,
    signal_is_reported,
    sys_exit,
    unwinding_drops_values,
    wait_for_threads,
];

/// `_TestSubclassingProcess.test_sys_exit`: the given code arrives.
fn sys_exit(method: StartMethod) {
    for code in [0, 1, 8, 101, 255] {
        let child = start(method, |code: i32| -> u8 { std::process::exit(code) }, (code,));
        assert_eq!(child.wait().expect("the child can be waited for").code(), Some(code));
        let error = child.join().expect_err("a child that left returns nothing");
        assert!(matches!(error, JoinError::Exited(status) if status.code() == Some(code)), "{error:?}");
        assert_eq!(error.exit_status().and_then(|status| status.code()), Some(code));
        assert_eq!((error.signal(), error.panic_message()), (None, None));
    }
}

/// Python's `sys.exit(0)` is a success; here the parent asked for a value and there is none.
fn nothing_is_returned_by_exit_zero(method: StartMethod) {
    let error = start(method, || -> u8 { std::process::exit(0) }, ()).join().expect_err("there is no value");
    assert!(matches!(error, JoinError::Exited(status) if status.success()), "{error:?}");
}

/// The rest of `_TestSubclassingProcess.test_sys_exit`: an error that is returned travels as text.
fn returned_error_is_a_value(method: StartMethod) {
    let child = start(method, open_missing, ());
    assert!(child.wait().expect("the child can be waited for").success());
    let error = child.join().expect("the child returns").expect_err("the file is missing");
    assert!(error.to_string().contains("No such file"), "{error}");
}

fn open_missing() -> Result<(), RemoteError> {
    File::open("/no-such-folder/file").map(drop).map_err(RemoteError::new)
}

fn panic_ends_with_101(method: StartMethod) {
    let child = start(method, || -> u8 { panic!("on purpose") }, ());
    assert_eq!(child.wait().expect("the child can be waited for").code(), Some(101));
    let error = child.join().expect_err("a panic is no value");
    assert!(matches!(error, JoinError::Panicked(_)), "{error:?}");
    assert_eq!(error.panic_message(), Some("on purpose"));
}

/// Only the function's own panic is the end of the child, as only the main thread's is in any program.
fn panic_on_another_thread_is_no_end(method: StartMethod) {
    let child = start(method, || thread::spawn(|| panic!("on purpose")).join().is_err(), ());
    assert!(child.join().expect("the child returns"));
}

fn exit_from_another_thread(method: StartMethod) {
    let error = start(method, leave_from_a_thread, ()).join().expect_err("a child that left returns nothing");
    assert_eq!(error.exit_status().and_then(|status| status.code()), Some(9), "{error}");
}

fn leave_from_a_thread() {
    thread::spawn(|| std::process::exit(9));
    pause::for_ever();
}

fn signal_is_reported(method: StartMethod) {
    for signal in [Signal::USR1, Signal::TERM, Signal::KILL, Signal::ALARM] {
        let child = start(method, signal_self, (signal.as_raw(),));
        let status = child.wait().expect("the child can be waited for");
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
        assert_eq!(child.join().expect_err("a signal is no value").signal(), Some(signal.as_raw()));
    }
}

fn signal_self(number: i32) {
    let signal = Signal::from_named_raw(number).expect("the number is a signal's");
    processes::signal(std::process::id(), signal);
    pause::for_ever();
}

/// Where [`write_at_exit`] writes.
static AT_EXIT: Mutex<Option<PipeWriter>> = Mutex::new(None);

/// `_TestAtExit.test_atexit`: hooks that the child registered run at its normal end, by return and by exit.
fn atexit(method: StartMethod) {
    for code in [None, Some(4)] {
        let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
        let child = start(method, register_hook, (Fd(writer), code));
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("the pipe can be read");
        assert_eq!(text, "the hook ran");
        assert_eq!(child.wait().expect("the child can be waited for").code(), code.or(Some(0)));
    }
}

fn register_hook(writer: Fd<PipeWriter>, code: Option<i32>) {
    *AT_EXIT.lock().expect("nobody else holds it") = Some(writer.into_inner());
    hooks::at_exit(write_at_exit);
    if let Some(code) = code {
        std::process::exit(code);
    }
}

extern "C" fn write_at_exit() {
    if let Ok(mut writer) = AT_EXIT.lock()
        && let Some(writer) = writer.as_mut()
    {
        // A failure shows in the parent, which reads nothing.
        let _ = writer.write_all(b"the hook ran");
    }
}

/// `_TestProcess.test_wait_for_threads`: the process ends when its function returns. Scoped threads end before that,
/// detached ones are cut off, as at the end of any Rust program.
fn wait_for_threads(method: StartMethod) {
    assert_eq!(start(method, detach_a_thread, ()).join().expect("the child does not wait for its thread"), 1);
    assert_eq!(start(method, scope_a_thread, ()).join().expect("the child returns"), 2);
}

fn detach_a_thread() -> u8 {
    thread::spawn(|| pause::for_ever());
    1
}

fn scope_a_thread() -> u8 {
    thread::scope(|scope| scope.spawn(|| 2).join().expect("the thread ends well"))
}

/// Sends a word when it is dropped.
struct Farewell(PipeWriter);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.write_all(b"dropped").expect("the parent listens");
    }
}

/// A panic unwinds the function's frames, arguments included.
fn unwinding_drops_values(method: StartMethod) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let process = Process::new(panic_with_a_value, (Fd(writer),)).start_method(method);
    let child = process.start().expect("the child starts");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("the pipe can be read");
    assert_eq!(text, "dropped");
    child.join().expect_err("a panic is no value");
}

fn panic_with_a_value(writer: Fd<PipeWriter>) {
    let _farewell = Farewell(writer.into_inner());
    panic!("on purpose");
}
