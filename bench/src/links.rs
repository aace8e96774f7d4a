//! The ways by which messages travel between two sides, as the measurements of channels use them.

use std::cell::{Cell, RefCell};
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

/// How many messages a call for several has.
const AT_ONCE: usize = 64;

/// How many messages may be on their way, where that can be chosen; fewer of large ones, so that all peers have the memory.
pub(crate) fn window(length: usize) -> usize {
    if length <= 1 << 16 { 128 } else { 8 }
}

/// A kind of link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    /// The same channel, with several messages in each call.
    OursMany,
    /// The same channel, with bytes that are borrowed and a vector that is used again.
    OursBorrowed,
    IpcChannel,
    Iceoryx,
    Pipe,
    SocketPair,
    /// A word that both look at, without any rest.
    Spin,
    /// Blocks of shared memory that take turns, and words that count them, without any rest.
    Blocks,
}

/// What a partner process gets to make its end of.
#[derive(Serialize, Deserialize)]
pub(crate) enum Offer {
    Numbers(Sender<u64>, Receiver<u64>, bool),
    Bytes(Sender<Vec<u8>>, Receiver<Vec<u8>>, bool),
    IpcChannel(String, usize),
    Iceoryx([String; 2], usize),
    Files(Fd, Fd),
    Spin(SharedMemory),
    Blocks([SharedMemory; 2], usize),
}

/// What sends to the other side, and what receives from it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Pair<S, R>(S, R);

type IpcNumbers = Pair<IpcSender<u64>, IpcReceiver<u64>>;
type IpcBytes = Pair<IpcBytesSender, IpcBytesReceiver>;
type IceoryxPublisher = Publisher<ipc_threadsafe::Service, [u8], ()>;
type IceoryxSubscriber = Subscriber<ipc_threadsafe::Service, [u8], ()>;

/// One end of a link in both directions.
pub(crate) enum End {
    Numbers(Pair<Sender<u64>, Receiver<u64>>),
    Many(Many),
    Bytes(Pair<Sender<Vec<u8>>, Receiver<Vec<u8>>>),
    Borrowed(Borrowed),
    IpcNumbers(IpcNumbers),
    IpcBytes(IpcBytes),
    Iceoryx(Pair<IceoryxPublisher, IceoryxSubscriber>),
    Files(Pair<File, File>),
    Spin(Spin),
    Blocks(Pair<Lane, Lane>),
    Crossbeam(Pair<crossbeam::Sender<Vec<u8>>, crossbeam::Receiver<Vec<u8>>>),
    CrossbeamNumbers(Pair<crossbeam::Sender<u64>, crossbeam::Receiver<u64>>),
}

/// The same channel as for other numbers, used with several in each call.
pub(crate) struct Many(Sender<u64>, Receiver<u64>);

/// The same channel as for other bytes, used with borrowed ones and a vector that is used again.
pub(crate) struct Borrowed(Sender<Vec<u8>>, Receiver<Vec<u8>>, RefCell<Vec<u8>>);

/// Blocks of one direction, how long each is, and how many messages this side has sent or received.
pub(crate) struct Lane(SharedMemory, usize, Cell<u64>);

/// The word, and whether this is the first end.
pub(crate) struct Spin(SharedMemory, bool);

/// This side of a link that is being made: some kinds have their end only when the partner has its own.
pub(crate) enum Waiting {
    End(End),
    Numbers(IpcOneShotServer<(IpcNumbers, ())>),
    Bytes(IpcOneShotServer<(IpcBytes, ())>),
}

/// Makes a link of that kind for messages of that length.
pub(crate) fn link(kind: Kind, length: usize) -> (Waiting, Offer) {
    match kind {
        Kind::Ours | Kind::OursMany if length == SMALL => {
            let (a, b) = (channel::bounded(window(length)), channel::bounded(window(length)));
            let ((to, their_from), (their_to, from)) = (a.expect("a channel"), b.expect("a channel"));
            let many = kind == Kind::OursMany;
            (Waiting::End(End::numbers(to, from, many)), Offer::Numbers(their_to, their_from, many))
        }
        Kind::Ours | Kind::OursMany | Kind::OursBorrowed => {
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
            (Waiting::End(End::Files(Pair(file(to.into()), file(from.into())))), offer)
        }
        Kind::SocketPair => {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
            let again = theirs.try_clone().expect("a descriptor");
            let file = |end: std::os::unix::net::UnixStream| File::from(std::os::fd::OwnedFd::from(end));
            let end = Pair(file(ours.try_clone().expect("a descriptor")), file(ours));
            (Waiting::End(End::Files(end)), Offer::Files(Fd(theirs.into()), Fd(again.into())))
        }
        Kind::Spin => {
            let memory = SharedMemory::new(4096).expect("shared memory");
            (Waiting::End(End::Spin(Spin(memory.clone(), true))), Offer::Spin(memory))
        }
        Kind::Blocks => {
            let lane = || SharedMemory::new(BLOCKS_AT + BLOCKS).expect("shared memory");
            let (to, from) = (lane(), lane());
            let end = End::Blocks(Pair(Lane::new(to.clone(), length), Lane::new(from.clone(), length)));
            (Waiting::End(end), Offer::Blocks([from, to], length))
        }
    }
}

/// Two ends between threads.
pub(crate) fn crossbeam(length: usize) -> (End, End) {
    if length == SMALL {
        let ((a, b), (c, d)) = (crossbeam::bounded(window(length)), crossbeam::bounded(window(length)));
        return (End::CrossbeamNumbers(Pair(a, d)), End::CrossbeamNumbers(Pair(c, b)));
    }
    let ((a, b), (c, d)) = (crossbeam::bounded(window(length)), crossbeam::bounded(window(length)));
    (End::Crossbeam(Pair(a, d)), End::Crossbeam(Pair(c, b)))
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
    End::Iceoryx(Pair(publisher.expect("a publisher"), subscriber.expect("a subscriber")))
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
            Offer::Numbers(to, from, many) => End::numbers(to, from, many),
            Offer::Bytes(to, from, borrows) => End::bytes(to, from, borrows),
            Offer::IpcChannel(name, SMALL) => {
                let ((to, their_from), (their_to, from)) = (ipc::channel().expect("a"), ipc::channel().expect("b"));
                let server = IpcSender::connect(name).expect("the server of ipc-channel");
                server.send((Pair(their_to, their_from), ())).expect("the other side");
                End::IpcNumbers(Pair(to, from))
            }
            Offer::IpcChannel(name, _) => {
                let (a, b) = (ipc::bytes_channel().expect("a"), ipc::bytes_channel().expect("b"));
                let ((to, their_from), (their_to, from)) = (a, b);
                let server = IpcSender::connect(name).expect("the server of ipc-channel");
                server.send((Pair(their_to, their_from), ())).expect("the other side");
                End::IpcBytes(Pair(to, from))
            }
            Offer::Iceoryx([to, from], length) => iceoryx(&to, &from, length),
            Offer::Files(Fd(to), Fd(from)) => End::Files(Pair(File::from(to), File::from(from))),
            Offer::Spin(memory) => End::Spin(Spin(memory, false)),
            Offer::Blocks([to, from], length) => End::Blocks(Pair(Lane::new(to, length), Lane::new(from, length))),
        }
    }
}

/// What can be done with one end, whatever its kind. A loop over it is made for each kind, so that none pays for a choice.
pub(crate) trait Link {
    /// Sends the bytes as one message; a number, where the link carries numbers.
    fn send(&self, bytes: &[u8]);

    /// Takes one message; `buffer` is as long as the message, and holds it where the link fills buffers.
    fn receive(&self, buffer: &mut [u8]);

    /// Sends so many of them.
    fn send_times(&self, bytes: &[u8], times: u32) {
        (0..times).for_each(|_| self.send(bytes));
    }

    /// Takes so many messages.
    fn receive_times(&self, buffer: &mut [u8], times: u32) {
        (0..times).for_each(|_| self.receive(buffer));
    }
}

/// Something that is done with one end.
pub(crate) trait Part {
    fn play(&self, link: &impl Link);
}

impl End {
    fn numbers(to: Sender<u64>, from: Receiver<u64>, many: bool) -> End {
        if many { End::Many(Many(to, from)) } else { End::Numbers(Pair(to, from)) }
    }

    fn bytes(to: Sender<Vec<u8>>, from: Receiver<Vec<u8>>, borrows: bool) -> End {
        if borrows { End::Borrowed(Borrowed(to, from, RefCell::default())) } else { End::Bytes(Pair(to, from)) }
    }

    pub(crate) fn play(&self, part: &impl Part) {
        match self {
            End::Numbers(link) => part.play(link),
            End::Many(link) => part.play(link),
            End::Bytes(link) => part.play(link),
            End::Borrowed(link) => part.play(link),
            End::IpcNumbers(link) => part.play(link),
            End::IpcBytes(link) => part.play(link),
            End::Iceoryx(link) => part.play(link),
            End::Files(link) => part.play(link),
            End::Spin(link) => part.play(link),
            End::Blocks(link) => part.play(link),
            End::Crossbeam(link) => part.play(link),
            End::CrossbeamNumbers(link) => part.play(link),
        }
    }
}

/// Links that take a value and give one back.
macro_rules! values {
    ($($sender:ty, $receiver:ty, $value:expr;)*) => { $(
        impl Link for Pair<$sender, $receiver> {
            fn send(&self, bytes: &[u8]) {
                self.0.send($value(bytes)).expect("a receiver");
            }

            fn receive(&self, _: &mut [u8]) {
                _ = self.1.recv().expect("a sender");
            }
        }
    )* };
}

fn number(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

values! {
    Sender<u64>, Receiver<u64>, number;
    IpcSender<u64>, IpcReceiver<u64>, number;
    crossbeam::Sender<u64>, crossbeam::Receiver<u64>, number;
    Sender<Vec<u8>>, Receiver<Vec<u8>>, <[u8]>::to_vec;
    crossbeam::Sender<Vec<u8>>, crossbeam::Receiver<Vec<u8>>, <[u8]>::to_vec;
    IpcBytesSender, IpcBytesReceiver, std::convert::identity;
}

impl Link for Many {
    fn send(&self, bytes: &[u8]) {
        self.0.send(number(bytes)).expect("a receiver");
    }

    fn receive(&self, _: &mut [u8]) {
        _ = self.1.recv().expect("a sender");
    }

    fn send_times(&self, bytes: &[u8], times: u32) {
        let numbers = [number(bytes); AT_ONCE];
        let mut left = times as usize;
        while left > 0 {
            let now = left.min(AT_ONCE);
            self.0.send_many(&numbers[..now]).expect("a receiver");
            left -= now;
        }
    }

    fn receive_times(&self, _: &mut [u8], times: u32) {
        let mut numbers = Vec::with_capacity(AT_ONCE);
        let mut left = times as usize;
        while left > 0 {
            numbers.clear();
            left -= self.1.recv_many(&mut numbers, left.min(AT_ONCE)).expect("a sender");
        }
    }
}

impl Link for Borrowed {
    fn send(&self, bytes: &[u8]) {
        self.0.send_bytes(bytes).expect("a receiver");
    }

    fn receive(&self, _: &mut [u8]) {
        self.1.recv_into(&mut self.2.borrow_mut()).expect("a sender");
    }
}

impl Link for Pair<IceoryxPublisher, IceoryxSubscriber> {
    fn send(&self, bytes: &[u8]) {
        let sample = self.0.loan_slice_uninit(bytes.len()).expect("a sample");
        sample.write_from_slice(bytes).send().expect("a subscriber");
    }

    fn receive(&self, buffer: &mut [u8]) {
        let mut looks = 0;
        let sample = loop {
            match self.1.receive().expect("a publisher") {
                Some(sample) => break sample,
                None => rest(&mut looks),
            }
        };
        buffer.copy_from_slice(sample.payload());
    }
}

impl Link for Pair<File, File> {
    fn send(&self, bytes: &[u8]) {
        (&self.0).write_all(bytes).expect("a reader");
    }

    fn receive(&self, buffer: &mut [u8]) {
        (&self.1).read_exact(buffer).expect("a writer");
    }
}

impl Link for Spin {
    fn send(&self, _: &[u8]) {
        turn(&self.0).store(u64::from(self.1), Release);
    }

    fn receive(&self, _: &mut [u8]) {
        while turn(&self.0).load(Acquire) == u64::from(self.1) {
            std::hint::spin_loop();
        }
    }
}

/// How many bytes of blocks there are in one direction; they lie behind the words.
const BLOCKS: usize = 2 << 20;
const BLOCKS_AT: usize = 4096;
/// Which words count what was sent and what was received.
const SENT: usize = 0;
const RECEIVED: usize = 16;

impl Lane {
    fn new(memory: SharedMemory, length: usize) -> Lane {
        Lane(memory, length, Cell::new(0))
    }

    fn word(&self, which: usize) -> &AtomicU64 {
        &self.0.as_atomics::<AtomicU64>()[which]
    }

    fn count(&self) -> u64 {
        (BLOCKS / self.1) as u64
    }

    /// Where the next message lies; it is counted.
    fn next(&self) -> usize {
        let number = self.2.replace(self.2.get() + 1);
        BLOCKS_AT + (number % self.count()) as usize * self.1
    }
}

impl Link for Pair<Lane, Lane> {
    fn send(&self, bytes: &[u8]) {
        let lane = &self.0;
        while lane.word(RECEIVED).load(Acquire) + lane.count() <= lane.2.get() {
            std::hint::spin_loop();
        }
        lane.0.write(lane.next(), bytes);
        lane.word(SENT).store(lane.2.get(), Release);
    }

    fn receive(&self, buffer: &mut [u8]) {
        let lane = &self.1;
        while lane.word(SENT).load(Acquire) <= lane.2.get() {
            std::hint::spin_loop();
        }
        lane.0.read(lane.next(), buffer);
        lane.word(RECEIVED).store(lane.2.get(), Release);
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
