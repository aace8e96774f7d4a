//! The builder's environment and directory.

use multiprocess::{Process, StartMethod};
use multiprocess_tests::scratch::Scratch;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

multiprocess_tests::for_each_start_method![
    cleared_environment,
    directory,
    environment_is_not_the_parents,
    later_settings_win,
    missing_directory,
    removed_variable,
    several_variables,
    value_that_is_no_text,
];

fn variable(key: String) -> Option<String> {
    env::var(key).ok()
}

fn environment() -> BTreeMap<String, String> {
    env::vars().collect()
}

/// Runs `process` to its value.
fn value<R: serde::de::DeserializeOwned>(process: Process<R>, method: StartMethod) -> R {
    process.start_method(method).start().expect("the child starts").join().expect("the child returns")
}

/// What is set for a child is set there and not here.
fn environment_is_not_the_parents(method: StartMethod) {
    let process = Process::new(variable, ("MP_TEST_KEY".to_owned(),)).env("MP_TEST_KEY", "a value");
    assert_eq!(value(process, method), Some("a value".to_owned()));
    assert_eq!(env::var_os("MP_TEST_KEY"), None);
    assert_eq!(value(Process::new(variable, ("MP_TEST_KEY".to_owned(),)), method), None);
    // All else is as here: nothing of the library's own is left in it.
    let here: BTreeMap<String, String> = env::vars().collect();
    assert_eq!(value(Process::new(environment, ()), method), here);
}

fn removed_variable(method: StartMethod) {
    assert!(env::var_os("PATH").is_some());
    let process = Process::new(variable, ("PATH".to_owned(),)).env_remove("PATH");
    assert_eq!(value(process, method), None);
}

fn cleared_environment(method: StartMethod) {
    let process = Process::new(environment, ()).env("BEFORE", "1").env_clear().env("AFTER", "2");
    assert_eq!(value(process, method), BTreeMap::from([("AFTER".to_owned(), "2".to_owned())]));
}

fn several_variables(method: StartMethod) {
    let process = Process::new(environment, ()).env_clear().envs([("A", "1"), ("B", ""), ("C", "x=y")]);
    let expected = [("A", "1"), ("B", ""), ("C", "x=y")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(value(process, method), BTreeMap::from(expected));
}

fn later_settings_win(method: StartMethod) {
    let key = || ("MP_TEST_KEY".to_owned(),);
    let process = Process::new(variable, key()).env("MP_TEST_KEY", "1").env("MP_TEST_KEY", "2");
    assert_eq!(value(process, method), Some("2".to_owned()));
    let process = Process::new(variable, key()).env("MP_TEST_KEY", "1").env_remove("MP_TEST_KEY");
    assert_eq!(value(process, method), None);
    let process = Process::new(variable, key()).env_remove("MP_TEST_KEY").env("MP_TEST_KEY", "3");
    assert_eq!(value(process, method), Some("3".to_owned()));
}

/// The environment holds bytes, not characters.
fn value_that_is_no_text(method: StartMethod) {
    let bytes = vec![b'a', 0xff, b'=', b'\n'];
    let read = || env::var_os("MP_TEST_KEY").map(OsString::into_vec);
    let process = Process::new(read, ()).env("MP_TEST_KEY", OsString::from_vec(bytes.clone()));
    assert_eq!(value(process, method), Some(bytes));
}

fn directory(method: StartMethod) {
    let scratch = Scratch::new();
    let expected = scratch.path().canonicalize().expect("the folder is there");
    let here = env::current_dir().expect("this process has a directory");
    let own_directory = || env::current_dir().expect("the child has a directory");
    assert_eq!(value(Process::new(own_directory, ()).current_dir(scratch.path()), method), expected);
    assert_eq!(env::current_dir().expect("this process has a directory"), here);
    assert_eq!(value(Process::new(own_directory, ()), method), here);
}

/// The error names the directory, and nothing runs.
fn missing_directory(method: StartMethod) {
    let process = Process::new(|| PathBuf::from("ran"), ()).current_dir("/no-such-directory").start_method(method);
    let text = match process.start() {
        Ok(child) => format!("{:#?}", child.join().expect_err("the child must not run elsewhere")),
        Err(error) => format!("{error:#?}"),
    };
    assert!(text.contains("/no-such-directory"), "{text}");
}
