//! What the errors of a process say, and where they can go.

use multiprocess::{Child, Error, ErrorKind, JoinError, PanicReport, Process, RemoteError, StartMethod};
use multiprocess_tests::methods::start;
use multiprocess_tests::{pause, processes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::Cell;

multiprocess_tests::for_each_start_method![
    argument_that_cannot_be_read,
    argument_that_cannot_be_written,
    argument_that_panics_when_it_is_read,
    argument_that_would_change_silently,
    backtrace_when_enabled,
    error_of_a_panic,
    error_of_a_panic_without_text,
    error_of_an_exit,
    error_of_a_signal,
    errors_go_into_boxes,
    result_that_cannot_be_read,
    result_that_cannot_be_written,
];

/// Every message here is a phrase: no full stop, no capital.
fn is_phrase(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.ends_with(['.', '\n']), "not a phrase: {text:?}");
    assert!(!text.starts_with(char::is_uppercase), "not a phrase: {text:?}");
    text
}

fn error_of_a_panic(method: StartMethod) {
    let process = Process::new(|n: u8| -> u8 { panic!("bad number {n}") }, (7,)).name("picky").start_method(method);
    let error = process.start().expect("the child starts").join().expect_err("a panic is no value");
    let text = is_phrase(&error);
    for part in ["picky", "bad number 7", "errors.rs"] {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
    let JoinError::Panicked(report) = error else { panic!("not a panic: {error:?}") };
    assert_eq!(report.message(), "bad number 7");
    assert_eq!(report.process(), "picky");
    assert!(report.location().is_some_and(|place| place.contains("errors.rs:")), "{report:?}");
}

/// A value whose `Deserialize` panics.
#[derive(Serialize)]
struct Brittle;

impl<'de> Deserialize<'de> for Brittle {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Brittle, D::Error> {
        panic!("not in this process")
    }
}

/// A panic of an argument's `Deserialize` is the child's, as one of the function.
fn argument_that_panics_when_it_is_read(method: StartMethod) {
    let error = start(method, drop::<Brittle>, (Brittle,)).join().expect_err("a panic is no value");
    let JoinError::Panicked(report) = error else { panic!("not a panic: {error:?}") };
    assert_eq!(report.message(), "not in this process");
}

/// A panic may carry any value.
fn error_of_a_panic_without_text(method: StartMethod) {
    let child = start(method, || -> u8 { std::panic::panic_any(7_u32) }, ());
    let error = child.join().expect_err("a panic is no value");
    assert!(matches!(error, JoinError::Panicked(_)), "{error:?}");
    is_phrase(&error);
}

fn backtrace_when_enabled(method: StartMethod) {
    for (setting, expected) in [("1", true), ("0", false), ("full", true)] {
        let process = Process::new(|| -> u8 { panic!("on purpose") }, ()).env("RUST_BACKTRACE", setting);
        let process = process.env_remove("RUST_LIB_BACKTRACE").start_method(method);
        let error = process.start().expect("the child starts").join().expect_err("a panic is no value");
        let JoinError::Panicked(report) = error else { panic!("not a panic: {error:?}") };
        assert_eq!(report.backtrace().is_some(), expected, "with RUST_BACKTRACE={setting}");
        assert!(report.backtrace().is_none_or(|trace| trace.contains("backtrace_when_enabled")), "{report:?}");
        // What caught the panic is of interest to nobody who has not asked for it.
        assert_eq!(
            report.backtrace().is_some_and(|trace| trace.contains("catch_unwind")),
            setting == "full",
            "{report:?}"
        );
    }
}

fn error_of_an_exit(method: StartMethod) {
    let process = Process::new(|| -> u8 { std::process::exit(3) }, ()).start_method(method);
    let error = process.start().expect("the child starts").join().expect_err("there is no value");
    let text = is_phrase(&error);
    assert!(text.contains('3'), "{text}");
}

fn error_of_a_signal(method: StartMethod) {
    let child = start(method, pause_for_ever, ());
    processes::signal(child.pid(), processes::Signal::KILL);
    let error = child.join().expect_err("there is no value");
    let text = is_phrase(&error);
    assert!(text.contains("signal") && text.contains('9'), "{text}");
}

fn pause_for_ever() -> u8 {
    pause::for_ever()
}

fn is_free<T: Send + Sync + 'static>() {}

/// All errors are `'static + Send + Sync`, and so is a handle whatever the child returns.
fn errors_go_into_boxes(method: StartMethod) {
    is_free::<Error>();
    is_free::<JoinError>();
    is_free::<RemoteError>();
    is_free::<PanicReport>();
    is_free::<Child<Cell<u8>>>();

    let boxed = join_into_box(method).expect_err("a panic is no value");
    assert!(boxed.to_string().contains("on purpose"), "{boxed}");
    let converted = join_into_error(method).expect_err("a panic is no value");
    assert_eq!(converted.kind(), ErrorKind::Child);
    assert!(is_phrase(&converted).contains("on purpose"));
}

fn join_into_box(method: StartMethod) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Process::new(|| -> u8 { panic!("on purpose") }, ()).start_method(method).start()?.join()?)
}

fn join_into_error(method: StartMethod) -> Result<u8, Error> {
    Ok(Process::new(|| -> u8 { panic!("on purpose") }, ()).start_method(method).start()?.join()?)
}

/// Refuses to be written, or to be read, as told.
#[derive(Debug)]
struct Picky {
    writes: bool,
}

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.writes {
            return serializer.serialize_u8(1);
        }
        Err(serde::ser::Error::custom("this value stays here"))
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Picky, D::Error> {
        u8::deserialize(deserializer)?;
        Err(serde::de::Error::custom("this value is refused"))
    }
}

/// The start itself fails: nothing has been started in vain.
fn argument_that_cannot_be_written(method: StartMethod) {
    let process = Process::new(|_: Picky| (), (Picky { writes: false },)).start_method(method);
    let error = process.start().expect_err("the argument cannot be written");
    assert_eq!(error.kind(), ErrorKind::Encode, "{error}");
    assert!(whole_text(&error).contains("this value stays here"), "{}", whole_text(&error));
    is_phrase(&error);
}

fn argument_that_cannot_be_read(method: StartMethod) {
    let error =
        start(method, |_: Picky| (), (Picky { writes: true },)).join().expect_err("the argument cannot be read");
    assert_transfer(&error, "this value is refused");
}

fn result_that_cannot_be_written(method: StartMethod) {
    let error = start(method, || Picky { writes: false }, ()).join().expect_err("the result cannot be written");
    assert_transfer(&error, "this value stays here");
}

fn result_that_cannot_be_read(method: StartMethod) {
    let error = start(method, || Picky { writes: true }, ()).join().expect_err("the result cannot be read");
    assert_transfer(&error, "this value is refused");
}

fn assert_transfer(error: &JoinError, reason: &str) {
    assert!(matches!(error, JoinError::Transfer(_)), "{error:?}");
    let text = whole_text(error);
    assert!(text.contains(reason), "no {reason:?} in {text:?}");
    is_phrase(error);
}

/// A field that may be missing shifts all that follow it.
#[derive(Debug, Serialize, Deserialize)]
struct Shifting {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    first: Option<u8>,
    second: u8,
}

/// What the encoding cannot carry is refused with the type's name.
fn argument_that_would_change_silently(method: StartMethod) {
    let value = Shifting { first: None, second: 1 };
    let process = Process::new(|value: Shifting| value.second, (value,)).start_method(method);
    let text = match process.start() {
        Ok(child) => whole_text(&child.join().expect_err("a shifted value must not arrive")),
        Err(error) => whole_text(&error),
    };
    assert!(text.contains("Shifting"), "{text}");
}

/// An error with its causes.
fn whole_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
