//! The ways by which messages travel between two sides, as the measurements of channels use them.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};

use crossbeam_channel as crossbeam;
use iceoryx2::port::{publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender};
use multiprocess::channel::{self, Receiver, Sender};
use multiprocess::{Fd, SharedMemory};
use serde::{Deserialize, Serialize};

/// The length of the smallest messages, which travel as a number.
pub(crate) const SMALL: usize = 8;

/// How many messages may be on their way, where that can be chosen; fewer of large ones, so that all peers have the memory.
pub(crate) fn window(length: usize) -> usize {
    if length <= 1 << 16 { 128 } else { 8 }
}

/// A kind of link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    /// The same channel, with bytes that are borrowed and a vector that is used again.
    OursBorrowed,
    IpcChannel,
    Iceoryx,
    Pipe,
    SocketPair,
    /// A word that both look at, without any rest.
    Spin,
}

/// What a partner process gets to make its end of.
#[derive(Serialize, Deserialize)]
pub(crate) enum Offer {
    Numbers(Sender<u64>, Receiver<u64>),
    Bytes(Sender<Vec<u8>>, Receiver<Vec<u8>>, bool),
    IpcChannel(String, usize),
    Iceoryx([String; 2], usize),
    Files(Fd, Fd),
    Spin(SharedMemory),
}

type IpcNumbers = (IpcSender<u64>, IpcReceiver<u64>);
type IpcBytes = (IpcBytesSender, IpcBytesReceiver);

/// One end of a link in both directions.
pub(crate) enum End {
    Numbers(Sender<u64>, Receiver<u64>),
    Bytes(Sender<Vec<u8>>, Receiver<Vec<u8>>),
    Borrowed(Sender<Vec<u8>>, Receiver<Vec<u8>>, RefCell<Vec<u8>>),
    IpcNumbers(IpcNumbers),
    IpcBytes(IpcBytes),
    Iceoryx(Publisher<ipc_threadsafe::Service, [u8], ()>, Subscriber<ipc_threadsafe::Service, [u8], ()>),
    Files(File, File),
    /// The word, and whether this is the first end.
    Spin(SharedMemory, bool),
    Crossbeam(crossbeam::Sender<Vec<u8>>, crossbeam::Receiver<Vec<u8>>),
    CrossbeamNumbers(crossbeam::Sender<u64>, crossbeam::Receiver<u64>),
}

/// This side of a link that is being made: some kinds have their end only when the partner has its own.
pub(crate) enum Waiting {
    End(End),
    Numbers(IpcOneShotServer<(IpcNumbers, ())>),
    Bytes(IpcOneShotServer<(IpcBytes, ())>),
}

/// Makes a link of that kind for messages of that length.
pub(crate) fn link(kind: Kind, length: usize) -> (Waiting, Offer) {
    match kind {
        Kind::Ours if length == SMALL => {
            let (a, b) = (channel::bounded(window(length)), channel::bounded(window(length)));
            let ((to, their_from), (their_to, from)) = (a.expect("a channel"), b.expect("a channel"));
            (Waiting::End(End::Numbers(to, from)), Offer::Numbers(their_to, their_from))
        }
        Kind::Ours | Kind::OursBorrowed => {
            let (a, b) = (channel::bounded(window(length)), channel::bounded(window(length)));
            let ((to, their_from), (their_to, from)) = (a.expect("a channel"), b.expect("a channel"));
            let borrows = kind == Kind::OursBorrowed;
            (Waiting::End(End::bytes(to, from, borrows)), Offer::Bytes(their_to, their_from, borrows))
        }
        Kind::IpcChannel if length == SMALL => {
            let (server, name) = IpcOneShotServer::new().expect("a server of ipc-channel");
            (Waiting::Numbers(server), Offer::IpcChannel(name, length))
        }
        Kind::IpcChannel => {
            let (server, name) = IpcOneShotServer::new().expect("a server of ipc-channel");
            (Waiting::Bytes(server), Offer::IpcChannel(name, length))
        }
        Kind::Iceoryx => {
            static NUMBER: AtomicU64 = AtomicU64::new(0);
            let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let name = |side: char| format!("multiprocess-bench/{}/{number}/{side}", std::process::id());
            let names = [name('a'), name('b')];
            let end = iceoryx(&names[0], &names[1], length);
            let [a, b] = names;
            (Waiting::End(end), Offer::Iceoryx([b, a], length))
        }
        Kind::Pipe => {
            let (from, their_to) = std::io::pipe().expect("a pipe");
            let (their_from, to) = std::io::pipe().expect("a pipe");
            let file = |end: std::os::fd::OwnedFd| File::from(end);
            let offer = Offer::Files(Fd(their_to.into()), Fd(their_from.into()));
            (Waiting::End(End::Files(file(to.into()), file(from.into()))), offer)
        }
        Kind::SocketPair => {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
            let again = theirs.try_clone().expect("a descriptor");
            let end = End::Files(File::from(std::os::fd::OwnedFd::from(ours.try_clone().expect("a descriptor"))), {
                File::from(std::os::fd::OwnedFd::from(ours))
            });
            (Waiting::End(end), Offer::Files(Fd(theirs.into()), Fd(again.into())))
        }
        Kind::Spin => {
            let memory = SharedMemory::new(4096).expect("shared memory");
            (Waiting::End(End::Spin(memory.clone(), true)), Offer::Spin(memory))
        }
    }
}

/// Two ends between threads.
pub(crate) fn crossbeam(length: usize) -> (End, End) {
    if length == SMALL {
        let ((a, b), (c, d)) = (crossbeam::bounded(window(length)), crossbeam::bounded(window(length)));
        return (End::CrossbeamNumbers(a, d), End::CrossbeamNumbers(c, b));
    }
    let ((a, b), (c, d)) = (crossbeam::bounded(window(length)), crossbeam::bounded(window(length)));
    (End::Crossbeam(a, d), End::Crossbeam(c, b))
}

/// A publisher that waits for its subscriber, and a subscriber.
fn iceoryx(to: &str, from: &str, length: usize) -> End {
    let node = NodeBuilder::new().create::<ipc_threadsafe::Service>().expect("a node of iceoryx2");
    let service = |name: &str| {
        let name: ServiceName = name.try_into().expect("a name of iceoryx2");
        let builder = node.service_builder(&name).publish_subscribe::<[u8]>();
        let builder = builder.enable_safe_overflow(false).subscriber_max_buffer_size(window(length));
        builder.max_publishers(1).max_subscribers(1).open_or_create().expect("a service of iceoryx2")
    };
    let (to, from) = (service(to), service(from));
    let publisher = to.publisher_builder().initial_max_slice_len(length);
    let publisher = publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered).create();
    let subscriber = from.subscriber_builder().create();
    End::Iceoryx(publisher.expect("a publisher"), subscriber.expect("a subscriber"))
}

impl Waiting {
    /// This side's end; the partner makes its own at the same time.
    pub(crate) fn end(self) -> End {
        match self {
            Waiting::End(end) => end,
            Waiting::Numbers(server) => End::IpcNumbers(server.accept().expect("a partner").1.0),
            Waiting::Bytes(server) => End::IpcBytes(server.accept().expect("a partner").1.0),
        }
    }
}

impl Offer {
    /// The partner's end.
    pub(crate) fn end(self) -> End {
        match self {
            Offer::Numbers(to, from) => End::Numbers(to, from),
            Offer::Bytes(to, from, borrows) => End::bytes(to, from, borrows),
            Offer::IpcChannel(name, SMALL) => {
                let ((to, their_from), (their_to, from)) = (ipc::channel().expect("a"), ipc::channel().expect("b"));
                let server = IpcSender::connect(name).expect("the server of ipc-channel");
                server.send(((their_to, their_from), ())).expect("the other side");
                End::IpcNumbers((to, from))
            }
            Offer::IpcChannel(name, _) => {
                let (a, b) = (ipc::bytes_channel().expect("a"), ipc::bytes_channel().expect("b"));
                let ((to, their_from), (their_to, from)) = (a, b);
                let server = IpcSender::connect(name).expect("the server of ipc-channel");
                server.send(((their_to, their_from), ())).expect("the other side");
                End::IpcBytes((to, from))
            }
            Offer::Iceoryx([to, from], length) => iceoryx(&to, &from, length),
            Offer::Files(Fd(to), Fd(from)) => End::Files(File::from(to), File::from(from)),
            Offer::Spin(memory) => End::Spin(memory, false),
        }
    }
}

impl End {
    fn bytes(to: Sender<Vec<u8>>, from: Receiver<Vec<u8>>, borrows: bool) -> End {
        if borrows { End::Borrowed(to, from, RefCell::default()) } else { End::Bytes(to, from) }
    }

    /// Sends the bytes as one message; a number, where the link carries numbers.
    pub(crate) fn send(&self, bytes: &[u8]) {
        match self {
            End::Numbers(to, _) => to.send(bytes.len() as u64).expect("a receiver"),
            End::Bytes(to, _) => to.send(bytes.to_vec()).expect("a receiver"),
            End::Borrowed(to, ..) => to.send_bytes(bytes).expect("a receiver"),
            End::IpcNumbers((to, _)) => to.send(bytes.len() as u64).expect("a receiver"),
            End::IpcBytes((to, _)) => to.send(bytes).expect("a receiver"),
            End::Iceoryx(to, _) => {
                let sample = to.loan_slice_uninit(bytes.len()).expect("a sample");
                sample.write_from_slice(bytes).send().expect("a subscriber");
            }
            End::Files(to, _) => (&*to).write_all(bytes).expect("a reader"),
            End::Spin(memory, first) => turn(memory).store(u64::from(*first), Release),
            End::Crossbeam(to, _) => to.send(bytes.to_vec()).expect("a receiver"),
            End::CrossbeamNumbers(to, _) => to.send(bytes.len() as u64).expect("a receiver"),
        }
    }

    /// Takes one message; `buffer` is as long as the message, and holds it where the link fills buffers.
    pub(crate) fn receive(&self, buffer: &mut [u8]) {
        match self {
            End::Numbers(_, from) => _ = from.recv().expect("a sender"),
            End::Bytes(_, from) => _ = from.recv().expect("a sender"),
            End::Borrowed(_, from, bytes) => from.recv_into(&mut bytes.borrow_mut()).expect("a sender"),
            End::IpcNumbers((_, from)) => _ = from.recv().expect("a sender"),
            End::IpcBytes((_, from)) => _ = from.recv().expect("a sender"),
            End::Iceoryx(_, from) => {
                let mut looks = 0;
                let sample = loop {
                    match from.receive().expect("a publisher") {
                        Some(sample) => break sample,
                        None => rest(&mut looks),
                    }
                };
                buffer.copy_from_slice(sample.payload());
            }
            End::Files(_, from) => (&*from).read_exact(buffer).expect("a writer"),
            End::Spin(memory, first) => {
                while turn(memory).load(Acquire) == u64::from(*first) {
                    std::hint::spin_loop();
                }
            }
            End::Crossbeam(_, from) => _ = from.recv().expect("a sender"),
            End::CrossbeamNumbers(_, from) => _ = from.recv().expect("a sender"),
        }
    }
}

/// iceoryx2 has no wait that goes with its fastest path: a look, and then giving way, as our own waits begin.
fn rest(looks: &mut u32) {
    *looks += 1;
    if *looks < 50 { std::hint::spin_loop() } else { std::thread::yield_now() }
}

/// Whose message was the last one.
fn turn(memory: &SharedMemory) -> &AtomicU64 {
    &memory.as_atomics::<AtomicU64>()[0]
}
