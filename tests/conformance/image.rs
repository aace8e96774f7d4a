//! The program's file: children run the image that the program runs, whatever has become of the file on disk.
//!
//! Answers `_TestProcess.test_set_executable` and CPython's tests of a missing interpreter: there is no path to set.

use multiprocess::StartMethod;
use multiprocess_tests::methods;
use multiprocess_tests::program::Program;
use multiprocess_tests::scratch::Scratch;
use std::fs;

multiprocess_tests::for_each_start_method![
    file_deleted_after_the_first_start,
    file_deleted_before_the_first_start,
    file_replaced_after_the_first_start,
    file_replaced_before_the_first_start,
];

/// Runs a copy of the test program that does to its own file what `how` says.
fn run_a_copy(method: StartMethod, how: &str, when: &str) {
    let scratch = Scratch::new();
    let copy = scratch.join("program");
    let program = env!("CARGO_BIN_EXE_multiprocess-test-program");
    // Not a link: the program that is replaced must be its own file.
    fs::copy(program, &copy).expect("the program can be copied");
    let scenario = Program::new(&copy, "loses-its-file").argument(methods::name(method)).argument(how).argument(when);
    assert_eq!(scenario.succeed(), "child and grandchild answer\n");
}

fn file_deleted_before_the_first_start(method: StartMethod) {
    run_a_copy(method, "deleted", "before");
}

fn file_deleted_after_the_first_start(method: StartMethod) {
    run_a_copy(method, "deleted", "after");
}

fn file_replaced_before_the_first_start(method: StartMethod) {
    run_a_copy(method, "replaced", "before");
}

fn file_replaced_after_the_first_start(method: StartMethod) {
    run_a_copy(method, "replaced", "after");
}
