//! How a process maps a segment: all of it, and, if its user asks for that, its beginning once more.
//!
//! A segment may be much longer than what of it is reserved: a channel has room for messages of a gibibyte, which most never
//! see. Thousands of such mappings have page tables of their own each, and whoever goes from one to the other waits for those
//! (with 10,000 channels, twenty times as long for a message as with one). So what every use of a channel needs, the part
//! up to the end of what is reserved, is mapped once more, close to the same part of others. It is the same memory: whichever
//! way a word is reached, it is one word, also to sleep on (futex(2): shared futexes are told apart by file and offset).

use multiprocess_core::layout::Header;
use multiprocess_sys::Error;
use multiprocess_sys::handle::BorrowedHandle;
use multiprocess_sys::map::Map;
use std::sync::OnceLock;

/// What one page table covers, where pages are small: a beginning that is longer has some for itself, and one behind which there is
/// less has few.
const MUCH: u64 = 2 << 20;

/// The mappings of one segment in this process.
#[derive(Debug)]
pub(crate) struct Mappings {
    whole: Map,
    front_length: u64,
    /// Made when it is asked for first; nothing if it is not worth a mapping, or cannot be had.
    front: OnceLock<Option<Map>>,
}

impl Mappings {
    /// Maps the segment with that header.
    pub(crate) fn new(memory: BorrowedHandle<'_>, header: &Header) -> Result<Mappings, Error> {
        let front_length = header.payload_offset() + header.reserved();
        Ok(Mappings { whole: Map::shared(memory, header.total())?, front_length, front: OnceLock::new() })
    }

    /// All of it.
    pub(crate) fn whole(&self) -> &Map {
        &self.whole
    }

    /// What stands before the payload and what is reserved of it, or more. The first call needs the memory.
    pub(crate) fn front(&self, memory: Option<BorrowedHandle<'_>>) -> &Map {
        let behind = self.whole.length() - self.front_length;
        let is_worth_it = self.front_length <= MUCH && behind >= MUCH;
        let make =
            || memory.filter(|_| is_worth_it).and_then(|memory| Map::shared_closely(memory, self.front_length).ok());
        self.front.get_or_init(make).as_ref().unwrap_or(&self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multiprocess_sys::handle::AsHandle;
    use multiprocess_sys::map;
    use std::ptr;

    #[test]
    fn the_beginning_of_a_long_segment_is_the_same_memory_in_both() {
        let short = [(100, false), (MUCH / 2, false), (MUCH + 65536, true), (1 << 40, true)].map(|case| (case, 100));
        for ((length, has_front), reserved) in short.into_iter().chain([((1 << 40, false), MUCH)]) {
            let header = Header::new(7, length, reserved, [0; 4], map::page_size()).unwrap();
            let memory = map::anonymous(header.total()).unwrap();
            let mappings = Mappings::new(memory.as_fd(), &header).unwrap();
            let (whole, front) = (mappings.whole(), mappings.front(Some(memory.as_fd())));
            assert!(ptr::eq(front, mappings.front(None)));
            assert_eq!((whole.length(), front.length() < whole.length()), (header.total(), has_front));
            let last = header.payload_offset() as usize + 99;
            // SAFETY: the byte lies in the part that both go as far as, and nobody else uses it.
            unsafe { front.start().as_ptr().wrapping_add(last).write_volatile(9) };
            // SAFETY: the same.
            assert_eq!(unsafe { whole.start().as_ptr().wrapping_add(last).read_volatile() }, 9);
        }
    }
}
