//! What a test left behind: processes, descriptors, entries in the folder of shared memory.
//!
//! The library keeps a constant few things of its own: one fork server, one child made in advance, and their
//! descriptors. So the check starts a child by each method before it counts, and knows the two processes by their names.
//! Whatever the library tidies up on a thread of its own gets a few seconds to vanish.

use crate::{pause, processes, watched};
use multiprocess::{Process, StartMethod};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long a test may take that says nothing else. The machine may be busy with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// A child made in advance has no descriptor yet, one, or two, depending on how far it has come; the next start takes it. So
/// the least of several counts is the one to compare with.
const SETTLING_STARTS: usize = 5;

/// How long what was left behind may take to vanish.
const GRACE: Duration = Duration::from_secs(5);

/// Runs `body` as [`watched`] does, for at most a minute, and fails if it leaves something behind.
///
/// # Panics
///
/// When `body` panics, or something is left.
pub fn checked<T>(what: &str, body: impl FnOnce() -> T) -> T {
    watched(what, LIMIT, || {
        let check = LeakCheck::start();
        let result = body();
        check.finish();
        result
    })
}

/// What there was before a test.
#[derive(Debug)]
pub struct LeakCheck {
    before: Belongings,
}

impl LeakCheck {
    /// Notes what there is now, after one child of each start method has come and gone.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use multiprocess_tests::LeakCheck;
    ///
    /// let check = LeakCheck::start();
    /// // here the test starts and joins children
    /// check.finish();
    /// ```
    pub fn start() -> LeakCheck {
        for method in [StartMethod::ForkServer, StartMethod::Spawn] {
            start_and_join(method);
        }
        // What ended before this test began is not this test's.
        pause::holds_within(GRACE, || processes::started_children().iter().all(|child| !child.is_zombie()));
        let mut before = Belongings::now();
        for _ in 0..SETTLING_STARTS {
            start_and_join(StartMethod::ForkServer);
            let descriptors = descriptors();
            if descriptors.len() < before.descriptors.len() {
                before.descriptors = descriptors;
            }
        }
        LeakCheck { before }
    }

    /// Fails if there is more now than before.
    ///
    /// # Panics
    ///
    /// When something is left; the message lists it.
    #[track_caller]
    pub fn finish(self) {
        let mut left = String::new();
        pause::holds_within(GRACE, || {
            left = Belongings::now().beyond(&self.before);
            left.is_empty()
        });
        assert!(left.is_empty(), "the test left something behind:\n{left}");

        pause::holds_within(GRACE, || {
            left = more_descriptors(&descriptors(), &self.before.descriptors);
            if !left.is_empty() {
                start_and_join(StartMethod::ForkServer);
            }
            left.is_empty()
        });
        assert!(left.is_empty(), "the test left descriptors open:\n{left}");
    }
}

/// Starts a child, which settles what the library has of its own. A method that does not work is found by the tests of that
/// method, not here in all tests of the other.
fn start_and_join(method: StartMethod) {
    if let Ok(child) = Process::new(nothing, ()).start_method(method).start() {
        let _ = child.join();
    }
}

fn nothing() {}

/// What a process and its descendants hold at one moment.
#[derive(Debug)]
struct Belongings {
    /// Children and processes of the same group, apart from the library's own, with a line about each.
    processes: BTreeMap<u32, String>,
    /// Open descriptors and what each refers to.
    descriptors: BTreeMap<i32, String>,
    /// Names in the folder of shared memory.
    shared_memory: BTreeSet<String>,
}

impl Belongings {
    fn now() -> Belongings {
        Belongings { processes: related_processes(), descriptors: descriptors(), shared_memory: shared_memory() }
    }

    /// The processes and objects that are here and were not in `before`, one line each; empty if there are none.
    fn beyond(&self, before: &Belongings) -> String {
        let mut text = String::new();
        for (pid, line) in self.processes.iter().filter(|(pid, _)| !before.processes.contains_key(pid)) {
            // Writing to a string does not fail, here and below.
            let _ = writeln!(text, "  process {pid}: {line}");
        }
        // Other tests run at the same time and have objects of their own.
        let left = self.shared_memory.difference(&before.shared_memory);
        for name in left.filter(|name| !self.is_of_another_test(name)) {
            let _ = writeln!(text, "  shared memory: {name}");
        }
        text
    }
    /// Whether a name is one that [`unique`](crate::names::unique) gave to a process which is none of this test, and still there.
    fn is_of_another_test(&self, name: &str) -> bool {
        let maker = name.rsplit('-').nth(1).and_then(|number| number.parse::<u32>().ok());
        let is_other = |pid: u32| pid != std::process::id() && !self.processes.contains_key(&pid);
        maker.is_some_and(|pid| is_other(pid) && Path::new(&format!("/proc/{pid}")).exists())
    }
}

/// The descriptors that are open `now` and were not `before`, if there are more than before; empty if not.
fn more_descriptors(now: &BTreeMap<i32, String>, before: &BTreeMap<i32, String>) -> String {
    let mut text = String::new();
    if now.len() > before.len() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {} are open, {} were before; those not open before:", now.len(), before.len());
        for (number, target) in now.iter().filter(|(number, target)| before.get(number) != Some(target)) {
            let _ = writeln!(text, "    {number} -> {target}");
        }
    }
    text
}

/// Children of this process and members of its group. The group matters for orphans: a runner that gives each test its
/// own group has no others in it, and what a shell put there was there before. An orphan that has ended is not ours any
/// more: whoever adopted it waits for it when it likes.
fn related_processes() -> BTreeMap<u32, String> {
    let this = std::process::id();
    let Some(group) = processes::find(this).map(|process| process.group) else { return BTreeMap::new() };
    processes::all()
        .into_iter()
        .filter(|process| process.parent == this || (process.group == group && !process.is_zombie()))
        .filter(|process| process.pid != this)
        .filter(|process| !process.is_own_helper())
        .map(|process| {
            let line = format!("{}, state {}, child of {}", process.name, process.state, process.parent);
            (process.pid, line)
        })
        .collect()
}

/// The open descriptors of this process with what they refer to.
///
/// # Panics
///
/// When the process's own descriptors cannot be listed.
pub fn descriptors() -> BTreeMap<i32, String> {
    let entries = fs::read_dir("/proc/self/fd").expect("a process can list its descriptors");
    // Collected first: afterwards the descriptor of the listing itself is closed and drops out.
    let numbers: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let target = |number: &i32| fs::read_link(format!("/proc/self/fd/{number}")).ok();
    numbers.iter().filter_map(|number| Some((*number, target(number)?.display().to_string()))).collect()
}

/// The names in the folder of shared memory; none where there is no such folder.
fn shared_memory() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir("/dev/shm") else { return BTreeSet::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn open_file_is_named() {
        watched("opening a file", LIMIT, || {
            let before = descriptors();
            let _file = File::open("/dev/zero").expect("the file can be opened");
            let left = more_descriptors(&descriptors(), &before);
            assert!(left.contains("-> /dev/zero"), "{left}");
        });
    }

    #[test]
    fn child_that_nobody_waited_for_is_named() {
        watched("a child that sleeps", LIMIT, || {
            let before = Belongings::now();
            let mut child = std::process::Command::new("/bin/cat")
                .stdin(std::process::Stdio::piped())
                .spawn()
                .expect("a program can be started");
            let left = Belongings::now().beyond(&before);
            assert!(left.contains(&format!("process {}", child.id())), "{left}");
            drop(child.stdin.take());
            child.wait().expect("the program ends");
            assert_eq!(Belongings::now().beyond(&before), "");
        });
    }
}
