//! The wire format: postcard's, with counts and marks where serde may leave something out.
//!
//! | Value | Bytes |
//! | --- | --- |
//! | integers, floats, `bool`, `char`, strings, byte strings | as postcard writes them |
//! | unit, unit struct | nothing |
//! | option | one byte, 0 or 1, then the value |
//! | newtype struct, tuple, array | the values alone |
//! | sequence, map | the number of elements or entries as a varint, then these |
//! | tuple struct | the number of fields as a varint, then the values |
//! | struct | the number of fields as a varint, the mark of their names, then the values |
//! | variant | its index as a varint, the mark of its name, then as a unit, value, tuple struct or struct |
//! | handle | its place among the handles as a varint |
//! | shared object | that place and one as a varint, or 0 without a handle; then its name as an option |
//!
//! A **mark** is sixteen bits that depend on names and their order. It costs two bytes and, names being
//! constants, hardly any time; this is what it prevents:
//!
//! * A derived `Serialize` counts the variants of an enum with the skipped ones, a derived `Deserialize` without them, so
//!   that behind a skipped variant an index means another variant. The reader looks for the variant whose *name* has the mark
//!   and hands the name to the type. Skipped variants and aliases are then harmless.
//! * A struct that leaves out one field when written and another one when read has equal numbers of fields and unequal names.
//!
//! The **count** of a struct is compared with what its `Deserialize` says it reads, and with what it does read, because a
//! field with an alias is announced under each of its names.
//!
//! Limits, the same on both sides, so that what can be sent can be read: [`DEPTH_MAX`], [`EMPTY_MAX`]. Everything else that
//! a reader does is bounded by the bytes that it has: each element of a sequence takes at least one byte, or counts
//! against [`EMPTY_MAX`].

/// The name under which a handle passes through serde's newtype structs; no user's type can have it by accident.
pub(crate) const HANDLE: &str = "$multiprocess_parcel::handle";

/// The same for objects that several values of one message may carry.
pub(crate) const SHARED: &str = "$multiprocess_parcel::shared";

/// How many values may lie inside one another.
pub(crate) const DEPTH_MAX: usize = 512;

/// How many elements of sequences and maps in one message may take no bytes at all.
pub(crate) const EMPTY_MAX: usize = 1 << 20;

/// What is common to all refusals of a handle.
pub(crate) const HANDLES_TRAVEL: &str = "handles travel in arguments, pool initialisers and pipes";

const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xd6e8_feb8_6659_fd93;

/// The mark of a sequence of names, while it grows.
#[derive(Clone, Copy)]
pub(crate) struct Mark(u64);

impl Mark {
    pub(crate) const EMPTY: Mark = Mark(FIRST);

    /// Written without a loop for names of up to sixteen bytes, so that the compiler computes the marks of constant names.
    #[inline]
    pub(crate) fn with(self, name: &str) -> Mark {
        let bytes = name.as_bytes();
        let len = bytes.len();
        let (head, tail) = if let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
            (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
        } else if let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
            (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail)))
        } else if let [head, .., tail] = bytes {
            (u64::from(*head) << 8 | u64::from(bytes[len / 2]), u64::from(*tail))
        } else {
            (bytes.first().map_or(0, |byte| u64::from(*byte)), 0)
        };
        let mut state = mixed(mixed(mixed(self.0, len as u64), head), tail);
        if len > 16 {
            for chunk in bytes[8..len - 8].chunks(8) {
                state = chunk.iter().fold(state, |state, byte| mixed(state, u64::from(*byte)));
            }
        }
        Mark(state)
    }

    /// The mark of `names` in their order.
    #[inline]
    pub(crate) fn of(names: &[&str]) -> Mark {
        names.iter().fold(Mark::EMPTY, |mark, name| mark.with(name))
    }

    /// As it stands on the wire.
    #[inline]
    pub(crate) fn bytes(self) -> [u8; 2] {
        // The upper bits of a product depend on all bits of its factor.
        let [a, b, ..] = self.0.wrapping_mul(FIRST).to_be_bytes();
        [a, b]
    }
}

#[inline]
fn mixed(state: u64, more: u64) -> u64 {
    let product = (state ^ more).wrapping_mul(SECOND);
    product ^ product >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn mark_depends_on_each_byte_and_on_order() {
        let mut seen = HashSet::new();
        for len in 1..40 {
            let plain = "a".repeat(len);
            assert!(seen.insert(Mark::of(&[&plain]).0), "the mark of {len} letters is not new");
            for at in 0..len {
                let mut other = plain.clone().into_bytes();
                other[at] = b'b';
                let other = String::from_utf8(other).unwrap();
                assert!(seen.insert(Mark::of(&[&other]).0), "byte {at} of {len} does not count");
            }
        }
        assert_ne!(Mark::of(&["a", "b"]).bytes(), Mark::of(&["b", "a"]).bytes());
        assert_ne!(Mark::of(&["ab"]).bytes(), Mark::of(&["a", "b"]).bytes());
        assert_ne!(Mark::of(&[""]).bytes(), Mark::of(&[]).bytes());
    }

    #[test]
    fn marks_of_similar_names_are_spread() {
        let marks: HashSet<_> = (0..4096).map(|i| Mark::of(&[&format!("field_{i}")]).bytes()).collect();
        assert!(marks.len() > 3900, "only {} of 4096 marks differ", marks.len());
    }
}
