//! The memory of a pool, which it shares with its workers.
//!
//! ```text
//! segment header | board: words, lanes, slots | the pool's area | area of lane 0 | area of lane 1 | ...
//! ```
//!
//! What fits into a slot lies in it. Larger arguments lie in **blocks** of the pool's area, larger results in blocks of the area of the
//! worker's lane: an area is used by one process, which alone decides where its blocks are, so a process that dies leaves nothing
//! half-made there, and its successor begins with an empty area. Areas are large and sparse: a block takes memory when it is
//! first used, and if there is none, that is an error of the one task.
//!
//! | First word of a block | Meaning |
//! | --- | --- |
//! | 0 | free: its owner may use it again, the last one first, while it lies in the caches |
//! | 1 | in use: the pool writes 0 when it has read the result |
//!
//! What a worker says about a place is believed only if it lies in the area of its lane.

use multiprocess_core::atomics::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use multiprocess_core::work::{Board, INLINE, Slot};
use multiprocess_shm::{Segment, Shape};
use multiprocess_sys::{Error, ErrorKind};
use std::ops::Range;

/// What the header of a pool's segment says.
const KIND: u32 = 49;

/// How much address space a pool takes at most, and how little an area may have.
const SPACE: u64 = 1 << 38;
const AREA_MIN: u64 = 1 << 20;

/// Areas begin at multiples of this.
const PAGE: u64 = 1 << 16;

/// The bytes in front of a block's data.
const HEAD: u64 = 64;
const BLOCK_MIN: u64 = 4096;

/// A length that is believed without asking how much memory there is.
const LONG: u64 = 1 << 20;

/// How many blocks are looked at before a new one is made.
const LOOKS: usize = 64;

/// A pool's segment, as one process sees it.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) segment: Segment,
    slots: usize,
    lanes: usize,
    area: u64,
}

impl Memory {
    /// Memory for a new pool.
    pub(crate) fn new(slots: usize, lanes: usize) -> Result<Memory, Error> {
        let board = Board::length(slots, lanes).ok_or_else(|| {
            let most = Board::LANES_MAX;
            Error::new(ErrorKind::TooLarge, format!("making a pool of {lanes} workers, where at most {most} can be"))
        })?;
        let board = (board as u64 * 8).next_multiple_of(PAGE);
        let mut area = (SPACE / (lanes as u64 + 1)).max(AREA_MIN) / PAGE * PAGE;
        loop {
            let length = board + (lanes as u64 + 1) * area;
            let shape =
                Shape { kind: KIND, length, reserved: board, parameters: [slots as u64, lanes as u64, area, 0] };
            match Segment::anonymous(shape, |_| {}) {
                Ok(segment) => return Ok(Memory { segment, slots, lanes, area }),
                // The program may be allowed less address space.
                Err(_) if area / 2 >= AREA_MIN => area = area / 2 / PAGE * PAGE,
                Err(error) => return Err(error),
            }
        }
    }

    /// The memory in a segment that somebody else has made.
    pub(crate) fn of(segment: Segment) -> Result<Memory, Error> {
        let shape = *segment.shape();
        let damaged = || Error::new(ErrorKind::Damaged, "attaching to the memory of a pool");
        if shape.kind != KIND {
            return Err(Error::new(ErrorKind::WrongKind, "attaching to a pool that is something else"));
        }
        let [slots, lanes, area, _] = shape.parameters;
        let (slots, lanes) = (usize::try_from(slots), usize::try_from(lanes));
        let (Ok(slots), Ok(lanes)) = (slots, lanes) else { return Err(damaged()) };
        let board = Board::length(slots, lanes).ok_or_else(damaged)? as u64 * 8;
        let areas = area.checked_mul(lanes as u64 + 1).ok_or_else(damaged)?;
        if shape.length.checked_sub(areas) != Some(board.next_multiple_of(PAGE)) {
            return Err(damaged());
        }
        Ok(Memory { segment, slots, lanes, area })
    }

    /// The words.
    #[inline]
    pub(crate) fn board(&self) -> Board<'_> {
        Board::new(self.segment.words(), self.slots, self.lanes).expect("the segment was made for a board of this size")
    }

    pub(crate) fn lanes(&self) -> usize {
        self.lanes
    }

    /// The area of a lane, or that of the pool itself.
    pub(crate) fn area(&self, lane: Option<usize>) -> Range<u64> {
        let number = lane.map_or(0, |lane| lane as u64 + 1);
        let start = self.segment.shape().length - (self.lanes as u64 + 1 - number) * self.area;
        start..start + self.area
    }

    /// Copies what a slot of `lane` (or, for `None`, of the pool) says that it holds to `to`, in place of what was there.
    pub(crate) fn read(
        &self,
        slot: Slot<'_>,
        measure: (u64, u64),
        lane: Option<usize>,
        to: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (length, place) = measure;
        to.clear();
        if place == 0 && length <= INLINE as u64 {
            to.extend_from_slice(slot.read::<{ INLINE / 8 }>().as_flattened());
            to.truncate(length as usize);
            return Ok(());
        }
        let area = self.area(lane);
        let end = place.checked_add(length).filter(|end| *end <= area.end && place >= area.start + HEAD);
        // An area is far larger than memory: nobody has left more there than the segment takes altogether.
        let is_more_than_there_is = || length > LONG && self.segment.in_use().is_some_and(|bytes| bytes < length);
        if end.is_none() || !place.is_multiple_of(8) || is_more_than_there_is() {
            return Err(Error::new(ErrorKind::Damaged, "reading a task: it lies outside its place"));
        }
        to.try_reserve_exact(length as usize)
            .map_err(|e| Error::new(ErrorKind::Other, "reading a task").with_source(e))?;
        to.resize(length as usize, 0);
        self.segment.read(place as usize, to);
        Ok(())
    }

    fn mark(&self, place: u64) -> &AtomicU64 {
        &self.segment.words()[((place - HEAD) / 8) as usize]
    }

    /// Says that a block is not needed any more; its place was checked by [`read`](Memory::read), or is the pool's own.
    pub(crate) fn free(&self, place: u64) {
        // Release: pairs with the look in `Blocks::take`; the next one to write there comes after this process's reading.
        self.mark(place).store(0, Release);
    }
}

/// The blocks of one area, for the process that it belongs to.
#[derive(Debug)]
pub(crate) struct Blocks {
    next: u64,
    end: u64,
    /// The last used one at the end.
    known: Vec<Block>,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    place: u64,
    capacity: u64,
}

impl Blocks {
    pub(crate) fn new(area: Range<u64>) -> Blocks {
        Blocks { next: area.start, end: area.end, known: Vec::new() }
    }

    /// A free block for `length` bytes, and how many it holds.
    pub(crate) fn take(&mut self, memory: &Memory, length: u64) -> Result<(u64, u64), Error> {
        let fits = |block: &Block| {
            // Acquire: pairs with `Memory::free`.
            block.capacity >= length
                && block.capacity / 8 <= length.max(BLOCK_MIN)
                && memory.mark(block.place).load(Acquire) == 0
        };
        let found = self.known.iter().rev().take(LOOKS).position(fits).map(|back| self.known.len() - 1 - back);
        let block = match found {
            Some(at) => self.known.remove(at),
            None => self.make(memory, length)?,
        };
        memory.mark(block.place).store(1, Relaxed);
        self.known.push(block);
        Ok((block.place, block.capacity))
    }

    fn make(&mut self, memory: &Memory, length: u64) -> Result<Block, Error> {
        let too_large = || {
            let text = format!("giving {length} bytes to or from a pool, which has no room for them");
            Error::new(ErrorKind::TooLarge, text)
        };
        let size = length.checked_add(HEAD).and_then(u64::checked_next_power_of_two).ok_or_else(too_large)?;
        let size = size.max(BLOCK_MIN);
        let end = self.next.checked_add(size).filter(|end| *end <= self.end);
        let Some(end) = end else { return self.search(memory, length).ok_or_else(too_large) };
        memory.segment.reserve(self.next, size)?;
        let block = Block { place: self.next + HEAD, capacity: size - HEAD };
        self.next = end;
        Ok(block)
    }

    /// Any block that is free, when the area has no room for another one.
    fn search(&mut self, memory: &Memory, length: u64) -> Option<Block> {
        let fits = |block: &Block| block.capacity >= length && memory.mark(block.place).load(Acquire) == 0;
        let at = self.known.iter().position(fits)?;
        Some(self.known.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_free_again_is_used_again_the_last_one_first() {
        let memory = Memory::new(64, 2).unwrap();
        let mut blocks = Blocks::new(memory.area(Some(1)));
        let (first, _) = blocks.take(&memory, 5000).unwrap();
        let (second, capacity) = blocks.take(&memory, 5000).unwrap();
        assert!(first != second && capacity >= 5000);
        memory.free(first);
        memory.free(second);
        assert_eq!(blocks.take(&memory, 5000).unwrap().0, second);
        assert_eq!(blocks.take(&memory, 5000).unwrap().0, first);
        assert!(blocks.take(&memory, u64::MAX).is_err() && blocks.take(&memory, 1 << 40).is_err());
    }

    #[test]
    fn what_lies_outside_its_area_is_not_read() {
        let memory = Memory::new(64, 2).unwrap();
        let same = Memory::of(memory.segment.clone()).unwrap();
        let mut bytes = Vec::new();
        let start = memory.area(Some(1)).start + HEAD;
        for measure in
            [(1 << 33, start), (1, 8), (u64::MAX, 8), (1, u64::MAX), (1, memory.area(Some(0)).start), (81, 0)]
        {
            assert!(same.read(same.board().slot(0), measure, Some(1), &mut bytes).is_err(), "{measure:?}");
        }
        assert!(memory.read(memory.board().slot(0), (80, 0), Some(1), &mut bytes).is_ok());
    }
}
