//! Handles of the operating system in arguments and results.

use multiprocess::{Fd, StartMethod};
use multiprocess_tests::methods::start;
use multiprocess_tests::scratch::Scratch;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

multiprocess_tests::for_each_start_method![
    descriptor_of_no_type,
    file_in_argument,
    file_in_result,
    handles_deep_in_a_value,
    listener_in_argument,
    listener_in_result,
    six_hundred_in_one_argument,
    stream_in_argument_and_result,
];

fn file_in_argument(method: StartMethod) {
    let scratch = Scratch::new();
    let path = scratch.join("text");
    let file = File::create(&path).expect("a file can be made");
    let child =
        start(method, |mut file: Fd<File>| file.write_all(b"by the child").map_err(|e| e.to_string()), (Fd(file),));
    child.join().expect("the child returns").expect("the child can write");
    assert_eq!(fs::read(&path).expect("the file can be read"), b"by the child");
}

fn file_in_result(method: StartMethod) {
    let scratch = Scratch::new();
    let path = scratch.join("text");
    let mut file = start(method, create_with_text, (path.clone(),)).join().expect("the child returns");
    fs::remove_file(&path).expect("the file can be removed");
    file.rewind().expect("the file can be rewound");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("the file can be read");
    assert_eq!(text, "by the child");
}

fn create_with_text(path: PathBuf) -> Fd<File> {
    let options = File::options().read(true).write(true).create_new(true).open(path);
    let mut file = options.expect("a file can be made");
    file.write_all(b"by the child").expect("the file can be written");
    Fd(file)
}

fn listener_in_argument(method: StartMethod) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("the listener has an address");
    let child = start(method, serve_one, (Fd(listener),));
    let mut stream = TcpStream::connect(address).expect("the child listens");
    stream.write_all(b"question").expect("the child reads");
    stream.shutdown(std::net::Shutdown::Write).expect("the stream can be closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the child answers");
    assert_eq!(answer, "answer to question");
    child.join().expect("the child returns");
}

fn serve_one(listener: Fd<TcpListener>) {
    let (mut stream, _) = listener.accept().expect("somebody connects");
    let mut question = String::new();
    stream.read_to_string(&mut question).expect("the question can be read");
    write!(stream, "answer to {question}").expect("the answer can be written");
}

fn listener_in_result(method: StartMethod) {
    let child = start(method, || Fd(TcpListener::bind("127.0.0.1:0").expect("a port is free")), ());
    let listener = child.join().expect("the child returns").into_inner();
    let mut near = TcpStream::connect(listener.local_addr().expect("the listener has an address")).expect("it listens");
    let (mut far, _) = listener.accept().expect("the connection is there");
    near.write_all(b"x").expect("the stream can be written");
    let mut byte = [0];
    far.read_exact(&mut byte).expect("the stream can be read");
}

fn stream_in_argument_and_result(method: StartMethod) {
    let (mut near, far) = UnixStream::pair().expect("a pair can be made");
    let child = start(method, write_and_give_back, (Fd(far),));
    let mut text = [0; 5];
    near.read_exact(&mut text).expect("the child writes");
    assert_eq!(&text, b"child");
    let mut far = child.join().expect("the child returns").into_inner();
    far.write_all(b"again").expect("the end that came back works");
    near.read_exact(&mut text).expect("the stream can be read");
    assert_eq!(&text, b"again");
}

fn write_and_give_back(mut stream: Fd<UnixStream>) -> Fd<UnixStream> {
    stream.write_all(b"child").expect("the stream can be written");
    stream
}

fn descriptor_of_no_type(method: StartMethod) {
    let file: OwnedFd = File::open("/dev/zero").expect("a file can be opened").into();
    let read_one = |file: Fd| {
        let mut byte = [1];
        File::from(file.into_inner()).read_exact(&mut byte).map(|()| byte[0]).map_err(|error| error.to_string())
    };
    assert_eq!(start(method, read_one, (Fd(file),)).join().expect("the child returns"), Ok(0));
}

/// Handles inside options, lists and structures keep their places.
fn handles_deep_in_a_value(method: StartMethod) {
    let (first, second) = (File::open("/dev/null"), File::open("/dev/zero"));
    let (first, second) = (first.expect("a file can be opened"), second.expect("a file can be opened"));
    let expected = [inode(&first), inode(&second)];
    let value: Vec<(String, Option<Fd<File>>)> =
        vec![("one".to_owned(), Some(Fd(first))), ("none".to_owned(), None), ("two".to_owned(), Some(Fd(second)))];
    let back =
        start(method, |value: Vec<(String, Option<Fd<File>>)>| value, (value,)).join().expect("the child returns");
    let found: Vec<Option<u64>> = back.iter().map(|(_, file)| file.as_ref().map(|file| inode(file))).collect();
    assert_eq!(found, [Some(expected[0]), None, Some(expected[1])]);
}

/// More than one message of a socket can carry: the library sends several.
fn six_hundred_in_one_argument(method: StartMethod) {
    let limit = getrlimit(Resource::Nofile);
    let needed = 2048;
    if limit.current.is_some_and(|current| current < needed) {
        let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
        setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum })
            .expect("a soft limit may rise");
    }
    let kinds: Vec<File> = ["/dev/null", "/dev/zero", "/dev/full"]
        .iter()
        .map(|path| File::open(path).expect("a file can be opened"))
        .collect();
    let files: Vec<Fd<File>> = (0..600).map(|n| Fd(kinds[n % 3].try_clone().expect("the limit allows it"))).collect();
    let expected: Vec<u64> = files.iter().map(|file| inode(file)).collect();
    let inodes = |files: Vec<Fd<File>>| files.iter().map(|file| inode(file)).collect::<Vec<u64>>();
    let found = start(method, inodes, (files,)).join().expect("the child returns");
    assert!(found == expected, "descriptors are missing or out of order");
    setrlimit(Resource::Nofile, limit).expect("the limit can be put back");
}

fn inode(file: &File) -> u64 {
    file.metadata().expect("a file can be described").ino()
}
