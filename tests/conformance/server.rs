//! The fork server: what happens when it dies, and that nobody else can talk to it.
//!
//! Each test runs for both methods: what happens to the server is nothing to children that were made without it.

use multiprocess::StartMethod;
use multiprocess_tests::gate::{Gate, pass};
use multiprocess_tests::methods::start;
use multiprocess_tests::processes::{self, Running, Signal};
use multiprocess_tests::{pause, program};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

multiprocess_tests::for_each_start_method![
    forkserver_auth_is_enabled,
    forkserver_killed_again_and_again,
    forkserver_sigint,
    forkserver_sigkill,
    forkserver_without_auth_fails,
    server_is_reused,
    server_keeps_nothing_of_the_program,
];

const LONG: Duration = Duration::from_secs(20);

fn server() -> Running {
    processes::fork_server().expect("the check for leaks has started a child, and so the server")
}

/// `_TestProcess.test_forkserver_sigint`: an interrupt to the server disturbs neither running children nor later ones.
fn forkserver_sigint(method: StartMethod) {
    survives(method, Signal::INT);
}

/// `_TestProcess.test_forkserver_sigkill`: the server is made anew; the child that it had made goes on and its value
/// arrives.
fn forkserver_sigkill(method: StartMethod) {
    let killed = survives(method, Signal::KILL);
    pause::until("the server to be gone", LONG, || processes::find(killed.pid).is_none());
    // A child that was made in advance needs no server, so it may take more than one start.
    pause::until("another server", LONG, || {
        start(StartMethod::ForkServer, || (), ()).join().expect("the child returns");
        processes::fork_server().is_some()
    });
}

/// Signals the server between two starts; tells which server that was.
fn survives(method: StartMethod, signal: Signal) -> Running {
    let wait_and_answer = |closed: multiprocess_tests::gate::Closed| {
        pass(closed);
        5
    };
    let (gate, closed) = Gate::new();
    let running = start(method, wait_and_answer, (closed,));
    let server = server();
    processes::signal(server.pid, signal);
    assert_eq!(start(method, || 6, ()).join().expect("the next child returns"), 6);
    assert!(running.is_alive());
    gate.open();
    assert!(running.wait().expect("the child can be waited for").success());
    assert_eq!(running.join().expect("the running child returns"), 5);
    server
}

/// Killed a moment before each start, so that the start may find the server alive, dying or dead: each one works.
fn forkserver_killed_again_and_again(method: StartMethod) {
    for round in 0..20_u32 {
        if let Some(server) = processes::fork_server() {
            processes::signal(server.pid, Signal::KILL);
        }
        assert_eq!(start(method, |n: u32| n, (round,)).join().expect("the child returns"), round);
    }
}

/// One server serves all starts.
fn server_is_reused(method: StartMethod) {
    let before = server().pid;
    for _ in 0..10 {
        start(method, || (), ()).join().expect("the child returns");
    }
    assert_eq!(server().pid, before);
    let servers = processes::children().into_iter().filter(|process| process.name == processes::FORK_SERVER);
    assert_eq!(servers.count(), 1);
}

/// `_TestProcess.test_forkserver_auth_is_enabled`: Python's server listens on a socket with a name, so it needs a key.
/// Here the only way to the server is an unnamed pair: no socket of ours or the server's listens or has a name.
fn forkserver_auth_is_enabled(method: StartMethod) {
    start(method, || (), ()).join().expect("the child returns");
    let mut sockets = socket_numbers(Path::new("/proc/self/fd"));
    sockets.extend(socket_numbers(&Path::new("/proc").join(server().pid.to_string()).join("fd")));
    assert!(!sockets.is_empty(), "there is a channel to the server");
    let table = fs::read_to_string("/proc/net/unix").expect("the kernel lists its sockets");
    for line in table.lines().skip(1) {
        // Num, RefCount, Protocol, Flags, Type, St, Inode, Path
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.get(6).is_some_and(|number| sockets.contains(*number)) {
            assert_eq!(fields.get(3), Some(&"00000000"), "a socket listens: {line}");
            assert_eq!(fields.get(7), None, "a socket has a name: {line}");
        }
    }
}

/// The numbers of the sockets among the descriptors in `folder`.
fn socket_numbers(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("the descriptors can be listed");
    let number = |path: std::path::PathBuf| {
        let target = fs::read_link(path).ok()?;
        let number = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(number.to_owned())
    };
    entries.flatten().filter_map(|entry| number(entry.path())).collect()
}

/// `_TestProcess.test_forkserver_without_auth_fails`: who pretends to start a program as its server gets the program
/// itself, and the real service goes on.
fn forkserver_without_auth_fails(method: StartMethod) {
    let theirs = fs::read(format!("/proc/{}/environ", server().pid)).expect("the server's environment can be read");
    let mut forged = program!("hello", "world");
    for entry in theirs.split(|byte| *byte == 0) {
        let entry = String::from_utf8_lossy(entry);
        if let Some((key, value)) = entry.split_once('=')
            && std::env::var_os(key).is_none()
        {
            forged.command().env(key, value);
        }
    }
    assert_eq!(forged.succeed(), "hello world\n");
    assert_eq!(start(method, || 6, ()).join().expect("the service goes on"), 6);
}

/// The server holds neither the program's directory nor its streams or files.
fn server_keeps_nothing_of_the_program(method: StartMethod) {
    start(method, || (), ()).join().expect("the child returns");
    let folder = Path::new("/proc").join(server().pid.to_string());
    assert_eq!(fs::read_link(folder.join("cwd")).expect("the server has a directory"), Path::new("/"));
    for stream in ["0", "1", "2"] {
        let target = fs::read_link(folder.join("fd").join(stream)).expect("the server has the stream");
        assert_eq!(target, Path::new("/dev/null"), "stream {stream}");
    }
}
