//! Listeners and clients, as Python's suite has them, and what proves that they know the same key.

use multiprocess::channel::{Address, Client, Connection, ErrorKind, Listener};
use multiprocess::{Child, Fd, StartMethod};
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::listener::{Place, connect};
use multiprocess_sys::transport::{Received, Socket};
use multiprocess_tests::methods::start;
use multiprocess_tests::names::unique;
use multiprocess_tests::pause;
use multiprocess_tests::privilege::needs_root;
use multiprocess_tests::processes::{self, Signal};
use multiprocess_tests::ready::{Ready, Sayer, say};
use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::signals;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::Duration;

multiprocess_tests::for_each_start_method![
    abstract_socket,
    answer_challenge_auth_failure,
    challengeresponse,
    context,
    deliver_challenge_auth_failure,
    empty_authkey,
    ignore_listener,
    invalid_family,
    issue14725,
    issue16955,
    listener_client,
    multiple_bind,
    only_the_owner_connects,
    other_users_are_turned_away,
    same_name_after_a_kill,
];

const LONG: Duration = Duration::from_secs(30);

/// An address of each family.
fn families(scratch: &Scratch) -> [Address; 2] {
    [Address::path(scratch.join("listener")), Address::abstract_name(unique("mp-test"))]
}

/// The words of an address, to pass to a child.
fn words(address: &Address) -> String {
    match address.as_path() {
        Some(path) => path.display().to_string(),
        None => format!("\0{}", &address.to_string()[1..]),
    }
}

/// `_TestListener.test_multiple_bind`: a second listener at the same place is an error, and the first one does not notice.
fn multiple_bind(_: StartMethod) {
    let scratch = Scratch::new();
    for address in families(&scratch) {
        let listener = Listener::bind(&address).expect("the address is free");
        let error = Listener::bind(&address).expect_err("it is taken");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(error.object(), Some(address.to_string().as_str()));
        let nobody = listener.accept_timeout::<(), ()>(Duration::ZERO).expect("it listens");
        assert!(nobody.is_none(), "whoever asked is a client");
    }
}

/// `_TestListener.test_context`: the place is free where the listener's scope ends. Accepting later does not compile.
fn context(_: StartMethod) {
    let scratch = Scratch::new();
    for address in families(&scratch) {
        {
            let listener = Listener::bind(&address).expect("the address is free");
            let client = Client::new(&address).connect::<u32, ()>().expect("somebody listens");
            client.send(1729).expect("the listener lives");
            assert_eq!(listener.accept::<(), u32>().expect("somebody came").recv().expect("it sent"), 1729);
        }
        let error = Client::new(&address).connect::<u32, ()>().expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(address.as_path().is_none_or(|path| !path.exists()));
    }
}

/// `_TestListener.test_empty_authkey`: a key of no bytes is a key.
fn empty_authkey(method: StartMethod) {
    let address = Address::unique().expect("there is a random number");
    let listener = Listener::bind(&address).expect("the address is free").key("");
    for (key, kind) in [("", None), ("abc", Some(ErrorKind::Authentication))] {
        let child = start(method, greet, (words(&address), Some(key.to_owned())));
        let accepted = listener.accept::<u32, u32>();
        assert_eq!(accepted.as_ref().err().map(|error| error.kind()), kind);
        drop(accepted.map(|connection| connection.send(1)));
        assert_eq!(child.join().expect("the child returns").is_ok(), kind.is_none());
    }
}

/// A client: connects, and tells what it receives.
fn greet(address: String, key: Option<String>) -> Result<u32, String> {
    let client = Client::new(address).timeout(LONG);
    let client = key.into_iter().fold(client, Client::key);
    let connection = client.connect::<u32, u32>().map_err(|e| e.to_string())?;
    connection.recv().map_err(|e| e.to_string())
}

/// `_TestListener.test_abstract_socket`: a name that no file has, and that goes with the listener.
fn abstract_socket(method: StartMethod) {
    let name = unique("mp-something");
    let listener = Listener::bind(format!("\0{name}")).expect("the name is free");
    assert_eq!(listener.address(), &Address::abstract_name(&name));
    let child = start(method, greet, (format!("\0{name}"), None));
    listener.accept::<u32, u32>().expect("the child connects").send(7).expect("the child listens");
    assert_eq!(child.join().expect("the child returns"), Ok(7));
    drop(listener);
    Listener::bind(format!("\0{name}")).expect("the name is free again");
}

/// `_TestListenerClient.test_listener_client`: each family, with a key and without, from another process.
fn listener_client(method: StartMethod) {
    let scratch = Scratch::new();
    for address in families(&scratch) {
        for key in [None, Some("key".to_owned())] {
            let listener = Listener::bind(&address).expect("the address is free");
            let listener = key.iter().fold(listener, Listener::key);
            let child = start(method, greet, (words(&address), key));
            let connection = listener.accept::<u32, u32>().expect("the child connects");
            let peer = connection.peer().expect("the kernel knows");
            assert_eq!(peer.process(), child.pid());
            assert_eq!(peer.user(), rustix::process::geteuid().as_raw());
            connection.send(20).expect("the child listens");
            assert_eq!(child.join().expect("the child returns"), Ok(20));
        }
    }
}

/// `_TestListenerClient.test_issue14725`: a client connects, sends and ends before it is accepted; what it sent is there.
fn issue14725(method: StartMethod) {
    let address = Address::unique().expect("there is a random number");
    let listener = Listener::bind(&address).expect("the address is free");
    let leave = |address: String| {
        let connection = Client::new(address).connect::<String, ()>().map_err(|e| e.to_string())?;
        connection.send("hello".to_owned()).map_err(|e| e.to_string())
    };
    start(method, leave, (words(&address),)).join().expect("the child returns").expect("it can send");
    let connection = listener.accept::<(), String>().expect("somebody came");
    assert_eq!(connection.recv().expect("it sent something"), "hello");
    assert!(connection.recv().expect_err("it has ended").is_disconnected());
}

/// `_TestListenerClient.test_issue16955`: the client's poll sees what the one who accepted has sent.
fn issue16955(_: StartMethod) {
    let scratch = Scratch::new();
    for address in families(&scratch) {
        let listener = Listener::bind(&address).expect("the address is free");
        let client = Client::new(&address).connect::<(), String>().expect("somebody listens");
        let accepted = listener.accept::<String, ()>().expect("somebody came");
        accepted.send("hello".to_owned()).expect("the client lives");
        drop(accepted);
        drop(listener);
        assert!(client.poll(Some(LONG)).expect("a connection can be polled"));
        assert_eq!(client.recv().expect("it was sent"), "hello");
    }
}

/// `ChallengeResponseTest.test_challengeresponse`: both sides prove that they know the key; one with another is told so, the
/// listener too, and that goes on.
fn challengeresponse(method: StartMethod) {
    let address = Address::unique().expect("there is a random number");
    let listener = Listener::bind(&address).expect("the address is free").key("this is a key");
    let wrong = start(method, greet, (words(&address), Some("this is another".to_owned())));
    let error = listener.accept::<u32, u32>().expect_err("the key is wrong");
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    let told = wrong.join().expect("the child returns").expect_err("the key is wrong");
    assert!(told.contains("another key"), "{told}");

    let right = start(method, greet, (words(&address), Some("this is a key".to_owned())));
    listener.accept::<u32, u32>().expect("the key is right").send(3).expect("the child listens");
    assert_eq!(right.join().expect("the child returns"), Ok(3));
}

/// The kinds of the messages by which the two introduce themselves.
const HELLO: u32 = 0x6b01;
const CHALLENGE: u32 = 0x6b02;
const ANSWER: u32 = 0x6b03;
const WELCOME: u32 = 0x6b04;

/// `OtherTest.test_deliver_challenge_auth_failure`: an answer that is none.
fn deliver_challenge_auth_failure(_: StartMethod) {
    let name = unique("mp-test");
    let listener = Listener::bind(Address::abstract_name(&name)).expect("the address is free").key("abc");
    for messages in [
        vec![(HELLO, vec![1; 32]), (ANSWER, b"something bogus".to_vec())],
        vec![(HELLO, vec![1; 32]), (ANSWER, vec![0; 32])],
        vec![(HELLO, vec![1; 32]), (HELLO, vec![1; 32])],
        vec![(HELLO, vec![1; 31])],
        vec![(HELLO, vec![1; 4000])],
        vec![(ANSWER, vec![1; 32])],
        vec![(77, vec![])],
    ] {
        let socket = connect(&Place::Abstract(name.clone().into()), Deadline::NEVER).expect("somebody listens");
        for (kind, body) in messages {
            socket.send(kind, &[&body], &[]).expect("somebody listens");
        }
        let error = listener.accept::<(), ()>().expect_err("nothing is proved");
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    }
}

/// `OtherTest.test_answer_challenge_auth_failure`: a welcome that is none.
fn answer_challenge_auth_failure(_: StartMethod) {
    let place = Place::Abstract(unique("mp-test").into());
    let Place::Abstract(name) = &place else { unreachable!("it was made so") };
    let listener = multiprocess_sys::listener::Listener::bind(&place).expect("the address is free");
    let client = Client::new(Address::abstract_name(name)).key("abc").timeout(LONG);
    let client = thread::spawn(move || client.connect::<(), ()>().map(drop));
    let mut accepted = None;
    pause::until("the client", LONG, || {
        accepted = listener.accept().expect("it listens");
        accepted.is_some()
    });
    let socket: Socket = accepted.expect("the client came");
    socket.send(CHALLENGE, &[&[5; 32]], &[]).expect("the client listens");
    for kind in [HELLO, ANSWER] {
        assert!(matches!(socket.receive(), Ok(Received::Message(message)) if message.kind == kind));
    }
    socket.send(WELCOME, &[b"something bogus"], &[]).expect("the client listens");
    let error = client.join().expect("the client returns").expect_err("nothing is proved");
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
}

/// `TestInvalidFamily.test_invalid_family`: an address of another system, and such as no system has.
fn invalid_family(_: StartMethod) {
    for address in [r"\\.\test", r"\\.\pipe\x", "", "\0", "a\0b", &"x".repeat(200), &format!("\0{}", "x".repeat(200))] {
        let error = Listener::bind(address).expect_err("there is no such address");
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{error}");
        let error = Client::new(address).connect::<(), ()>().expect_err("there is no such address");
        assert_eq!(error.kind(), ErrorKind::InvalidName, "{error}");
    }
}

/// `TestIgnoreEINTR.test_ignore_listener`: signal handlers run while a process waits for a client, and the wait goes on.
fn ignore_listener(method: StartMethod) {
    let address = Address::unique().expect("there is a random number");
    let (mut ready, sayer) = Ready::new();
    let listen = |address: String, mut sayer: Sayer| {
        signals::count(Signal::USR1);
        let listener = Listener::bind(address).map_err(|e| e.to_string())?;
        say(&mut sayer);
        let connection = listener.accept::<String, ()>().map_err(|e| e.to_string())?;
        connection.send("welcome".to_owned()).map_err(|e| e.to_string())?;
        Ok::<usize, String>(signals::arrived())
    };
    let child = start(method, listen, (words(&address), sayer));
    ready.wait();
    for _ in 0..5 {
        pause::until("the child to sleep", LONG, || processes::state(child.pid()) == Some('S'));
        processes::signal(child.pid(), Signal::USR1);
    }
    let client = Client::new(&address).connect::<(), String>().expect("the child listens");
    assert_eq!(client.recv().expect("the child sends"), "welcome");
    assert!(child.join().expect("the child returns").expect("no call fails") > 0);
}

/// A path is its owner's alone from its first moment, whatever the process's mask says.
fn only_the_owner_connects(_: StartMethod) {
    let scratch = Scratch::new();
    let path = scratch.join("listener");
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    let listener = Listener::bind(&path);
    rustix::process::umask(mask);
    let listener = listener.expect("the address is free");
    assert_eq!(fs::metadata(&path).expect("there is a file").permissions().mode() & 0o777, 0o600);
    drop(listener);
    fs::write(&path, "somebody's text").expect("the folder can be written");
    assert_eq!(Listener::bind(&path).expect_err("it is a file").kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).expect("it is still there"), b"somebody's text");
}

/// A process of another user is no client and no listener, unless one says that everybody is.
fn other_users_are_turned_away(method: StartMethod) {
    if !needs_root("a client of another user") {
        return;
    }
    let address = Address::unique().expect("there is a random number");
    let listener = Listener::bind(&address).expect("the address is free");
    let connect_as_nobody = |address: String| {
        multiprocess_fixture_native::drop_to(NOBODY, NOBODY).expect("root may");
        let connection = Client::new(address).any_user().connect::<u32, u32>().map_err(|e| e.to_string())?;
        connection.recv().map_err(|e| e.to_string())
    };
    let child = start(method, connect_as_nobody, (words(&address),));
    let told = turn_away(&listener, child).expect_err("the listener serves its own user");
    assert!(told.contains("does not serve this user"), "{told}");

    let listener = listener.any_user();
    let child = start(method, connect_as_nobody, (words(&address),));
    let connection = listener.accept::<u32, u32>().expect("the child connects");
    assert_eq!(connection.peer().expect("the kernel knows").user(), NOBODY);
    connection.send(8).expect("the child listens");
    assert_eq!(child.join().expect("the child returns"), Ok(8));
    drop(listener);

    let (mut ready, sayer) = Ready::new();
    let listen_as_nobody = |address: String, mut sayer: Sayer| {
        multiprocess_fixture_native::drop_to(NOBODY, NOBODY).expect("root may");
        let listener = Listener::bind(address).expect("the address is free");
        say(&mut sayer);
        // The first client finds out whose listener this is, and leaves without an answer.
        let is_answered = |connection: Connection<u32, u32>| connection.send(9).is_ok() && connection.recv().is_ok();
        while !listener.accept().is_ok_and(is_answered) {}
    };
    let child = start(method, listen_as_nobody, (words(&address), sayer));
    ready.wait();
    let error = Client::new(&address).connect::<(), u32>().expect_err("it is another user's");
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    let connection = Client::new(&address).any_user().connect::<u32, u32>().expect("anybody's will do");
    assert_eq!(connection.recv().expect("the listener sends"), 9);
    connection.send(10).expect("the listener waits for it");
    child.join().expect("the child returns");
}

/// A user without rights.
const NOBODY: u32 = 65534;

/// Accepts nobody until the child has ended; what it returned.
fn turn_away(listener: &Listener, child: Child<Result<u32, String>>) -> Result<u32, String> {
    while child.is_alive() {
        let accepted = listener.accept_timeout::<u32, u32>(Duration::from_millis(5)).expect("it listens");
        assert!(accepted.is_none(), "somebody was let in");
    }
    child.join().expect("the child returns")
}

/// A listener is killed while it talks and while a client waits: both see it, and the next listener gets the name.
fn same_name_after_a_kill(method: StartMethod) {
    let scratch = Scratch::new();
    for address in families(&scratch) {
        let (mut ready, sayer) = Ready::new();
        let serve = |address: String, mut sayer: Sayer| {
            let listener = Listener::bind(address).expect("the address is free").key("key");
            say(&mut sayer);
            let first: Connection<(), Fd<File>> = listener.accept().expect("somebody comes");
            say(&mut sayer);
            drop(first.recv());
        };
        let child = start(method, serve, (words(&address), sayer));
        ready.wait();
        let client = Client::new(&address).key("key");
        let accepted = client.connect::<Fd<File>, ()>().expect("the child accepts");
        ready.wait();
        let waiting = thread::spawn(move || client.connect::<(), ()>().map(drop));
        pause::until("the child to sleep", LONG, || processes::state(child.pid()) == Some('S'));
        child.kill().expect("the child can be killed");
        assert!(accepted.recv().expect_err("the child is gone").is_disconnected());
        let error = waiting.join().expect("no panic").expect_err("the child is gone");
        assert!(matches!(error.kind(), ErrorKind::Disconnected | ErrorKind::NotFound), "{error}");
        child.wait().expect("the child can be waited for");
        Listener::bind(&address).expect("the name can be had again");
    }
}
