//! A program in which one call to the operating system fails during a start, and which starts again afterwards.

use crate::step;
use multiprocess::StartMethod;
use multiprocess_sys::seam::{self, Plan};
use multiprocess_tests::methods;
use std::path::{Path, PathBuf};

/// How many steps without a failure show that no call is left that could fail: threads of the library make some of
/// the calls now earlier, now later.
const QUIET_STEPS: u32 = 5;

/// One fault in the first start of the program, in which the library makes all that it keeps. Arguments: a folder,
/// the start method, `start` or `join` (what is under the plan), the code, the number of the call, and how many
/// descriptors are right.
pub fn first(arguments: &[String]) {
    let [folder, method, span, code, nth, descriptors] = arguments else { panic!("six arguments are needed") };
    let fault = Fault::new(folder, method, span, code);
    fault.strike(nth.parse().expect("the number of the call is a number"), descriptors.parse().ok());
}

/// One fault after the other in starts of a program that has started children before. Arguments: a folder, the start
/// method, `start` or `join`, and the code.
pub fn each(arguments: &[String]) {
    let [folder, method, span, code] = arguments else { panic!("four arguments are needed") };
    let fault = Fault::new(folder, method, span, code);
    for number in 0..2 {
        step::outcome(step::start(&fault.folder, 1_000 + number, 1, fault.method).map(|child| child.join()));
    }
    let (mut expected, mut nth, mut quiet, mut calls) = (step::descriptors(), 0, 0, 0);
    // Not every call can fail with every code: as long as there are calls, a quiet one says nothing.
    while quiet < QUIET_STEPS || nth < calls {
        nth += 1;
        let (struck, made) = fault.strike(nth, Some(expected));
        quiet = if struck == 0 { quiet + 1 } else { 0 };
        calls = made;
        // What has leaked is complained about once.
        expected = expected.max(step::descriptors());
    }
}

/// Which kind of failure, in which kind of start.
struct Fault {
    folder: PathBuf,
    method: StartMethod,
    with_join: bool,
    code: i32,
}

impl Fault {
    fn new(folder: &str, method: &str, span: &str, code: &str) -> Fault {
        Fault {
            folder: PathBuf::from(folder),
            method: methods::named(method),
            with_join: span == "join",
            code: code.parse().expect("the code is a number"),
        }
    }

    /// Makes the `nth` call of a start fail, prints what came of it, and then whether the next start works. Returns
    /// how often the plan struck, and how many calls there were.
    fn strike(&self, nth: u32, descriptors: Option<usize>) -> (u32, u32) {
        let folder: &Path = &self.folder;
        seam::arm(Plan { nth, code: self.code, always: false });
        let joined = step::start(folder, nth, 1, self.method).map(|child| {
            if !self.with_join {
                seam::disarm();
            }
            child.join()
        });
        seam::disarm();
        let (struck, calls) = (seam::failed(), seam::calls());
        step::report(folder, nth, struck, descriptors, &step::outcome(joined));

        let next = step::start(folder, 10_000 + nth, 1, self.method).map(|child| child.join());
        step::report(folder, 10_000 + nth, 0, descriptors, &step::outcome(next));
        println!("calls {calls}");
        (struck, calls)
    }
}
