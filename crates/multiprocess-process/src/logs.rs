//! The events of all processes in one stream: a child's `tracing` events come out of the subscriber of whoever started it.
//!
//! # The way of an event
//!
//! ```text
//! child:  event! -> Forwarder (the child's global subscriber) -> letter -> slot ----.
//! child's child:  event! -> Forwarder -> letter -> the same slot, passed on --------|
//! program:                                     letterbox -> thread `mp-logs` -> Site -> the program's global subscriber
//! ```
//!
//! 1. A start asks whether this process has a subscriber. If it has none, that is all: one load of a word. Otherwise the *first* such
//!    start makes the letterbox and the thread; if that fails, the child starts without.
//! 2. The slot and the most verbose level that the subscriber wants go with the request. The child installs a [`Forwarder`] as its global
//!    subscriber before the function runs, unless a constructor has set one.
//! 3. An event of that level is written into one letter, and put into the slot: one packet, which never waits in the kernel. From this
//!    moment on it does not matter what becomes of the child.
//! 4. The thread takes letters in their order. Each names its place in the program (target, level, file, names of fields), for which
//!    the thread keeps a call site as the macros do; so the filters of the subscriber are asked once for each place if they can
//!    answer once, and for each event otherwise.
//!
//! A child whose global subscriber is a forwarder passes on the slot that it has, so everything goes **straight to the process that
//! has a subscriber**: nothing in between costs time, can be stuck, or can die with letters in its hands. A child with a subscriber of its
//! own is such a process for its own children.
//!
//! # What is promised
//!
//! * Letters of one process come out in their order; those of several in the order in which they were put in.
//! * What a child puts in before its end is out when `join` returns, because whoever waits for a child's end [flushes](Place::flush)
//!   after it. A subscriber that takes no event for two seconds, or waits for what the joining thread holds, is not waited for.
//! * **Nobody holds a child up.** Without room in the box a child waits for a moment, but altogether no more than a tenth of a second
//!   and a twentieth of its life; beyond that the event is lost. How many were is told by the next letter that finds room, or by
//!   one more at the end of the function, for which the child may wait once more. If that finds no room either, nobody hears it.
//! * A letter has a largest size. Texts beyond it are cut, and the event says so.
//!
//! # If a process dies between two steps
//!
//! | Dies | After | Then |
//! | --- | --- | --- |
//! | the child | anything before 3 is done | this event is lost, none before it |
//! | the child | 3 | nothing: the letter comes out |
//! | the process with the subscriber | any step | the children's next letter finds nobody; from then on they write none |
//! | a process between the two | any step | nothing: it has no part in it |
//!
//! # What others may write
//!
//! Whoever has the slot can put in anything. A letter is decoded with bounds, and what is none of ours is counted and told
//! (`multiprocess::logs`). Call sites live for ever, so there is a limit to them ([`sites`]): beyond it events come out of one place for
//! each level, with their target as a field, and filters still see the true one. The name and number in a letter are what its
//! writer says they are.

mod collector;
mod forwarder;
mod letter;
mod sites;
mod spans;

use crate::registry::lock;
use crate::runtime::{self, Runtime};
use collector::Collector;
use forwarder::{FORWARDER, Forwarder};
use multiprocess_sys::handle::{BorrowedHandle, OwnedHandle};
use std::panic::Location;
use std::sync::{Arc, Mutex};
use tracing::level_filters::LevelFilter;
use tracing::{Level, dispatcher};

/// Where the events of a process's children arrive, if any do.
#[derive(Debug, Default)]
pub(crate) struct Place(Mutex<Option<Arc<Collector>>>);

impl Place {
    /// The collector, which is made if there is none; `None` if it cannot be.
    fn collector(&self) -> Option<Arc<Collector>> {
        let mut place = lock(&self.0);
        if place.as_ref().is_none_or(|collector| collector.is_over()) {
            *place = Collector::start().ok().map(Arc::new);
        }
        place.clone()
    }

    /// Waits until everything that was put in before now has come out.
    pub(crate) fn flush(&self) {
        let collector = lock(&self.0).clone();
        collector.into_iter().for_each(|collector| collector.flush());
    }
}

/// What a start gives to its child.
pub(crate) enum Offer {
    /// The slot that this process has itself.
    PassedOn(&'static Forwarder),
    /// That of this process's own letterbox, and the level.
    Own(Arc<Collector>, LevelFilter),
}

impl Offer {
    /// The slot and the number of the level; `None` if the program has closed the descriptor.
    pub(crate) fn slot(&self) -> Option<(BorrowedHandle<'_>, u8)> {
        match self {
            Offer::PassedOn(forwarder) => forwarder.slot().handle().map(|slot| (slot, number(forwarder.level()))),
            Offer::Own(collector, level) => collector.slot().handle().map(|slot| (slot, number(*level))),
        }
    }
}

/// What a child of this process is to be given, if this process has a subscriber.
pub(crate) fn offer(runtime: &'static Runtime) -> Option<Offer> {
    if !dispatcher::has_been_set() {
        return None;
    }
    if let Some(forwarder) = FORWARDER.get() {
        return forwarder.is_heard().then_some(Offer::PassedOn(forwarder));
    }
    let level = LevelFilter::current();
    if level == LevelFilter::OFF {
        return None;
    }
    runtime.logs().collector().map(|collector| Offer::Own(collector, level))
}

/// In a child: makes its events go into the slot, unless somebody has set a subscriber before.
pub(crate) fn install(slot: OwnedHandle, level: u8) {
    forwarder::install(slot, filter(level));
}

/// In a child whose function has ended: says how many events were lost.
pub(crate) fn end() {
    FORWARDER.get().into_iter().for_each(|forwarder| forwarder.tell_lost());
}

/// In a child: a panic as an event.
pub(crate) fn report_panic(place: Option<&Location<'_>>, message: &str) {
    FORWARDER.get().into_iter().for_each(|forwarder| forwarder.panicked(place, message));
}

/// Waits until the events that children of this process have made before now have come out of its subscriber; it waits no longer
/// for a subscriber that takes no event for two seconds.
///
/// [`join`](crate::Child::join) and [`wait`](crate::Child::wait) do that by themselves. This is for what a child that runs on has said, as
/// a worker of a pool whose result is here. With the feature `tracing`.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{flush_logs, spawn};
///
/// let child = spawn(|| tracing::info!("hello"), ())?;
/// while child.is_alive() {
///     std::thread::yield_now();
/// }
/// flush_logs();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn flush_logs() {
    runtime::existing().into_iter().for_each(|runtime| runtime.logs().flush());
}

/// Reads letters as the thread does, for the fuzzer alone.
#[cfg(fuzzing)]
#[derive(Debug, Default)]
pub(crate) struct Reader(sites::Sites);

#[cfg(fuzzing)]
impl Reader {
    /// What can be read can be sent, and comes out of the subscriber.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        let Ok(letter) = letter::Letter::decode(bytes) else { return };
        let [mut again, mut same] = [const { Vec::new() }; 2];
        letter.encode(&mut again).expect("what was read can be sent");
        letter::Letter::decode(&again).expect("what was sent can be read").encode(&mut same).expect("it can be sent");
        assert_eq!(again, same);
        self.0.emit(&letter);
    }
}

/// A good letter with every kind of value.
#[cfg(fuzzing)]
pub(crate) fn good_letter() -> Vec<u8> {
    use letter::{Event, Letter, Scalar, Values};
    let scalars = [
        Scalar::Shown("text".to_owned()),
        Scalar::Bool(true),
        Scalar::Signed(-1),
        Scalar::Unsigned(1),
        Scalar::Float(0.5),
        Scalar::Text("text".to_owned()),
    ];
    let names = ["message", "a", "b", "c", "process.pid", "e"];
    let fields = names.into_iter().map(Into::into).zip(scalars).collect();
    let event = Event {
        level: 3,
        name: "event".into(),
        target: "target".into(),
        module: Some("module".into()),
        file: Some("file.rs".into()),
        line: Some(7),
        spans: "outer{a=1}:inner".into(),
        values: Values { fields, is_cut: true },
    };
    let mut bytes = Vec::new();
    let letter = Letter { process: "worker".into(), pid: 7, lost: 2, event: Some(event) };
    letter.encode(&mut bytes).expect("a letter can be sent");
    bytes
}

const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

/// 0 = nothing, 5 = everything.
fn number(filter: LevelFilter) -> u8 {
    filter.into_level().map_or(0, level_number)
}

fn level_number(level: Level) -> u8 {
    LEVELS.iter().position(|known| *known == level).map_or(0, |at| at as u8 + 1)
}

/// The level of that number; `None` if none has it.
fn level(number: u8) -> Option<Level> {
    LEVELS.get(usize::from(number).checked_sub(1)?).copied()
}

fn filter(number: u8) -> LevelFilter {
    level(number).map_or(LevelFilter::OFF, LevelFilter::from_level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_back_from_their_numbers() {
        for (at, known) in LEVELS.into_iter().enumerate() {
            assert_eq!(usize::from(level_number(known)), at + 1);
            assert_eq!(level(level_number(known)), Some(known));
        }
        assert_eq!((level(0), level(6), level(255)), (None, None, None));
        assert_eq!(number(LevelFilter::OFF), 0);
        assert_eq!(filter(9), LevelFilter::OFF);
    }
}
