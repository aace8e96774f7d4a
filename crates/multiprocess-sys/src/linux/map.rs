//! Shared mappings (mmap(2)) of memfds and of files in memory.
//!
//! A file in memory can have holes, and touching a hole when memory is short is a SIGBUS. So whatever is used is brought in
//! first, by a call that fails with an error instead (`MADV_POPULATE_WRITE`; fallocate(2) on kernels before 5.14). A memfd is
//! sealed against shrinking, which would make holes in what others have mapped; what others have made is searched for holes.

use super::handle::{BorrowedHandle, OwnedHandle};
use crate::{Error, ErrorKind, seam};
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, SeekFrom};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use rustix::process::Resource;
use std::ffi::c_void;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SEALS: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW);

/// The size of a page of memory in bytes.
pub fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// A memory object without a name, of `length` zero bytes and never another length. None of them is there yet.
///
/// # Errors
///
/// Out of descriptors or memory, or a length that no file can have.
///
/// # Crash
///
/// It goes with the last handle and mapping.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::map::{self, Map};
/// use std::os::fd::AsFd;
///
/// let memory = map::anonymous(1 << 40)?; // a terabyte, which costs nothing
/// assert_eq!(map::anonymous_size(memory.as_fd())?, 1 << 40);
/// let map = Map::shared(memory.as_fd(), 8192)?;
/// map.reserve(Some(memory.as_fd()), 4096, 4096)?;
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub fn anonymous(length: u64) -> Result<OwnedHandle, Error> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let make = |flags| seam::call("memfd_create", || rustix::fs::memfd_create(c"multiprocess", flags));
    // Some systems allow only memory that nobody can run as a program; kernels before 6.3 do not know how to ask for it.
    let memory = match make(flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => make(flags),
        made => made,
    };
    let memory = memory.map_err(failed)?;
    set_length(&memory, length)?;
    seam::call("fcntl(F_ADD_SEALS)", || rustix::fs::fcntl_add_seals(&memory, SEALS)).map_err(failed)?;
    Ok(memory)
}

/// Gives a new file its length. One that this process may not make would be its end by SIGXFSZ (RLIMIT_FSIZE, setrlimit(2)).
pub(super) fn set_length(memory: &OwnedHandle, length: u64) -> Result<(), Error> {
    if rustix::process::getrlimit(Resource::Fsize).current.is_some_and(|most| length > most) {
        return Err(failed(Errno::FBIG));
    }
    seam::retry("ftruncate", || rustix::fs::ftruncate(memory, length)).map_err(failed)
}

fn failed(e: Errno) -> Error {
    Error::os("making shared memory", io::Error::from(e))
}

/// The size in bytes of a memory object that another process sent, if nobody can ever change it.
///
/// # Errors
///
/// It is something else, or not sealed.
pub fn anonymous_size(memory: BorrowedHandle<'_>) -> Result<u64, Error> {
    let damaged = |what: &str| Error::new(ErrorKind::Damaged, format!("attaching to shared memory: {what}"));
    let seals = seam::call("fcntl(F_GET_SEALS)", || rustix::fs::fcntl_get_seals(memory))
        .map_err(|e| damaged("the handle is not a memory object").with_source(io::Error::from(e)))?;
    if !seals.contains(SEALS) {
        return Err(damaged("the memory object is not sealed, so its sender could cut it off"));
    }
    if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
        return Err(damaged("the memory object is sealed against writing"));
    }
    size(memory)
}

/// Sees to it that `length` bytes from `offset` on of memory that somebody else has made are really there, as they should be:
/// touching what is not fails with a signal when memory is short. How far it is known to be there, which may be further.
///
/// To look costs half a microsecond for a page, and 400 for 64 MiB. Only what looks like a hole is allocated, which takes four times as
/// long: pages that were allocated by a call and never written look like holes. If there is less memory than there
/// should be, nothing is allocated for whoever claims that there is more.
///
/// # Errors
///
/// Some of it is missing ([`ErrorKind::Damaged`]), or there is no memory to fill a hole.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::map::{self, Map};
/// use std::os::fd::AsFd;
///
/// let memory = map::anonymous(8192)?;
/// assert!(map::check_reserved(memory.as_fd(), 0, 4096).is_err());
/// Map::shared(memory.as_fd(), 8192)?.reserve(Some(memory.as_fd()), 0, 4096)?;
/// assert_eq!(map::check_reserved(memory.as_fd(), 0, 100)?, 4096);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub fn check_reserved(memory: BorrowedHandle<'_>, offset: u64, length: u64) -> Result<u64, Error> {
    let failed = |e| Error::os("looking for holes in shared memory", io::Error::from(e));
    let end = offset.checked_add(length).ok_or_else(|| failed(Errno::OVERFLOW))?;
    // The position that this changes belongs to everybody who has the handle, and nobody uses it.
    match seam::call("lseek(SEEK_HOLE)", || rustix::fs::seek(memory, SeekFrom::Hole(offset))) {
        Ok(hole) if hole >= end => return Ok(hole),
        // Where the system cannot tell, there may be one.
        Ok(_) | Err(Errno::INVAL) => {}
        Err(e) => return Err(failed(e)),
    }
    if in_use(memory)? < length {
        return Err(Error::new(ErrorKind::Damaged, "attaching to shared memory: some of it is not there"));
    }
    fill(memory, offset, length)?;
    Ok(end)
}

/// Allocates what is missing in a file in memory.
fn fill(memory: BorrowedHandle<'_>, offset: u64, length: u64) -> Result<(), Error> {
    seam::retry("fallocate", || rustix::fs::fallocate(memory, FallocateFlags::empty(), offset, length))
        .map_err(|e| Error::os("reserving shared memory", io::Error::from(e)))
}

/// The size in bytes of a file.
///
/// # Errors
///
/// The operating system refused.
pub fn size(memory: BorrowedHandle<'_>) -> Result<u64, Error> {
    let stat = seam::call("fstat", || rustix::fs::fstat(memory))
        .map_err(|e| Error::os("looking at shared memory", io::Error::from(e)))?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

/// How many bytes of memory a memory object takes: no more than its size, and less where nobody has written.
///
/// # Errors
///
/// The operating system refused.
pub fn in_use(memory: BorrowedHandle<'_>) -> Result<u64, Error> {
    let stat = seam::call("fstat", || rustix::fs::fstat(memory))
        .map_err(|e| Error::os("looking at shared memory", io::Error::from(e)))?;
    Ok(u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512))
}

/// Copies the beginning of a memory object; how much of `bytes` it filled.
///
/// # Errors
///
/// It is nothing that can be read so.
pub fn read_start(memory: BorrowedHandle<'_>, bytes: &mut [u8]) -> Result<usize, Error> {
    seam::retry("pread", || rustix::io::pread(memory, &mut *bytes, 0))
        .map_err(|e| Error::os("reading the header of shared memory", io::Error::from(e)))
}

/// Words that are zero in every copy of this process that the program makes with its own `fork` (`MADV_WIPEONFORK`,
/// madvise(2)). A page of them, never given back.
///
/// # Errors
///
/// Out of memory.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::Ordering::Relaxed;
///
/// let words = multiprocess_sys::map::wiped_words()?;
/// assert_eq!(words[0].load(Relaxed), 0);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub fn wiped_words() -> Result<&'static [AtomicU64], Error> {
    let size = rustix::param::page_size();
    let map = || {
        // SAFETY: a new mapping, at an address that the kernel chooses.
        unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                size,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }
    };
    let failed = |e| Error::os("mapping a page", io::Error::from(e));
    let page = Map::of(seam::call("mmap", map).map_err(failed)?, size)?;
    page.advise(Advice::LinuxWipeOnFork).map_err(failed)?;
    let start = page.start.cast::<AtomicU64>();
    std::mem::forget(page);
    // SAFETY: a page of zeros, aligned, that stays mapped; the words are changed as atomics only.
    Ok(unsafe { std::slice::from_raw_parts(start.as_ptr(), size / size_of::<AtomicU64>()) })
}

/// A mapping that other processes see too; unmapped when dropped.
#[derive(Debug)]
pub struct Map {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the value owns an address range of the process; what lies there is for its users to share.
unsafe impl Send for Map {}
// SAFETY: the same; the methods change nothing of the value.
unsafe impl Sync for Map {}

impl Map {
    /// Maps the first `length` bytes to read and write. The mapping keeps the description of `memory`.
    ///
    /// # Errors
    ///
    /// No address space, or too many mappings; `memory` cannot be mapped, or not written.
    pub fn shared(memory: BorrowedHandle<'_>, length: u64) -> Result<Map, Error> {
        Map::new(memory, length, ProtFlags::READ | ProtFlags::WRITE, 0)
    }

    /// The same, where possible next to other mappings that were made so. Short ones then share their page tables, of which
    /// each that lies among large ones has some for itself; and a processor that goes from one to the other finds them in
    /// its caches.
    ///
    /// # Errors
    ///
    /// As for [`shared`](Self::shared).
    pub fn shared_closely(memory: BorrowedHandle<'_>, length: u64) -> Result<Map, Error> {
        Map::new(memory, length, ProtFlags::READ | ProtFlags::WRITE, next_place(length))
    }

    /// At `place` if there is room for it, and if it is not 0.
    fn new(memory: BorrowedHandle<'_>, length: u64, access: ProtFlags, place: usize) -> Result<Map, Error> {
        let failed = |e| Error::os("mapping shared memory", io::Error::from(e));
        let length = usize::try_from(length).map_err(|_| failed(Errno::NOMEM))?;
        let place = std::ptr::without_provenance_mut(place);
        let map = || {
            // SAFETY: a new mapping, at an address that the kernel chooses, though it is told of a good one.
            unsafe { rustix::mm::mmap(place, length, access, MapFlags::SHARED, memory, 0) }
        };
        Map::of(seam::call("mmap", map).map_err(failed)?, length)
    }

    pub(super) fn of(start: *mut c_void, length: usize) -> Result<Map, Error> {
        let start =
            NonNull::new(start.cast()).ok_or_else(|| Error::os("mapping memory", io::Error::from(Errno::NOMEM)))?;
        Ok(Map { start, length })
    }

    fn advise(&self, advice: Advice) -> Result<(), Errno> {
        // SAFETY: the range is this value's, and none of the advices used here loses what lies in it.
        seam::retry("madvise", || unsafe { rustix::mm::madvise(self.start.as_ptr().cast(), self.length, advice) })
    }

    /// Where it begins; aligned to a page.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length as u64
    }

    /// Has `length` bytes from `offset` on be really there, so that touching them cannot fail. `memory` is what is mapped,
    /// where it is still at hand: kernels before 5.14 need it.
    ///
    /// # Errors
    ///
    /// There is no memory, or the range is not inside the mapping.
    pub fn reserve(&self, memory: Option<BorrowedHandle<'_>>, offset: u64, length: u64) -> Result<(), Error> {
        let failed = |e| Error::os("reserving shared memory", io::Error::from(e));
        let end = offset.checked_add(length).filter(|end| *end <= self.length()).ok_or_else(|| failed(Errno::INVAL))?;
        if length == 0 {
            return Ok(());
        }
        let first = offset / page_size() * page_size();
        // SAFETY: `first` lies inside the mapping.
        let start = unsafe { self.start.add(first as usize) };
        let populate = || {
            // SAFETY: the pages are this value's; they are brought in, and nothing in them changes.
            unsafe { rustix::mm::madvise(start.as_ptr().cast(), (end - first) as usize, Advice::LinuxPopulateWrite) }
        };
        match (seam::retry("madvise(MADV_POPULATE_WRITE)", populate), memory) {
            (Ok(()), _) => Ok(()),
            (Err(Errno::INVAL), Some(memory)) => fill(memory, offset, length),
            // The touch would have been a SIGBUS: the file system is full.
            (Err(Errno::FAULT), _) => Err(failed(Errno::NOSPC)),
            (Err(e), _) => Err(failed(e)),
        }
    }

    /// Opens what is mapped once more, though no handle of it is left; `None` where the operating system does not allow it
    /// (proc_pid_map_files(5): only for privileged processes).
    pub fn reopen(&self) -> Option<OwnedHandle> {
        let start = self.start.as_ptr() as u64;
        let end = (start + self.length()).next_multiple_of(page_size());
        let path = format!("/proc/self/map_files/{start:x}-{end:x}");
        rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()
    }
}

/// Where the next mapping should lie that is to lie close to others: behind those that were asked for so far, in a part of the
/// address space where neither programs nor stacks nor what the kernel places by itself is near. Where in it they begin is
/// random, as other addresses are. After many they begin again at its beginning: the kernel finds another place for one whose
/// place is taken.
fn next_place(length: u64) -> usize {
    const FIRST: u64 = 16 << 40;
    const SPAN: u64 = 4 << 40;
    static USED: AtomicU64 = AtomicU64::new(0);
    static START: OnceLock<u64> = OnceLock::new();
    // The keys of hash tables are random.
    let start = START.get_or_init(|| RandomState::new().hash_one(0) % SPAN);
    let used = USED.fetch_add(length.next_multiple_of(page_size()), Relaxed);
    let place = FIRST + start.wrapping_add(used) % SPAN / page_size() * page_size();
    // The kernel ignores an address that cannot be.
    usize::try_from(place).unwrap_or(0)
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the range is this value's, and its users hold the value as long as they use it.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Holds on to an open file description and its locks without a descriptor: a page that is mapped through it and never touched.
///
/// `close_range` cannot drop it, exec and any death do, and a forked copy does not get it (`MADV_DONTFORK`, madvise(2)).
///
/// # Examples
///
/// ```
/// use multiprocess_sys::{byte_lock, map::{self, Pin}};
/// use std::os::fd::AsFd;
///
/// let memory = map::anonymous(4096)?;
/// let own = byte_lock::open_anew(memory.as_fd())?;
/// let pin = Pin::new(own.as_fd())?;
/// assert!(byte_lock::try_lock(own.as_fd(), 7)?);
/// drop(own);
/// assert!(byte_lock::is_locked(memory.as_fd(), 7..8)?);
/// drop(pin);
/// assert!(!byte_lock::is_locked(memory.as_fd(), 7..8)?);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[derive(Debug)]
pub struct Pin {
    _page: Map,
}

impl Pin {
    /// Holds on to the description of `handle`. Take its locks afterwards: a copy that another thread forks off in the middle
    /// of this call would hold on to them too.
    ///
    /// # Errors
    ///
    /// Too many mappings.
    pub fn new(handle: BorrowedHandle<'_>) -> Result<Pin, Error> {
        let page = Map::new(handle, page_size(), ProtFlags::empty(), 0)?;
        page.advise(Advice::LinuxDontFork)
            .map_err(|e| Error::os("keeping a page from forked copies", io::Error::from(e)))?;
        Ok(Pin { _page: page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn only_sealed_memory_is_taken_from_others() {
        let open = rustix::fs::memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert_eq!(anonymous_size(open.as_fd()).unwrap_err().kind(), ErrorKind::Damaged);
        let (pipe, _) = std::io::pipe().unwrap();
        assert_eq!(anonymous_size(pipe.as_fd()).unwrap_err().kind(), ErrorKind::Damaged);
        let directory = std::fs::File::open("/").unwrap();
        assert_eq!(anonymous_size(directory.as_fd()).unwrap_err().kind(), ErrorKind::Damaged);
        let memory = anonymous(5000).unwrap();
        assert_eq!(anonymous_size(memory.as_fd()).unwrap(), 5000);
        for seal in [SealFlags::WRITE, SealFlags::FUTURE_WRITE] {
            let memory = rustix::fs::memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
            rustix::fs::fcntl_add_seals(&memory, SEALS | seal).unwrap();
            let error = anonymous_size(memory.as_fd()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Damaged);
            assert!(error.to_string().contains("against writing"), "{error}");
        }
        assert!(rustix::fs::ftruncate(&memory, 4000).is_err());
    }

    #[test]
    fn memory_with_holes_is_filled_if_there_is_as_much_and_refused_if_not() {
        const PAGE: u64 = 65536; // of any size
        let memory = anonymous(4 * PAGE).unwrap();
        let map = Map::shared(memory.as_fd(), 4 * PAGE).unwrap();
        let is_missing = |offset, length| {
            check_reserved(memory.as_fd(), offset, length).is_err_and(|e| e.kind() == ErrorKind::Damaged)
        };
        assert!(is_missing(0, 1) && in_use(memory.as_fd()).unwrap() == 0);
        for reserved in [0, 2] {
            map.reserve(Some(memory.as_fd()), reserved * PAGE, PAGE).unwrap();
        }
        check_reserved(memory.as_fd(), 0, PAGE).unwrap();
        check_reserved(memory.as_fd(), 2 * PAGE, PAGE).unwrap();
        assert!(is_missing(0, 3 * PAGE) && is_missing(0, u64::MAX) && in_use(memory.as_fd()).unwrap() == 2 * PAGE);
        // As much as there should be, but elsewhere.
        check_reserved(memory.as_fd(), 0, 2 * PAGE).unwrap();
        assert_eq!(in_use(memory.as_fd()).unwrap(), 3 * PAGE);
        assert!(check_reserved(memory.as_fd(), 1, u64::MAX).is_err());
    }

    #[test]
    fn close_mappings_share_memory_with_others() {
        let memory = anonymous(3 * page_size()).unwrap();
        let all = Map::shared(memory.as_fd(), 3 * page_size()).unwrap();
        let close = [1, 2, 3].map(|pages| Map::shared_closely(memory.as_fd(), pages * page_size()).unwrap());
        for (at, map) in close.iter().enumerate() {
            // SAFETY: it is a page at least, and nobody else reads or writes it.
            unsafe { map.start().as_ptr().wrapping_add(at).write_volatile(7) };
            // SAFETY: the same.
            assert_eq!(unsafe { all.start().as_ptr().wrapping_add(at).read_volatile() }, 7);
        }
        let places = close.each_ref().map(|map| map.start().as_ptr() as u64);
        // Other tests may have mapped something in between.
        assert!(places.is_sorted() && places[2] - places[0] < 1 << 40, "{places:x?}");
    }

    #[test]
    fn what_was_allocated_and_never_written_is_there() {
        let memory = anonymous(65536).unwrap();
        fill(memory.as_fd(), 0, 65536).unwrap();
        check_reserved(memory.as_fd(), 0, 65536).unwrap();
        assert_eq!(in_use(memory.as_fd()).unwrap(), 65536);
    }

    #[test]
    fn what_cannot_be_there_is_an_error() {
        assert!(anonymous(u64::MAX).is_err());
        let memory = anonymous(8192).unwrap();
        let map = Map::shared(memory.as_fd(), 8192).unwrap();
        map.reserve(None, 1, 8191).unwrap();
        assert!(map.reserve(None, 1, 8192).is_err());
        assert!(map.reserve(None, u64::MAX, 2).is_err());
    }
}
