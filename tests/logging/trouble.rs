//! Nobody holds a child up, and nobody is harmed by what others write.

use crate::subscriber::{self, messages, take, take_of};
use multiprocess::{Child, Event, Process, flush_logs, spawn};
use multiprocess_tests::{pause, processes};
use rustix::fs::fstat;
use rustix::net::{SendFlags, SocketType, send, sockopt};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

crate::logged![
    child_is_not_held_up_by_a_stopped_parent,
    child_is_not_held_up_by_a_subscriber_that_takes_nothing,
    child_that_outlives_its_parent_is_not_harmed,
    garbage_is_told_and_harms_nobody,
    join_of_who_holds_the_subscriber_up_returns,
];

/// More than lies in any box.
const MANY: usize = 20_000;

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(30);

fn chatter() -> Duration {
    let start = Instant::now();
    (0..MANY).for_each(|number| tracing::info!(number, "chatter"));
    start.elapsed()
}

/// What found no room is told as soon as there is some.
fn child_is_not_held_up_by_a_subscriber_that_takes_nothing() {
    let gate = subscriber::stopped();
    let (done, has_room) = (Event::new().expect("an event can be made"), Event::new().expect("an event can be made"));
    let talk = |done: Event, has_room: Event| {
        chatter();
        done.set();
        has_room.wait();
        tracing::info!("that was all");
    };
    let child = Process::new(talk, (done.clone(), has_room.clone())).name("talker").start();
    let child = child.expect("the child starts");
    assert!(done.wait_timeout(LONG), "the child has said all it has to say, heard or not");
    drop(gate);
    flush_logs();
    has_room.set();
    child.join().expect("the child returns");
    let seen = take_of("talker");
    assert_eq!(seen.last().map(|seen| seen.message()), Some("that was all"));
    let lost: usize = seen.iter().filter_map(|seen| seen.field("lost").parse::<usize>().ok()).sum();
    let heard = seen.iter().filter(|seen| seen.message() == "chatter").count();
    assert!(lost > 0 && heard > 0, "{heard} heard, {lost} lost");
    assert_eq!(heard + lost, MANY);
}

/// The parent holds what its own subscriber waits for, as who locks the standard output does.
fn join_of_who_holds_the_subscriber_up_returns() {
    let gate = subscriber::stopped();
    let child = Process::new(|| tracing::info!("waits"), ()).name("patient").forward_logs(true).start();
    child.expect("the child starts").join().expect("the child returns");
    drop(gate);
    flush_logs();
    assert_eq!(messages(&take_of("patient")), ["waits"]);
}

struct Deaf;

impl tracing::Subscriber for Deaf {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// A parent with a subscriber of its own, whose child says that it is there, and talks when it is told to.
fn parent(here: Event, begin: Event, done: Event) {
    tracing::subscriber::set_global_default(Deaf).expect("this child has none");
    let talk = |here: Event, begin: Event, done: Event| {
        here.set();
        begin.wait();
        chatter();
        done.set();
    };
    spawn(talk, (here, begin, done)).expect("the inner child starts").join().expect("the inner child returns");
}

/// Starts such a parent; returns it when its child is there, with what makes that one begin, and what it does at the end.
fn started_parent() -> (Child<()>, Event, Event) {
    let [here, begin, done] = [(); 3].map(|()| Event::new().expect("an event can be made"));
    let arguments = (here.clone(), begin.clone(), done.clone());
    let child = Process::new(parent, arguments).forward_logs(false).start().expect("the child starts");
    assert!(here.wait_timeout(LONG), "the inner child runs");
    (child, begin, done)
}

fn child_is_not_held_up_by_a_stopped_parent() {
    let (child, begin, done) = started_parent();
    processes::signal(child.pid(), processes::Signal::STOP);
    pause::until("the parent is stopped", LONG, || processes::state(child.pid()) == Some('T'));
    begin.set();
    assert!(done.wait_timeout(LONG), "the inner child has said all it has to say");
    processes::signal(child.pid(), processes::Signal::CONT);
    child.join().expect("the child returns");
}

fn child_that_outlives_its_parent_is_not_harmed() {
    let (child, begin, done) = started_parent();
    child.kill().expect("the child can be killed");
    child.wait().expect("the child has a status");
    begin.set();
    assert!(done.wait_timeout(LONG), "the inner child speaks to nobody");
}

/// The message sockets of this process, by what they refer to.
fn message_sockets() -> Vec<(i32, u64)> {
    let entries = fs::read_dir("/proc/self/fd").expect("descriptors can be listed");
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let socket = |number: i32| {
        // SAFETY: the number is looked at while nobody closes it: this process has one thread.
        let handle = unsafe { BorrowedFd::borrow_raw(number) };
        let is_message_socket = sockopt::socket_type(handle) == Ok(SocketType::SEQPACKET);
        is_message_socket.then(|| fstat(handle).map(|stat| (number, stat.st_ino)).ok()).flatten()
    };
    numbers.filter_map(socket).collect()
}

fn inodes() -> BTreeSet<u64> {
    message_sockets().into_iter().map(|(_, inode)| inode).collect()
}

/// Writes what is none of ours into the slot, in all sizes.
fn litter(slot: u64) -> u32 {
    let found = message_sockets().into_iter().find(|(_, inode)| *inode == slot);
    let (number, _) = found.expect("the slot is there");
    // SAFETY: it stays open as long as this process lives.
    let slot = unsafe { BorrowedFd::borrow_raw(number) };
    let put = |bytes: &[u8]| while send(slot, bytes, SendFlags::empty()).is_err() {};
    tracing::info!("before");
    let mut random = 0x1234_5678_9abc_def0_u64;
    let mut count = 0;
    for length in (0..200).chain([1000, 16_384, 16_385, 40_000]) {
        let mut bytes: Vec<u8> = (0..length)
            .map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random as u8
            })
            .collect();
        put(&bytes);
        // What begins as one of ours, and goes on as anything.
        bytes.splice(0..0, *b"mpl1");
        put(&bytes);
        count += 2;
    }
    tracing::info!("after");
    count
}

fn garbage_is_told_and_harms_nobody() {
    // Each child has message sockets of its own, and the slot is that which all have.
    let first = spawn(inodes, ()).expect("the child starts").join().expect("the child returns");
    let second = spawn(inodes, ()).expect("the child starts").join().expect("the child returns");
    let shared: Vec<u64> = first.intersection(&second).copied().collect();
    let [slot] = shared.as_slice() else { panic!("one socket is in all children: {shared:?}") };
    drop(take());
    let child = Process::new(litter, (*slot,)).name("litterer").start().expect("the child starts");
    let count = child.join().expect("the child returns");
    let seen = take();
    let of_child: Vec<_> = seen.iter().filter(|seen| seen.field("process.name") == "litterer").collect();
    assert_eq!(of_child.iter().map(|seen| seen.message()).collect::<Vec<_>>(), ["before", "after"]);
    let told = seen.iter().filter(|seen| seen.message() == "what a process has written is no event");
    let told: Vec<u32> = told.map(|seen| seen.field("count").parse().expect("a number")).collect();
    assert!(told.iter().any(|told| *told > count / 4) && told.len() <= 10, "{told:?} of {count}");
    // Whoever speaks later is heard.
    Process::new(|| tracing::info!("and on"), ())
        .name("later")
        .start()
        .expect("the child starts")
        .join()
        .expect("it returns");
    assert_eq!(messages(&take_of("later")), ["and on"]);
}
