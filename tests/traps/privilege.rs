//! A set-uid program, and programs that are handed a forged marker: nobody gets anything by pretending to be our
//! parent.
//!
//! The marker is the environment variable by which a fresh fork server knows itself. Whoever starts a program can set
//! it.

use crate::line;
use multiprocess_tests::privilege::{needs_root, needs_set_uid};
use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::{program, watched};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The variable that marks a fork server's start.
const MARKER: &str = "MULTIPROCESS_START";

/// The user that owns nothing.
const NOBODY: u32 = 65_534;

const LIMIT: Duration = Duration::from_secs(60);

/// What an attacker may write into the variable. This process is the parent of the programs, so its number is right
/// in those that hold one; the secret is one that the attacker chose.
fn forgeries() -> Vec<String> {
    let (pid, secret) = (std::process::id(), "0123456789abcdef0123456789abcdef");
    vec![
        String::new(),
        "garbage".to_owned(),
        ":::::".to_owned(),
        format!("1:{pid}:{secret}"),
        format!("1:{pid}:{}", &secret[1..]),
        format!("1:1:{secret}"),
        format!("1:99999999999999999999:{secret}"),
        format!("2:{pid}:{secret}"),
        format!("1:{pid}:{secret}:3"),
        format!("1:3:{pid}:{secret}"),
        format!("1:{pid}:{}", "f".repeat(60_000)),
        "\u{fffd}\u{0001}".to_owned(),
    ]
}

#[test]
fn set_uid_program_with_a_forged_marker_gains_nothing() {
    let test = "a set-uid program that is handed a forged marker";
    let folder = Scratch::new();
    if !needs_root(test) || !needs_set_uid(test, folder.path()) {
        return;
    }
    watched(test, LIMIT, || {
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("others may enter the folder");
        let copy = folder.join("set-uid-program");
        fs::copy(env!("CARGO_BIN_EXE_multiprocess-test-program"), &copy).expect("the program can be copied");
        fs::set_permissions(&copy, Permissions::from_mode(0o4755)).expect("the copy can be made set-uid");

        let markers = [None].into_iter().chain(forgeries().into_iter().map(Some));
        for (marker, kind) in markers.flat_map(|marker| SOCKETS.map(|kind| (marker.clone(), kind))) {
            let output = run_with_socket(&copy, kind, marker.as_deref(), Some(NOBODY));
            let (printed, said) = (text(&output.stdout), text(&output.stderr));
            // It really was privileged, and its main ran as if nobody had forged anything.
            assert_eq!(line(&printed, "main"), format!("{NOBODY} 0"), "with marker {marker:?}: {said}");
            let outcome = line(&printed, "outcome");
            assert!(
                outcome.starts_with("start-error "),
                "a set-uid program started a child with marker {marker:?}: {outcome}"
            );
            assert!(outcome.contains("set-user-id"), "the refusal does not say why: {outcome}");
        }
    });
}

#[test]
fn forged_marker_in_an_ordinary_start_is_ignored_or_refused() {
    watched("a program that is handed a forged marker", LIMIT, || {
        let program = Path::new(env!("CARGO_BIN_EXE_multiprocess-test-program"));
        for (marker, kind) in forgeries().into_iter().flat_map(|marker| SOCKETS.map(|kind| (marker.clone(), kind))) {
            let output = run_with_socket(program, kind, Some(&marker), None);
            let (printed, said) = (text(&output.stdout), text(&output.stderr));
            let shown: String = marker.chars().take(60).collect();
            if printed.is_empty() {
                assert!(!output.status.success(), "with marker {shown:?} nothing ran, and that was called a success");
                assert!(said.trim().len() > 10, "with marker {shown:?} the program ended without a word");
            } else {
                let outcome = line(&printed, "outcome");
                assert!(
                    outcome.starts_with("value "),
                    "with marker {shown:?} main ran, but not as usual: {outcome} {said}"
                );
                assert_eq!(printed.lines().count(), 2, "something else ran too: {printed}");
            }
        }
    });
}

#[test]
fn child_does_not_inherit_the_marker() {
    watched("the environment of a child", LIMIT, || {
        let printed = program!("privilege").succeed();
        assert_eq!(line(&printed, "outcome"), "value None");
    });
}

/// The kinds of socket that may carry messages of either sort.
const SOCKETS: [SocketType; 2] = [SocketType::SEQPACKET, SocketType::STREAM];

/// Runs the program as `user` with the marker, and with a socket at descriptor 3 from whose other end come words that
/// an attacker would send: a secret, and then what might be taken for a request.
fn run_with_socket(program: &Path, kind: SocketType, marker: Option<&str>, user: Option<u32>) -> Output {
    let (near, far) =
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("two sockets can be made");
    for words in ["0123456789abcdef0123456789abcdef", "0123456789abcdef", "1", "start"] {
        rustix::io::write(&near, words.as_bytes()).expect("a socket takes some bytes");
    }
    // A shell puts the socket at 3: what this process opens is closed when another program is executed.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" privilege 3<&0"]).arg(program);
    command.stdin(Stdio::from(far)).stdout(Stdio::piped()).stderr(Stdio::piped());
    match marker {
        Some(marker) => command.env(MARKER, marker),
        None => command.env_remove(MARKER),
    };
    if let Some(user) = user {
        command.uid(user).gid(user).current_dir("/");
    }
    command.output().expect("the shell can be run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
