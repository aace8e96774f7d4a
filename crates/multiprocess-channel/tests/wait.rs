//! Waiting for many things at once: each kind alone, mixtures, deaths of who makes them ready, and idleness.

mod mute;

use multiprocess_channel::{ErrorKind, Waitable, wait};
use multiprocess_parcel::Fd;
use multiprocess_process::{Child, active_children, parent, scope, spawn};
use multiprocess_sync::Event;
use mute::Flag;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// More than anything takes that comes.
const LONG: Option<Duration> = Some(Duration::from_secs(60));
const LOOK: Option<Duration> = Some(Duration::ZERO);
const NOTHING: [usize; 0] = [];

/// Waits until the pipe closes, which it does when its owner dies too.
fn pass(mut gate: Fd<PipeReader>) {
    assert_eq!(gate.0.read(&mut [0]).unwrap(), 0);
}

fn gate() -> (PipeWriter, Fd<PipeReader>) {
    let (reader, writer) = pipe().unwrap();
    (writer, Fd(reader))
}

fn events(count: usize) -> Vec<Event> {
    (0..count).map(|_| Event::new().unwrap()).collect()
}

/// Sets them, one a time, whenever there is a byte to read; the byte says which.
fn set_as_told(mut told: Fd<PipeReader>, events: Vec<Event>) {
    let mut which = [0];
    while told.0.read(&mut which).unwrap() == 1 {
        events[usize::from(which[0])].set();
    }
}

fn setter(events: &[Event]) -> (Child<()>, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    (spawn(set_as_told, (Fd(reader), events.to_vec())).unwrap(), writer)
}

fn set_at_once(event: Event) {
    event.set();
}

/// Not ready, then ready, by itself and beside an event, which makes it another way of waiting.
fn becomes_ready<T: Waitable>(object: T, make_ready: impl FnOnce()) {
    let never = Event::new().unwrap();
    assert_eq!(wait(&[&object], LOOK).unwrap(), NOTHING);
    assert_eq!(wait(&[&never, &object], LOOK).unwrap(), NOTHING);
    make_ready();
    assert_eq!(wait(&[&object], None).unwrap(), [0]);
    assert_eq!(wait(&[&never, &object], None).unwrap(), [1]);
    assert_eq!(wait(&[&object, &never, &object], LONG).unwrap(), [0, 2]);
    assert_eq!(wait(&[&object], LOOK).unwrap(), [0]);
}

#[test]
fn an_event_is_ready_when_it_is_set() {
    let event = Event::new().unwrap();
    becomes_ready(event.clone(), || spawn(set_at_once, (event.clone(),)).unwrap().join().unwrap());
    event.clear();
    assert_eq!(wait(&[&event], LOOK).unwrap(), NOTHING);
}

#[test]
fn a_child_is_ready_when_it_has_ended() {
    let (writer, closed) = gate();
    let child = spawn(pass, (closed,)).unwrap();
    becomes_ready(&child, || drop(writer));
    child.join().unwrap();
}

#[test]
fn an_active_child_and_one_of_a_scope_are_ready_when_they_have_ended() {
    let (writer, closed) = gate();
    scope(|scope| {
        let child = scope.spawn(pass, (closed,)).unwrap();
        let active = active_children().into_iter().find(|active| active.pid() == child.pid()).unwrap();
        becomes_ready(&child, || drop(writer));
        assert_eq!(wait(&[&active, &child], LONG).unwrap(), [0, 1]);
    })
    .unwrap();
}

#[test]
fn a_parent_is_ready_when_it_has_ended() {
    let (told, tell) = pipe().unwrap();
    let child = spawn(|tell: Fd<PipeWriter>| drop(spawn(outlive_parent, (tell,)).unwrap()), (Fd(tell),));
    child.unwrap().join().unwrap();
    let mut text = String::new();
    Fd(told).read_to_string(&mut text).unwrap();
    assert_eq!(text, "[1]");
}

fn outlive_parent(mut tell: Fd<PipeWriter>) {
    let never = Event::new().unwrap();
    let found = wait(&[&never, parent().unwrap()], LONG).unwrap();
    write!(tell, "{found:?}").unwrap();
}

#[test]
fn a_descriptor_is_ready_when_it_can_be_read() {
    let (reader, mut writer) = pipe().unwrap();
    becomes_ready(reader, || writer.write_all(b"x").unwrap());
    let (reader, writer) = pipe().unwrap();
    becomes_ready(OwnedFd::from(reader), || drop(writer));
    let (reader, writer) = pipe().unwrap();
    becomes_ready(reader.as_fd(), || drop(writer));
    let (reader, writer) = pipe().unwrap();
    becomes_ready(Fd(std::fs::File::from(OwnedFd::from(reader))), || drop(writer));
}

#[test]
fn a_socket_is_ready_when_it_can_be_read_or_has_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = None;
    becomes_ready(&listener, || stream = Some(TcpStream::connect(listener.local_addr().unwrap()).unwrap()));
    let mut accepted = listener.accept().unwrap().0;
    becomes_ready(stream.unwrap(), || accepted.write_all(b"x").unwrap());

    let (one, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let address = one.local_addr().unwrap();
    becomes_ready(one, || assert_eq!(other.send_to(b"x", address).unwrap(), 1));

    let (one, other) = UnixStream::pair().unwrap();
    becomes_ready(one, || drop(other));
    let (one, other) = UnixDatagram::pair().unwrap();
    becomes_ready(one, || assert_eq!(other.send(b"x").unwrap(), 1));

    let path = std::env::temp_dir().join(format!("mp-wait-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    becomes_ready(&listener, || drop(UnixStream::connect(&path).unwrap()));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn all_that_are_ready_are_told_in_order() {
    let (reader, writer) = pipe().unwrap();
    let (event, never) = (Event::new().unwrap(), Event::new().unwrap());
    let (_open, closed) = gate();
    let ended = spawn(|| {}, ()).unwrap();
    let running = spawn(pass, (closed,)).unwrap();
    ended.wait().unwrap();
    event.set();
    drop(writer);
    let objects: [&dyn Waitable; 7] = [&running, &event, &never, &reader, &ended, &event, &reader];
    for timeout in [None, LOOK, LONG] {
        assert_eq!(wait(&objects, timeout).unwrap(), [1, 3, 4, 5, 6]);
    }
}

#[test]
fn a_mixture_is_woken_by_whichever_comes() {
    let events = events(2);
    let (child, mut tell) = setter(&events);
    let (reader, writer) = pipe().unwrap();
    let objects: [&dyn Waitable; 4] = [&reader, &events[0], &child, &events[1]];
    tell.write_all(&[1]).unwrap();
    assert_eq!(wait(&objects, LONG).unwrap(), [3]);
    events[1].clear();
    tell.write_all(&[0]).unwrap();
    assert_eq!(wait(&objects, LONG).unwrap(), [1]);
    events[0].clear();
    let closer = spawn(|end: Fd<PipeWriter>| drop(end), (Fd(writer),)).unwrap();
    assert_eq!(wait(&objects, LONG).unwrap(), [0]);
    closer.join().unwrap();
    drop(tell);
    assert_eq!(wait(&objects[1..], LONG).unwrap(), [1]);
    child.join().unwrap();
}

/// Whether a wait sleeps when it is woken, or only spins, nobody can say; in so many rounds it does both.
#[test]
fn no_wake_up_is_lost_in_many_rounds() {
    let (reader, _writer) = pipe().unwrap();
    let events = events(2);
    let (child, mut tell) = setter(&events);
    for round in 0..1000_u32 {
        let which = round as usize % 2;
        tell.write_all(&[which as u8]).unwrap();
        let objects: [&dyn Waitable; 3] = [&events[0], &events[1], &reader];
        let some = if round % 4 < 2 { &objects[..2] } else { &objects[..] };
        assert_eq!(wait(some, None).unwrap(), [which]);
        events[which].clear();
    }
    drop(tell);
    child.join().unwrap();
}

#[test]
fn the_same_object_may_be_there_twice() {
    let event = events(1);
    let (reader, writer) = pipe().unwrap();
    let (child, mut tell) = setter(&event);
    let objects: [&dyn Waitable; 4] = [&event[0], &reader, &event[0], &reader];
    let short = Some(Duration::from_millis(20));
    assert_eq!(wait(&[&event[0], &event[0]], short).unwrap(), NOTHING);
    assert_eq!(wait(&objects, short).unwrap(), NOTHING);
    tell.write_all(&[0]).unwrap();
    assert_eq!(wait(&[&event[0], &event[0]], None).unwrap(), [0, 1]);
    event[0].clear();
    tell.write_all(&[0]).unwrap();
    assert_eq!(wait(&objects, None).unwrap(), [0, 2]);
    drop(writer);
    assert_eq!(wait(&objects, None).unwrap(), [0, 1, 2, 3]);
    drop(tell);
    child.join().unwrap();
}

#[test]
fn an_event_is_seen_although_its_setter_is_killed() {
    for beside in [false, true] {
        let event = Event::new().unwrap();
        let (reader, _writer) = pipe().unwrap();
        let child = spawn(
            |event: Event| {
                event.set();
                std::thread::park()
            },
            (event.clone(),),
        )
        .unwrap();
        let objects: [&dyn Waitable; 2] = [&event, &reader];
        assert_eq!(wait(&objects[..1 + usize::from(beside)], None).unwrap(), [0]);
        child.kill().unwrap();
        assert_eq!(wait(&[&event, &child], None).unwrap().first(), Some(&0));
        assert_eq!(wait(&[&child], None).unwrap(), [0]);
        assert_eq!(wait(&[&child, &event], None).unwrap(), [0, 1]);
    }
}

/// Its setter changes the word and is killed before it wakes anybody.
#[test]
fn a_setter_is_killed_before_it_wakes_anybody() {
    let (reader, _writer) = pipe().unwrap();
    let others: Vec<Event> = events(199);
    for way in 0..3 {
        let flag = Flag::new();
        let child = spawn(mute::set_and_die, (flag.clone(),)).unwrap();
        let mut objects: Vec<&dyn Waitable> = Vec::new();
        match way {
            0 => {}
            1 => objects.push(&reader),
            _ => objects.extend(others.iter().map(|event| event as &dyn Waitable)),
        }
        objects.push(&flag);
        assert_eq!(wait(&objects, None).unwrap(), [objects.len() - 1]);
        assert!(!child.wait().unwrap().success());
    }
}

#[test]
fn an_event_that_is_set_for_a_moment_only_is_not_missed() {
    let (_open, closed) = gate();
    let event = Event::new().unwrap();
    let child = spawn(
        |event: Event, closed: Fd<PipeReader>| {
            while wait(&[&closed], LOOK).unwrap().is_empty() {
                event.set();
                event.clear();
            }
        },
        (event.clone(), closed),
    )
    .unwrap();
    for _ in 0..100 {
        assert_eq!(wait(&[&event], None).unwrap(), [0]);
    }
    drop(_open);
    child.join().unwrap();
}

#[test]
fn two_hundred_events_at_once() {
    let events = events(200);
    let (child, mut tell) = setter(&events);
    let objects: Vec<&dyn Waitable> = events.iter().map(|event| event as &dyn Waitable).collect();
    for which in [199, 0, 126, 127, 128, 63] {
        assert_eq!(wait(&objects, LOOK).unwrap(), NOTHING);
        tell.write_all(&[which]).unwrap();
        assert_eq!(wait(&objects, None).unwrap(), [usize::from(which)]);
        events[usize::from(which)].clear();
    }
    events.iter().for_each(Event::set);
    assert_eq!(wait(&objects, None).unwrap(), Vec::from_iter(0..200));
    drop(tell);
    child.join().unwrap();
}

#[test]
fn descriptors_are_shared_by_many_who_wait_for_them() {
    let (one, other) = UnixDatagram::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    let (one, done) = (Fd(one), Event::new().unwrap());
    let takers: Vec<Child<u32>> =
        (0..3).map(|_| spawn(take, (Fd(one.try_clone().unwrap()), done.clone())).unwrap()).collect();
    for _ in 0..300 {
        other.send(b"x").unwrap();
    }
    while !wait(&[&one], LOOK).unwrap().is_empty() {
        std::thread::yield_now();
    }
    done.set();
    assert_eq!(takers.into_iter().map(|taker| taker.join().unwrap()).sum::<u32>(), 300);
}

fn take(socket: Fd<UnixDatagram>, done: Event) -> u32 {
    let mut count = 0;
    while wait(&[&socket, &done], None).unwrap() != [1] {
        count += u32::from(socket.recv(&mut [0]).is_ok());
    }
    count
}

#[test]
fn timeouts_are_kept() {
    let (reader, _writer) = pipe().unwrap();
    let many = events(200);
    let every: Vec<&dyn Waitable> = many.iter().map(|event| event as &dyn Waitable).collect();
    let timeout = Duration::from_millis(30);
    let both: [&dyn Waitable; 2] = [&many[0], &reader];
    for objects in [&[][..], &both[..1], &both[1..], &both, &every] {
        let begin = Instant::now();
        assert_eq!(wait(objects, Some(timeout)).unwrap(), NOTHING);
        assert!(begin.elapsed() >= timeout, "{} objects", objects.len());
        assert_eq!(wait(objects, LOOK).unwrap(), NOTHING);
    }
}

#[test]
fn who_waits_for_nothing_waits_for_the_time_only() {
    assert_eq!(wait(&[], LOOK).unwrap(), NOTHING);
    assert_eq!(wait(&[], None).unwrap_err().kind(), ErrorKind::Other);
}

#[test]
fn a_closed_descriptor_is_an_error_that_says_which() {
    let event = Event::new().unwrap();
    // SAFETY: no process has that many descriptors; it is only waited for.
    let closed = unsafe { BorrowedFd::borrow_raw(i32::MAX) };
    let (reader, _writer) = pipe().unwrap();
    for objects in [&[&reader as &dyn Waitable, &closed][..], &[&event, &closed], &[&reader, &closed, &event]] {
        for timeout in [None, LOOK] {
            let error = wait(objects, timeout).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert!(error.to_string().contains("index 1"), "{error}");
        }
    }
}
