//! A process namespace in which the program's session and process group have no number, because their leaders are outside
//! (pid_namespaces(7)): what containers without an init of their own do.

use crate::line;
use multiprocess_tests::privilege::needs_namespaces;
use multiprocess_tests::watched;
use std::process::Command;
use std::time::Duration;

#[test]
fn starts_work_where_session_and_group_have_no_number() {
    let test = "starts in a namespace without the leaders of session and group";
    if !needs_namespaces(test) {
        return;
    }
    watched(test, Duration::from_secs(60), || {
        for mounts in [&["--mount-proc"][..], &[]] {
            let mut unshare = Command::new("unshare");
            unshare.args(["--pid", "--fork"]).args(mounts).arg(env!("CARGO_BIN_EXE_multiprocess-test-program"));
            let output = unshare.arg("namespaces").output().expect("the command was there a moment ago");
            let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{mounts:?}: {}\n{printed}\n{said}", output.status);
            if !mounts.is_empty() {
                assert_eq!(line(&printed, "group"), "0", "the group has a number, so nothing was tested");
            }
            for method in ["fork-server value 42", "spawn value 42"] {
                assert_eq!(printed.lines().filter(|line| *line == method).count(), 2, "{mounts:?}: {printed}\n{said}");
            }
        }
    });
}
