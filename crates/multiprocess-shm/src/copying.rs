//! Copying from and to memory that others change meanwhile: no ordinary copy, which would be a data race.
//!
//! The bytes in between are copied as words of eight. The language promises nothing for atomics of different sizes that
//! overlap; here that only decides which mixture of old and new bytes a reader finds, and the text of `read` and `write` promises
//! none.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Copies `from` into `into`, which is as long.
pub(crate) fn load_bytes(from: &[AtomicU8], into: &mut [u8]) {
    let (first, words, last) = split(from);
    let (into_first, rest) = into.split_at_mut(first.len());
    let (into_words, into_last) = rest.split_at_mut(8 * words.len());
    for (to, byte) in into_first.iter_mut().zip(first).chain(into_last.iter_mut().zip(last)) {
        *to = byte.load(Relaxed);
    }
    for (to, word) in into_words.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *to = word.load(Relaxed).to_ne_bytes();
    }
}

/// Copies `bytes` into `to`, which is as long.
pub(crate) fn store_bytes(to: &[AtomicU8], bytes: &[u8]) {
    let (first, words, last) = split(to);
    let (from_first, rest) = bytes.split_at(first.len());
    let (from_words, from_last) = rest.split_at(8 * words.len());
    for (to, byte) in first.iter().zip(from_first).chain(last.iter().zip(from_last)) {
        to.store(*byte, Relaxed);
    }
    for (to, bytes) in words.iter().zip(from_words.as_chunks::<8>().0) {
        to.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
}

fn split(bytes: &[AtomicU8]) -> (&[AtomicU8], &[AtomicU64], &[AtomicU8]) {
    // SAFETY: eight bytes that are aligned are an `AtomicU64`, whatever they hold, and both kinds may be changed by others.
    unsafe { bytes.align_to::<AtomicU64>() }
}
