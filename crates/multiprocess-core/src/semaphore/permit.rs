//! One permit: what its word says, and how it changes.
//!
//! An owner and the lowest bit of the tag are the state; each change counts the rest of the tag up, so that two looks which
//! see the same word have seen no change in between.

use crate::owner::{Owner, Word};
use core::num::NonZeroU32;

/// A permit that a process holds: which one, and what its word said when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// The place of its word, counted from 1: so an `Option` takes no more room.
    place: NonZeroU32,
    word: Word,
}

impl Permit {
    pub(super) const fn new(index: usize, word: Word) -> Permit {
        Permit { place: NonZeroU32::MIN.saturating_add(index as u32), word }
    }

    /// The place of its word.
    pub const fn index(&self) -> usize {
        self.place.get() as usize - 1
    }

    /// Who took it.
    pub const fn owner(&self) -> Owner {
        self.word.owner()
    }

    pub(super) const fn word(&self) -> Word {
        self.word
    }
}

/// The lowest bit of the tag.
const BIT: u16 = 1;
/// One change, in the other bits of the tag.
const CHANGE: u16 = 2;

/// A free permit that has never been taken.
pub(super) const FREE: Word = Word::FREE.with_tag(BIT);

const fn bit(word: Word) -> bool {
    word.tag() & BIT != 0
}

pub(super) const fn is_absent(word: Word) -> bool {
    word.owner().is_nobody() && !bit(word)
}

pub(super) const fn is_free(word: Word) -> bool {
    word.owner().is_nobody() && bit(word)
}

pub(super) const fn is_held(word: Word) -> bool {
    !word.owner().is_nobody() && !bit(word)
}

pub(super) fn is_claimed_by(word: Word, owner: Owner) -> bool {
    word.owner() == owner && !owner.is_nobody() && bit(word)
}

const fn changed(word: Word, owner: Owner, bit: bool) -> Word {
    let tag = word.tag().wrapping_add(CHANGE) & !BIT | bit as u16;
    word.with_owner(owner).with_tag(tag)
}

/// A free permit, held by `owner`.
pub(super) const fn taken(word: Word, owner: Owner) -> Word {
    changed(word, owner, false)
}

/// A permit, free.
pub(super) const fn freed(word: Word) -> Word {
    changed(word, Owner::NOBODY, true)
}

/// A permit, absent.
pub(super) const fn forgotten(word: Word) -> Word {
    changed(word, Owner::NOBODY, false)
}

/// An absent permit, claimed by `owner`.
pub(super) const fn claimed(word: Word, owner: Owner) -> Word {
    changed(word, owner, true)
}

/// What a dead owner leaves: a free permit of one that it held, an absent one of what it had only claimed.
pub(super) const fn orphaned(word: Word) -> Word {
    changed(word, Owner::NOBODY, !bit(word))
}
