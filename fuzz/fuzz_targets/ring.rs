//! A ring whose memory somebody else writes to at any time: every call returns, and nothing outside of the ring is touched.
//!
//! The first byte chooses the capacity. Then come steps: a word is set to a value, a message is sent or received, a process dies,
//! somebody probes. Words are also set while a call waits, and while a message is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use multiprocess_core::atomics::{AtomicU64, Ordering::Relaxed};
use multiprocess_core::ring::{Incoming, Plan, Ring, SHORT};
use multiprocess_core::{Environment, Owner, Step, Wait, Word};
use multiprocess_sys::handle::AsHandle;
use multiprocess_sys::map::{self, Map};
use std::cell::{Cell, RefCell};

/// What the fuzzer has not used yet.
struct Tape<'a>(RefCell<&'a [u8]>);

impl Tape<'_> {
    fn byte(&self) -> Option<u8> {
        let mut rest = self.0.borrow_mut();
        let (first, left) = rest.split_first()?;
        *rest = left;
        Some(*first)
    }

    fn word(&self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte().unwrap_or(0)))
    }
}

/// The memory, and who writes to it.
struct World<'a> {
    map: Map,
    plan: Plan,
    tape: Tape<'a>,
    dead: Cell<u8>,
}

const ME: Owner = Owner::new(0, 1);

impl World<'_> {
    fn ring(&self) -> Ring<'_> {
        // SAFETY: the mapping is that long, aligned to a page, and lives as long as the world; nothing but rings and atomics looks
        // at it, and all of it may be touched.
        unsafe { Ring::at(self.map.start(), self.plan) }
    }

    /// Sets a word, as the tape says: near the beginning more often than not.
    fn scribble(&self) {
        let Some(kind) = self.tape.byte() else { return };
        let (place, value) = (self.tape.word(), self.tape.word());
        let reach = if kind & 7 == 7 { self.plan.length() } else { self.plan.reserved() };
        let value = match kind >> 3 & 3 {
            0 => value,
            1 => value & 3,
            2 => 1 << 16 | (value & 3) << 24,
            _ => Word::held_by(Owner::new((value & 3) as u32, 1)).with_tag(value as u16 >> 4).0,
        };
        // SAFETY: the word lies within the mapping.
        let word = unsafe { self.map.start().byte_add((place % reach / 8 * 8) as usize) };
        // SAFETY: aligned, mapped as long as the world, and an atomic for everybody.
        unsafe { word.cast::<AtomicU64>().as_ref() }.store(value, Relaxed);
    }
}

impl Environment for World<'_> {
    fn me(&self) -> Owner {
        ME
    }

    fn is_alive(&self, owner: Owner) -> bool {
        owner.slot().is_some_and(|slot| slot < 8 && self.dead.get() & 1 << slot == 0)
    }

    fn wake(&self, _: &AtomicU64, _: u32) -> u32 {
        0
    }

    fn pid_of(&self, _: Owner) -> u32 {
        0
    }
}

/// A patience in which somebody writes.
struct Disturbed<'a>(&'a World<'a>, u8);

impl Wait for Disturbed<'_> {
    fn step(&mut self) -> Step {
        self.0.scribble();
        self.1 += 1;
        [Step::Retry, Step::Probe, Step::Sleep, Step::Probe, Step::TimedOut][usize::from(self.1.min(5)) - 1]
    }

    fn sleep(&mut self, _: &AtomicU64, _: u64) {
        self.0.scribble();
    }
}

fuzz_target!(|bytes: &[u8]| {
    let tape = Tape(RefCell::new(bytes));
    let Some(plan) = tape.byte().and_then(|capacity| Plan::new(u64::from(capacity))) else { return };
    let memory = map::anonymous(plan.length()).expect("there is memory");
    let map = Map::shared(memory.as_fd(), plan.length()).expect("it can be mapped");
    let world = World { map, plan, tape, dead: Cell::new(0) };
    while let Some(step) = world.tape.byte() {
        let ring = world.ring();
        match step % 10 {
            0 | 1 => world.scribble(),
            2 => {
                let length = [0, 8, 48, 49, 1200, 40_000, 300_000][usize::from(step / 10) % 7];
                let message = vec![step; length];
                let (head, tail) = message.split_at(length / 3);
                let _ = ring.send(head, tail, &world, &mut Disturbed(&world, 0), |offset, more| {
                    assert!(offset + more <= plan.length());
                    world.scribble();
                    step & 64 == 0
                });
            }
            3 => _ = ring.receive(&world, &mut Disturbed(&world, 0), |incoming| read(&world, incoming)),
            4 => _ = ring.send_now(&[step; SHORT], usize::from(step / 10), &world),
            5 => _ = ring.receive_now(&world, || 3, |incoming| read(&world, incoming)),
            6 => {
                let mut sending = ring.sending(&world, u64::from(step));
                for _ in 0..step / 10 {
                    sending.send_now(&[step; SHORT], usize::from(step / 10));
                    world.scribble();
                }
            }
            7 => {
                let mut receiving = ring.receiving(&world, u64::from(step));
                for _ in 0..step / 10 {
                    let _ = receiving.receive_now(|incoming| read(&world, incoming));
                    world.scribble();
                }
            }
            8 => world.dead.set(world.tape.byte().unwrap_or(0) & !1),
            _ => {
                ring.probe(&world);
                ring.pass_on(&world);
                ring.wake_all(&world);
                assert!(ring.len() <= plan.capacity());
                let _ = (ring.is_empty(), ring.is_full(), ring.announce_receiver(), ring.announce_sender());
            }
        }
    }
});

/// Reads a message in two pieces; somebody writes in between.
fn read(world: &World<'_>, incoming: &Incoming<'_>) {
    let length = incoming.len();
    let mut bytes = vec![0; length.min(1 << 19)];
    let middle = bytes.len() / 2;
    incoming.copy_to(0, &mut bytes[..middle]);
    world.scribble();
    incoming.copy_to(length - middle, &mut bytes[..middle]);
}
