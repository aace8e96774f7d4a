//! P2 and P3: a lock that nobody else wants, and one that two processes want all the time.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use multiprocess::{Mutex, spawn};
use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::partner::{Meeting, finish};
use crate::peers::{Attached, PeerKind, PeerLock};
use crate::placement::Placement;
use crate::report::{Side, Unit, ratio};
use crate::rounds::{self, Contender, Medians};

const OURS: &str = "Mutex";
const STD: &str = "std::sync::Mutex";
const PARKING_LOT: &str = "parking_lot";
const PTHREAD: &str = "pthread, process-shared";
const ROBUST: &str = "pthread, robust";
const RAW_SYNC: &str = "raw_sync";

const PEERS: [(&str, PeerKind); 3] =
    [(PTHREAD, PeerKind::Pthread), (ROBUST, PeerKind::PthreadRobust), (RAW_SYNC, PeerKind::RawSync)];

/// How many pairs of lock and unlock a sample of P2 has.
const PAIRS: u32 = 20_000;

fn timed(name: &'static str, mut pair: impl FnMut() + 'static) -> Contender {
    Contender::each(name, PAIRS, move || {
        let start = Instant::now();
        (0..PAIRS).for_each(|_| pair());
        Some(start.elapsed())
    })
}

pub(crate) fn uncontended(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    let ours = Mutex::new(0u64)?;
    let std = std::sync::Mutex::new(0u64);
    let parking_lot = parking_lot::Mutex::new(0u64);
    let mut contenders = vec![
        timed(OURS, move || *black_box(&ours).lock().expect("nobody dies here") += 1),
        timed(STD, move || *black_box(&std).lock().expect("nobody panics here") += 1),
        timed(PARKING_LOT, move || *black_box(&parking_lot).lock() += 1),
    ];
    for (name, kind) in PEERS {
        let lock = PeerLock::new(kind).attach();
        contenders.push(timed(name, move || black_box(&lock).increment()));
    }
    let mut medians = vec![Medians::new(); contenders.len()];
    for _ in 0..if options.quick { 5 } else { 15 } {
        rounds::batch(&mut contenders, 11, &mut medians);
    }
    print("P2", placement, &contenders, &medians, |name| (name == STD).then_some(1.0), Unit::Nanoseconds);
    Ok(())
}

/// What both processes add to.
#[derive(Clone, Serialize, Deserialize)]
enum Counter {
    Ours(Mutex<u64>),
    Peer(PeerLock),
}

impl Counter {
    fn add(&self, times: u32) {
        match self {
            Counter::Ours(counter) => {
                (0..times).for_each(|_| *counter.lock().expect("nobody dies here") += 1);
            }
            Counter::Peer(lock) => {
                let lock: Attached = lock.attach();
                (0..times).for_each(|_| lock.increment());
            }
        }
    }
}

fn between_processes(placement: Placement, counter: &Counter, times: u32) -> Duration {
    let meeting = Meeting::new(placement);
    let partner = |meeting: Meeting, counter: Counter, times: u32| meeting.partner(|| counter.add(times));
    let child = spawn(partner, (meeting.clone(), counter.clone(), times)).expect("a partner starts");
    let time = meeting.lead(|| counter.add(times));
    finish(child);
    time
}

fn between_threads(placement: Placement, times: u32, add: Arc<dyn Fn(u32) + Send + Sync>) -> Duration {
    let meeting = Meeting::new(placement);
    let partner = {
        let (meeting, add) = (meeting.clone(), Arc::clone(&add));
        std::thread::spawn(move || meeting.partner(|| add(times)))
    };
    let time = meeting.lead(|| add(times));
    partner.join().expect("a partner ends");
    time
}

pub(crate) fn contended(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    let times: u32 = if options.quick { 200_000 } else { 1_000_000 };
    let both = 2 * times;
    let std = Arc::new(std::sync::Mutex::new(0u64));
    let parking_lot = Arc::new(parking_lot::Mutex::new(0u64));
    let mut contenders = vec![
        Contender::each(OURS, both, {
            let counter = Counter::Ours(Mutex::new(0)?);
            move || Some(between_processes(placement, &counter, times))
        }),
        Contender::each(PARKING_LOT, both, move || {
            let lock = Arc::clone(&parking_lot);
            let add = Arc::new(move |times| (0..times).for_each(|_| *lock.lock() += 1));
            Some(between_threads(placement, times, add))
        }),
        Contender::each(STD, both, move || {
            let lock = Arc::clone(&std);
            let add = Arc::new(move |times| (0..times).for_each(|_| *lock.lock().expect("nobody panics here") += 1));
            Some(between_threads(placement, times, add))
        }),
    ];
    for (name, kind) in PEERS {
        let counter = Counter::Peer(PeerLock::new(kind));
        contenders.push(Contender::each(name, both, move || Some(between_processes(placement, &counter, times))));
    }
    let mut medians = vec![Medians::new(); contenders.len()];
    for _ in 0..if options.quick { 4 } else { 9 } {
        rounds::batch(&mut contenders, 3, &mut medians);
    }
    let target = |name: &str| (name == PARKING_LOT && placement == Placement::Split).then_some(1.0);
    print("P3", placement, &contenders, &medians, target, Unit::Nanoseconds);
    Ok(())
}

/// One line for each contender that is not ours.
fn print(
    number: &str,
    placement: Placement,
    contenders: &[Contender],
    medians: &[Medians],
    target: impl Fn(&str) -> Option<f64>,
    unit: Unit,
) {
    for (contender, theirs) in contenders.iter().zip(medians).skip(1) {
        let ours = Side(contenders[0].name, &medians[0]);
        ratio(number, placement, ours, Side(contender.name, theirs), unit, target(contender.name));
    }
}
