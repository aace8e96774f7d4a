//! P4: one side wakes the other and waits to be woken, by each kind of object.

use std::error::Error;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Release, Ordering::SeqCst};
use std::time::Duration;

use multiprocess::{Condition, Event, Mutex, Semaphore, SharedMemory, spawn};
use rustix::thread::futex;
use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::partner::{Meeting, finish};
use crate::placement::Placement;
use crate::report::{Side, Unit, ratio};
use crate::rounds::{self, Contender, Medians};

pub(crate) const SPIN: &str = "spin floor";
const FUTEX: &str = "raw futex";

/// What the two sides play with.
#[derive(Clone, Serialize, Deserialize)]
enum Ball {
    Event(Event, Event),
    Semaphore(Semaphore, Semaphore),
    Condition(Mutex<u32>, Condition),
    Spin(SharedMemory),
    Futex(SharedMemory),
}

impl Ball {
    /// Plays `rounds` round trips; side 0 serves.
    fn play(&self, side: u32, rounds: u32) {
        match self {
            Ball::Event(a, b) => {
                let (ours, theirs) = if side == 0 { (a, b) } else { (b, a) };
                for _ in 0..rounds {
                    if side == 0 {
                        theirs.set();
                    }
                    ours.wait();
                    ours.clear();
                    if side == 1 {
                        theirs.set();
                    }
                }
            }
            Ball::Semaphore(a, b) => {
                let (ours, theirs) = if side == 0 { (a, b) } else { (b, a) };
                for _ in 0..rounds {
                    if side == 0 {
                        theirs.release(1).expect("below the bound");
                    }
                    ours.acquire().forget();
                    if side == 1 {
                        theirs.release(1).expect("below the bound");
                    }
                }
            }
            Ball::Condition(turn, condition) => {
                for _ in 0..rounds {
                    let mut guard = turn.lock().expect("nobody dies here");
                    guard = condition.wait_while(guard, |turn| *turn != side).expect("nobody dies here");
                    *guard = 1 - side;
                    condition.notify_one();
                }
            }
            Ball::Spin(memory) => {
                let word = &memory.as_atomics::<AtomicU64>()[0];
                for round in 0..u64::from(rounds) {
                    while word.load(Acquire) != 2 * round + u64::from(side) {
                        std::hint::spin_loop();
                    }
                    word.store(2 * round + u64::from(side) + 1, Release);
                }
            }
            Ball::Futex(memory) => play_futex(&memory.as_atomics::<AtomicU32>()[0], side, rounds),
        }
    }
}

/// No spinning and no thought: the system call each time.
fn play_futex(word: &AtomicU32, side: u32, rounds: u32) {
    for _ in 0..rounds {
        while word.load(SeqCst) != side {
            let _ = futex::wait(word, futex::Flags::empty(), 1 - side, None);
        }
        word.store(1 - side, SeqCst);
        let _ = futex::wake(word, futex::Flags::empty(), 1);
    }
}

fn rally(placement: Placement, ball: &Ball, rounds: u32) -> Duration {
    let meeting = Meeting::new(placement);
    let partner = |meeting: Meeting, ball: Ball, rounds: u32| meeting.partner(|| ball.play(1, rounds));
    let child = spawn(partner, (meeting.clone(), ball.clone(), rounds)).expect("a partner starts");
    let time = meeting.lead(|| ball.play(0, rounds));
    finish(child);
    time
}

/// The least that a round trip between two processes takes.
pub(crate) fn spin_floor(placement: Placement, rounds: u32) -> Contender {
    let memory = || SharedMemory::new(4096).expect("shared memory");
    Contender::each(SPIN, rounds, move || Some(rally(placement, &Ball::Spin(memory()), rounds)))
}

pub(crate) fn measure(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    let rounds: u32 = if options.quick { 5_000 } else { 20_000 };
    let contender = |name: &'static str, make: fn() -> Ball| {
        Contender::each(name, rounds, move || Some(rally(placement, &make(), rounds)))
    };
    let memory = || SharedMemory::new(4096).expect("shared memory");
    let mut contenders = vec![
        contender("Event", || Ball::Event(Event::new().expect("an event"), Event::new().expect("an event"))),
        contender("Semaphore", || {
            Ball::Semaphore(Semaphore::new(0).expect("a semaphore"), Semaphore::new(0).expect("a semaphore"))
        }),
        contender("Condition and lock", || {
            Ball::Condition(Mutex::new(0).expect("a mutex"), Condition::new().expect("a condition"))
        }),
        Contender::each(FUTEX, rounds, move || Some(rally(placement, &Ball::Futex(memory()), rounds))),
    ];
    // On one CPU a side that only spins burns its whole time slice.
    if placement == Placement::Split {
        contenders.push(spin_floor(placement, rounds));
    }
    let mut medians = vec![Medians::new(); contenders.len()];
    for _ in 0..if options.quick { 4 } else { 9 } {
        rounds::batch(&mut contenders, 3, &mut medians);
    }
    let floors = [1.3, 2.5, 8.0];
    for (ours, floor) in floors.into_iter().enumerate() {
        for (theirs, contender) in contenders.iter().enumerate().skip(3) {
            let target = match placement {
                Placement::Split if contender.name == SPIN => Some(floor),
                Placement::Same if contender.name == FUTEX => Some(1.3),
                _ => None,
            };
            let ours = Side(contenders[ours].name, &medians[ours]);
            ratio("P4", placement, ours, Side(contender.name, &medians[theirs]), Unit::Nanoseconds, target);
        }
    }
    Ok(())
}
