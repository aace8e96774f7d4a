//! The memory of a pool, which it shares with its workers.
//!
//! ```text
//! segment header | board: words, lanes, slots | the pool's area | area of lane 0 | area of lane 1 | ...
//! ```
//!
//! What fits into a slot lies in it. Larger arguments lie in **blocks** of the pool's area, larger results in blocks of the area of the
//! worker's lane: an area is used by one process, which alone decides where its blocks are, so a process that dies leaves nothing
//! half-made there, and its successor begins with an empty area. Areas are large and sparse: a block takes memory when it is
//! first used, and if there is none, that is an error of the one task. A block that is free is used again, the last one first, while
//! it lies in the caches.
//!
//! The pool frees the blocks of arguments itself, and knows it. A worker is told by a word that a block of a result is free:
//!
//! | First word of a worker's block | Meaning |
//! | --- | --- |
//! | 0 | the pool has read the result |
//! | 1 | it has not |
//!
//! The pool reads the results of a worker in the order in which they were left, so a worker looks at its oldest block first, and
//! behind one that is in use there is none to be found.
//!
//! What a worker says about a place is believed only if it lies in the area of its lane.

use multiprocess_core::atomics::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use multiprocess_core::layout::SLOTS;
use multiprocess_core::work::{Board, INLINE, Slot};
use multiprocess_shm::{Segment, Shape};
use multiprocess_sys::{Error, ErrorKind};
use std::collections::VecDeque;
use std::iter::successors;
use std::ops::Range;

/// What the header of a pool's segment says.
const KIND: u32 = 49;

/// How much address space a pool takes at most, and how little an area may have.
const SPACE: u64 = 1 << 38;
const AREA_MIN: u64 = 1 << 20;
/// If this process may map only so much, a pool takes no more of it than this part.
const PARTS: u64 = 4;

/// Areas begin at multiples of this.
const PAGE: u64 = 1 << 16;

/// The bytes in front of a block's data.
const HEAD: u64 = 64;
const BLOCK_MIN: u64 = 4096;

/// How many bytes are read from a slot without looking at its second half.
const SHORT: usize = 16;

/// How many sizes of blocks there are, each twice the one before; the last one is larger than an area can be.
const CLASSES: usize = 32;
/// A free block is used for what is smaller by less than so many powers of two, before another one is made.
const LARGER: u32 = 3;

/// A length that is believed without asking how much memory there is.
const LONG: u64 = 1 << 20;

/// The segment of a pool whose board has so many bytes; `None`: it cannot be so long.
fn shape(board: u64, slots: u64, lanes: u64, area: u64) -> Option<Shape> {
    let length = area.checked_mul(lanes + 1)?.checked_add(board)?;
    Some(Shape { kind: KIND, length, reserved: board, parameters: [slots, lanes, area, 0] })
}

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
        // Each worker has a slot of the segment, and so has this process.
        let most = Board::LANES_MAX.min(SLOTS as usize - 1);
        let board = Board::length(slots, lanes).filter(|_| lanes <= most).ok_or_else(|| {
            Error::new(ErrorKind::TooLarge, format!("making a pool of {lanes} workers, where at most {most} can be"))
        })?;
        let board = (board as u64 * 8).next_multiple_of(PAGE);
        let largest = (SPACE / (lanes as u64 + 1)).max(AREA_MIN) / PAGE * PAGE;
        let areas = successors(Some(largest), |area| (area / 2 >= AREA_MIN).then_some(area / 2 / PAGE * PAGE));
        let shapes = areas.map_while(|area| shape(board, slots as u64, lanes as u64, area));
        Memory::of(Segment::anonymous_where_it_fits(shapes, PARTS)?)
    }

    /// The memory in a segment, which somebody else may have made.
    pub(crate) fn of(segment: Segment) -> Result<Memory, Error> {
        let shape = *segment.shape();
        let damaged = || Error::new(ErrorKind::Damaged, "attaching to the memory of a pool");
        if shape.kind != KIND {
            return Err(Error::new(ErrorKind::WrongKind, "attaching to a pool that is something else"));
        }
        let [slots, lanes, area, _] = shape.parameters;
        let (slots, lanes) = (usize::try_from(slots), usize::try_from(lanes));
        let (Ok(slots), Ok(lanes)) = (slots, lanes) else { return Err(damaged()) };
        let board = (Board::length(slots, lanes).ok_or_else(damaged)? as u64 * 8).next_multiple_of(PAGE);
        if self::shape(board, slots as u64, lanes as u64, area) != Some(shape) {
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
        if place == 0 && length <= SHORT as u64 {
            // These lie in one cache line with the slot's other words.
            to.extend_from_slice(&slot.read::<{ SHORT / 8 }>().as_flattened()[..length as usize]);
            return Ok(());
        }
        if place == 0 && length <= INLINE as u64 {
            to.extend_from_slice(slot.read::<{ INLINE / 8 }>().as_flattened());
            to.truncate(length as usize);
            return Ok(());
        }
        if !self.is_inside(lane, place, length) {
            return Err(Error::new(ErrorKind::Damaged, "reading a task: it lies outside its place"));
        }
        let read = self.segment.read_onto(place as usize, length as usize, to);
        read.map_err(|e| Error::new(ErrorKind::Other, "reading a task").with_source(e))
    }

    /// Whether a block in the area of `lane` (or, for `None`, of the pool) can hold so many bytes at that place.
    pub(crate) fn is_inside(&self, lane: Option<usize>, place: u64, length: u64) -> bool {
        let area = self.area(lane);
        let end = place.checked_add(length).filter(|end| *end <= area.end && place >= area.start + HEAD);
        // An area is far larger than memory: nobody has left more there than the segment takes altogether.
        let is_more_than_there_is = || length > LONG && self.segment.in_use().is_some_and(|bytes| bytes < length);
        end.is_some() && place.is_multiple_of(8) && !is_more_than_there_is()
    }

    fn mark(&self, place: u64) -> &AtomicU64 {
        &self.segment.words()[((place - HEAD) / 8) as usize]
    }

    /// Tells a worker that its block is not needed any more; the place was checked by [`is_inside`](Memory::is_inside).
    pub(crate) fn free(&self, place: u64) {
        // Release: pairs with the look in `Lent::take`; the next one to write there comes after this process's reading.
        self.mark(place).store(0, Release);
    }
}

/// A block: where its data begins, and how large it is with its head, as a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) place: u64,
    class: u32,
}

impl Block {
    /// How many bytes it holds.
    pub(crate) fn capacity(self) -> u64 {
        (1 << self.class) - HEAD
    }
}

/// The blocks of one area, for the process that it belongs to.
#[derive(Debug)]
pub(crate) struct Blocks {
    next: u64,
    end: u64,
    /// The places of free blocks of each class, the last used one at the end.
    free: [Vec<u64>; CLASSES],
    /// How many bytes the blocks have that are in use.
    used: u64,
}

impl Blocks {
    pub(crate) fn new(area: Range<u64>) -> Blocks {
        Blocks { next: area.start, end: area.end, free: [const { Vec::new() }; CLASSES], used: 0 }
    }

    /// How many bytes the blocks have that were taken and not given back.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// A free block for `length` bytes.
    pub(crate) fn take(&mut self, memory: &Memory, length: u64) -> Result<Block, Error> {
        let too_large = || {
            let text = format!("giving {length} bytes to or from a pool, which has no room for them");
            Error::new(ErrorKind::TooLarge, text)
        };
        let size = length.checked_add(HEAD).and_then(u64::checked_next_power_of_two).ok_or_else(too_large)?;
        let class = size.max(BLOCK_MIN).ilog2();
        let block = match self.find(class, class + LARGER) {
            Some(block) => block,
            None => match self.make(memory, class)? {
                Some(block) => block,
                // The area has no room for another one: any that is free.
                None => self.find(class, u64::BITS).ok_or_else(too_large)?,
            },
        };
        self.used += 1 << block.class;
        Ok(block)
    }

    /// Gives a block back that [`take`](Blocks::take) has returned.
    pub(crate) fn give(&mut self, block: Block) {
        self.used -= 1 << block.class;
        self.free[place_of(block.class)].push(block.place);
    }

    fn find(&mut self, from: u32, to: u32) -> Option<Block> {
        let classes = (from..to).take_while(|class| place_of(*class) < CLASSES);
        classes.into_iter().find_map(|class| Some(Block { place: self.free[place_of(class)].pop()?, class }))
    }

    /// A new block; `None` if the area ends before it does.
    fn make(&mut self, memory: &Memory, class: u32) -> Result<Option<Block>, Error> {
        let end = 1u64.checked_shl(class).and_then(|size| self.next.checked_add(size));
        let Some(end) = end.filter(|end| *end <= self.end && place_of(class) < CLASSES) else { return Ok(None) };
        memory.segment.reserve(self.next, end - self.next)?;
        let block = Block { place: self.next + HEAD, class };
        self.next = end;
        Ok(Some(block))
    }
}

/// The list that blocks of a class are in.
fn place_of(class: u32) -> usize {
    (class - BLOCK_MIN.ilog2()) as usize
}

/// The blocks of a worker: the pool says when it has read what lies in one.
#[derive(Debug)]
pub(crate) struct Lent {
    blocks: Blocks,
    /// Those that the pool has, the oldest one first.
    out: VecDeque<Block>,
}

impl Lent {
    pub(crate) fn new(area: Range<u64>) -> Lent {
        Lent { blocks: Blocks::new(area), out: VecDeque::new() }
    }

    /// A free block for `length` bytes.
    pub(crate) fn take(&mut self, memory: &Memory, length: u64) -> Result<Block, Error> {
        // Acquire: pairs with `Memory::free`.
        while let Some(block) = self.out.pop_front_if(|block| memory.mark(block.place).load(Acquire) == 0) {
            self.blocks.give(block);
        }
        let block = self.blocks.take(memory, length)?;
        memory.mark(block.place).store(1, Relaxed);
        self.out.push_back(block);
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_given_back_is_used_again_the_last_one_first() {
        let memory = Memory::new(64, 2).unwrap();
        let mut blocks = Blocks::new(memory.area(None));
        let [first, second] = [(); 2].map(|()| blocks.take(&memory, 5000).unwrap());
        assert!(first.place != second.place && second.capacity() >= 5000);
        assert_eq!(blocks.used(), 2 * 8192);
        blocks.give(first);
        blocks.give(second);
        assert_eq!(blocks.used(), 0);
        assert_eq!(blocks.take(&memory, 5000).unwrap(), second);
        assert_eq!(blocks.take(&memory, 3000).unwrap(), first);
        for length in [u64::MAX, u64::MAX >> 1, 1 << 62, 1 << 40, memory.area(None).end] {
            assert!(blocks.take(&memory, length).is_err(), "{length}");
        }
    }

    #[test]
    fn however_many_results_are_out_their_blocks_are_used_again() {
        let memory = Memory::new(64, 2).unwrap();
        let mut blocks = Lent::new(memory.area(Some(1)));
        let mut places = [(); 500].map(|()| blocks.take(&memory, 1000).unwrap().place);
        let count = |places: &[u64]| places.iter().collect::<std::collections::HashSet<_>>().len();
        assert_eq!(count(&places), 500);
        let end = blocks.blocks.next;
        for _ in 0..3 {
            // As the pool does: in the order in which they were left.
            places.iter().take(400).for_each(|place| memory.free(*place));
            places.rotate_left(400);
            places[100..].fill_with(|| blocks.take(&memory, 1000).unwrap().place);
            assert_eq!((count(&places), blocks.blocks.next), (500, end));
        }
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
