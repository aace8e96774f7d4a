//! Four senders and four receivers of one channel, one of which is killed every 20 ms: what was acknowledged arrives once.
//!
//! Each place of a sender numbers its messages; a sender that is born in it goes on behind what the one before it has tried. It writes
//! down what it tries before it sends, and that a message is acknowledged when the call has returned. Receivers write down what
//! they got. So at the end: no message was received twice, none that nobody tried, and of those that were acknowledged no more are
//! missing than killed receivers had asked for with their last call. Both sides go from calls for one message to calls for several and
//! back.

use crate::random::Random;
use multiprocess::channel::{Receiver, Sender, bounded};
use multiprocess::{Child, Process, SharedMemory};
use multiprocess_tests::pause;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

/// How many places there are for senders, and for receivers.
const PLACES: usize = 4;
/// How long nobody is killed.
const PAUSE: Duration = Duration::from_millis(20);
/// How many messages the channel holds.
const CAPACITY: usize = 64;
/// The same while senders alone are killed: what they leave is laps ahead of what others know.
const SMALL: usize = 3;
/// How many messages a call for several has at the most.
const SEVERAL: usize = 8;
/// One call in so many is for several.
const TURNS: u64 = 4;
/// More messages than one place sends in a second: it ends when it has used up its numbers.
const A_SECOND: u64 = 1 << 21;
/// After which time without a message the channel is taken for stuck.
const STUCK: Duration = Duration::from_secs(10);

/// The first words of the ledger, each on a line of its own: what each place has tried; how many were received, and behind that for how
/// many the receiver has asked with its last call.
const TRIED: usize = 0;
const RECEIVED: usize = 16 * PLACES;
const ASKED: usize = RECEIVED + 1;
/// Behind them a bit for each message that was acknowledged, and then a bit for each that was received.
const BITS: usize = 32 * PLACES;

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many processes were killed, receivers among them.
    pub kills: u64,
    /// How many receivers were.
    pub receivers: u64,
    /// How many messages were acknowledged.
    pub acknowledged: u64,
    /// How many of those nobody has got: they were in the hands of killed receivers.
    pub missing: u64,
    /// How many that may be.
    pub asked: u64,
    /// What must not be.
    pub violations: Vec<String>,
}

/// Place and number, and now and then so many bytes that they lie elsewhere.
type Item = (usize, u64, Vec<u8>);

/// What all processes write down.
#[derive(Clone, Serialize, Deserialize)]
struct Ledger {
    memory: SharedMemory,
    /// The most messages of a place.
    most: u64,
}

impl Ledger {
    fn new(seconds: u64) -> Ledger {
        let most = (seconds + 1) * A_SECOND;
        let words = BITS + 2 * PLACES * (most / 64) as usize;
        Ledger { memory: SharedMemory::new(8 * words).expect("there is memory for the ledger"), most }
    }

    fn words(&self) -> &[AtomicU64] {
        self.memory.as_atomics()
    }

    fn tried(&self, place: usize) -> &AtomicU64 {
        &self.words()[TRIED + 16 * place]
    }

    fn received(&self) -> u64 {
        (0..PLACES).map(|receiver| self.words()[RECEIVED + 16 * receiver].load(Relaxed)).sum()
    }

    /// For how many messages a receiver has asked.
    fn asked(&self, receiver: usize) -> &AtomicU64 {
        &self.words()[ASKED + 16 * receiver]
    }

    /// The bits of what was acknowledged (0) or received (1) from a place.
    fn bits(&self, which: usize, place: usize) -> &[AtomicU64] {
        let length = (self.most / 64) as usize;
        &self.words()[BITS + (which * PLACES + place) * length..][..length]
    }

    /// Sets a bit; whether it was set before.
    fn mark(&self, which: usize, place: usize, number: u64) -> bool {
        let bit = 1 << (number % 64);
        self.bits(which, place)[(number / 64) as usize].fetch_or(bit, SeqCst) & bit != 0
    }
}

fn filling(number: u64) -> usize {
    match number % 64 {
        0 => 20_000,
        1..=8 => 700,
        _ => 0,
    }
}

fn send(to: Sender<Item>, ledger: Ledger, place: usize) {
    let item = |number: u64| (place, number, vec![number as u8; filling(number)]);
    let mut next = ledger.tried(place).load(SeqCst);
    for turn in 0u64.. {
        let several = turn.is_multiple_of(TURNS);
        let numbers = next..next + if several { 1 + turn / TURNS % SEVERAL as u64 } else { 1 };
        next = numbers.end;
        if next > ledger.most {
            return;
        }
        ledger.tried(place).store(next, SeqCst);
        let sent = match several {
            true => to.send_many(&numbers.clone().map(item).collect::<Vec<_>>()).is_ok(),
            false => to.send(item(numbers.start)).is_ok(),
        };
        if !sent {
            return;
        }
        numbers.for_each(|number| _ = ledger.mark(0, place, number));
    }
}

/// Returns what was wrong.
fn receive(from: Receiver<Item>, ledger: Ledger, receiver: usize) -> Vec<String> {
    let (mut wrong, mut last, mut items) = (Vec::new(), [None; PLACES], Vec::new());
    for turn in 0u64.. {
        let limit = if turn.is_multiple_of(TURNS) { SEVERAL } else { 1 };
        ledger.asked(receiver).store(limit as u64, SeqCst);
        let received = match limit {
            1 => from.recv().map(|item| items.push(item)),
            _ => from.recv_many(&mut items, limit).map(|_| ()),
        };
        for item in items.drain(..) {
            examine(item, &ledger, &mut last, &mut wrong);
            ledger.words()[RECEIVED + 16 * receiver].fetch_add(1, Relaxed);
        }
        match received {
            Ok(()) => {}
            Err(error) if error.is_disconnected() => break,
            Err(error) => wrong.push(error.to_string()),
        }
        if wrong.len() > 8 {
            break;
        }
    }
    wrong
}

/// Notes that a message came, and what is wrong with it.
fn examine((place, number, bytes): Item, ledger: &Ledger, last: &mut [Option<u64>; PLACES], wrong: &mut Vec<String>) {
    if ledger.mark(1, place, number) {
        wrong.push(format!("message {number} of place {place} came twice"));
    }
    if number >= ledger.tried(place).load(SeqCst) {
        wrong.push(format!("message {number} of place {place} came, which nobody has sent"));
    }
    if bytes.len() != filling(number) || bytes.iter().any(|byte| *byte != number as u8) {
        wrong.push(format!("message {number} of place {place} is torn"));
    }
    if last[place].replace(number).is_some_and(|before| before >= number) {
        wrong.push(format!("message {number} of place {place} came behind a later one"));
    }
}

/// Runs for so long with the kills that `seed` fixes: for a quarter of the time senders alone are killed, and nothing may be missing.
pub fn run(seconds: u64, seed: u64) -> Outcome {
    let (mut random, mut outcome) = (Random::new(seed), Outcome::default());
    let first = (seconds / 4).max(1);
    Run::new(first, SMALL).go_on(first, false, &mut random, &mut outcome);
    let second = seconds.saturating_sub(first).max(1);
    Run::new(second, CAPACITY).go_on(second, true, &mut random, &mut outcome);
    outcome
}

/// Four senders and four receivers of one channel.
struct Run {
    to: Sender<Item>,
    from: Receiver<Item>,
    ledger: Ledger,
    senders: Vec<Child<()>>,
    receivers: Vec<Child<Vec<String>>>,
    /// For how many messages killed receivers had asked.
    asked: u64,
}

impl Run {
    fn new(seconds: u64, capacity: usize) -> Run {
        let (to, from) = bounded(capacity).expect("a channel can be made");
        let (senders, receivers) = (vec![], vec![]);
        let mut run = Run { to, from, ledger: Ledger::new(seconds), senders, receivers, asked: 0 };
        run.senders = (0..PLACES).map(|place| run.sender(place)).collect();
        run.receivers = (0..PLACES).map(|place| run.receiver(place)).collect();
        run
    }

    fn sender(&self, place: usize) -> Child<()> {
        let process = Process::new(send, (self.to.clone(), self.ledger.clone(), place)).daemon(true);
        process.start().expect("a sender can be started")
    }

    fn receiver(&self, place: usize) -> Child<Vec<String>> {
        let process = Process::new(receive, (self.from.clone(), self.ledger.clone(), place)).daemon(true);
        process.start().expect("a receiver can be started")
    }

    fn go_on(mut self, seconds: u64, kills_receivers: bool, random: &mut Random, outcome: &mut Outcome) {
        let end = Instant::now() + Duration::from_secs(seconds);
        let (mut before, mut since) = (0, Instant::now());
        while Instant::now() < end && outcome.violations.is_empty() {
            pause::holds_within(PAUSE, || false);
            self.kill_one(kills_receivers, random, outcome);
            let received = self.ledger.received();
            if received != before {
                (before, since) = (received, Instant::now());
            } else if since.elapsed() > STUCK {
                outcome.violations.push(format!("no message passes any more, after {received}"));
            }
        }
        self.finish(outcome);
    }

    /// Kills one process, and puts another one into its place.
    fn kill_one(&mut self, kills_receivers: bool, random: &mut Random, outcome: &mut Outcome) {
        let place = random.below(PLACES as u64) as usize;
        if random.below(2) == 0 || !kills_receivers {
            end_now(&self.senders[place], outcome);
            self.senders[place] = self.sender(place);
        } else {
            end_now(&self.receivers[place], outcome);
            self.asked += self.ledger.asked(place).swap(0, SeqCst);
            self.receivers[place] = self.receiver(place);
            outcome.receivers += 1;
        }
        outcome.kills += 1;
    }

    /// Senders first: then receivers drain the channel, and end when the last sender is gone.
    fn finish(self, outcome: &mut Outcome) {
        let Run { to, ledger, senders, receivers, asked, .. } = self;
        senders.iter().for_each(|child| end_now(child, outcome));
        outcome.kills += PLACES as u64;
        drop((senders, to));
        for child in receivers {
            match child.wait_timeout(STUCK) {
                Ok(Some(_)) => outcome.violations.extend(child.join().unwrap_or_else(|error| vec![error.to_string()])),
                other => {
                    outcome.violations.push(format!("a receiver does not hear of the end: {other:?}"));
                    let _ = child.kill();
                }
            }
        }
        judge(&ledger, asked, outcome);
    }
}

fn end_now<R>(child: &Child<R>, outcome: &mut Outcome) {
    child.kill().expect("a child can be killed");
    if !matches!(child.wait_timeout(STUCK), Ok(Some(_))) {
        outcome.violations.push("a killed child does not end".to_owned());
    }
}

/// Compares what was acknowledged with what was received; killed receivers had asked for so many messages.
fn judge(ledger: &Ledger, asked: u64, outcome: &mut Outcome) {
    let mut missing = 0;
    for place in 0..PLACES {
        for (acknowledged, received) in ledger.bits(0, place).iter().zip(ledger.bits(1, place)) {
            let acknowledged = acknowledged.load(SeqCst);
            outcome.acknowledged += u64::from(acknowledged.count_ones());
            missing += u64::from((acknowledged & !received.load(SeqCst)).count_ones());
        }
    }
    (outcome.missing, outcome.asked) = (outcome.missing + missing, outcome.asked + asked);
    if missing > asked {
        let text = format!("{missing} acknowledged messages are missing, and killed receivers had asked for {asked}");
        outcome.violations.push(text);
    }
}
