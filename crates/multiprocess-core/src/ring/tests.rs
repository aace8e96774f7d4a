//! Each rule of the ring on its own, with a world in which processes die on command.

extern crate std;

mod blocks;
mod deaths;
mod garbage;
mod order;
mod several;

use super::send::Held;
use super::*;
use crate::owner::Owner;
use crate::staged::{ME, OTHER, Staged, Steps, none, process};
use crate::wait::{Step, Wait};
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use std::vec;
use std::vec::Vec;

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

/// Sends without patience, and first at once, as a channel does.
fn send(ring: Ring<'_>, bytes: &[u8], world: &Staged) -> Result<(), Refused> {
    let mut room = [0; SHORT];
    if let Some(start) = room.get_mut(..bytes.len()) {
        start.copy_from_slice(bytes);
        if ring.send_now(&room, bytes.len(), world) {
            return Ok(());
        }
    }
    ring.send(&[], bytes, world, &mut none(), |_, _| true)
}

/// Receives without patience, and first at once, as a channel does.
fn receive(ring: Ring<'_>, world: &Staged) -> Option<Vec<u8>> {
    ring.receive_now(world, || 3, whole).or_else(|whole| ring.receive(world, &mut none(), whole).ok_or(whole)).ok()
}

/// Holds the blocks for a message of so many bytes.
fn blocks_for<'r>(
    ring: &'r Ring<'r>,
    length: u64,
    world: &'r Staged,
    wait: &mut impl Wait,
) -> Result<Held<'r, Staged>, Refused> {
    let mut held = Held::none(ring, world, length);
    ring.hold(&mut held, length, wait, &mut |_, _| true).map(|()| held)
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
