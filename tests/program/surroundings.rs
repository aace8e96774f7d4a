//! A scenario in which the program changes what a child has from its parent, between one start and the next.

use multiprocess::StartMethod;
use multiprocess_tests::methods::{self, start};
use multiprocess_tests::processes::Signal;
use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::{environment, signals};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

/// What surrounds a process, as the process itself sees it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Surroundings {
    directory: PathBuf,
    variables: BTreeMap<String, String>,
    /// The mask for new files, the processors, and the signals that the main thread blocks.
    masks: Vec<String>,
    limits: String,
}

fn surroundings() -> Surroundings {
    let status = fs::read_to_string("/proc/self/status").expect("a process can read its status");
    let wanted = |line: &&str| ["Umask:", "Cpus_allowed:", "SigBlk:"].iter().any(|field| line.starts_with(field));
    Surroundings {
        directory: env::current_dir().expect("a process has a directory"),
        variables: env::vars().collect(),
        masks: status.lines().filter(wanted).map(str::to_owned).collect(),
        limits: fs::read_to_string("/proc/self/limits").expect("a process can read its limits"),
    }
}

/// Compares parent and child three times: as they are, changed, and changed again.
pub fn change(arguments: &[String]) {
    let method = methods::named(&arguments[0]);
    compare(method, "at first");

    let scratch = Scratch::new();
    let all = sched_getaffinity(None).expect("a thread can ask for its processors");
    let one = (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).expect("a thread runs somewhere");
    let mut only_one = CpuSet::new();
    only_one.set(one);

    env::set_current_dir(scratch.path()).expect("the folder can be entered");
    environment::set("MP_TEST_KEY", "one");
    umask(Mode::from_raw_mode(0o077));
    sched_setaffinity(None, &only_one).expect("a thread may stay on one processor");
    signals::block(Signal::USR1);
    set_soft_limits(512);
    compare(method, "changed");

    env::set_current_dir("/").expect("the root can be entered");
    environment::remove("MP_TEST_KEY");
    environment::set("MP_TEST_OTHER", "two");
    umask(Mode::from_raw_mode(0o027));
    sched_setaffinity(None, &all).expect("a thread may have its processors back");
    signals::unblock(Signal::USR1);
    signals::block(Signal::USR2);
    set_soft_limits(256);
    compare(method, "changed again");
    println!("three rounds agree");
}

/// Two limits that the scenario can do with: descriptors, and the size of a core file.
fn set_soft_limits(limit: u64) {
    for resource in [Resource::Nofile, Resource::Core] {
        let maximum = getrlimit(resource).maximum;
        let current = maximum.map_or(limit, |maximum| maximum.min(limit));
        setrlimit(resource, Rlimit { current: Some(current), maximum }).expect("a soft limit can be set");
    }
}

fn compare(method: StartMethod, when: &str) {
    let child = start(method, surroundings, ()).join().expect("the child returns");
    assert_eq!(child, surroundings(), "{when}");
}
