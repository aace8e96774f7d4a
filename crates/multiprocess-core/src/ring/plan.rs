//! What lies where in the memory of a ring.
//!
//! | What | Size |
//! | --- | --- |
//! | `tail`, `head`, the three signals, the number of cells that are there, the words of the pools | 128 bytes each |
//! | the cells | 64 bytes each |
//! | for each size of block: a table with an entry for each block | 64 bytes an entry |
//! | for each size of block: the blocks | see [`SIZES`] |
//!
//! Only the beginning has to be there at once. The rest is asked for when it is used first, and costs nothing before.

use super::position;

#[cfg(not(loom))]
mod sizes {
    pub const LINE: u64 = 128;
    pub const CELL: u64 = 64;
    pub const PAGE: u64 = 4096;
    pub const CLASSES: usize = 4;
    /// A bit more than round numbers, because a message is a bit more than what it carries. The last two differ in the order in
    /// which their blocks are used again.
    pub const SIZES: [u64; CLASSES] = [1024 + 128, 8192 + 256, 65536 + 4096, 65536 + 4096];
    /// How many blocks of a size one message takes at the most.
    pub const BLOCKS: [u64; CLASSES] = [1, 4, 2, u64::MAX];
    pub const MESSAGE: u64 = 1 << 30;
    /// How many cells are there from the beginning.
    pub const CELLS_AT_ONCE: u64 = 960;
    /// An entry of a table. Sender and receiver have to do with neighbours at the same time.
    pub const ENTRY: u64 = 64;
}

// Models count every word.
#[cfg(loom)]
mod sizes {
    pub const LINE: u64 = 8;
    pub const CELL: u64 = 24;
    pub const PAGE: u64 = 8;
    pub const CLASSES: usize = 1;
    pub const SIZES: [u64; CLASSES] = [8];
    pub const BLOCKS: [u64; CLASSES] = [u64::MAX];
    pub const MESSAGE: u64 = 16;
    pub const CELLS_AT_ONCE: u64 = 2;
    pub const ENTRY: u64 = 24;
}

/// An entry tells who holds the block, which one follows it in its message, and a place in the stack of free ones.
pub(super) use sizes::ENTRY;
use sizes::{BLOCKS, CELLS_AT_ONCE, LINE, MESSAGE, SIZES};
pub(super) use sizes::{CELL, CLASSES, PAGE};

/// What is there of a message in its cell: all of it, or where it lies.
pub(super) const INLINE: u64 = CELL - 16;
/// The most bytes of a message that lies in its cell.
pub const SHORT: usize = INLINE as usize;
pub(super) const INLINE_WORDS: usize = (INLINE / 8) as usize;

pub(super) const TAIL: u64 = 0;
pub(super) const HEAD: u64 = LINE;
pub(super) const ITEMS: u64 = 2 * LINE;
pub(super) const ROOM: u64 = 3 * LINE;
pub(super) const MEMORY: u64 = 4 * LINE;
pub(super) const CELLS_PRESENT: u64 = 5 * LINE;
const POOLS: u64 = 6 * LINE;
const POOL_WORDS: u64 = 5;
const POOL: u64 = if LINE > 8 * POOL_WORDS { LINE } else { 8 * POOL_WORDS };
const CELLS: u64 = POOLS + CLASSES as u64 * POOL;

/// The blocks of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    /// The words of all: where the stack of free blocks ends, how many were ever used, how many are there, where a
    /// search looks next, whose turn it is.
    pub(super) words: u64,
    pub(super) table: u64,
    pub(super) blocks: u64,
    pub(super) size: u64,
    pub(super) count: u64,
    /// How many of the first ones take turns.
    pub(super) turns: u64,
}

/// What memory a ring takes: the same for every process that knows the capacity.
///
/// # Examples
///
/// ```
/// use multiprocess_core::ring::Plan;
///
/// let plan = Plan::new(100).unwrap();
/// assert_eq!(plan.capacity(), 100);
/// assert!(plan.reserved() < 32 << 10 && plan.length() > plan.message_max());
/// assert_eq!(Plan::new(0), None);
/// let smaller = Plan::with_halvings(100, 3).unwrap();
/// assert!(smaller.length() < plan.length() / 4 && smaller.message_max() < plan.message_max());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)] // what each message needs comes first
pub struct Plan {
    capacity: u64,
    halvings: u32,
    length: u64,
    pub(super) classes: [Class; CLASSES],
}

const fn at_page(offset: u64) -> u64 {
    offset.next_multiple_of(PAGE)
}

const fn at_most(number: u64, most: u64) -> u64 {
    if number < most { number } else { most }
}

const fn at_least(number: u64, least: u64) -> u64 {
    if number < least { least } else { number }
}

/// Without how many blocks of a size there would be messages that never find any.
const fn needed(class: usize) -> u64 {
    if class + 1 < CLASSES { BLOCKS[class] } else { 1 }
}

impl Plan {
    /// The most bytes of one message.
    pub const MESSAGE_MAX: u64 = MESSAGE;
    /// The most messages of one ring.
    pub const CAPACITY_MAX: u64 = position::CELLS;
    /// How often the blocks can be halved.
    pub const HALVINGS_MAX: u32 = 9;

    /// A ring that holds up to `capacity` messages. `None`: that is none, or more than [`Plan::CAPACITY_MAX`].
    pub const fn new(capacity: u64) -> Option<Plan> {
        Plan::with_halvings(capacity, 0)
    }

    /// The same with half as many blocks as many times, for who may not map so much: fewer long messages find room at a
    /// time, and the longest are shorter. `None` also if that is more than [`Plan::HALVINGS_MAX`].
    pub const fn with_halvings(capacity: u64, halvings: u32) -> Option<Plan> {
        if capacity == 0 || capacity > Plan::CAPACITY_MAX || halvings > Plan::HALVINGS_MAX {
            return None;
        }
        let empty = Class { words: 0, table: 0, blocks: 0, size: 0, count: 0, turns: 0 };
        let length = at_page(CELLS + capacity * CELL);
        let mut plan = Plan { capacity, halvings, length, classes: [empty; CLASSES] };
        let mut class = 0;
        while class < CLASSES {
            let (size, count) = (SIZES[class], at_least(count(class, capacity) >> halvings, needed(class)));
            let table = plan.length;
            let blocks = at_page(table + count * ENTRY);
            let (words, turns) = (POOLS + class as u64 * POOL, at_most(turns(class, capacity), count));
            plan.classes[class] = Class { words, table, blocks, size, count, turns };
            plan.length = at_page(blocks + count * size);
            class += 1;
        }
        Some(plan)
    }

    /// How many messages it holds.
    pub const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How often its blocks were halved.
    pub const fn halvings(&self) -> u32 {
        self.halvings
    }

    /// The bytes of its memory. Only those that were asked for are ever touched.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The bytes from the beginning that must be there before it is used.
    pub const fn reserved(&self) -> u64 {
        self.cell(at_most(self.capacity, CELLS_AT_ONCE))
    }

    /// The bytes from the beginning to the end of the cells, whether these are there at once or not.
    pub const fn front(&self) -> u64 {
        self.cell(self.capacity)
    }

    /// The most bytes of one message.
    pub const fn message_max(&self) -> u64 {
        let longest = &self.classes[CLASSES - 1];
        at_most(longest.count * longest.size, Plan::MESSAGE_MAX)
    }

    /// Where the cell at `index` lies.
    #[inline]
    pub(super) const fn cell(&self, index: u64) -> u64 {
        CELLS + index * CELL
    }

    /// How many cells are there from the beginning.
    pub(super) const fn cells_at_once(&self) -> u64 {
        CELLS_AT_ONCE
    }
}

/// The size of block for a message of so many bytes.
pub(super) const fn class_of(length: u64) -> usize {
    let mut class = 0;
    while class + 1 < CLASSES && length.div_ceil(SIZES[class]) > BLOCKS[class] {
        class += 1;
    }
    class
}

/// How many blocks of a size there are. Those that a full ring takes with a message of that size in each cell, and some
/// for messages that are just being written or read; within limits, because each process maps them all.
#[cfg(not(loom))]
const fn count(class: usize, capacity: u64) -> u64 {
    const GIB: u64 = 1 << 30;
    /// For messages of 1 MiB.
    const CHUNKS: u64 = 16;
    let limits = match class {
        0 => (capacity + 64, 0, GIB),
        1 => (4 * (capacity + 64), 0, 2 * GIB),
        2 => (2 * (capacity + 64), 0, 2 * GIB),
        _ => (CHUNKS * (capacity + 2), 2 * GIB, 8 * GIB),
    };
    let (wanted, least, most) = (limits.0, limits.1 / SIZES[class], limits.2 / SIZES[class]);
    at_most(at_least(wanted, least), most)
}

#[cfg(loom)]
const fn count(_: usize, _: u64) -> u64 {
    2
}

/// How many blocks of a size take turns: more than the cache of one processor holds, and less than that of all. Fewer in
/// a small ring, because those that take turns keep their memory.
#[cfg(not(loom))]
const fn turns(class: usize, capacity: u64) -> u64 {
    const MOST: u64 = 4 << 20;
    const EACH: u64 = 512 << 10;
    // Of the shortest ones the last are best: not the copying takes long, but to fetch what goes with it. And a message of many
    // blocks is longer than what turns would save.
    if class == 0 || class + 1 == CLASSES {
        return 0;
    }
    let (wanted, most) = (capacity.saturating_mul(EACH / SIZES[class]), MOST / SIZES[class]);
    at_most(wanted, most)
}

#[cfg(loom)]
const fn turns(_: usize, _: u64) -> u64 {
    1
}
