//! Copying between this process's own memory and memory that others change meanwhile: no ordinary copy, which would be a data
//! race, and as fast as one.
//!
//! What is copied while another process writes it is any mixture of old and new bytes: the protocol sees to it that this
//! happens only if a peer breaks it, and whoever reads the bytes expects anything.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// From so many bytes on the processor's own instruction for copies is faster than a loop.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const STRING: usize = 128;

/// Copies `from` to `to`.
///
/// # Safety
///
/// There are as many bytes at `to`, no reference is to them but to atomics, and other processes access them as they like.
#[inline]
pub(super) unsafe fn store_bytes(to: *mut u8, from: &[u8]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if from.len() >= STRING {
        // SAFETY: both are that long, and `from` cannot overlap what no reference but to atomics is to.
        return unsafe { copy_string(to, from.as_ptr(), from.len()) };
    }
    // SAFETY: the caller promises that there are so many bytes, seen by references to atomics alone.
    let to = unsafe { core::slice::from_raw_parts(to.cast::<AtomicU8>(), from.len()) };
    let (first, words, last) = split(to);
    let (from_first, rest) = from.split_at(first.len());
    let (from_words, from_last) = rest.split_at(8 * words.len());
    for (to, byte) in first.iter().zip(from_first).chain(last.iter().zip(from_last)) {
        to.store(*byte, Relaxed);
    }
    for (to, bytes) in words.iter().zip(from_words.as_chunks::<8>().0) {
        to.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
}

/// Copies from `from` into `into`.
///
/// # Safety
///
/// As for [`store_bytes`], with `from` in the place of `to`.
#[inline]
pub(super) unsafe fn load_bytes(from: *const u8, into: &mut [u8]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if into.len() >= STRING {
        // SAFETY: both are that long, and nothing else refers to `into`.
        return unsafe { copy_string(into.as_mut_ptr(), from, into.len()) };
    }
    // SAFETY: the caller promises that there are so many bytes, seen by references to atomics alone.
    let from = unsafe { core::slice::from_raw_parts(from.cast::<AtomicU8>(), into.len()) };
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

fn split(bytes: &[AtomicU8]) -> (&[AtomicU8], &[AtomicU64], &[AtomicU8]) {
    // SAFETY: eight bytes that are aligned are an `AtomicU64`, whatever they hold, and both kinds may be changed by others.
    unsafe { bytes.align_to::<AtomicU64>() }
}

/// One instruction that the compiler does not look into: so it assumes nothing about what the bytes were or will be.
///
/// # Safety
///
/// `length` bytes can be read at `from` and written at `to`, and they do not overlap.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
unsafe fn copy_string(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: `rep movsb` reads and writes exactly the bytes that the caller promises; the direction flag is clear by the
    // calling convention.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rcx") length => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
    }
}
