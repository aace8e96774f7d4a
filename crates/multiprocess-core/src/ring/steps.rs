//! The first steps of a call, for models in which its process is killed right after them.

use super::send::{Content, Held};
use super::{Ring, SHORT, plan};
use crate::wait::{Environment, Wait};

/// How far a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// A sender holds blocks and has filled them.
    Filled,
    /// A sender has claimed a cell and written to it; its blocks are queued.
    Written,
    /// A receiver has taken the message, and holds nothing but the cell.
    Taken,
    /// A receiver holds the blocks too.
    TakenOver,
}

impl Ring<'_> {
    /// A call of `send` that ends early.
    pub fn send_until(&self, until: Until, bytes: &[u8], world: &impl Environment, wait: &mut impl Wait) {
        let length = bytes.len() as u64;
        if length <= plan::INLINE {
            let at = self.claim(world.me()).expect("there is room");
            let mut room = [0; SHORT];
            room[..bytes.len()].copy_from_slice(bytes);
            return self.write(at, Content::Short(&room, bytes.len()));
        }
        // Others may have the blocks: then it does not come so far.
        let mut held = Held::none(self, world, length);
        if self.hold(&mut held, length, wait, &mut |_, _| true).is_err() {
            return;
        }
        self.fill(held.chain, &[], bytes);
        if until == Until::Written {
            let at = self.claim(world.me()).expect("there is room");
            self.write(at, Content::Long(held.chain, length));
        }
        core::mem::forget(held);
    }

    /// What who is in want of blocks does.
    pub fn reap_blocks(&self, world: &impl Environment) {
        self.reap(world);
    }

    /// What a sender of so many bytes does first; it writes to the blocks.
    pub fn hold_blocks(&self, length: u64, world: &impl Environment, wait: &mut impl Wait) {
        let mut held = Held::none(self, world, length);
        if self.hold(&mut held, length, wait, &mut |_, _| true).is_ok() {
            self.fill(held.chain, &[], &[9; 16][..length as usize]);
        }
    }

    /// A call of `receive` that ends early.
    pub fn receive_until(&self, until: Until, world: &impl Environment) {
        let at = self.take(world.me()).expect("there is a message");
        let offset = self.plan.cell(at.index());
        let length = self.memory.load(offset + 8);
        if until == Until::TakenOver && length > plan::INLINE {
            self.take_over(length, self.memory.load(offset + 16), at, world.me());
        }
    }
}
