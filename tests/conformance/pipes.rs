//! Pipes when something goes wrong: a peer that is stopped, descriptors that run out.

use multiprocess::channel::{Connection, RecvError, TryRecvError, pipe};
use multiprocess::{Fd, StartMethod};
use multiprocess_tests::methods::start;
use multiprocess_tests::processes::{self, Signal};
use multiprocess_tests::ready::{Ready, Sayer, say};
use multiprocess_tests::{leaks, pause};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::convert::Infallible;
use std::fs::File;
use std::time::{Duration, Instant};

multiprocess_tests::for_each_start_method![
    full_table_of_descriptors,
    killed_amid_a_large_message,
    stopped_receiver_keeps_nobody_waiting,
    stopped_sender_keeps_nobody_waiting,
];

const LONG: Duration = Duration::from_secs(30);

/// A message with 600 handles and 8 MiB.
type Large = (Vec<u8>, Vec<Fd<File>>);

fn large() -> Large {
    let null = File::open("/dev/null").expect("a file can be opened");
    let files = (0..600).map(|_| Fd(null.try_clone().expect("the limit allows it"))).collect();
    (vec![7; 8 << 20], files)
}

fn check(value: &Large) {
    assert!(value.0.len() == 8 << 20 && value.0.iter().all(|byte| *byte == 7) && value.1.len() == 600);
}

/// Lets this process have as many descriptors as the test needs, and puts the limit back.
struct Limit(Rlimit);

impl Limit {
    fn set(soft: u64) -> Limit {
        let old = getrlimit(Resource::Nofile);
        let soft = old.maximum.map_or(soft, |maximum| maximum.min(soft));
        setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum: old.maximum }).expect("it can be set");
        Limit(old)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).expect("the limit can be put back");
    }
}

/// Sends for ever, small messages and large ones.
fn send_for_ever(end: Connection<Large, Infallible>, mut sayer: Sayer) {
    let _limit = Limit::set(4096);
    say(&mut sayer);
    while end.send(large()).is_ok() {}
}

/// A sender is stopped somewhere in the middle of large messages, again and again: `try_recv` says at once that there is nothing
/// or has a whole message.
fn stopped_sender_keeps_nobody_waiting(method: StartMethod) {
    let _limit = Limit::set(4096);
    let (near, far) = pipe::<Infallible, Large>().expect("a pipe can be made");
    let (mut ready, sayer) = Ready::new();
    let child = start(method, send_for_ever, (far, sayer));
    ready.wait();
    let (mut empty, mut whole) = (0, 0);
    for round in 0..40 {
        // Let it go on for a moment that differs from round to round.
        let since = Instant::now();
        pause::holds_within(Duration::from_micros(700 * round), || false);
        processes::signal(child.pid(), Signal::STOP);
        pause::until("the child to stop", LONG, || processes::state(child.pid()) == Some('T'));
        loop {
            match near.try_recv() {
                Ok(value) => {
                    check(&value);
                    whole += 1;
                }
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("after {:?}: {error}", since.elapsed()),
            }
        }
        assert!(!near.poll(Some(Duration::ZERO)).expect("a pipe can be polled"));
        empty += 1;
        processes::signal(child.pid(), Signal::CONT);
    }
    check(&near.recv().expect("the child goes on"));
    assert!(empty == 40, "{whole} whole messages");
    child.kill().expect("the child can be killed");
    child.wait().expect("the child can be waited for");
}

/// A sender is killed in the middle of large messages: whole ones come, then the end.
fn killed_amid_a_large_message(method: StartMethod) {
    let _limit = Limit::set(4096);
    for round in 0..10 {
        let (near, far) = pipe::<Infallible, Large>().expect("a pipe can be made");
        let (mut ready, sayer) = Ready::new();
        let child = start(method, send_for_ever, (far, sayer));
        ready.wait();
        pause::holds_within(Duration::from_millis(2 * round), || false);
        child.kill().expect("the child can be killed");
        loop {
            match near.recv() {
                Ok(value) => check(&value),
                Err(RecvError::Disconnected) => break,
                Err(error) => panic!("{error}"),
            }
        }
        child.wait().expect("the child can be waited for");
    }
}

/// A receiver is stopped: a sender fills the pipe, is told so, and gets its value back.
fn stopped_receiver_keeps_nobody_waiting(method: StartMethod) {
    let (near, far) = pipe::<Vec<u8>, u64>().expect("a pipe can be made");
    let (mut ready, sayer) = Ready::new();
    let count = |end: Connection<u64, Vec<u8>>, mut sayer: Sayer| {
        say(&mut sayer);
        std::iter::from_fn(|| end.recv().ok()).count()
    };
    let child = start(method, count, (far, sayer));
    ready.wait();
    processes::signal(child.pid(), Signal::STOP);
    pause::until("the child to stop", LONG, || processes::state(child.pid()) == Some('T'));
    let mut sent = 0;
    let unsent = loop {
        match near.try_send(vec![1; 100_000]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(unsent.is_full() && unsent.into_inner().len() == 100_000);
    assert!(sent >= 100, "only {sent} fit");
    let limit = Duration::from_millis(30);
    assert!(near.send_timeout(vec![2], limit).expect_err("the pipe is full").is_timeout());
    processes::signal(child.pid(), Signal::CONT);
    near.send_timeout(vec![3], LONG).expect("there is room again");
    drop(near);
    assert_eq!(child.join().expect("the child returns"), sent + 1);
}

/// No free descriptors: the message with handles, or with a large body, is an error and lost; nothing is left of it, and the
/// next one comes.
fn full_table_of_descriptors(method: StartMethod) {
    let _limit = Limit::set(4096);
    let (near, far) = pipe::<u32, (Vec<u8>, Vec<Fd<File>>)>().expect("a pipe can be made");
    let send = |end: Connection<(Vec<u8>, Vec<Fd<File>>), u32>| {
        let _limit = Limit::set(4096);
        while let Ok(count) = end.recv() {
            let (bytes, files) = large();
            let (bytes, files) = if count == 0 { (bytes, vec![]) } else { (vec![], files) };
            end.send((bytes, files.into_iter().take(count as usize).collect())).expect("somebody listens");
        }
    };
    let child = start(method, send, (far,));
    for count in [0, 5, 253, 600] {
        for free in [0, 2] {
            near.send(count).expect("the child listens");
            assert!(near.poll(Some(LONG)).expect("a pipe can be polled"));
            let before = leaks::descriptors();
            let limit = Limit::set(limit_with_free(free, &before.keys().copied().collect::<Vec<i32>>()));
            let received = near.recv();
            drop(limit);
            match received {
                Err(RecvError::Failed(error)) => assert!(error.to_string().contains("descriptor"), "{error}"),
                Ok((bytes, files)) => assert!(count == 0 && free > 0 && files.is_empty() && bytes.len() == 8 << 20),
                Err(error) => panic!("{count} handles, {free} free: {error}"),
            }
            assert_eq!(leaks::descriptors(), before, "{count} handles, {free} free");
        }
    }
    near.send(600).expect("the child listens");
    assert_eq!(near.recv().expect("now there is room").1.len(), 600);
    drop(near);
    child.join().expect("the child returns");
}

/// The limit under which exactly `free` numbers are unused.
fn limit_with_free(free: u64, used: &[i32]) -> u64 {
    let unused = (0..).filter(|number| !used.contains(number));
    unused.map(|number| number as u64).nth(free as usize).expect("numbers do not end")
}
