//! Listeners and clients in different processes: keys, impostors, silence, and names that are left behind.

use multiprocess_channel::{Address, Client, Connection, Error, ErrorKind, Listener, RecvError, wait};
use multiprocess_process::spawn;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::listener::{Place, connect};
use multiprocess_sys::transport::{Received, Socket};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("mp-channel-{name}-{}", std::process::id()))
}

/// A client in another process: the error's kind as text, or what came.
fn talk(address: String, key: Option<String>) -> String {
    let mut client = Client::new(address).timeout(LONG);
    if let Some(key) = key {
        client = client.key(key);
    }
    match client.connect::<u32, u32>() {
        Ok(connection) => {
            let answer = connection.send(20).map_err(Error::from).and_then(|()| Ok(connection.recv()?));
            answer.map_or_else(|e| format!("{:?}", e.kind()), |n| n.to_string())
        }
        Err(error) => format!("{:?}: {error}", error.kind()),
    }
}

fn serve(connection: &Connection<u32, u32>) {
    let number = connection.recv().unwrap();
    connection.send(number + 1).unwrap();
}

#[test]
fn each_family_is_reached_from_another_process() {
    let path = path("family");
    for (address, key) in [
        (path.display().to_string(), None),
        (path.display().to_string(), Some("secret")),
        (format!("\0mp-family-{}", std::process::id()), None),
        (format!("\0mp-family-{}", std::process::id()), Some("")),
    ] {
        let mut listener = Listener::bind(address.as_str()).unwrap();
        if let Some(key) = key {
            listener = listener.key(key);
        }
        let child = spawn(talk, (address, key.map(str::to_owned))).unwrap();
        let connection = listener.accept().unwrap();
        assert_eq!(connection.peer().unwrap().process(), child.pid());
        serve(&connection);
        assert_eq!(child.join().unwrap(), "21");
    }
    assert!(!path.exists());
}

#[test]
fn a_wrong_key_is_an_error_on_both_sides_and_the_listener_goes_on() {
    let address = format!("\0mp-keys-{}", std::process::id());
    let listener = Listener::bind(address.as_str()).unwrap().key("right");
    let wrong = spawn(talk, (address.clone(), Some("wrong".to_owned()))).unwrap();
    let error = listener.accept::<u32, u32>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(error.to_string().contains("does not know the key \"@mp-keys-"), "{error}");
    let told = wrong.join().unwrap();
    assert!(told.starts_with("Authentication: connecting to a listener that has another key"), "{told}");

    let none = spawn(talk, (address.clone(), None)).unwrap();
    assert_eq!(listener.accept::<u32, u32>().unwrap_err().kind(), ErrorKind::Authentication);
    assert_eq!(none.join().unwrap(), "Authentication");

    let right = spawn(talk, (address, Some("right".to_owned()))).unwrap();
    serve(&listener.accept().unwrap());
    assert_eq!(right.join().unwrap(), "21");
}

#[test]
fn a_key_where_none_is_asked_for_is_an_error_on_both_sides() {
    let address = format!("\0mp-no-key-{}", std::process::id());
    let listener = Listener::bind(address.as_str()).unwrap();
    let child = spawn(talk, (address, Some("key".to_owned()))).unwrap();
    let connection = listener.accept::<u32, u32>().unwrap();
    match connection.recv() {
        Err(RecvError::Failed(error)) => assert_eq!(error.kind(), ErrorKind::Authentication),
        other => panic!("{other:?}"),
    }
    connection.send(1).unwrap();
    let told = child.join().unwrap();
    assert!(told.starts_with("Authentication: connecting with a key to a listener that asks for none"), "{told}");
}

/// A listener with a key, its place, and so many who have connected and say nothing.
fn beset(address: &Address, patience: Duration, silent: usize) -> (Listener, Place, Vec<Socket>) {
    let listener = Listener::bind(address).unwrap().key("key").patience(patience);
    let place = Place::Abstract(address.to_string()[1..].into());
    let silent = (0..silent).map(|_| connect(&place, Deadline::NEVER).unwrap()).collect();
    (listener, place, silent)
}

/// Those who connect and say nothing, or leave, keep nobody waiting, and are dropped when their time is over.
#[test]
fn silent_clients_keep_nobody_waiting() {
    let address = Address::unique().unwrap();
    let (listener, place, silent) = beset(&address, Duration::from_millis(50), 300);
    drop(connect(&place, Deadline::NEVER).unwrap());
    let child = spawn(talk, (format!("\0{}", &address.to_string()[1..]), Some("key".to_owned()))).unwrap();
    // More are silent than may be listened to at a time; their patience ends, and then it is the child's turn.
    serve(&listener.accept().unwrap());
    assert_eq!(child.join().unwrap(), "21");
    assert!(listener.accept_timeout::<(), ()>(Duration::from_millis(60)).unwrap().is_none());
    for socket in silent {
        assert!(matches!(socket.receive().unwrap(), Received::Message(_)), "it was challenged");
        assert!(matches!(socket.receive().unwrap(), Received::End));
    }
}

/// Whoever waits for the listener's descriptor hears of the next client also when as many are silent as may be.
#[test]
fn a_place_that_becomes_free_is_watched() {
    let address = Address::unique().unwrap();
    let (listener, place, _silent) = beset(&address, Duration::MAX, 255);
    let client = Client::new(&address).key("key");
    thread::scope(|scope| {
        let talker = scope.spawn(|| client.connect::<(), ()>().map(drop));
        // It is the last for whom there is room, and is challenged in an earlier call than it answers in.
        while listener.accept_timeout::<(), ()>(Duration::ZERO).unwrap().is_none() {
            thread::yield_now();
        }
        talker.join().unwrap().unwrap();
    });
    assert!(wait(&[&listener], Some(Duration::ZERO)).unwrap().is_empty());
    let _next = connect(&place, Deadline::NEVER).unwrap();
    assert_eq!(wait(&[&listener], Some(LONG)).unwrap(), [0]);
    assert!(listener.accept_timeout::<(), ()>(Duration::ZERO).unwrap().is_none());
    assert!(wait(&[&listener], Some(Duration::from_millis(1))).unwrap().is_empty());
}

/// Nor do silent ones keep it from hearing of the others longer than their patience lasts.
#[test]
fn the_end_of_their_patience_is_heard_of() {
    let address = Address::unique().unwrap();
    let (listener, _, _silent) = beset(&address, Duration::from_millis(50), 256);
    assert!(listener.accept_timeout::<(), ()>(Duration::ZERO).unwrap().is_none());
    let client = Client::new(&address).key("key");
    thread::scope(|scope| {
        let talker = scope.spawn(|| client.connect::<(), ()>().map(drop));
        // As a loop of events does it.
        while listener.accept_timeout::<(), ()>(Duration::ZERO).unwrap().is_none() {
            assert_eq!(wait(&[&listener], Some(LONG)).unwrap(), [0]);
        }
        talker.join().unwrap().unwrap();
    });
}

/// `accept` of one thread goes on with those whom another thread has begun with.
#[test]
fn many_threads_accept_many_clients() {
    let address = Address::unique().unwrap();
    let listener = Listener::bind(&address).unwrap().key("key");
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..20).for_each(|_| serve(&listener.accept().unwrap())));
        }
        for _ in 0..6 {
            scope.spawn(|| {
                for n in 0..10 {
                    let connection = Client::new(&address).key("key").connect::<u32, u32>().unwrap();
                    connection.send(n).unwrap();
                    assert_eq!(connection.recv().unwrap(), n + 1);
                }
            });
        }
    });
}

/// A listener that says the right things without knowing the key is found out.
#[test]
fn an_impostor_is_found_out() {
    let place = Place::Abstract(format!("mp-impostor-{}", std::process::id()).into());
    let Place::Abstract(name) = &place else { unreachable!() };
    let address = Address::abstract_name(name);
    // The kinds of the protocol's messages: challenge, answer, welcome.
    for welcome in [vec![7; 32], vec![], vec![7; 31], vec![7; 40], vec![7; 5000]] {
        let listener = multiprocess_sys::listener::Listener::bind(&place).unwrap();
        let client = thread::spawn({
            let client = Client::new(&address).key("key").timeout(LONG);
            move || client.connect::<u8, u8>()
        });
        let socket = std::iter::from_fn(|| Some(listener.accept().unwrap())).find_map(|socket| socket).unwrap();
        socket.send(0x6b02, &[&[1; 32]], &[]).unwrap();
        assert!(matches!(socket.receive().unwrap(), Received::Message(hello) if hello.body.len() == 32));
        assert!(matches!(socket.receive().unwrap(), Received::Message(answer) if answer.body.len() == 32));
        socket.send(0x6b04, &[&welcome], &[]).unwrap();
        assert_eq!(client.join().unwrap().unwrap_err().kind(), ErrorKind::Authentication);
    }
}

/// A proof that was overheard fits no other challenge, and the listener's own proof is no answer.
#[test]
fn proofs_cannot_be_used_again() {
    let address = Address::unique().unwrap();
    let listener = Listener::bind(&address).unwrap().key("key");
    let place = Place::Abstract(address.to_string()[1..].into());
    let message = |socket: &Socket| match socket.receive().unwrap() {
        Received::Message(message) => message,
        other => panic!("{other:?}"),
    };
    // In the middle between a client and the listener: it passes everything on, so it gets a proof of each.
    let middle = Address::unique().unwrap();
    let door = multiprocess_sys::listener::Listener::bind(&Place::Abstract(middle.to_string()[1..].into())).unwrap();
    let client = thread::spawn(move || Client::new(middle).key("key").connect::<u8, u8>().map(drop));
    let left = std::iter::from_fn(|| Some(door.accept().unwrap())).find_map(|socket| socket).unwrap();
    let right = connect(&place, Deadline::NEVER).unwrap();
    let accepted = thread::scope(|scope| {
        let accepted = scope.spawn(|| listener.accept::<u8, u8>().map(drop));
        let challenge = message(&right);
        left.send(challenge.kind, &[&challenge.body], &[]).unwrap();
        let (hello, answer) = (message(&left), message(&left));
        right.send(hello.kind, &[&hello.body], &[]).unwrap();
        right.send(answer.kind, &[&answer.body], &[]).unwrap();
        let welcome = message(&right);
        left.send(welcome.kind, &[&welcome.body], &[]).unwrap();
        accepted.join().unwrap().unwrap();
        client.join().unwrap().unwrap();

        let mut refused = Vec::new();
        for proof in [&answer.body, &welcome.body] {
            let again = connect(&place, Deadline::NEVER).unwrap();
            let accepted = scope.spawn(|| listener.accept::<u8, u8>().map(drop));
            message(&again);
            again.send(hello.kind, &[&hello.body], &[]).unwrap();
            again.send(answer.kind, &[proof], &[]).unwrap();
            refused.push(accepted.join().unwrap());
        }
        refused
    });
    assert!(accepted.into_iter().all(|accepted| accepted.unwrap_err().kind() == ErrorKind::Authentication));
}

/// The file of a killed listener is replaced.
#[test]
fn a_killed_listener_leaves_its_place_to_the_next() {
    let path = path("killed");
    let listen = |path: PathBuf| {
        let listener = Listener::bind(&path).unwrap();
        while listener.accept::<(), ()>().is_ok() {}
    };
    let child = spawn(listen, (path.clone(),)).unwrap();
    // It listens when somebody can connect.
    while Client::new(&path).connect::<(), ()>().is_err() {
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(path.exists(), "nobody has removed it");
    let error = Client::new(&path).connect::<(), ()>().unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotFound, Some(111)));
    let listener = Listener::bind(&path).unwrap();
    assert_eq!(Listener::bind(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
    drop(listener);
    assert!(!path.exists());
}
