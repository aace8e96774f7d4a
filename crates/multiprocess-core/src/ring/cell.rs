//! What the word of a cell says, seen from a position.

use super::position::Position;
use crate::owner::{Owner, Word};

/// Bit 16 of a word without an owner: there is a message.
const FULL: u64 = 1 << 16;
/// The tag of an owner's word: what it does in bits 0 and 1, and the lowest bits of the lap above them.
const WRITES: u16 = 2;
const READS: u16 = 3;
const KIND: u16 = 3;
const KIND_BITS: u32 = 2;
/// How many bits of the lap an owner's word has.
const LAP_BITS: u32 = 14;
/// Where the lap begins in a word without an owner.
const LAP_SHIFT: u32 = 24;

/// The state of a cell, seen from a position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The message before is gone, this one has not begun.
    Free,
    /// A sender writes this message.
    Writing,
    /// The message is there.
    Full,
    /// A receiver reads this message.
    Reading,
    /// This message is gone.
    Past,
    /// The message before is still there (or the word is damaged).
    Before,
}

/// The word of a cell that awaits the message at `at`.
#[inline]
pub(super) const fn free(at: Position) -> u64 {
    at.lap_bits()
}

/// The word of a cell with the message at `at`.
#[inline]
pub(super) const fn full(at: Position) -> u64 {
    at.lap_bits() | FULL
}

/// The word of a cell into which `owner` writes the message at `at`.
#[inline]
pub(super) const fn writing(at: Position, owner: Owner) -> u64 {
    Word::held_by(owner).with_tag(WRITES | (at.lap() as u16) << KIND_BITS).0
}

/// The word of a cell from which `owner` reads the message at `at`.
#[inline]
pub(super) const fn reading(at: Position, owner: Owner) -> u64 {
    Word::held_by(owner).with_tag(READS | (at.lap() as u16) << KIND_BITS).0
}

/// What `word` says to who looks from `at`.
#[inline]
pub(super) const fn seen(word: u64, at: Position) -> Seen {
    if word == free(at) {
        return Seen::Free;
    }
    if word == full(at) {
        return Seen::Full;
    }
    let held = Word(word);
    if held.owner().is_nobody() {
        let ahead = word.wrapping_sub(at.lap_bits()) as i64;
        // A lap that is as awaited, in a word that is neither of the two, is damage.
        return if ahead > 0 && word & !0xff_ffff != at.lap_bits() { Seen::Past } else { Seen::Before };
    }
    let ahead = laps_ahead(held, at);
    match held.tag() & KIND {
        WRITES if ahead == 0 => Seen::Writing,
        READS if ahead == 0 => Seen::Reading,
        WRITES | READS if ahead > 0 => Seen::Past,
        _ => Seen::Before,
    }
}

/// By how many laps the word of an owner is ahead of `at`, if they are not thousands apart.
#[inline]
const fn laps_ahead(held: Word, at: Position) -> i16 {
    let unused = 16 - LAP_BITS;
    ((held.tag() >> KIND_BITS).wrapping_sub(at.lap() as u16) << unused) as i16 >> unused
}

/// The position that the owner's word in the cell of `near` is about. `None`: it is about none.
pub(super) const fn held_at(word: u64, near: Position) -> Option<Position> {
    let held = Word(word);
    if held.owner().is_nobody() || held.tag() & WRITES == 0 {
        return None;
    }
    Some(near.laps_later(laps_ahead(held, near)))
}

/// Whether the word says that a message of this lap is in the cell, or on its way in or out. The lap's lowest `bits`
/// bits (of an owner's word still fewer) are compared: a message that is gone may seem to be there, but not the other
/// way round.
pub(super) const fn may_hold(word: u64, lap: u64, bits: u32) -> bool {
    let held = Word(word);
    if held.owner().is_nobody() {
        let differ = (word >> LAP_SHIFT) ^ lap;
        return word & FULL != 0 && differ & ((1 << bits) - 1) == 0;
    }
    let differ = held.tag() >> KIND_BITS ^ lap as u16;
    held.tag() & WRITES != 0 && differ & ((1 << LAP_BITS) - 1) == 0
}
