//! Pipes between real processes: what travels, who waits, and what is left when somebody dies.

use multiprocess_channel::{Connection, Receiver, RecvError, Sender, bounded, pipe};
use multiprocess_parcel::{pack, unpack};
use multiprocess_process::{Fd, spawn};
use multiprocess_shm::SharedMemory;
use multiprocess_sync::{Event, Lock, Mutex};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Long enough for a busy machine; nothing waits for it to pass.
const LONG: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
enum Request {
    Text(String),
    File(Fd<File>),
    Listener(Fd<TcpListener>),
    Lock(Lock),
    Counter(Mutex<u64>, Event),
    Memory(SharedMemory),
    Connection(Connection<u32, u32>),
    Queue(Receiver<u32>, Sender<u32>),
    Many(Vec<Fd<File>>),
}

fn serve(requests: Connection<String, Request>) {
    while let Ok(request) = requests.recv() {
        requests.send(answer(request)).expect("somebody listens");
    }
}

fn answer(request: Request) -> String {
    match request {
        Request::Text(text) => text.to_uppercase(),
        Request::File(mut file) => {
            file.write_all(b"written by the child").map_or_else(|e| e.to_string(), |()| "ok".into())
        }
        Request::Listener(listener) => {
            let (mut stream, _) = listener.accept().expect("somebody connects");
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("it writes");
            text
        }
        Request::Lock(lock) => format!("locked: {}", lock.try_lock().expect("nobody died").is_none()),
        Request::Counter(counter, event) => {
            *counter.lock().expect("nobody died") += 1;
            event.set();
            "counted".into()
        }
        Request::Memory(memory) => {
            memory.write(0, b"from the child");
            "written".into()
        }
        Request::Connection(connection) => {
            let number = connection.recv().expect("a number comes");
            connection.send(number + 1).expect("somebody listens");
            "connected".into()
        }
        Request::Queue(from, to) => {
            from.iter().for_each(|number| to.send(2 * number).expect("somebody receives"));
            "passed on".into()
        }
        Request::Many(files) => files.len().to_string(),
    }
}

#[test]
fn every_kind_of_handle_travels() {
    let (near, far) = pipe::<Request, String>().unwrap();
    let child = spawn(serve, (far,)).unwrap();
    let ask = |request| {
        near.send(request).unwrap();
        near.recv().unwrap()
    };
    assert_eq!(ask(Request::Text("text".into())), "TEXT");

    let (mut reader, writer) = std::io::pipe().unwrap();
    let file = File::from(std::os::fd::OwnedFd::from(writer));
    assert_eq!(ask(Request::File(Fd(file))), "ok");
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "written by the child");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.write_all(b"over the network").unwrap();
    drop(stream);
    assert_eq!(ask(Request::Listener(Fd(listener))), "over the network");

    let lock = Lock::new().unwrap();
    let guard = lock.lock().unwrap();
    assert_eq!(ask(Request::Lock(lock.clone())), "locked: true");
    drop(guard);

    let (counter, event) = (Mutex::new(6u64).unwrap(), Event::new().unwrap());
    assert_eq!(ask(Request::Counter(counter.clone(), event.clone())), "counted");
    assert!(event.is_set());
    assert_eq!(*counter.lock().unwrap(), 7);

    let memory = SharedMemory::new(100).unwrap();
    assert_eq!(ask(Request::Memory(memory.clone())), "written");
    let mut bytes = [0; 14];
    memory.read(0, &mut bytes);
    assert_eq!(&bytes, b"from the child");

    let (ours, theirs) = pipe::<u32, u32>().unwrap();
    ours.send(41).unwrap();
    assert_eq!(ask(Request::Connection(theirs)), "connected");
    assert_eq!(ours.recv().unwrap(), 42);
    assert!(ours.recv().unwrap_err().is_disconnected(), "the child has dropped it");

    let ((to_child, from), (to, from_child)) = (bounded(8).unwrap(), bounded(8).unwrap());
    near.send(Request::Queue(from, to)).unwrap();
    (0..5).for_each(|n| to_child.send(n).unwrap());
    drop(to_child);
    assert_eq!(from_child.iter().collect::<Vec<u32>>(), [0, 2, 4, 6, 8]);
    assert_eq!(near.recv().unwrap(), "passed on");

    let zero = File::open("/dev/zero").unwrap();
    let files = (0..600).map(|_| Fd(zero.try_clone().unwrap())).collect();
    assert_eq!(ask(Request::Many(files)), "600");
    drop(near);
    child.join().unwrap();
}

/// 64 MiB in which no two pages are equal.
fn pattern() -> Vec<u8> {
    let mut bytes = vec![7; 64 << 20];
    for (number, page) in bytes.chunks_mut(4096).enumerate() {
        page[..8].copy_from_slice(&number.to_ne_bytes());
    }
    bytes
}

/// Nobody receives while it is sent, and the sender has ended when it is.
#[test]
fn a_large_value_waits_for_nobody() {
    let (near, far) = pipe::<(), Vec<u8>>().unwrap();
    let send = |end: Connection<Vec<u8>, ()>| end.send(pattern()).map_err(|e| e.to_string());
    spawn(send, (far,)).unwrap().join().unwrap().unwrap();
    assert!(near.recv().unwrap() == pattern());
    assert!(near.recv().unwrap_err().is_disconnected());
}

#[test]
fn a_killed_peer_is_the_end_after_what_it_sent() {
    let (near, far) = pipe::<u64, u64>().unwrap();
    let talk = |far: Connection<u64, u64>| {
        far.send(1).unwrap();
        far.send(2).unwrap();
        assert!(far.recv().is_ok());
    };
    let child = spawn(talk, (far,)).unwrap();
    assert_eq!(near.recv().unwrap(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    // It is there or it is not, depending on when the child was killed; then comes the end.
    let rest: Vec<u64> = std::iter::from_fn(|| near.recv_timeout(LONG).ok()).collect();
    assert!(rest.is_empty() || rest == [2], "{rest:?}");
    assert!(near.recv().unwrap_err().is_disconnected());
    assert!(near.poll(Some(Duration::ZERO)).unwrap(), "the end can be polled for");
    let unsent = near.send(7).unwrap_err();
    assert!(unsent.is_disconnected());
    assert_eq!(unsent.into_inner(), 7);
}

#[test]
fn both_directions_have_timeouts() {
    // Nobody receives at this end, but it is open.
    let (near, _far) = pipe::<Vec<u8>, u8>().unwrap();
    let limit = Duration::from_millis(30);
    let since = Instant::now();
    assert!(near.recv_timeout(limit).unwrap_err().is_timeout());
    assert!(since.elapsed() >= limit);
    assert!(near.try_recv().unwrap_err().is_empty());
    assert!(!near.poll(Some(limit)).unwrap());

    while near.try_send(vec![7]).is_ok() {}
    let since = Instant::now();
    let unsent = near.send_timeout(vec![8; 10_000], limit).unwrap_err();
    assert!(since.elapsed() >= limit);
    assert!(unsent.is_timeout());
    assert_eq!(unsent.into_inner().len(), 10_000);
    assert!(near.try_send(vec![9]).unwrap_err().is_full());
}

/// A sender waits for room, and goes on when there is some.
#[test]
fn a_full_pipe_goes_on_when_it_is_read() {
    let (near, far) = pipe::<(), u32>().unwrap();
    let send = |far: Connection<u32, ()>| (0..5000).for_each(|n| far.send_timeout(n, LONG).unwrap());
    let child = spawn(send, (far,)).unwrap();
    for n in 0..5000 {
        assert_eq!(near.recv().unwrap(), n);
    }
    child.join().unwrap();
}

/// Four processes send through one end: large values, small ones and many handles, none of them mixed.
#[test]
fn senders_of_one_end_do_not_mix() {
    type Item = (u8, Vec<u8>, Vec<Fd<File>>);
    fn send(end: Connection<Item, ()>, who: u8) {
        let null = File::open("/dev/null").unwrap();
        std::thread::scope(|scope| {
            for count in [0, 300] {
                let (end, null) = (&end, &null);
                scope.spawn(move || {
                    for round in 0..20 {
                        let files = (0..count).map(|_| Fd(null.try_clone().unwrap())).collect();
                        end.send((who, vec![who; 1 + round * 1000], files)).unwrap();
                    }
                });
            }
        });
    }
    let (near, far) = pipe::<(), Item>().unwrap();
    let children: Vec<_> = (0..4).map(|who| spawn(send, (again(&far), who)).unwrap()).collect();
    drop(far);
    let mut seen = [0; 4];
    loop {
        match near.recv() {
            Ok((who, bytes, files)) => {
                assert!(bytes.iter().all(|byte| *byte == who));
                assert!(files.is_empty() || files.len() == 300, "{}", files.len());
                seen[usize::from(who)] += 1;
            }
            Err(RecvError::Disconnected) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(seen, [40; 4]);
    for child in children {
        child.join().unwrap();
    }
}

/// Another handle to the same end, as an argument makes one; whoever receives it says of which types it is.
fn again<S, R, T, U>(end: &Connection<S, R>) -> Connection<T, U> {
    unpack(pack(end).unwrap()).unwrap()
}

/// A value that cannot be read is lost, its handles are closed, and the next one comes.
#[test]
fn a_value_of_another_type_costs_itself_alone() {
    let (near, far) = pipe::<(String, Fd<File>), ()>().unwrap();
    let wrong: Connection<(), u32> = again(&far);
    let (mut reader, writer) = std::io::pipe().unwrap();
    near.send(("text".into(), Fd(File::from(std::os::fd::OwnedFd::from(writer))))).unwrap();
    assert!(matches!(wrong.recv(), Err(RecvError::Failed(_))));
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "its handle is closed");
    near.send(("more".into(), Fd(File::open("/dev/null").unwrap()))).unwrap();
    assert_eq!(far.recv().unwrap().0, "more");
}

#[test]
fn what_is_no_end_of_a_pipe_is_refused() {
    let (near, far) = pipe::<Fd<File>, ()>().unwrap();
    let wrong: Connection<(), Connection<u8, u8>> = again(&far);
    near.send(Fd(File::open("/dev/null").unwrap())).unwrap();
    let error = wrong.recv().unwrap_err().to_string();
    assert!(error.contains("the handle is of something else"), "{error}");
}

#[test]
fn debug_tells_the_types() {
    let (near, _far) = pipe::<u8, String>().unwrap();
    let text = format!("{near:?}");
    assert!(text.starts_with("Connection { fd: ") && text.contains("\"u8\"") && text.contains("String"), "{text}");
}
