//! `channel::wait`: whichever of many things is ready first.

use multiprocess::channel::{Waitable, bounded, pipe, wait};
use multiprocess::{Event, Fd, Semaphore, StartMethod};
use multiprocess_sys::seam::{self, Plan};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::start;
use rustix::time::{ClockId, clock_gettime};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

multiprocess_tests::for_each_start_method![
    idle_waits_use_no_processor,
    neg_timeout,
    old_systems_look_again_and_again,
    wait_integer,
    wait_socket,
    wait_socket_slow,
    wait_timeout,
];

const LOOK: Option<Duration> = Some(Duration::ZERO);
const SHORT: Duration = Duration::from_millis(100);
const LONG: Option<Duration> = Some(Duration::from_secs(30));
const NOTHING: [usize; 0] = [];

/// `TestWait.test_wait_socket`: lines of four children over sockets, until each has closed its own.
fn wait_socket(method: StartMethod) {
    lines_of_four(method, 0);
}

/// `TestWait.test_wait_socket_slow`: the same with pauses between the lines.
fn wait_socket_slow(method: StartMethod) {
    lines_of_four(method, 7);
}

fn lines_of_four(method: StartMethod, pause_ms: u64) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener can be made");
    let address = listener.local_addr().expect("a listener has an address");
    let children: Vec<_> = (0..4).map(|who| start(method, say_ten_lines, (address, who, pause_ms))).collect();
    let mut streams: Vec<BufReader<TcpStream>> =
        (0..4).map(|_| BufReader::new(listener.accept().expect("a child connects").0)).collect();
    let mut lines = Vec::new();
    while !streams.is_empty() {
        let objects: Vec<&dyn Waitable> = streams.iter().map(|stream| stream.get_ref() as &dyn Waitable).collect();
        let ready = wait(&objects, LONG).expect("sockets can be waited for");
        assert!(!ready.is_empty(), "the children say nothing for {LONG:?}");
        for index in ready.into_iter().rev() {
            loop {
                let mut line = String::new();
                if streams[index].read_line(&mut line).expect("a socket can be read") == 0 {
                    streams.remove(index);
                    break;
                }
                lines.push(line);
                if streams[index].buffer().is_empty() {
                    break;
                }
            }
        }
    }
    lines.sort();
    let expected: Vec<String> = (0..4).flat_map(|who| (0..10).map(move |number| format!("{who} {number}\n"))).collect();
    assert_eq!(lines, expected);
    for child in children {
        child.join().expect("the child returns");
    }
}

fn say_ten_lines(address: SocketAddr, who: u64, pause_ms: u64) {
    let mut stream = TcpStream::connect(address).expect("the parent listens");
    for number in 0..10 {
        // Waiting for nothing is a pause; each child has its own rhythm.
        wait(&[], Some(Duration::from_millis(pause_ms * (1 + (who + number) % 3)))).expect("time passes");
        stream.write_all(format!("{who} {number}\n").as_bytes()).expect("the parent reads");
    }
}

/// `TestWait.test_wait_timeout`: nothing before the time, and what is ready at once. Events and receivers beside the
/// connections change nothing.
fn wait_timeout(method: StartMethod) {
    let (a, b) = pipe::<(), ()>().expect("a pipe can be made");
    let (event, never) = (Event::new().expect("an event can be made"), Event::new().expect("another one"));
    let (_sender, receiver) = bounded::<()>(1).expect("a channel can be made");
    let cases: [&[&dyn Waitable]; 3] = [&[&a, &b], &[&event, &receiver], &[&a, &event, &receiver, &b, &never]];
    for objects in cases {
        let begin = Instant::now();
        assert_eq!(wait(objects, Some(SHORT)).expect("they can be waited for"), NOTHING);
        assert!(begin.elapsed() >= SHORT);
    }
    b.send(()).expect("a connection can be written to");
    start(method, |event: Event| event.set(), (event.clone(),)).join().expect("the child returns");
    let begin = Instant::now();
    for (objects, ready) in cases.into_iter().zip([&[0][..], &[0], &[0, 1]]) {
        assert_eq!(wait(objects, LONG).expect("they can be waited for"), ready);
    }
    assert!(begin.elapsed() < LONG.expect("a time") / 2);
}

/// `TestWait.test_wait_integer`: two connections and a process, which is ready when it has ended; exactly those that are ready.
fn wait_integer(method: StartMethod) {
    let (a, b) = pipe::<(), ()>().expect("a pipe can be made");
    let semaphore = Semaphore::new(0).expect("a semaphore can be made");
    let (gate, closed) = Gate::new();
    let child = start(method, release_and_stay, (semaphore.clone(), closed));
    drop(semaphore.acquire());

    let ready = |timeout| wait(&[&a, &child, &b], timeout).expect("a process and connections can be waited for");
    assert_eq!(ready(Some(SHORT)), NOTHING);
    gate.open();
    assert_eq!(ready(LONG), [1]);
    a.send(()).expect("a connection can be written to");
    assert_eq!(ready(LONG), [1, 2]);
    b.send(()).expect("a connection can be written to");
    assert_eq!(ready(LONG), [0, 1, 2]);
    child.join().expect("the child returns");
}

fn release_and_stay(semaphore: Semaphore, gate: Closed) {
    semaphore.release(1).expect("a permit can be released");
    pass(gate);
}

/// `TestWait.test_neg_timeout`, adapted: a time has no sign, and one of no length is a look.
fn neg_timeout(method: StartMethod) {
    let (a, _b) = pipe::<(), ()>().expect("a pipe can be made");
    let (_sender, receiver) = bounded::<()>(1).expect("a channel can be made");
    let (gate, closed) = Gate::new();
    let child = start(method, pass, (closed,));
    let event = Event::new().expect("an event can be made");
    let begin = Instant::now();
    let cases: [&[&dyn Waitable]; 5] = [&[&a], &[&event], &[&receiver], &[&child], &[&a, &event, &receiver, &child]];
    for objects in cases {
        assert_eq!(wait(objects, LOOK).expect("they can be looked at"), NOTHING);
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
    gate.open();
    child.join().expect("the child returns");
}

/// A process that waits sleeps, whatever it waits for.
fn idle_waits_use_no_processor(method: StartMethod) {
    for (is_handle, count) in [(true, 0), (false, 2), (true, 1), (false, 200)] {
        let (_gate, closed) = Gate::new();
        let events = (0..count).map(|_| Event::new().expect("an event can be made")).collect();
        let used = start(method, used_by_waiting, (is_handle.then_some(closed), events));
        let used = used.join().expect("the child returns");
        assert!(used < Duration::from_millis(100), "{count} events, a handle: {is_handle}: {used:?}");
    }
}

/// How much time of a processor 300 ms of waiting in vain take.
fn used_by_waiting(handle: Option<Closed>, events: Vec<Event>) -> Duration {
    let mut objects: Vec<&dyn Waitable> = events.iter().map(|event| event as &dyn Waitable).collect();
    objects.extend(handle.iter().map(|handle| handle as &dyn Waitable));
    let used = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).expect("no time is negative");
    let before = used();
    assert_eq!(wait(&objects, Some(Duration::from_millis(300))).expect("they can be waited for"), NOTHING);
    used() - before
}

/// Where the kernel does not know how to sleep on many words, an event is seen nevertheless.
fn old_systems_look_again_and_again(method: StartMethod) {
    let events: Vec<Event> = (0..3).map(|_| Event::new().expect("an event can be made")).collect();
    let (mut tell, told) = UnixStream::pair().expect("sockets can be made");
    let child = start(method, wait_as_of_old, (events.clone(), Fd(told)));
    let mut found = BufReader::new(tell.try_clone().expect("a socket has copies"));
    for event in events.iter().rev() {
        // Most often it sleeps by then.
        assert_eq!(wait(&[&child], Some(SHORT / 10)).expect("a child can be waited for"), NOTHING);
        event.set();
        let mut line = String::new();
        found.read_line(&mut line).expect("the child says what it finds");
        event.clear();
        tell.write_all(b"x").expect("the child reads");
    }
    assert_eq!(child.join().expect("the child returns"), [2, 1, 0]);
}

fn wait_as_of_old(events: Vec<Event>, mut peer: Fd<UnixStream>) -> Vec<usize> {
    const ENOSYS: i32 = 38;
    let objects: Vec<&dyn Waitable> = events.iter().map(|event| event as &dyn Waitable).collect();
    let mut found = Vec::new();
    for _ in 0..3 {
        seam::arm(Plan { nth: 1, code: ENOSYS, always: true });
        let ready = wait(&objects, None);
        seam::disarm();
        found.extend(ready.expect("the events can be waited for"));
        writeln!(peer, "{found:?}").expect("the parent reads");
        std::io::Read::read_exact(&mut *peer, &mut [0]).expect("the parent goes on");
    }
    found
}
