//! How a process maps a segment: all of it, and often its beginning once more.
//!
//! A segment may be much longer than what of it is reserved: a channel has room for messages of a gibibyte, which most never
//! see. Thousands of such mappings have page tables of their own each, and whoever goes from one to the other waits for those
//! (with 10,000 channels, twenty times as long for a message as with one). So what every use of a segment needs, the part
//! up to the end of what is reserved, is mapped once more, close to the same part of others. It is the same memory: whichever
//! way a word is reached, it is one word, also to sleep on (futex(2): shared futexes are told apart by file and offset).

use multiprocess_core::layout::Header;
use multiprocess_sys::Error;
use multiprocess_sys::handle::BorrowedHandle;
use multiprocess_sys::map::Map;

/// How much more than its beginning must be mapped for this to be worth the second mapping: what one page table covers, where
/// pages are small.
const MUCH: u64 = 2 << 20;

/// The mappings of one segment in this process.
#[derive(Debug)]
pub(crate) struct Mappings {
    whole: Map,
    front: Option<Map>,
}

impl Mappings {
    /// Maps the segment with that header.
    pub(crate) fn new(memory: BorrowedHandle<'_>, header: &Header) -> Result<Mappings, Error> {
        let (whole, length) = (Map::shared(memory, header.total())?, header.payload_offset() + header.reserved());
        let is_worth_it = header.total() - length >= MUCH;
        // One that cannot be had is done without.
        let front = is_worth_it.then(|| Map::shared_closely(memory, length).ok()).flatten();
        Ok(Mappings { whole, front })
    }

    /// All of it.
    pub(crate) fn whole(&self) -> &Map {
        &self.whole
    }

    /// What stands before the payload and what is reserved of it, or more.
    pub(crate) fn front(&self) -> &Map {
        self.front.as_ref().unwrap_or(&self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multiprocess_sys::handle::AsHandle;
    use multiprocess_sys::map;

    #[test]
    fn the_beginning_of_a_long_segment_is_the_same_memory_in_both() {
        for (length, has_front) in [(100, false), (MUCH / 2, false), (MUCH + 65536, true), (1 << 40, true)] {
            let header = Header::new(7, length, 100, [0; 4], map::page_size()).unwrap();
            let memory = map::anonymous(header.total()).unwrap();
            let mappings = Mappings::new(memory.as_fd(), &header).unwrap();
            let (whole, front) = (mappings.whole(), mappings.front());
            assert_eq!((whole.length(), front.length() < whole.length()), (header.total(), has_front));
            let last = header.payload_offset() as usize + 99;
            // SAFETY: the byte lies in the part that both go as far as, and nobody else uses it.
            unsafe { front.start().as_ptr().wrapping_add(last).write_volatile(9) };
            // SAFETY: the same.
            assert_eq!(unsafe { whole.start().as_ptr().wrapping_add(last).read_volatile() }, 9);
        }
    }
}
