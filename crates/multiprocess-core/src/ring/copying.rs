//! Copying between this process's own memory and memory that others change meanwhile: no ordinary copy, which would be
//! a data race, and as fast as one.
//!
//! What is copied while another process writes it is any mixture of old and new bytes: the protocol sees to it that
//! this happens only if a peer breaks it, and whoever reads the bytes expects anything.

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Copies `from` to `to`.
///
/// # Safety
///
/// There are as many bytes at `to`, no reference is to them but to atomics, and other processes access them as they
/// like.
#[inline]
pub unsafe fn store_bytes(to: *mut u8, from: &[u8]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if from.len() >= processor::BLOCK {
        // SAFETY: both are that long, and `from` cannot overlap what no reference but to atomics is to.
        return unsafe { processor::copy(to, from.as_ptr(), from.len()) };
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

/// Copies from `from` into `into`, all of which is initialised then.
///
/// # Safety
///
/// As for [`store_bytes`], with `from` in the place of `to`.
#[inline]
pub unsafe fn load_bytes(from: *const u8, into: &mut [MaybeUninit<u8>]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if into.len() >= processor::BLOCK {
        // SAFETY: both are that long, and nothing else refers to `into`.
        return unsafe { processor::copy(into.as_mut_ptr().cast(), from, into.len()) };
    }
    // SAFETY: the caller promises that there are so many bytes, seen by references to atomics alone.
    let from = unsafe { core::slice::from_raw_parts(from.cast::<AtomicU8>(), into.len()) };
    let (first, words, last) = split(from);
    let (into_first, rest) = into.split_at_mut(first.len());
    let (into_words, into_last) = rest.split_at_mut(8 * words.len());
    for (to, byte) in into_first.iter_mut().zip(first).chain(into_last.iter_mut().zip(last)) {
        to.write(byte.load(Relaxed));
    }
    for (to, word) in into_words.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        to.write_copy_of_slice(&word.load(Relaxed).to_ne_bytes());
    }
}

fn split(bytes: &[AtomicU8]) -> (&[AtomicU8], &[AtomicU64], &[AtomicU8]) {
    // SAFETY: eight bytes that are aligned are an `AtomicU64`, whatever they hold, and both kinds may be changed by
    // others.
    unsafe { bytes.align_to::<AtomicU64>() }
}

/// The processor's own instructions, into which the compiler does not look: so it assumes nothing about what the bytes
/// were or will be.
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod processor {
    use core::arch::asm;

    /// The least that can be copied.
    pub(super) const BLOCK: usize = 64;
    /// From so many bytes on the instruction for strings is faster than a loop.
    const STRING: usize = 768;
    /// Memory whose addresses differ by a multiple of this looks the same to a load that waits for stores.
    const ALIAS: usize = 4096;

    /// # Safety
    ///
    /// `length` bytes can be read at `from` and written at `to`, they do not overlap, and `length` is not below
    /// [`BLOCK`].
    #[inline]
    pub(super) unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
        // Just behind the source, up to aliases, the string instruction takes twenty times as long on some processors.
        let ahead = (to as usize).wrapping_sub(from as usize) % ALIAS;
        if length >= STRING && !(1..BLOCK).contains(&ahead) {
            // SAFETY: the caller promises what it asks for.
            return unsafe { copy_string(to, from, length) };
        }
        // SAFETY: these are the first of the bytes that the caller promises, as many whole blocks as there are.
        unsafe { copy_blocks(to, from, length / BLOCK * BLOCK) };
        let last = length - BLOCK;
        // SAFETY: these are the last of them, some of which are copied twice.
        unsafe { copy_blocks(to.wrapping_add(last), from.wrapping_add(last), BLOCK) };
    }

    /// # Safety
    ///
    /// `length` bytes can be read at `from` and written at `to`, and they do not overlap.
    #[inline]
    unsafe fn copy_string(to: *mut u8, from: *const u8, length: usize) {
        // SAFETY: this reads and writes exactly the bytes that the caller promises; the direction flag is clear by
        // convention.
        unsafe {
            asm!(
                "rep movsb",
                inout("rcx") length => _,
                inout("rdi") to => _,
                inout("rsi") from => _,
                options(nostack, preserves_flags)
            );
        }
    }

    /// # Safety
    ///
    /// `length` bytes can be read at `from` and written at `to`, they do not overlap, and are a multiple of [`BLOCK`],
    /// not 0.
    #[inline]
    unsafe fn copy_blocks(to: *mut u8, from: *const u8, length: usize) {
        // SAFETY: this reads and writes exactly the bytes that the caller promises, 64 in each round.
        unsafe {
            asm!(
                "2:",
                "movups {a}, [{from}]",
                "movups {b}, [{from} + 16]",
                "movups {c}, [{from} + 32]",
                "movups {d}, [{from} + 48]",
                "movups [{to}], {a}",
                "movups [{to} + 16], {b}",
                "movups [{to} + 32], {c}",
                "movups [{to} + 48], {d}",
                "add {from}, 64",
                "add {to}, 64",
                "sub {left}, 64",
                "jnz 2b",
                a = out(xmm_reg) _,
                b = out(xmm_reg) _,
                c = out(xmm_reg) _,
                d = out(xmm_reg) _,
                from = inout(reg) from => _,
                to = inout(reg) to => _,
                left = inout(reg) length => _,
                options(nostack)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    #[test]
    fn every_length_and_alignment_is_copied_and_nothing_beside_it() {
        let source: Vec<u8> = (0..9000_u32).map(|at| (at * 7 % 251) as u8 | 1).collect();
        for length in (0..300).chain([767, 768, 769, 4000]) {
            for (from, to) in [(0, 0), (1, 0), (0, 1), (3, 7), (0, 63), (64, 64), (100, 4100 - 1)] {
                let (mut there, mut back) = (std::vec![0; 9000], std::vec![MaybeUninit::new(0); 9000]);
                // SAFETY: the vector is longer than the sum, and nothing else refers to it.
                unsafe { store_bytes(there.as_mut_ptr().wrapping_add(to), &source[from..from + length]) };
                assert_eq!(there[to..to + length], source[from..from + length]);
                assert!(there[..to].iter().chain(&there[to + length..]).all(|byte| *byte == 0));
                // SAFETY: the vector is longer than the sum, and nothing writes to it.
                unsafe { load_bytes(there.as_ptr().wrapping_add(to), &mut back[from..from + length]) };
                // SAFETY: all of them were initialised at the beginning.
                let back: Vec<u8> = back.iter().map(|byte| unsafe { byte.assume_init() }).collect();
                assert_eq!(back[from..from + length], source[from..from + length]);
                assert!(back[..from].iter().chain(&back[from + length..]).all(|byte| *byte == 0));
            }
        }
    }
}
