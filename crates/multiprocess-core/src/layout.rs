//! What lies in a segment of shared memory: a header, a table of slots, and the payload.
//!
//! | Bytes | What |
//! | --- | --- |
//! | 0 to 127 | the [`Header`], written before anybody else can see the segment, never changed |
//! | 128 to 131 | where the next newcomer looks for a free slot first: a hint, anything may stand there |
//! | 256 to 3071 | the first [`FIRST_SLOTS`] slots, of 16 bytes each |
//! | 3072 to 4095, or from the next page on | the payload: up to [`SMALL`] bytes of it, or more |
//! | from the next page on, to the end | the slots up to [`SLOTS`] |
//!
//! The other slots lie behind the payload, where memory that nobody touches costs nothing. So a small object takes one page,
//! whoever uses it: to bring in a page is the dearest part of making a segment.
//!
//! Any process that has the segment may have written anything into it. So a reader copies the header, [decodes](Header::decode)
//! the copy, and uses the copy alone.

use core::fmt;

/// The number of processes that can be attached to a segment.
pub const SLOTS: u32 = 1024;
/// How many of the slots lie before the payload.
pub const FIRST_SLOTS: u32 = 176;
/// Where the hint lies.
pub const HINT: usize = 128;
/// The size of a slot.
pub const SLOT_SIZE: usize = 16;
/// The longest payload that lies in the first page.
pub const SMALL: u64 = 1024;
/// What the payload is aligned to, wherever it lies.
pub const ALIGNMENT: u64 = 1024;

/// The bytes of header and first slots; a small payload follows at once.
const PREFACE: u64 = 3072;
/// The bytes before any other payload that are used, whatever the size of a page.
const FIRST_PAGE: u64 = PREFACE + SMALL;

const SLOT_TABLE: u64 = 256;
const OTHER_SLOTS: u64 = (SLOTS - FIRST_SLOTS) as u64 * SLOT_SIZE as u64;
const _: () = assert!(SLOT_TABLE + FIRST_SLOTS as u64 * SLOT_SIZE as u64 == PREFACE);
const _: () = assert!(PREFACE.is_multiple_of(ALIGNMENT) && FIRST_PAGE.is_multiple_of(ALIGNMENT) && FIRST_PAGE <= 4096);

const MAGIC: [u8; 8] = *b"mprocess";
const VERSION: u32 = 2;
const READY: u32 = 0x7265_6479;
/// An odd number whose bits look random: with it no changed word leaves the check word as it was.
const CHECK: u64 = 0x9e37_79b9_7f4a_7c15;
/// The longest payload: less than a file can have, so that no sum overflows.
const LONGEST: u64 = 1 << 62;
const WORDS: usize = Header::SIZE / 8;

/// The header of a segment, as its maker wrote it.
///
/// # Examples
///
/// ```
/// use multiprocess_core::layout::{Damage, Header};
///
/// let header = Header::new(7, 100, 10, [1, 2, 3, 4], 4096).unwrap();
/// let bytes = header.encode();
/// assert_eq!(Header::decode(&bytes, header.total(), 4096), Ok(header));
/// assert_eq!(Header::decode(&bytes[..8], header.total(), 4096), Err(Damage::Truncated { size: 8 }));
/// assert_eq!(Header::decode(&[0; 128], 4096, 4096), Err(Damage::NotOurs));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    kind: u32,
    payload_offset: u64,
    payload_length: u64,
    /// Where the other slots begin.
    slots_offset: u64,
    reserved: u64,
    parameters: [u64; 4],
}

/// The header as bytes: the machine's own order, since nobody but this machine reads it.
#[repr(C)]
struct Image {
    magic: [u8; 8],
    version: u32,
    kind: u32,
    total: u64,
    payload_offset: u64,
    payload_length: u64,
    reserved: u64,
    parameters: [u64; 4],
    slots: u32,
    ready: u32,
    check: u64,
    spare: [u64; 4],
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Image>() == Header::SIZE && Header::SIZE <= HINT && HINT as u64 + 4 <= SLOT_TABLE);
    assert!(offset_of!(Image, magic) == 0 && offset_of!(Image, version) == 8 && offset_of!(Image, kind) == 12);
    assert!(offset_of!(Image, total) == 16 && offset_of!(Image, payload_offset) == 24);
    assert!(offset_of!(Image, payload_length) == 32 && offset_of!(Image, reserved) == 40);
    assert!(offset_of!(Image, parameters) == 48 && offset_of!(Image, slots) == 80 && offset_of!(Image, ready) == 84);
    assert!(offset_of!(Image, check) == 88 && offset_of!(Image, spare) == 96);
};

/// Why bytes are not the header of a segment that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// They do not begin as a segment does.
    NotOurs,
    /// Another version of this library made the segment.
    OtherVersion {
        /// That version.
        found: u32,
    },
    /// It is a segment for something else.
    OtherKind {
        /// What it is for.
        found: u32,
    },
    /// It is shorter than it says, or than a segment can be.
    Truncated {
        /// Its size in bytes.
        size: u64,
    },
    /// Two of its words contradict each other, or one cannot be.
    Inconsistent(&'static str),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::NotOurs => f.write_str("it does not begin as a segment does"),
            Damage::OtherVersion { found } => write!(f, "it has version {found} of the layout and not {VERSION}"),
            Damage::OtherKind { found } => write!(f, "it is for something else ({found:#x})"),
            Damage::Truncated { size } => write!(f, "it was cut off to {size} bytes"),
            Damage::Inconsistent(what) => write!(f, "its header is damaged: {what}"),
        }
    }
}

impl core::error::Error for Damage {}

impl Header {
    /// The size of a header in bytes.
    pub const SIZE: usize = 128;

    /// A segment of `kind` with `length` bytes of payload, the first `reserved` of which are there from the beginning, in
    /// pages of `page` bytes (a power of two). `None` if no memory can be that large.
    pub const fn new(kind: u32, length: u64, reserved: u64, parameters: [u64; 4], page: u64) -> Option<Header> {
        if length > LONGEST || reserved > length {
            return None;
        }
        let payload_offset = if length <= SMALL { PREFACE } else { FIRST_PAGE.next_multiple_of(page) };
        let slots_offset = (payload_offset + length).next_multiple_of(page);
        Some(Header { kind, payload_offset, payload_length: length, slots_offset, reserved, parameters })
    }

    /// What the segment is for.
    pub const fn kind(&self) -> u32 {
        self.kind
    }

    /// Where the payload begins.
    pub const fn payload_offset(&self) -> u64 {
        self.payload_offset
    }

    /// The length of the payload in bytes.
    pub const fn payload_length(&self) -> u64 {
        self.payload_length
    }

    /// How many bytes of the payload are there from the beginning.
    pub const fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Four numbers that belong to the kind.
    pub const fn parameters(&self) -> [u64; 4] {
        self.parameters
    }

    /// The size of the whole segment in bytes.
    pub const fn total(&self) -> u64 {
        self.slots_offset + OTHER_SLOTS
    }

    /// Where the slots begin that lie behind the payload.
    pub const fn slots_offset(&self) -> u64 {
        self.slots_offset
    }

    /// Where a slot lies; `None` if there is no such slot.
    pub const fn slot_offset(&self, slot: u32) -> Option<u64> {
        match slot {
            0..FIRST_SLOTS => Some(SLOT_TABLE + slot as u64 * SLOT_SIZE as u64),
            FIRST_SLOTS..SLOTS => Some(self.slots_offset + (slot - FIRST_SLOTS) as u64 * SLOT_SIZE as u64),
            _ => None,
        }
    }

    /// The header as it lies in the segment.
    pub fn encode(&self) -> [u8; Header::SIZE] {
        let pair = |low: u32, high: u32| {
            let (low, high) = (low.to_ne_bytes(), high.to_ne_bytes());
            u64::from_ne_bytes([low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]])
        };
        let mut words = [0; WORDS];
        words[0] = u64::from_ne_bytes(MAGIC);
        words[1] = pair(VERSION, self.kind);
        words[2] = self.total();
        words[3] = self.payload_offset;
        words[4] = self.payload_length;
        words[5] = self.reserved;
        words[6..10].copy_from_slice(&self.parameters);
        words[10] = pair(SLOTS, READY);
        words[11] = words[2..11].iter().fold(0, |sum: u64, word| (sum.rotate_left(7) ^ word).wrapping_mul(CHECK));
        let mut bytes = [0; Header::SIZE];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// The header that was copied from the beginning of a segment of `size` bytes, in pages of `page` bytes.
    ///
    /// # Errors
    ///
    /// It cannot be used, and why. Every byte of a header that can be used is what [`encode`](Header::encode) writes.
    pub fn decode(bytes: &[u8], size: u64, page: u64) -> Result<Header, Damage> {
        let Some(bytes) = bytes.first_chunk::<{ Header::SIZE }>() else {
            return Err(Damage::Truncated { size: size.min(bytes.len() as u64) });
        };
        let word = |at: usize| u64::from_ne_bytes(core::array::from_fn(|i| bytes[at + i]));
        let half = |at: usize| u32::from_ne_bytes(core::array::from_fn(|i| bytes[at + i]));
        if bytes[..8] != MAGIC {
            return Err(Damage::NotOurs);
        }
        if half(8) != VERSION {
            return Err(Damage::OtherVersion { found: half(8) });
        }
        let parameters = core::array::from_fn(|i| word(48 + 8 * i));
        let header = Header::new(half(12), word(32), word(40), parameters, page)
            .ok_or(Damage::Inconsistent("its payload has an impossible length"))?;
        if header.encode() != *bytes {
            return Err(Damage::Inconsistent(header.contradiction(word, half)));
        }
        match size {
            size if size < header.total() => Err(Damage::Truncated { size }),
            size if size > header.total() => Err(Damage::Inconsistent("it is longer than it says")),
            _ => Ok(header),
        }
    }

    /// What differs from the header that follows from kind, lengths and parameters.
    fn contradiction(&self, word: impl Fn(usize) -> u64, half: impl Fn(usize) -> u32) -> &'static str {
        match () {
            () if word(16) != self.total() => "its size is not that of its parts",
            () if word(24) != self.payload_offset => "its payload begins elsewhere",
            () if half(84) != READY => "it was never finished",
            () => "one of its words was changed",
        }
    }

    /// Says so if this is a segment for something else.
    ///
    /// # Errors
    ///
    /// The kind is not `kind`.
    pub fn expect_kind(&self, kind: u32) -> Result<(), Damage> {
        if self.kind == kind { Ok(()) } else { Err(Damage::OtherKind { found: self.kind }) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    fn header() -> Header {
        Header::new(0x1234, 1000, 64, [1, 2, 3, u64::MAX], PAGE).unwrap()
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let good = header().encode();
        for bit in 0..8 * Header::SIZE {
            let mut bytes = good;
            bytes[bit / 8] ^= 1 << (bit % 8);
            match Header::decode(&bytes, header().total(), PAGE) {
                // The kind is for whoever opens it to judge.
                Ok(other) => {
                    assert!(bit / 32 == 3, "bit {bit}");
                    assert_ne!(other, header(), "bit {bit}");
                }
                Err(damage) => assert_ne!(damage, Damage::OtherKind { found: 0 }, "bit {bit}"),
            }
        }
    }

    #[test]
    fn every_length_but_the_right_one_is_refused() {
        let (header, bytes) = (header(), header().encode());
        for length in 0..Header::SIZE {
            let damage = Header::decode(&bytes[..length], header.total(), PAGE);
            assert_eq!(damage, Err(Damage::Truncated { size: length as u64 }));
        }
        for size in [0, 128, header.total() - 1] {
            assert_eq!(Header::decode(&bytes, size, PAGE), Err(Damage::Truncated { size }));
        }
        let longer = Header::decode(&bytes, header.total() + 1, PAGE);
        assert!(matches!(longer, Err(Damage::Inconsistent(_))), "{longer:?}");
        let other_pages = Header::decode(&bytes, header.total(), 65536);
        assert_eq!(other_pages, Err(Damage::Inconsistent("its size is not that of its parts")));
    }

    #[test]
    fn each_damage_has_its_name() {
        assert_eq!(Header::decode(&[0; 128], 4096, PAGE), Err(Damage::NotOurs));
        assert_eq!(Header::decode(&[0xff; 4096], 4096, PAGE), Err(Damage::NotOurs));
        assert_eq!(Header::decode(&[], 0, PAGE), Err(Damage::Truncated { size: 0 }));
        let mut bytes = header().encode();
        bytes[8..12].copy_from_slice(&9u32.to_ne_bytes());
        assert_eq!(Header::decode(&bytes, header().total(), PAGE), Err(Damage::OtherVersion { found: 9 }));
        assert_eq!(header().expect_kind(0x1234), Ok(()));
        assert_eq!(header().expect_kind(1), Err(Damage::OtherKind { found: 0x1234 }));
        let mut unfinished = header().encode();
        unfinished[84..88].fill(0);
        let damage = Header::decode(&unfinished, header().total(), PAGE);
        assert_eq!(damage, Err(Damage::Inconsistent("it was never finished")));
    }

    #[test]
    fn parts_do_not_overlap() {
        for page in [4096, 65536] {
            for length in [0, 1, SMALL, SMALL + 1, 4096, 65537] {
                let header = Header::new(0, length, 0, [0; 4], page).unwrap();
                assert_eq!((header.slot_offset(0), header.slot_offset(SLOTS)), (Some(256), None));
                let last = header.slot_offset(FIRST_SLOTS - 1).unwrap() + SLOT_SIZE as u64;
                assert!(last <= header.payload_offset() && header.payload_offset().is_multiple_of(ALIGNMENT));
                assert!(length <= SMALL || header.payload_offset().is_multiple_of(page));
                let other = header.slot_offset(FIRST_SLOTS).unwrap();
                assert_eq!(other, header.slots_offset());
                assert!(other >= header.payload_offset() + length && other.is_multiple_of(page));
                assert_eq!(header.slot_offset(SLOTS - 1).unwrap() + SLOT_SIZE as u64, header.total());
            }
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(Header::new(0, u64::MAX, 0, [0; 4], PAGE).is_none());
        assert!(Header::new(0, 1 << 63, 0, [0; 4], PAGE).is_none());
        assert!(Header::new(0, 1, 2, [0; 4], PAGE).is_none());
        assert!(Header::new(0, (1 << 62) + 1, 0, [0; 4], PAGE).is_none());
        assert!(Header::new(0, 1 << 62, 0, [0; 4], 65536).unwrap().total() < i64::MAX as u64);
    }
}
