//! Where a message stands in the order of all messages: a cell, and how often all cells had been used before.

/// The number of bits for the cell.
const INDEX_BITS: u32 = 24;
const INDEX: u64 = (1 << INDEX_BITS) - 1;
const LAP: u64 = 1 << INDEX_BITS;

/// The most cells that a position can tell apart.
pub(super) const CELLS: u64 = 1 << INDEX_BITS;

/// A position: the index of a cell in bits 0 to 23, and the lap above it. So the next one is found without a division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position(u64);

impl Position {
    /// What `number` says; a damaged one that names no cell is at the beginning of its lap.
    #[inline]
    pub(super) const fn from_number(number: u64, cells: u64) -> Position {
        if number & INDEX < cells { Position(number) } else { Position(number & !INDEX) }
    }

    /// As a number.
    #[inline]
    pub(super) const fn number(self) -> u64 {
        self.0
    }

    /// Which cell.
    #[inline]
    pub(super) const fn index(self) -> u64 {
        self.0 & INDEX
    }

    /// How often all cells had been used before, from bit 24 on.
    #[inline]
    pub(super) const fn lap_bits(self) -> u64 {
        self.0 & !INDEX
    }

    /// How often all cells had been used before.
    #[inline]
    pub(super) const fn lap(self) -> u64 {
        self.0 >> INDEX_BITS
    }

    /// The next position in a ring of so many cells.
    #[inline]
    pub(super) const fn next(self, cells: u64) -> Position {
        if self.index() + 1 < cells { Position(self.0 + 1) } else { Position(self.lap_bits().wrapping_add(LAP)) }
    }

    /// Whether it comes after `other`, also where laps begin again at 0.
    pub(super) const fn is_later_than(self, other: Position) -> bool {
        (self.0.wrapping_sub(other.0) as i64) > 0
    }

    /// The same cell, one lap later.
    #[inline]
    pub(super) const fn next_lap(self) -> Position {
        Position(self.0.wrapping_add(LAP))
    }

    /// The cell at `index` in this lap.
    pub(super) const fn at_index(self, index: u64) -> Position {
        Position(self.lap_bits() | index & INDEX)
    }

    /// The same cell, so many laps later, or earlier.
    pub(super) const fn laps_later(self, laps: i16) -> Position {
        Position(self.0.wrapping_add((laps as i64 as u64).wrapping_mul(LAP)))
    }

    /// How many positions lie from `earlier` to this one: 0 if it is later (as damaged or outdated numbers are), and no
    /// more than there are cells.
    pub(super) const fn since(self, earlier: Position, cells: u64) -> u64 {
        // Laps differ by one at the most unless something is damaged.
        let laps = self.lap().wrapping_sub(earlier.lap()) << INDEX_BITS >> INDEX_BITS;
        let (now, then) = (self.index(), earlier.index());
        match laps {
            0 => now.saturating_sub(then),
            1 if now < then => cells - (then - now),
            1 => cells,
            _ => 0,
        }
    }
}
