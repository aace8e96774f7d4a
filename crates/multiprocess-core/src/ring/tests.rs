//! Each rule of the ring on its own, with a world in which processes die on command.

extern crate std;

mod blocks;
mod deaths;
mod garbage;
mod order;

use super::*;
use crate::owner::Owner;
use crate::wait::{Step, Wait};
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use std::vec;
use std::vec::Vec;

const ME: Owner = Owner::new(0, 1);
const OTHER: Owner = Owner::new(1, 1);

/// The memory of a ring, of which only what is touched is there.
struct Heap {
    bytes: Vec<u8>,
    plan: Plan,
}

fn heap(capacity: u64) -> Heap {
    let plan = Plan::new(capacity).unwrap();
    Heap { bytes: vec![0; plan.length() as usize + 128], plan }
}

impl Heap {
    fn base(&self) -> NonNull<u8> {
        let start = self.bytes.as_ptr().cast_mut();
        NonNull::new(start.wrapping_add(start.align_offset(128))).unwrap()
    }

    fn ring(&self) -> Ring<'_> {
        // SAFETY: the vector is that long, stays where it is, and is not looked at while a ring is there.
        unsafe { Ring::at(self.base(), self.plan) }
    }
}

/// A process among others, and its count of wake-ups.
struct Fake {
    me: Owner,
    dead: Cell<Option<Owner>>,
    woken: RefCell<Vec<(usize, u32)>>,
    sleepers: Cell<u32>,
}

fn process(me: Owner) -> Fake {
    Fake { me, dead: Cell::new(None), woken: RefCell::default(), sleepers: Cell::new(0) }
}

impl Environment for Fake {
    fn me(&self) -> Owner {
        self.me
    }
    fn is_alive(&self, owner: Owner) -> bool {
        self.dead.get() != Some(owner)
    }
    fn wake(&self, word: &AtomicU64, count: u32) -> u32 {
        self.woken.borrow_mut().push((core::ptr::from_ref(word) as usize, count));
        count.min(self.sleepers.replace(self.sleepers.get().saturating_sub(count)))
    }
    fn pid_of(&self, _: Owner) -> u32 {
        0
    }
}

/// Probes, then sleeps as often as told, each time doing something, then loses patience.
struct Steps<F> {
    probed: bool,
    sleeps: u32,
    during: F,
}

impl<F: FnMut()> Wait for Steps<F> {
    fn step(&mut self) -> Step {
        if !core::mem::replace(&mut self.probed, true) {
            return Step::Probe;
        }
        if self.sleeps > 0 { Step::Sleep } else { Step::TimedOut }
    }
    fn sleep(&mut self, _: &AtomicU64, _: u64) {
        self.sleeps -= 1;
        (self.during)();
    }
}

fn none() -> Steps<fn()> {
    Steps { probed: false, sleeps: 0, during: || () }
}

/// Sends without patience.
fn send(ring: Ring<'_>, bytes: &[u8], world: &Fake) -> Result<(), Refused> {
    ring.send(&[bytes], world, &mut none(), |_, _| true)
}

/// Receives without patience.
fn receive(ring: Ring<'_>, world: &Fake) -> Option<Vec<u8>> {
    ring.receive(world, &mut none(), whole)
}

fn whole(message: &Incoming<'_>) -> Vec<u8> {
    let mut bytes = vec![0; message.len()];
    message.copy_to(0, &mut bytes);
    bytes
}

/// A message of so many bytes that differs from others.
fn message(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 7 + at + seed) as u8).collect()
}
