//! What only root can set up: a test that needs it says so, and is skipped aloud where it has it not.

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

fn skipped(test: &str, reason: &str) {
    eprintln!("skipped: {test}: {reason}");
}
