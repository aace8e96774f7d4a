//! A value in two copies, one of which is whole at any time: who reads it waits for nobody, and who dies writing has not written.
//!
//! | `number` | Copy `number % 2` | The other copy |
//! | --- | --- | --- |
//! | n | the value, whole | the value before it, or a part of the next one |
//!
//! **write**, by one at a time (a lock sees to that): (1) write the other copy, word by word; (2) `number` = n + 1.
//! **read**, by anybody: (1) read `number`; (2) copy the words; (3) read `number` again: if it is the same, the copy is whole.
//!
//! Races: a writer touches the copy that a reader reads only if a value has been published since the reader's (1). Each word is
//! written with release and read with acquire, so a reader that has got a word of the value after the next one sees in (3) that
//! `number` has moved on. Death of the writer at any step of (1): the value is the one before, and the next writer writes the
//! whole copy again. A reader leaves no trace.

use crate::atomics::{AtomicU64, Ordering, order};

/// Which of the two copies is whole; all zeroes is the first one.
///
/// The copies are passed as words: the first half of them is one copy, the second half the other.
///
/// # Examples
///
/// ```
/// use multiprocess_core::{atomics::AtomicU64, snapshot::Snapshot};
///
/// let copies = [const { AtomicU64::new(0) }; 4];
/// let snapshot = Snapshot::new();
/// snapshot.write(&copies, b"hello, world");
/// let mut bytes = [0; 12];
/// assert!(snapshot.read(&copies, &mut bytes));
/// assert_eq!(&bytes, b"hello, world");
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct Snapshot {
    number: AtomicU64,
}

impl Default for Snapshot {
    fn default() -> Snapshot {
        Snapshot::new()
    }
}

/// One of the two copies.
#[inline]
fn copy(copies: &[AtomicU64], number: u64) -> &[AtomicU64] {
    let (even, odd) = copies.split_at(copies.len() / 2);
    if number.is_multiple_of(2) { even } else { odd }
}

impl Snapshot {
    /// The first copy is the whole one.
    #[cfg(not(loom))]
    pub const fn new() -> Snapshot {
        Snapshot { number: AtomicU64::new(0) }
    }

    /// The first copy is the whole one.
    #[cfg(loom)]
    pub fn new() -> Snapshot {
        Snapshot { number: AtomicU64::new(0) }
    }

    /// The number of words that both copies of a value of `length` bytes take; `None` if there are too many to count.
    pub const fn words(length: usize) -> Option<usize> {
        length.div_ceil(8).checked_mul(2)
    }

    /// Copies the value to `bytes`. `false` if it was overwritten twice meanwhile: `bytes` then hold nothing of use.
    #[must_use = "false means that the bytes are no value"]
    #[inline]
    pub fn read(&self, copies: &[AtomicU64], bytes: &mut [u8]) -> bool {
        let number = self.number.load(order!("snapshot.number", Acquire));
        for (bytes, word) in bytes.chunks_mut(8).zip(copy(copies, number)) {
            let word = word.load(order!("snapshot.word", Acquire)).to_ne_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
        self.number.load(Ordering::Relaxed) == number
    }

    /// Makes `bytes` the value. The caller holds the lock of the writers.
    ///
    /// # Crash
    ///
    /// The value is `bytes` or what it was.
    #[inline]
    pub fn write(&self, copies: &[AtomicU64], bytes: &[u8]) {
        let next = self.number.load(Ordering::Relaxed).wrapping_add(1);
        for (bytes, word) in bytes.chunks(8).zip(copy(copies, next)) {
            let mut value = [0; 8];
            value[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(value), order!("snapshot.write_word", Release));
        }
        self.number.store(next, order!("snapshot.publish", Release));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_length_comes_back() {
        let bytes: [u8; 40] = core::array::from_fn(|index| index as u8 + 1);
        let copies = [const { AtomicU64::new(0) }; 10];
        let snapshot = Snapshot::new();
        for length in 0..=40 {
            let copies = &copies[..Snapshot::words(length).unwrap()];
            snapshot.write(copies, &bytes[..length]);
            let mut read = [0; 40];
            assert!(snapshot.read(copies, &mut read[..length]));
            assert_eq!(read[..length], bytes[..length]);
        }
    }

    #[test]
    fn an_unfinished_write_is_not_read() {
        let copies = [const { AtomicU64::new(0) }; 4];
        let snapshot = Snapshot::new();
        snapshot.write(&copies, &[7; 16]);
        copy(&copies, 2)[0].store(u64::MAX, Ordering::Relaxed);
        let mut read = [0; 16];
        assert!(snapshot.read(&copies, &mut read));
        assert_eq!(read, [7; 16]);
    }
}
