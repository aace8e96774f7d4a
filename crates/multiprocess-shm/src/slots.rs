//! The table of slots of a segment: which processes are attached, and whether they live.
//!
//! A slot is 16 bytes in the segment and one byte in the range of the file's locks ([`lock_byte`]). What counts is the lock,
//! which the kernel keeps; the bytes in the segment only tell one user of the slot from the next, and who it is.
//!
//! | Lock | Generation in the table | Owner named in a word | Meaning |
//! | --- | --- | --- | --- |
//! | free | any | any | nobody: whoever was here has left or died |
//! | held | g | g | the owner lives |
//! | held | g + 1 | g | the owner is dead, a newcomer has its slot |
//! | held | g | g, but it is dead | a newcomer between its steps 3 and 4: for a moment the dead one seems alive |
//!
//! # Claiming a slot
//!
//! 1. Open the memory anew: a description that nobody else has.
//! 2. Map a page through it that forked copies do not get ([`Pin`]).
//! 3. Take the lock of a slot's byte; the hint in the segment says which one to try first.
//! 4. Write a generation that is one more than the last, then number and birth.
//! 5. Close the descriptor. The mapping keeps the description, and the description keeps the lock.
//!
//! *Death* after 1 or 2 leaves nothing; after 3, 4 or 5 the kernel frees the lock, and the generation that was or was not
//! written is one that no word has yet.
//!
//! *Races.* Two newcomers cannot have the same lock, so 4 is written by one at a time. A survivor that looks at a dead owner's
//! slot and then exchanges the word that it owned may be overtaken by a newcomer that takes slot and word in between: the
//! newcomer's word has another generation, so the exchange fails. The new generation is in place before the newcomer
//! owns any word (a release fence here, an acquire fence in `find`): whoever sees such a word sees the generation too.
//!
//! *Forks.* A copy of this process that is made between 1 and 5 has the descriptor of 1, and with it the lock, until it ends or
//! replaces its program: for that long this process's slot outlives it. The page of 2 is withheld from copies before there
//! is a lock, so that no copy gets it later.
//!
//! # Why so
//!
//! A process number can come again and means nothing in another namespace; a count of users is wrong for ever after one death;
//! a socket or a lock on a descriptor that copies inherit outlives its owner; a descriptor per object could be closed by the program. A
//! lock held by a mapping has none of this, and asking costs one system call, only when somebody waits already.

use multiprocess_core::Owner;
use multiprocess_core::layout::{FIRST_SLOTS, HINT, Header, SLOT_SIZE, SLOTS};
use multiprocess_sys::birth::Birth;
use multiprocess_sys::handle::{BorrowedHandle, OwnedHandle};
use multiprocess_sys::map::{Map, Pin};
use multiprocess_sys::{Error, ErrorKind, byte_lock};
use std::ops::Range;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, fence};

/// The byte of the first slot's lock. Byte 0 is the [attach lock](crate::attach_lock).
const FIRST_BYTE: u64 = 1;

/// Any lock but the attach lock says that somebody lives, also to versions of this library with another number of slots.
const ANY: Range<u64> = FIRST_BYTE..1 << 32;

/// Whether anybody is attached, or a handle to attach with is on its way, as seen through `asker`, which has no slot.
pub(crate) fn is_anybody_there(asker: BorrowedHandle<'_>) -> Result<bool, Error> {
    byte_lock::is_locked(asker, ANY)
}

/// The byte of a slot's lock.
fn lock_byte(slot: u32) -> u64 {
    FIRST_BYTE + u64::from(slot)
}

/// What lies in the segment for each slot. All zero: never used.
#[repr(C)]
struct Entry {
    generation: AtomicU32,
    id: AtomicU32,
    birth: AtomicU64,
}
const _: () = assert!(size_of::<Entry>() == SLOT_SIZE && align_of::<Entry>() <= SLOT_SIZE);
const _: () = assert!(SLOTS <= Owner::SLOTS);

/// The slots of one segment.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    map: &'a Map,
    header: &'a Header,
    has_all: &'a AtomicBool,
}

/// A slot that this process has, as long as the value lives.
#[derive(Debug)]
pub(crate) struct Slot {
    owner: Owner,
    _pin: Pin,
}

impl Slot {
    /// Who this process is in the segment.
    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }
}

impl<'a> Table<'a> {
    /// The table in a mapped segment. `has_all` remembers that the slots behind the payload are there.
    pub(crate) fn new(map: &'a Map, header: &'a Header, has_all: &'a AtomicBool) -> Table<'a> {
        assert!(map.length() >= header.total(), "a mapping of a whole segment");
        Table { map, header, has_all }
    }

    /// Claims a slot for this process through `own`, a description that nobody else has.
    pub(crate) fn claim(self, own: OwnedHandle, who: &Birth) -> Result<Slot, Error> {
        let own_handle = multiprocess_sys::handle::AsHandle::as_fd(&own);
        let pin = Pin::new(own_handle)?;
        let owner = self.lock(own_handle, who)?;
        Ok(Slot { owner, _pin: pin })
    }

    /// Steps 3 and 4 alone: the slot belongs to the description, for as long as anything refers to that.
    pub(crate) fn lock(self, own: BorrowedHandle<'_>, who: &Birth) -> Result<Owner, Error> {
        let hint = self.hint().load(Relaxed) % SLOTS; // anything may stand there
        let begin = if hint < FIRST_SLOTS { 0..hint } else { FIRST_SLOTS..hint };
        // Those of the hint's part from there on and then from its beginning, then the other part.
        let (part, other) =
            if hint < FIRST_SLOTS { (hint..FIRST_SLOTS, FIRST_SLOTS..SLOTS) } else { (hint..SLOTS, 0..FIRST_SLOTS) };
        for slot in part.chain(begin).chain(other) {
            if byte_lock::try_lock(own, lock_byte(slot))? {
                let entry = self.entry(slot)?;
                let next = slot + 1;
                self.hint().store(if next == FIRST_SLOTS { 0 } else { next }, Relaxed);
                return Ok(entry.enter(slot, who));
            }
        }
        Err(Error::new(ErrorKind::Other, format!("attaching to shared memory: all its {SLOTS} slots are taken")))
    }

    /// Whether the table still has `owner`; `false` is a proof of its death.
    pub(crate) fn has(self, owner: Owner) -> bool {
        // If the slot's memory cannot be had (there is none left, or it is an old kernel), nothing is proved.
        !matches!(self.find(owner), Ok(None))
    }

    /// Whether another description than that of `asker` has the lock of `owner`'s slot.
    pub(crate) fn is_locked(self, asker: BorrowedHandle<'_>, owner: Owner) -> Result<bool, Error> {
        let Some(slot) = owner.slot().filter(|slot| *slot < SLOTS) else { return Ok(false) };
        byte_lock::is_locked(asker, lock_byte(slot)..lock_byte(slot) + 1)
    }

    /// Number and birth that the owner wrote down; `None` if it is no longer in the table.
    pub(crate) fn read(self, owner: Owner) -> Option<(u32, u64)> {
        let entry = self.find(owner).ok()??;
        let found = (entry.id.load(Relaxed), entry.birth.load(Relaxed));
        self.find(owner).ok()?.map(|_| found)
    }

    fn find(&self, owner: Owner) -> Result<Option<&'a Entry>, Error> {
        // Whoever read a word of this owner before sees its generation, or a later one.
        fence(Acquire);
        let Some(slot) = owner.slot().filter(|slot| *slot < SLOTS) else { return Ok(None) };
        let entry = self.entry(slot)?;
        Ok((entry.generation.load(Relaxed) == owner.generation()).then_some(entry))
    }

    fn entry(&self, slot: u32) -> Result<&'a Entry, Error> {
        let offset = self.header.slot_offset(slot).expect("a slot of the table");
        if slot >= FIRST_SLOTS && !self.has_all.load(Relaxed) {
            let start = self.header.slots_offset();
            self.map.reserve(None, start, self.header.total() - start)?;
            self.has_all.store(true, Relaxed); // the pages are there by then, for every thread
        }
        // SAFETY: `new` checked that the mapping holds the whole segment, and the slot is one of it.
        let entry = unsafe { self.map.start().add(offset as usize) };
        // SAFETY: aligned, since the mapping is aligned to a page and all offsets to 16; mapped as long as the table is borrowed;
        // made of atomics, which other processes may change at any time to anything.
        Ok(unsafe { entry.cast::<Entry>().as_ref() })
    }

    fn hint(&self) -> &AtomicU32 {
        // SAFETY: `new` checked that the mapping is longer.
        let hint = unsafe { self.map.start().add(HINT) };
        // SAFETY: aligned to four, mapped as long as the table is borrowed, and used as an atomic by everybody.
        unsafe { hint.cast::<AtomicU32>().as_ref() }
    }
}

impl Entry {
    /// Says who has the slot now. Its lock is held.
    fn enter(&self, slot: u32, who: &Birth) -> Owner {
        // Not zero, which a fresh segment has, so that no owner was ever before this one.
        let generation = self.generation.load(Relaxed).wrapping_add(1).max(1);
        // Nobody must read the new number with the old generation or the other way round: `read` looks at the generation twice.
        self.generation.store(generation, Relaxed);
        fence(Release);
        self.id.store(who.id(), Relaxed);
        self.birth.store(who.word(), Relaxed);
        // Whoever sees a word of this owner sees its generation.
        fence(Release);
        Owner::new(slot, generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multiprocess_sys::handle::AsHandle;
    use multiprocess_sys::map;

    /// Memory with the room of a segment, and what a table needs.
    struct Memory {
        handle: OwnedHandle,
        map: Map,
        header: Header,
        has_all: AtomicBool,
    }

    impl Memory {
        fn new() -> Memory {
            let header = Header::new(1, 1, 1, [0; 4], map::page_size()).unwrap();
            let handle = map::anonymous(header.total()).unwrap();
            let map = Map::shared(handle.as_fd(), header.total()).unwrap();
            Memory { handle, map, header, has_all: AtomicBool::new(false) }
        }

        fn table(&self) -> Table<'_> {
            Table::new(&self.map, &self.header, &self.has_all)
        }

        fn claim(&self) -> Result<Slot, Error> {
            self.table().claim(byte_lock::open_anew(self.handle.as_fd()).unwrap(), &Birth::of_this_process())
        }

        fn is_locked(&self, owner: Owner) -> bool {
            self.table().is_locked(self.handle.as_fd(), owner).unwrap()
        }
    }

    #[test]
    fn a_slot_is_held_until_it_is_dropped_and_its_owner_is_known() {
        let memory = Memory::new();
        assert!(!is_anybody_there(memory.handle.as_fd()).unwrap());
        let slot = memory.claim().unwrap();
        let owner = slot.owner();
        assert!(is_anybody_there(memory.handle.as_fd()).unwrap());
        assert!(memory.table().has(owner) && memory.is_locked(owner));
        assert_eq!(memory.table().read(owner).unwrap().0, std::process::id());
        drop(slot);
        assert!(memory.table().has(owner) && !memory.is_locked(owner));
        assert!(!is_anybody_there(memory.handle.as_fd()).unwrap());
    }

    #[test]
    fn every_slot_can_be_had_and_the_next_user_is_somebody_else() {
        let memory = Memory::new();
        let mut slots: Vec<Slot> = (0..SLOTS).map(|_| memory.claim().unwrap()).collect();
        let mut numbers: Vec<u32> = slots.iter().filter_map(|slot| slot.owner().slot()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..SLOTS).collect::<Vec<_>>());
        let error = memory.claim().unwrap_err().to_string();
        assert!(error.contains("1024 slots"), "{error}");
        for place in [3, FIRST_SLOTS as usize, SLOTS as usize - 1] {
            let gone = slots.swap_remove(place).owner();
            let next = memory.claim().unwrap();
            assert_eq!(next.owner().slot(), gone.slot());
            assert_ne!(next.owner(), gone);
            assert!(!memory.table().has(gone) && memory.table().has(next.owner()));
            slots.insert(place, next);
        }
    }

    #[test]
    fn any_hint_and_any_owner_will_do() {
        let memory = Memory::new();
        for hint in [0, FIRST_SLOTS - 1, FIRST_SLOTS, 1023, 1024, 0x7fff_ffff, u32::MAX] {
            memory.table().hint().store(hint, Relaxed);
            let slot = memory.claim().unwrap();
            assert!(memory.is_locked(slot.owner()));
        }
        for owner in [Owner::NOBODY, Owner::new(1024, 0), Owner::new(Owner::SLOTS - 1, 7), Owner::new(5, 1 << 31)] {
            assert!(!memory.table().has(owner));
            assert!(!memory.is_locked(owner));
            assert_eq!(memory.table().read(owner), None);
        }
    }

    #[test]
    fn generations_wrap_without_zero() {
        let memory = Memory::new();
        let entry = memory.table().entry(0).unwrap();
        entry.generation.store(u32::MAX, Relaxed);
        let slot = memory.claim().unwrap();
        assert_eq!((slot.owner().slot(), slot.owner().generation()), (Some(0), 1));
    }
}
