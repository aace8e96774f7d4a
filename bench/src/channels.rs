//! P5, P6 and P7: messages there and back, and one way; between two sides, and between four and four.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use multiprocess::channel::{self, Receiver, Sender};
use multiprocess::spawn;

use crate::links::{self, Kind, Link, Offer, Part, SMALL};
use crate::options::Options;
use crate::partner::{Meeting, finish};
use crate::placement::Placement;
use crate::report::{Side, Unit, limit, ratio};
use crate::rounds::{self, Contender, Medians};

const OURS: &str = "channel";
const MANY: &str = "channel, send_many";
const BORROWED: &str = "channel, send_bytes";
const IPC_CHANNEL: &str = "ipc-channel";
const ICEORYX: &str = "iceoryx2";
const CROSSBEAM: &str = "crossbeam, threads";
const PIPE: &str = "pipe";
const SOCKET_PAIR: &str = "socketpair";
const SPIN: &str = "spin floor";
const BLOCKS: &str = "bare blocks";
const MEMCPY: &str = "memcpy";

/// The lengths of messages, with their names and how many of them make a sample.
const LENGTHS: [(usize, &str, u32); 4] =
    [(SMALL, "8 B", 20_000), (1 << 10, "1 KiB", 10_000), (1 << 16, "64 KiB", 1_000), (1 << 20, "1 MiB", 100)];

/// What the two sides do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Game {
    /// The first side sends and waits for the answer.
    RoundTrip,
    /// The first side sends all, the second takes all.
    OneWay,
}

/// So many messages of one length, from the first side.
struct Lead(Game, usize, u32);

impl Part for Lead {
    fn play(&self, end: &impl Link) {
        let &Lead(game, length, times) = self;
        let (message, mut buffer) = (vec![7; length], vec![0; length]);
        if game == Game::OneWay {
            end.send_times(&message, times);
            return end.receive(&mut buffer);
        }
        for _ in 0..times {
            end.send(&message);
            end.receive(&mut buffer);
        }
    }
}

/// What the second side does meanwhile.
struct Follow(Game, usize, u32);

impl Part for Follow {
    fn play(&self, end: &impl Link) {
        let &Follow(game, length, times) = self;
        let (message, mut buffer) = (vec![7; length], vec![0; length]);
        if game == Game::OneWay {
            end.receive_times(&mut buffer, times);
            return end.send(&message);
        }
        for _ in 0..times {
            end.receive(&mut buffer);
            end.send(&message);
        }
    }
}

/// So many messages travel before those that count: all the memory that the link uses has been touched then.
fn warm_up(length: usize) -> u32 {
    2 * links::window(length) as u32
}

fn between_processes(placement: Placement, kind: Kind, game: Game, length: usize, times: u32) -> Duration {
    let (before, meeting) = (Meeting::new(placement), Meeting::new(placement));
    let (waiting, offer) = links::link(kind, length);
    let partner = |before: Meeting, meeting: Meeting, offer: Offer, one_way: bool, length: usize, times: u32| {
        let end = offer.end();
        let game = if one_way { Game::OneWay } else { Game::RoundTrip };
        before.partner(|| end.play(&Follow(game, length, warm_up(length))));
        meeting.partner(|| end.play(&Follow(game, length, times)));
    };
    let arguments = (before.clone(), meeting.clone(), offer, game == Game::OneWay, length, times);
    let child = spawn(partner, arguments).expect("a partner starts");
    let end = waiting.end();
    before.lead(|| end.play(&Lead(game, length, warm_up(length))));
    let time = meeting.lead(|| end.play(&Lead(game, length, times)));
    finish(child);
    time
}

fn between_threads(placement: Placement, game: Game, length: usize, times: u32) -> Duration {
    let meeting = Meeting::new(placement);
    let (end, other) = links::crossbeam(length);
    let partner = {
        let meeting = meeting.clone();
        std::thread::spawn(move || {
            other.play(&Follow(game, length, warm_up(length)));
            meeting.partner(|| other.play(&Follow(game, length, times)));
        })
    };
    end.play(&Lead(game, length, warm_up(length)));
    let time = meeting.lead(|| end.play(&Lead(game, length, times)));
    partner.join().expect("a partner ends");
    time
}

/// Copies that are as long as the messages, each from one place to another.
fn copies(length: usize, times: u32) -> Duration {
    let (from, mut to) = (vec![7u8; length], vec![0u8; length]);
    let start = Instant::now();
    for _ in 0..times {
        black_box(&mut to).copy_from_slice(black_box(&from));
    }
    start.elapsed()
}

/// Each contender in one game with messages of one length; ours comes first.
fn contenders(placement: Placement, game: Game, length: usize, times: u32) -> Vec<Contender> {
    let kinds =
        [(OURS, Kind::Ours), (IPC_CHANNEL, Kind::IpcChannel), (PIPE, Kind::Pipe), (SOCKET_PAIR, Kind::SocketPair)];
    let mut kinds = kinds.to_vec();
    if length >= 1 << 10 {
        kinds.insert(1, (BORROWED, Kind::OursBorrowed));
        kinds.push((ICEORYX, Kind::Iceoryx));
    }
    if (game, length) == (Game::OneWay, SMALL) {
        kinds.insert(1, (MANY, Kind::OursMany));
    }
    // On one CPU a side that only spins burns its whole time slice.
    if placement == Placement::Split {
        match (game, length) {
            (Game::RoundTrip, SMALL) => kinds.push((SPIN, Kind::Spin)),
            (Game::OneWay, 65_536..) => kinds.push((BLOCKS, Kind::Blocks)),
            _ => {}
        }
    }
    let process = |(name, kind)| {
        Contender::each(name, times, move || Some(between_processes(placement, kind, game, length, times)))
    };
    let mut contenders: Vec<Contender> = kinds.into_iter().map(process).collect();
    contenders.push(Contender::each(CROSSBEAM, times, move || Some(between_threads(placement, game, length, times))));
    if (game, length >= 1 << 16) == (Game::OneWay, true) {
        contenders.push(Contender::each(MEMCPY, times, move || Some(copies(length, times))));
    }
    contenders
}

/// The targets: each a ratio against one reference.
fn target(game: Game, length: usize, placement: Placement, reference: &str) -> Option<f64> {
    match (game, length, placement, reference) {
        (Game::RoundTrip, SMALL, Placement::Split, SPIN) => Some(2.0),
        (Game::RoundTrip, SMALL, Placement::Split, IPC_CHANNEL) => Some(1.0 / 50.0),
        (Game::RoundTrip, SMALL, Placement::Same, IPC_CHANNEL) => Some(1.0),
        (Game::OneWay, SMALL, Placement::Split, IPC_CHANNEL) => Some(1.0 / 15.0),
        (Game::OneWay, SMALL, Placement::Split, CROSSBEAM) => Some(1.0),
        (Game::OneWay, 65_536.., Placement::Split, IPC_CHANNEL) => Some(1.0 / 4.0),
        (Game::OneWay, 65_536.., Placement::Split, MEMCPY) => Some(2.5),
        _ => None,
    }
}

/// P5 is the round trip, P6 one way of small messages, P7 one way of large ones; each shows all lengths that belong to it.
pub(crate) fn measure(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    for (game, name) in [(Game::RoundTrip, "round trip"), (Game::OneWay, "one way")] {
        for (length, label, times) in LENGTHS {
            let number = match (game, length) {
                (Game::RoundTrip, _) => "P5",
                (Game::OneWay, ..65_536) => "P6",
                (Game::OneWay, _) => "P7",
            };
            if !options.wants(number) {
                continue;
            }
            // A short message one way takes so little that the start and the end would count.
            let times = if (game, length) == (Game::OneWay, SMALL) { 10 * times } else { times };
            let times = if options.quick { times / 5 } else { times };
            let mut contenders = contenders(placement, game, length, times);
            let medians = take_batches(&mut contenders, options);
            let count = contenders.iter().take_while(|contender| contender.name.starts_with(OURS)).count();
            for (us, ours) in contenders.iter().zip(&medians).take(count) {
                let name = format!("{}, {label} {name}", us.name);
                if (game, length) == (Game::OneWay, SMALL) {
                    let target = (placement == Placement::Split).then_some(if us.name == MANY { 20e-9 } else { 80e-9 });
                    limit(number, placement, Side(&name, ours), Unit::Nanoseconds, target);
                }
                for (contender, theirs) in contenders.iter().zip(&medians).skip(count) {
                    let target = target(game, length, placement, contender.name);
                    let (ours, theirs) = (Side(&name, ours), Side(contender.name, theirs));
                    ratio(number, placement, ours, theirs, Unit::Nanoseconds, target);
                }
            }
        }
    }
    if options.wants("P6") {
        four_and_four(placement, options);
    }
    Ok(())
}

fn take_batches(contenders: &mut [Contender], options: &Options) -> Vec<Medians> {
    let mut medians = vec![Medians::new(); contenders.len()];
    for _ in 0..if options.quick { 4 } else { 9 } {
        rounds::batch(contenders, 3, &mut medians);
    }
    medians
}

/// Four senders and four receivers of one channel.
fn four_and_four(placement: Placement, options: &Options) {
    let times: u32 = if options.quick { 20_000 } else { 100_000 };
    let ours = move || {
        let (to, from) = channel::bounded::<u64>(links::window(SMALL)).expect("a channel");
        let meetings: Vec<Meeting> = (0..4).map(|_| Meeting::new(placement)).collect();
        let sender = |meeting: Meeting, to: Sender<u64>, times: u32| {
            meeting.partner(|| (0..times).for_each(|number| to.send(number.into()).expect("a receiver")));
        };
        let receiver = |meeting: Meeting, from: Receiver<u64>| meeting.partner(|| _ = black_box(from.iter().count()));
        let mut children = vec![];
        for (index, meeting) in meetings.iter().enumerate() {
            // Half of each on either CPU, where they are pinned: all partners go to the second one, so only two meet there.
            children.push(match index % 2 {
                0 => spawn(sender, (meeting.clone(), to.clone(), 2 * times / 4)).expect("a sender starts"),
                _ => spawn(receiver, (meeting.clone(), from.clone())).expect("a receiver starts"),
            });
        }
        let threads = (
            (0..2).map(|_| (to.clone(), 2 * times / 4)).collect::<Vec<_>>(),
            (0..2).map(|_| from.clone()).collect::<Vec<_>>(),
        );
        drop((to, from));
        let time = lead_all(&meetings, threads);
        children.into_iter().for_each(finish);
        Some(time)
    };
    let crossbeam = move || {
        let (to, from) = crossbeam_channel::bounded::<u64>(links::window(SMALL));
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (to, from) = (to.clone(), from.clone());
                scope.spawn(move || (0..2 * times / 4).for_each(|number| to.send(number.into()).expect("a receiver")));
                scope.spawn(move || black_box(from.iter().count()));
            }
            drop((to, from));
        });
        Some(start.elapsed())
    };
    let mut contenders = [Contender::each(OURS, 2 * times, ours), Contender::each(CROSSBEAM, 2 * times, crossbeam)];
    let medians = take_batches(&mut contenders, options);
    let name = format!("{OURS}, 8 B four to four");
    ratio("P6", placement, Side(&name, &medians[0]), Side(CROSSBEAM, &medians[1]), Unit::Nanoseconds, None);
}

/// Senders, each with how many messages it sends, and receivers.
type Ends = (Vec<(Sender<u64>, u32)>, Vec<Receiver<u64>>);

/// Two senders and two receivers here, and those of the meetings there; the time until all have ended.
fn lead_all(meetings: &[Meeting], here: Ends) -> Duration {
    let mut work: Box<dyn FnOnce() + Send> = Box::new(move || {
        std::thread::scope(|scope| {
            for (to, times) in here.0 {
                scope.spawn(move || (0..times).for_each(|number| to.send(number.into()).expect("a receiver")));
            }
            for from in here.1 {
                scope.spawn(move || black_box(from.iter().count()));
            }
        });
    });
    for meeting in meetings {
        let meeting = meeting.clone();
        let inner = work;
        work = Box::new(move || _ = meeting.lead(inner));
    }
    let start = Instant::now();
    work();
    start.elapsed()
}
