//! Who holds something: the slot of a process and the generation of that slot, in the same word as what is held.
//!
//! A word that can be held is 64 bits wide, so that one compare-exchange moves the thing and its holder together:
//!
//! | Bits | Meaning |
//! | --- | --- |
//! | 0 to 13 | the holder's slot, counted from 1; 0 = nobody |
//! | 14 | somebody sleeps on this word |
//! | 15 | the last holder died; only `recover` takes it away |
//! | 16 to 31 | a tag, whose meaning each protocol tells |
//! | 32 to 63 | the generation of the holder's slot |
//!
//! Sleepers compare the lower half alone. A generation that is not the slot's present one belongs to a dead process. It is in
//! the word because a survivor looks at the holder's slot first and exchanges the word afterwards: in between, a newcomer may
//! take the slot of the dead one and hold the same thing, and without the generation the exchange would take it away from the
//! living. Four thousand million processes must use one slot before a generation comes again.

/// A process in one segment: a slot in its table, and which user of that slot it is.
///
/// # Examples
///
/// ```
/// use multiprocess_core::Owner;
///
/// let owner = Owner::new(7, 3);
/// assert_eq!((owner.slot(), owner.generation()), (Some(7), 3));
/// assert_eq!(Owner::NOBODY.slot(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(u64);

const SLOT: u64 = 0x3fff;
const WAITERS: u64 = 1 << 14;
const MARKED: u64 = 1 << 15;
const TAG: u64 = 0xffff << 16;
const GENERATION: u64 = 0xffff_ffff << 32;

impl Owner {
    /// Nobody.
    pub const NOBODY: Owner = Owner(0);
    /// The number of slots that can be told apart.
    pub const SLOTS: u32 = SLOT as u32;

    /// The `generation`-th user of `slot`.
    ///
    /// # Panics
    ///
    /// If `slot` is not below [`Owner::SLOTS`].
    pub const fn new(slot: u32, generation: u32) -> Owner {
        assert!(slot < Owner::SLOTS, "a slot number that no word can hold");
        Owner((slot as u64 + 1) | (generation as u64) << 32)
    }

    /// The slot, unless this is nobody.
    pub const fn slot(self) -> Option<u32> {
        match self.0 & SLOT {
            0 => None,
            slot => Some(slot as u32 - 1),
        }
    }

    /// Which user of the slot.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Whether this is nobody.
    pub const fn is_nobody(self) -> bool {
        self.0 & SLOT == 0
    }
}

/// What a word that can be held says; see the [module](self) for its bits.
///
/// # Examples
///
/// ```
/// use multiprocess_core::{Owner, Word};
///
/// let word = Word::held_by(Owner::new(7, 3)).with_waiters();
/// assert_eq!(word.owner(), Owner::new(7, 3));
/// assert!(word.has_waiters() && !word.is_marked());
/// assert!(Word::FREE.marked().is_marked());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(pub u64);

impl Word {
    /// Held by nobody, nobody waits, no mark.
    pub const FREE: Word = Word(0);

    /// Held by `owner`, nobody waits, no mark.
    pub const fn held_by(owner: Owner) -> Word {
        Word(owner.0)
    }

    /// The holder; one that no segment can have (a damaged word) is still some number, and found dead by its slot.
    pub const fn owner(self) -> Owner {
        match self.0 & SLOT {
            0 => Owner::NOBODY,
            _ => Owner(self.0 & (SLOT | GENERATION)),
        }
    }

    /// Whether somebody may sleep on the word.
    pub const fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    /// Whether the last holder died.
    pub const fn is_marked(self) -> bool {
        self.0 & MARKED != 0
    }

    /// The tag.
    pub const fn tag(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The same with a sleeper.
    pub const fn with_waiters(self) -> Word {
        Word(self.0 | WAITERS)
    }

    /// The same without sleepers.
    pub const fn without_waiters(self) -> Word {
        Word(self.0 & !WAITERS)
    }

    /// The same with the mark of a dead holder.
    pub const fn marked(self) -> Word {
        Word(self.0 | MARKED)
    }

    /// The same without the mark of a dead holder.
    pub const fn unmarked(self) -> Word {
        Word(self.0 & !MARKED)
    }

    /// The same with `tag`.
    pub const fn with_tag(self, tag: u16) -> Word {
        Word(self.0 & !TAG | (tag as u64) << 16)
    }

    /// The same held by `owner` instead.
    pub const fn with_owner(self, owner: Owner) -> Word {
        Word(self.0 & !(SLOT | GENERATION) | owner.0)
    }
}
