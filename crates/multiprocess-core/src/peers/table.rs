//! The words of all peers, by slot. Only the process in a slot writes its words.

use crate::atomics::{AtomicU64, Ordering::Relaxed, order};
use crate::owner::Owner;
use crate::wait::Environment;

/// Neighbours in the order of slots lie so many entries apart, because processes that come one after another get neighbouring
/// slots, and should not share a cache line. The table's length is a multiple of it.
pub const SPREAD: usize = 16;

const GENERATION: u32 = 32;
const COUNT: u64 = u32::MAX as u64;

/// What one process has. Zeros: nothing.
#[derive(Debug, Default)]
#[repr(C, align(32))]
pub struct Peer {
    words: [AtomicU64; 4],
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Handles that send.
    Senders = 0,
    /// Handles that receive.
    Receivers = 1,
    /// Messages that are being sent now.
    Sending = 2,
    /// Tasks that were taken out, or are being taken out, and are not done.
    Tasks = 3,
}

/// The words of all slots.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a>(&'a [Peer]);

impl<'a> Table<'a> {
    /// The table that lies in `peers`, one for each slot. What is left over of a multiple of [`SPREAD`] is not used.
    #[inline]
    pub fn new(peers: &'a [Peer]) -> Table<'a> {
        Table(&peers[..peers.len() - peers.len() % SPREAD])
    }

    /// How many slots there are.
    pub(super) fn slots(self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    #[inline]
    fn word(self, slot: u32, count: Count) -> Option<&'a AtomicU64> {
        let (slot, rows) = (slot as usize, self.0.len() / SPREAD);
        let peer = (slot < self.0.len()).then(|| &self.0[slot % SPREAD * rows + slot / SPREAD])?;
        Some(&peer.words[count as usize])
    }

    /// One more of it for `who`, whose slot is the caller's.
    #[inline]
    pub(crate) fn raise(self, who: Owner, count: Count) {
        self.change(who, count, |before| before.wrapping_add(1));
    }

    /// One less; how many are left. `None` if there was none.
    #[inline]
    pub(crate) fn lower(self, who: Owner, count: Count) -> Option<u32> {
        let before = self.change(who, count, |before| before.saturating_sub(1))?;
        before.checked_sub(1)
    }

    /// Changes the count of `who`, which is 0 while the word is another generation's; what it was before.
    #[inline]
    fn change(self, who: Owner, count: Count, to: impl Fn(u32) -> u32) -> Option<u32> {
        let word = self.word(who.slot()?, count)?;
        let mut seen = word.load(Relaxed);
        loop {
            let before = if (seen >> GENERATION) as u32 == who.generation() { seen as u32 } else { 0 };
            let after = u64::from(who.generation()) << GENERATION | u64::from(to(before));
            // Release: pairs with `peers.look`; who sees the new count sees what was done before, an arrival elsewhere or a message.
            match word.compare_exchange_weak(seen, after, order!("peers.change", Release), Relaxed) {
                Ok(_) => return Some(before),
                Err(now) => seen = now,
            }
        }
    }

    /// The count in a slot, whoever wrote it.
    pub(super) fn count(self, slot: u32, count: Count) -> u32 {
        self.word(slot, count).map_or(0, |word| word.load(Relaxed) as u32)
    }

    /// Whether `who` counts something.
    #[inline]
    pub(super) fn has(self, who: Owner, count: Count) -> bool {
        who.slot().and_then(|slot| self.holder(slot, count)) == Some(who)
    }

    /// Who counts something in that word, dead or alive.
    fn holder(self, slot: u32, count: Count) -> Option<Owner> {
        let seen = self.word(slot, count)?.load(order!("peers.look", Acquire));
        (seen & COUNT != 0).then(|| Owner::new(slot, (seen >> GENERATION) as u32))
    }

    /// A live process below `reach` that counts something, `likely` first.
    pub(super) fn find(self, count: Count, reach: u32, likely: Owner, world: &impl Environment) -> Option<Owner> {
        let is_there = |owner: &Owner| world.is_alive(*owner);
        let likely = Some(likely).filter(|likely| self.has(*likely, count));
        likely.filter(is_there).or_else(|| (0..reach).filter_map(|slot| self.holder(slot, count)).find(is_there))
    }
}
