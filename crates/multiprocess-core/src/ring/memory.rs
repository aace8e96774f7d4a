//! A ring's memory, seen by one process: words by their offset, and bytes that are copied in and out.
//!
//! An offset comes from the [`Plan`](super::Plan) and an index that was checked against it. Words are aligned to 8.

#[cfg(not(loom))]
mod mapped {
    use super::super::copying;
    use crate::atomics::{AtomicU64, Ordering::Relaxed};
    use core::marker::PhantomData;
    use core::mem::MaybeUninit;
    use core::ptr::NonNull;

    /// Memory that others may change at any time.
    #[derive(Debug, Clone, Copy)]
    pub struct Memory<'a> {
        base: NonNull<u8>,
        #[cfg(debug_assertions)]
        length: u64,
        life: PhantomData<&'a AtomicU64>,
    }

    // SAFETY: all access is by atomics, or by copies that expect others to write; the promise of `new` is for all
    // threads.
    unsafe impl Send for Memory<'_> {}
    // SAFETY: a shared `Memory` can do no more than a copy of it.
    unsafe impl Sync for Memory<'_> {}

    impl<'a> Memory<'a> {
        /// # Safety
        ///
        /// There are `length` bytes at `base`, aligned to 8, for `'a`. This process sees them by atomics and such
        /// copies alone.
        pub unsafe fn new(base: NonNull<u8>, length: u64) -> Memory<'a> {
            let _ = length;
            Memory {
                base,
                #[cfg(debug_assertions)]
                length,
                life: PhantomData,
            }
        }

        #[inline]
        fn at(self, offset: u64, length: u64) -> *mut u8 {
            #[cfg(debug_assertions)]
            assert!(offset + length <= self.length, "{offset} + {length} is outside of {}", self.length);
            let _ = length;
            self.base.as_ptr().wrapping_add(offset as usize)
        }

        /// The word at `offset`.
        #[inline]
        pub fn word(self, offset: u64) -> &'a AtomicU64 {
            debug_assert!(offset.is_multiple_of(8));
            // SAFETY: the word lies within, is aligned, and lives for `'a`: see the promise of `new`.
            unsafe { AtomicU64::from_ptr(self.at(offset, 8).cast()) }
        }

        /// Eight bytes of a message, or of what describes it.
        #[inline]
        pub fn load(self, offset: u64) -> u64 {
            self.word(offset).load(Relaxed)
        }

        /// Sets eight bytes of a message, or of what describes it.
        #[inline]
        pub fn store(self, offset: u64, value: u64) {
            self.word(offset).store(value, Relaxed);
        }

        /// Says that the line at `offset` will soon be read and written here.
        #[inline]
        pub fn expect(self, offset: u64) {
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: it only moves a line between caches, and that where there is memory; elsewhere it does nothing.
            unsafe {
                core::arch::asm!("prefetchw [{}]", in(reg) self.at(offset, 8), options(nostack, preserves_flags, readonly));
            }
            let _ = offset;
        }

        /// Copies `from` to `offset`.
        #[inline]
        pub fn copy_in(self, offset: u64, from: &[u8]) {
            // SAFETY: the bytes lie within: see the promise of `new`.
            unsafe { copying::store_bytes(self.at(offset, from.len() as u64), from) };
        }

        /// Copies from `offset` into `into`, all of it.
        #[inline]
        pub fn copy_out(self, offset: u64, into: &mut [MaybeUninit<u8>]) {
            // SAFETY: the bytes lie within: see the promise of `new`.
            unsafe { copying::load_bytes(self.at(offset, into.len() as u64), into) };
        }
    }
}

#[cfg(loom)]
mod modelled {
    use crate::atomics::AtomicU64;
    use core::mem::MaybeUninit;
    use loom::cell::UnsafeCell;

    /// The memory of a model: at each offset a word, and beside it a cell, for which the model checker wants every two
    /// accesses ordered. The protocol uses one of the two.
    #[derive(Debug)]
    pub struct Store {
        words: Vec<AtomicU64>,
        cells: Vec<UnsafeCell<u64>>,
    }

    // SAFETY: the model checker fails a model in which two accesses to a cell are not ordered.
    unsafe impl Send for Store {}
    // SAFETY: an interleaving that passes has no two unordered accesses to a cell.
    unsafe impl Sync for Store {}

    impl Store {
        /// Memory of zeros.
        pub fn new(length: u64) -> Store {
            let words = length.div_ceil(8);
            Store {
                words: (0..words).map(|_| AtomicU64::new(0)).collect(),
                cells: (0..words).map(|_| UnsafeCell::new(0)).collect(),
            }
        }
    }

    /// A view of it.
    #[derive(Debug, Clone, Copy)]
    pub struct Memory<'a>(pub &'a Store);

    impl<'a> Memory<'a> {
        pub fn word(self, offset: u64) -> &'a AtomicU64 {
            &self.0.words[offset as usize / 8]
        }

        pub fn load(self, offset: u64) -> u64 {
            // SAFETY: the model checker reports an access that is not ordered after all writes.
            self.0.cells[offset as usize / 8].with(|cell| unsafe { *cell })
        }

        pub fn store(self, offset: u64, value: u64) {
            // SAFETY: the model checker reports an access that is not ordered after all others.
            self.0.cells[offset as usize / 8].with_mut(|cell| unsafe { *cell = value });
        }

        pub fn expect(self, _: u64) {}

        pub fn copy_in(self, offset: u64, from: &[u8]) {
            for (at, byte) in (offset..).zip(from) {
                let shift = at % 8 * 8;
                let old = if shift == 0 { 0 } else { self.load(at) };
                self.store(at, old & !(0xff << shift) | u64::from(*byte) << shift);
            }
        }

        pub fn copy_out(self, offset: u64, into: &mut [MaybeUninit<u8>]) {
            for (at, byte) in (offset..).zip(into) {
                byte.write((self.load(at) >> (at % 8 * 8)) as u8);
            }
        }
    }
}

#[cfg(not(loom))]
pub(super) use mapped::Memory;
#[cfg(loom)]
pub(super) use modelled::Memory;
#[cfg(loom)]
pub use modelled::Store;
