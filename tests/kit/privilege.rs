//! What only root can set up: a test that needs it says so, and is skipped aloud where it has it not.

use crate::processes;
use crate::trace::{self, Traced};
use std::path::Path;

/// Whether this process is root; prints why `test` is skipped if it is not.
///
/// # Examples
///
/// ```
/// use multiprocess_tests::privilege::needs_root;
///
/// if needs_root("giving a file to another user") {
///     assert_eq!(rustix::process::geteuid().as_raw(), 0);
/// }
/// ```
pub fn needs_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped(test, "only root can set it up, and this user is not root");
    }
    root
}

/// Whether programs in `folder` may be set-uid; prints why `test` is skipped if they may not.
///
/// # Panics
///
/// When the folder cannot be looked at.
pub fn needs_set_uid(test: &str, folder: &Path) -> bool {
    let file_system = rustix::fs::statvfs(folder).expect("a folder's file system can be asked for its flags");
    let honoured = !file_system.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID);
    if !honoured {
        skipped(test, "the folder for temporary files is mounted without set-uid programs");
    }
    honoured
}

/// Whether a process may trace its own children, which some containers forbid; prints why `test` is skipped if it may not.
///
/// # Panics
///
/// When this program cannot be forked.
pub fn needs_tracing(test: &str) -> bool {
    let allowed = match multiprocess_fixture_native::fork().expect("a program can be forked") {
        multiprocess_fixture_native::Side::Child => {
            if trace::consent() {
                trace::stop();
            }
            // Without the exit hooks of the program that was copied.
            loop {
                processes::signal(std::process::id(), processes::Signal::KILL);
            }
        }
        multiprocess_fixture_native::Side::Parent(pid) => Traced::adopt(pid).is_some(),
    };
    if !allowed {
        skipped(test, "this system does not let a process trace its children");
    }
    allowed
}

/// Whether this process may make a namespace of process numbers; prints why `test` is skipped if it may not.
///
/// # Panics
///
/// When this program cannot be forked or its copy not waited for.
pub fn needs_namespaces(test: &str) -> bool {
    let program = std::process::Command::new("unshare").args(["--pid", "--fork", "true"]).output();
    let allowed = program.is_ok_and(|output| output.status.success());
    if !allowed {
        skipped(test, "this user may not make a namespace of process numbers");
    }
    allowed
}

fn skipped(test: &str, reason: &str) {
    eprintln!("skipped: {test}: {reason}");
}
