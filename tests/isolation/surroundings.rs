//! Environment, directory, mask for new files: a child's changes of its own are its own.

use multiprocess::StartMethod;
use multiprocess::channel::{Receiver, bounded};
use multiprocess_tests::methods::start;
use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::{environment, signals};
use rustix::fs::Mode;
use rustix::param::page_size;
use rustix::process::{Resource, getrlimit, setrlimit, umask};
use std::path::PathBuf;
use std::{env, fs};

multiprocess_tests::for_each_start_method![
    child_changes_its_own_surroundings,
    siblings_change_different_ones,
    child_that_may_make_short_files_has_channels,
    child_with_little_address_space_has_channels,
];

type Seen = (PathBuf, Option<String>, Vec<String>, Option<u64>);

fn seen() -> Seen {
    let status = fs::read_to_string("/proc/thread-self/status").expect("a thread can read its status");
    let wanted = |line: &&str| ["Umask:", "SigBlk:"].iter().any(|field| line.starts_with(field));
    let masks = status.lines().filter(wanted).map(str::to_owned).collect();
    let directory = env::current_dir().expect("a process has a directory");
    (directory, env::var("MP_TEST_KEY").ok(), masks, getrlimit(Resource::Core).current)
}

fn change(directory: PathBuf) -> Seen {
    env::set_current_dir(directory).expect("the folder can be entered");
    environment::set("MP_TEST_KEY", "the child's");
    umask(Mode::from_raw_mode(0o123));
    signals::block(multiprocess_tests::processes::Signal::USR1);
    let mut limit = getrlimit(Resource::Core);
    limit.current = Some(0);
    setrlimit(Resource::Core, limit).expect("a soft limit may sink");
    seen()
}

fn child_changes_its_own_surroundings(method: StartMethod) {
    let scratch = Scratch::new();
    let here = seen();
    let there = start(method, change, (scratch.path().to_owned(),)).join().expect("the child returns");
    assert_eq!(there.1.as_deref(), Some("the child's"));
    assert_eq!(there.0, scratch.path().canonicalize().expect("the folder is there"));
    assert!(there.2.iter().any(|mask| mask.ends_with("0123")), "{there:?}");
    assert_eq!(seen(), here);
    assert_eq!(start(method, seen, ()).join().expect("a later child returns"), here);
}

fn siblings_change_different_ones(method: StartMethod) {
    let (one, other) = (Scratch::new(), Scratch::new());
    let children = [&one, &other].map(|scratch| start(method, change, (scratch.path().to_owned(),)));
    let directories = children.map(|child| child.join().expect("the child returns").0);
    assert_eq!(directories, [&one, &other].map(|scratch| scratch.path().canonicalize().expect("the folder is there")));
}

/// A channel whose longest messages would not fit into what this process may map, with a message in it.
fn make_channel_in_little_space() -> Receiver<Vec<u8>> {
    let mapped = fs::read_to_string("/proc/self/statm").expect("a process can read its size");
    let pages: u64 = mapped.split_whitespace().next().and_then(|pages| pages.parse().ok()).expect("a number");
    let mut limit = getrlimit(Resource::As);
    limit.current = Some(pages * page_size() as u64 + (500 << 20));
    setrlimit(Resource::As, limit).expect("a soft limit may sink");
    // One channel leaves room for others, and for what is no channel.
    let others: Vec<_> = (0..8).map(|_| bounded::<u8>(1000).expect("another channel")).collect();
    let memory = vec![1_u8; 64 << 20];
    let rx = make_channel_with_less_room_than(64 << 20);
    drop((others, memory));
    rx
}

/// The same where this process may only make files that are shorter than a channel.
fn make_channel_of_short_files() -> Receiver<Vec<u8>> {
    let mut limit = getrlimit(Resource::Fsize);
    limit.current = Some(300 << 20);
    setrlimit(Resource::Fsize, limit).expect("a soft limit may sink");
    make_channel_with_less_room_than(300 << 20)
}

fn make_channel_with_less_room_than(length: usize) -> Receiver<Vec<u8>> {
    let (tx, rx) = bounded::<Vec<u8>>(1000).expect("a channel with less room");
    for length in [0, 5000, 100_000, 1 << 20, 8 << 20] {
        tx.send(vec![7; length]).expect("there is room");
        assert_eq!(rx.recv().expect("it was sent").len(), length);
    }
    tx.send_bytes(&[0]).expect("there is room");
    let error = tx.send_bytes(&vec![0; length]).expect_err("there is no such room");
    assert!(error.to_string().contains("bytes, where a channel takes"), "{error}");
    rx
}

fn child_that_may_make_short_files_has_channels(method: StartMethod) {
    let rx = start(method, make_channel_of_short_files, ()).join().expect("the child returns");
    assert_eq!(rx.recv().expect("it was sent"), [0]);
}

fn child_with_little_address_space_has_channels(method: StartMethod) {
    let rx = start(method, make_channel_in_little_space, ()).join().expect("the child returns");
    assert_eq!(rx.recv().expect("it was sent"), [0]);
    assert!(rx.recv().expect_err("the sender is gone").is_disconnected());
}
