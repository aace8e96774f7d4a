//! Scenarios in which the program ends while a child of it runs.

use multiprocess::{Process, StartMethod};
use multiprocess_tests::{methods, pause};
use std::io::Read as _;

/// Starts a daemon that would run for ever, and returns.
pub fn leave_a_daemon(arguments: &[String]) {
    start(method(arguments), true, || pause::for_ever());
}

/// Starts a child that reads its input and tells what it read, and returns.
pub fn leave_a_child(arguments: &[String]) {
    start(method(arguments), false, read_and_tell);
}

fn start<F: multiprocess::Function<(), Output = ()>>(method: StartMethod, daemon: bool, function: F) {
    let process = Process::new(function, ()).daemon(daemon).start_method(method);
    drop(process.start().expect("the child starts"));
    println!("started");
}

fn read_and_tell() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("the input can be read");
    println!("the child read {text}");
}

fn method(arguments: &[String]) -> StartMethod {
    methods::named(arguments.first().expect("the start method is the first argument"))
}
