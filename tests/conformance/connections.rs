//! Pipes, as Python's suite has them: `Connection` and what is sent through it.

use multiprocess::channel::{Connection, RecvError, Waitable, pipe, wait};
use multiprocess::{Fd, StartMethod};
use multiprocess_tests::methods::start;
use multiprocess_tests::pause;
use multiprocess_tests::processes::{self, Signal};
use multiprocess_tests::ready::{Ready, Sayer, say};
use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::signals;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

multiprocess_tests::for_each_start_method![
    access,
    boundaries,
    connection,
    context,
    dont_merge,
    duplex_false,
    empty_string,
    fd_transfer,
    ignore,
    large_fd_transfer,
    missing_fd_transfer,
    pickling,
    sendbytes,
    spawn_close,
    strings,
    wait_connections,
    wait_slow,
];

const NOW: Option<Duration> = Some(Duration::ZERO);
const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(30);

/// What an echo child is sent, and sends back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Thing {
    Numbers(Vec<f64>),
    Text(String),
    Bytes(Vec<u8>),
    Nothing,
}

fn echo(end: Connection<Thing, Thing>) {
    while let Ok(thing) = end.recv() {
        end.send(thing).expect("somebody listens");
    }
}

/// `_TestConnection.test_connection`: values and bytes, polling with and without time, 16 MiB, and the end.
fn connection(method: StartMethod) {
    let (near, far) = pipe().expect("a pipe can be made");
    let child = start(method, echo, (far,));
    let large = Thing::Bytes((0..16 << 20).map(|i: u32| (i >> 12) as u8).collect());
    let things = [Thing::Numbers(vec![1.0, 2.5, -3.0]), Thing::Text("latin: é".into()), Thing::Bytes(vec![]), large];
    for thing in things {
        assert!(!near.poll(NOW).expect("a pipe can be polled"));
        near.send(thing.clone()).expect("the child listens");
        assert!(near.recv().expect("the child answers") == thing);
    }
    let since = Instant::now();
    assert!(!near.poll(Some(SHORT)).expect("a pipe can be polled"));
    assert!(since.elapsed() >= SHORT);
    near.send(Thing::Nothing).expect("the child listens");
    assert!(near.poll(None).expect("a pipe can be polled"));
    assert!(near.poll(Some(LONG)).expect("a pipe can be polled"), "polling takes nothing");
    assert_eq!(near.recv().expect("the child answers"), Thing::Nothing);

    child.kill().expect("the child can be killed");
    child.wait().expect("the child can be waited for");
    assert!(near.poll(NOW).expect("a pipe can be polled"), "the end can be received");
    assert!(near.recv().expect_err("nobody sends").is_disconnected());
    assert!(near.send(Thing::Nothing).expect_err("nobody receives").is_disconnected());
}

/// `_TestConnection.test_duplex_false`: a pipe of one direction. Receiving at the end that sends, and sending at the other one,
/// are no methods there: `Infallible` has no value and is not deserialized.
fn duplex_false(method: StartMethod) {
    let (sender, receiver) = pipe::<u32, Infallible>().expect("a pipe can be made");
    let child = start(method, |end: Connection<u32, Infallible>| end.send(7).map_err(|e| e.to_string()), (sender,));
    assert_eq!(receiver.recv().expect("the child sends"), 7);
    assert!(receiver.recv().expect_err("the child has ended").is_disconnected());
    child.join().expect("the child returns").expect("the child can send");
}

/// `_TestConnection.test_spawn_close`: the parent's copy of the child's end is closed by the start, at once.
fn spawn_close(method: StartMethod) {
    let (near, far) = pipe().expect("a pipe can be made");
    let child = start(method, echo, (far,));
    near.send(Thing::Text("hello".into())).expect("the child listens");
    assert_eq!(near.recv().expect("the child answers"), Thing::Text("hello".into()));
    drop(near);
    child.join().expect("the child sees the end");
}

/// `_TestConnection.test_sendbytes`: parts of bytes are slices, and none are a message too.
fn sendbytes(_: StartMethod) {
    let latin: Vec<u8> = (0..=255).collect();
    let (a, b) = pipe::<Vec<u8>, ()>().expect("a pipe can be made");
    for part in [&latin[..], &latin[5..], &latin[7..15], &latin[256..], &[]] {
        a.send(part.to_vec()).expect("the other end is open");
        assert_eq!(b.recv().expect("something was sent"), part);
    }
}

/// `_TestConnection.test_fd_transfer`: the child writes to a file that was opened here.
fn fd_transfer(method: StartMethod) {
    transfer(method, |file| file);
}

/// `_TestConnection.test_large_fd_transfer`: the same with a descriptor of a large number.
fn large_fd_transfer(method: StartMethod) {
    transfer(method, |file| {
        let copy = rustix::io::fcntl_dupfd_cloexec(file.as_fd(), 300).expect("the limit allows it");
        File::from(copy)
    });
}

fn transfer(method: StartMethod, change: fn(File) -> File) {
    let scratch = Scratch::new();
    let path = scratch.join("text");
    let (near, far) = pipe::<Fd<File>, Infallible>().expect("a pipe can be made");
    let write = |end: Connection<Infallible, Fd<File>>| {
        let mut file = end.recv().map_err(|e| e.to_string())?;
        file.write_all(b"foo").map_err(|e| e.to_string())
    };
    let child = start(method, write, (far,));
    near.send(Fd(change(File::create(&path).expect("a file can be made")))).expect("the child listens");
    child.join().expect("the child returns").expect("the child can write");
    assert_eq!(fs::read(&path).expect("the file can be read"), b"foo");
}

/// `_TestConnection.test_missing_fd_transfer`: bytes that speak of a descriptor, without one.
fn missing_fd_transfer(method: StartMethod) {
    let (near, far) = pipe::<Fd<File>, Infallible>().expect("a pipe can be made");
    let child = start(
        method,
        |end: Connection<Infallible, Fd<File>>| match end.recv() {
            Err(RecvError::Failed(error)) => Ok(error.to_string()),
            other => Err(format!("{other:?}")),
        },
        (far,),
    );
    // A true message, of which a plain read leaves the descriptor out.
    let (other, source) = pipe::<Fd<File>, Infallible>().expect("a pipe can be made");
    other.send(Fd(File::open("/dev/null").expect("a file can be opened"))).expect("the other end is open");
    let mut packet = vec![0; 1000];
    let length = raw(&source).read(&mut packet).expect("there is a packet");
    raw(&near).write_all(&packet[..length]).expect("the child listens");
    let error = child.join().expect("the child returns").expect("it is an error");
    assert!(error.contains("handles"), "{error}");
}

/// The socket of an end, as a file.
fn raw<S, R>(end: &Connection<S, R>) -> File {
    File::from(end.as_fd().try_clone_to_owned().expect("a descriptor can be duplicated"))
}

/// `_TestConnection.test_context`: an end is closed where its scope ends. Using it later does not compile.
fn context(_: StartMethod) {
    let (a, b) = pipe::<u32, u32>().expect("a pipe can be made");
    {
        let inner = a;
        inner.send(1729).expect("the other end is open");
    }
    assert_eq!(b.recv().expect("something was sent"), 1729);
    assert!(b.recv().expect_err("the end is closed").is_disconnected());
}

/// `_TestPoll.test_empty_string`: an empty message can be polled for, as often as one likes.
fn empty_string(_: StartMethod) {
    let (a, b) = pipe::<Vec<u8>, ()>().expect("a pipe can be made");
    assert!(!b.poll(NOW).expect("a pipe can be polled"));
    a.send(Vec::new()).expect("the other end is open");
    assert!(b.poll(NOW).expect("a pipe can be polled") && b.poll(NOW).expect("a pipe can be polled"));
    assert_eq!(b.recv().expect("something was sent"), b"");
    assert!(!b.poll(NOW).expect("a pipe can be polled"));
}

const STRINGS: [&str; 7] = ["hello", "", "a", "b", "", "bye", "lop"];

/// `_TestPoll.test_strings`: empty and other messages in their order, polled for before each is received.
fn strings(method: StartMethod) {
    let (near, far) = pipe::<Infallible, String>().expect("a pipe can be made");
    let say_all = |end: Connection<String, Infallible>| {
        STRINGS.iter().try_for_each(|text| end.send((*text).to_owned())).map_err(|e| e.to_string())
    };
    let child = start(method, say_all, (far,));
    for text in STRINGS {
        assert!(near.poll(Some(LONG)).expect("a pipe can be polled"));
        assert_eq!(near.recv().expect("the child sends"), text);
    }
    child.join().expect("the child returns").expect("the child can send");
}

/// `_TestPoll.test_boundaries`: polling in a child takes no part of a message that another process receives.
fn boundaries(method: StartMethod) {
    let (near, far) = pipe::<Vec<Vec<u8>>, Vec<Vec<u8>>>().expect("a pipe can be made");
    let poll = |end: Connection<Vec<Vec<u8>>, Vec<Vec<u8>>>| {
        let seen = end.poll(Some(LONG)).is_ok_and(|ready| ready);
        (seen, end)
    };
    let poller = start(method, poll, (far,));
    let message = vec![b"f".to_vec(), vec![b'x'; 100_000], b"hel".to_vec()];
    near.send(message.clone()).expect("the other end is open");
    let (seen, far) = poller.join().expect("the child returns");
    assert!(seen, "the child has seen the message");
    assert_eq!(far.recv().expect("it is still there"), message);
    assert!(!far.poll(NOW).expect("a pipe can be polled"));
}

/// `_TestPoll.test_dont_merge`: messages keep their boundaries, whatever is polled in between.
fn dont_merge(_: StartMethod) {
    let (a, b) = pipe::<String, ()>().expect("a pipe can be made");
    assert!(!b.poll(NOW).expect("a pipe can be polled"));
    a.send("a".to_owned()).expect("the other end is open");
    a.send("b".to_owned()).expect("the other end is open");
    for text in ["a", "b"] {
        assert!(b.poll(Some(LONG)).expect("a pipe can be polled") && b.poll(NOW).expect("a pipe can be polled"));
        assert_eq!(b.recv().expect("something was sent"), text);
    }
    assert!(!b.poll(NOW).expect("a pipe can be polled"));
}

/// What the test of travelling connections hands to its child.
#[derive(Debug, Serialize, Deserialize)]
enum End {
    Connection(Connection<String, String>),
    Socket(Fd<TcpStream>),
}

/// `_TestPicklingConnections.test_pickling`: connections and sockets through a connection to another process, which uses them to
/// talk to a third one.
fn pickling(method: StartMethod) {
    let (near, far) = pipe::<Infallible, Option<Connection<String, String>>>().expect("a pipe can be made");
    let give_away = |end: Connection<Option<Connection<String, String>>, Infallible>| {
        let (ours, theirs) = pipe::<String, String>().expect("a pipe can be made");
        end.send(Some(theirs)).expect("somebody listens");
        end.send(None).expect("somebody listens");
        ours.send(ours.recv().expect("a message comes").to_uppercase()).expect("somebody listens");
    };
    let giver = start(method, give_away, (far,));
    let (to_user, user_end) = pipe::<Option<End>, Infallible>().expect("a pipe can be made");
    let user = start(method, use_all, (user_end,));

    let connection = near.recv().expect("the child sends").expect("a connection comes");
    assert!(near.recv().expect("the child sends").is_none());
    to_user.send(Some(End::Connection(connection))).expect("the child listens");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let stream = TcpStream::connect(listener.local_addr().expect("it has an address")).expect("it listens");
    to_user.send(Some(End::Socket(Fd(stream)))).expect("the child listens");
    to_user.send(None).expect("the child listens");
    let mut text = String::new();
    listener.accept().expect("somebody has connected").0.read_to_string(&mut text).expect("the socket can be read");
    assert_eq!(text, "over a socket");
    assert_eq!(user.join().expect("the child returns"), "FROM THE THIRD");
    giver.join().expect("the child returns");
}

fn use_all(end: Connection<Infallible, Option<End>>) -> String {
    let mut answer = String::new();
    while let Some(next) = end.recv().expect("somebody sends") {
        match next {
            End::Connection(connection) => {
                connection.send("from the third".to_owned()).expect("somebody listens");
                answer = connection.recv().expect("it answers");
            }
            End::Socket(mut stream) => stream.write_all(b"over a socket").expect("somebody listens"),
        }
    }
    answer
}

/// `_TestPicklingConnections.test_access`: an end that only receives, and one that only sends, travel and are used.
fn access(method: StartMethod) {
    type Ends = (Connection<Infallible, u32>, Connection<u32, Infallible>);
    let (near, far) = pipe::<Ends, Infallible>().expect("a pipe can be made");
    let double = |end: Connection<Infallible, Ends>| {
        let (from, to) = end.recv().expect("both come");
        to.send(2 * from.recv().expect("a number comes")).expect("somebody listens");
    };
    let child = start(method, double, (far,));
    let (sender, from) = pipe().expect("a pipe can be made");
    let (to, receiver) = pipe().expect("a pipe can be made");
    near.send((from, to)).expect("the child listens");
    sender.send(21).expect("the child listens");
    assert_eq!(receiver.recv().expect("the child answers"), 42);
    child.join().expect("the child returns");
}

/// `TestIgnoreEINTR.test_ignore`: signal handlers run while a process waits in a send and in a receive, and both go on.
fn ignore(method: StartMethod) {
    const MANY: u32 = 5000;
    let (near, far) = pipe::<u32, u32>().expect("a pipe can be made");
    let (mut ready, sayer) = Ready::new();
    let talk = |end: Connection<u32, u32>, mut sayer: Sayer| {
        signals::count(Signal::USR1);
        say(&mut sayer);
        let first = end.recv().map_err(|e| e.to_string())?;
        (0..MANY).try_for_each(|n| end.send(first + n)).map_err(|e| e.to_string())?;
        Ok::<usize, String>(signals::arrived())
    };
    let child = start(method, talk, (far, sayer));
    ready.wait();
    let interrupt = || {
        for _ in 0..5 {
            pause::until("the child to sleep", LONG, || processes::state(child.pid()) == Some('S'));
            processes::signal(child.pid(), Signal::USR1);
        }
    };
    interrupt();
    near.send(1000).expect("the child listens");
    assert!(near.poll(Some(LONG)).expect("a pipe can be polled"));
    // It sleeps again when the pipe is full.
    interrupt();
    for n in 0..MANY {
        assert_eq!(near.recv().expect("the child sends"), 1000 + n);
    }
    assert!(child.join().expect("the child returns").expect("no call fails") > 0);
}

/// `TestWait.test_wait`: ten messages of each of four children, from whichever connection has one, until all are closed.
fn wait_connections(method: StartMethod) {
    messages_of_four(method, false);
}

/// `TestWait.test_wait_slow`: the same, each child sending its next message when it is told.
fn wait_slow(method: StartMethod) {
    messages_of_four(method, true);
}

fn messages_of_four(method: StartMethod, slowly: bool) {
    let send_ten = |end: Connection<(u32, u32), ()>, who: u32, slowly: bool| {
        for n in 0..10 {
            if slowly {
                end.recv().expect("it is told");
            }
            end.send((n, who)).expect("somebody listens");
        }
    };
    let mut ends = Vec::new();
    let mut children = Vec::new();
    for who in 0..4 {
        let (near, far) = pipe::<(), (u32, u32)>().expect("a pipe can be made");
        children.push(start(method, send_ten, (far, who, slowly)));
        if slowly {
            near.send(()).expect("the child listens");
        }
        ends.push(near);
    }
    let mut messages = Vec::new();
    while !ends.is_empty() {
        let objects: Vec<&dyn Waitable> = ends.iter().map(|end| end as &dyn Waitable).collect();
        let ready = wait(&objects, Some(LONG)).expect("connections can be waited for");
        assert!(!ready.is_empty(), "the children send nothing for {LONG:?}");
        for index in ready.into_iter().rev() {
            match ends[index].recv() {
                Ok(message) => {
                    messages.push(message);
                    if slowly && message.0 < 9 {
                        ends[index].send(()).expect("the child listens");
                    }
                }
                Err(RecvError::Disconnected) => drop(ends.remove(index)),
                Err(error) => panic!("{error}"),
            }
        }
    }
    messages.sort_unstable();
    let expected: Vec<(u32, u32)> = (0..10).flat_map(|n| (0..4).map(move |who| (n, who))).collect();
    assert_eq!(messages, expected);
    for child in children {
        child.join().expect("the child returns");
    }
}
