//! Scenarios about what is printed by whom.

use multiprocess_tests::methods::{self, start};
use multiprocess_tests::streams;
use std::process::{Command, Stdio};
use std::{env, fs, panic};

/// Prints a line in two halves and starts a child between them.
pub fn half_a_line(arguments: &[String]) {
    print!("half a line");
    start(methods::named(&arguments[0]), || println!("the child's line"), ()).join().expect("the child returns");
    println!();
}

/// Starts a child first thing in `main`, as a program without Python's guard does.
pub fn without_a_guard(arguments: &[String]) {
    println!("main runs");
    let child = start(methods::named(&arguments[0]), |n: u32| n, (123,));
    println!("the child says {}", child.join().expect("the child returns"));
}

/// Starts children from a process that has no standard streams.
///
/// Arguments: the start method; `closed` for streams that the program closes itself, `absent` for a program that is
/// started without any; the file to report to, since there is nothing else to write to.
pub fn without_streams(arguments: &[String]) {
    let [method, how, report] = arguments else { panic!("three arguments are needed, not {arguments:?}") };
    if how == "absent" {
        // A shell can start a program with its streams closed.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", r#"exec "$0" "$@" <&- >&- 2>&-"#]).arg(env::current_exe().expect("this program has a file"));
        shell.args(["works-without-streams", method, "as-it-is", report]).stdin(Stdio::null());
        let status = shell.status().expect("the shell runs");
        assert!(status.success(), "{status}");
        return;
    }
    let path = report.clone();
    panic::set_hook(Box::new(move |reason| fs::write(&path, reason.to_string()).expect("the report can be written")));
    if how == "closed" {
        for stream in 0..3 {
            streams::close(stream);
        }
    }
    let method = methods::named(method);
    for round in 0..3 {
        let print = |n: u32| {
            println!("nobody sees this");
            eprintln!("nor this");
            n
        };
        assert_eq!(start(method, print, (round,)).join().expect("the child returns"), round);
    }
    fs::write(report, "all is well").expect("the report can be written");
}
