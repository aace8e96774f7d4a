//! A page of numbers that a process shares with its forked copies, independent of everything that is tested.

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many numbers a page has.
const NUMBERS: usize = 512;

/// Numbers, zero at first, that every process forked after this one was made sees and may change.
#[derive(Debug, Clone, Copy)]
pub struct Page(&'static [AtomicU64; NUMBERS]);

impl Page {
    /// A page of zeros. It is never given back: a test makes few of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_tests::page::Page;
    ///
    /// let page = Page::new();
    /// page.set(3, 7);
    /// assert_eq!((page.get(3), page.get(4)), (7, 0));
    /// ```
    ///
    /// # Panics
    ///
    /// When there is no memory.
    #[expect(clippy::new_without_default, reason = "each is another page, and making one can fail")]
    pub fn new() -> Page {
        let length = size_of::<[AtomicU64; NUMBERS]>();
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: no address is asked for, so that the mapping takes the place of no other.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), length, access, flags) };
        let start = start.expect("a page can be mapped").cast::<[AtomicU64; NUMBERS]>();
        // SAFETY: the mapping is as long as the array, begins at a page, is zeroed, and is never unmapped.
        Page(unsafe { &*start })
    }

    /// The page that `file` begins with, for processes that are no forked copies but have the same file.
    ///
    /// # Panics
    ///
    /// When it cannot be made as long as a page, or there is no memory.
    pub fn in_file(file: &File) -> Page {
        let length = size_of::<[AtomicU64; NUMBERS]>();
        file.set_len(length as u64).expect("a file can be made as long as a page");
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: no address is asked for, so that the mapping takes the place of no other.
        let start = unsafe { mmap(std::ptr::null_mut(), length, access, flags, file, 0) };
        let start = start.expect("a page can be mapped").cast::<[AtomicU64; NUMBERS]>();
        // SAFETY: the mapping is as long as the array, begins at a page, has any bytes, and is never unmapped.
        Page(unsafe { &*start })
    }

    /// The number at `index`.
    pub fn get(self, index: usize) -> u64 {
        self.0[index].load(Ordering::SeqCst)
    }

    /// Makes the number at `index` `value`.
    pub fn set(self, index: usize, value: u64) {
        self.0[index].store(value, Ordering::SeqCst);
    }

    /// Adds `value` to the number at `index`, and returns what it was before.
    pub fn add(self, index: usize, value: u64) -> u64 {
        self.0[index].fetch_add(value, Ordering::SeqCst)
    }

    /// Makes all numbers zero.
    pub fn clear(self) {
        self.0.iter().for_each(|number| number.store(0, Ordering::SeqCst));
    }
}
