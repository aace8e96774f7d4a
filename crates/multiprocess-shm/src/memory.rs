//! Bytes that processes share, without a lock.

use crate::copying::{load_bytes, store_bytes};
use crate::segment::{Segment, Shape};
use multiprocess_sys::{Error, ErrorKind};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
};

/// The kind of a segment that holds plain bytes. Objects of synchronisation have smaller numbers.
const KIND: u32 = 32;

/// A number of bytes that several processes see, anonymous or by name.
///
/// There is no lock in it. Two processes that write to the same place at the same time leave some mixture of what they wrote, and
/// whoever reads meanwhile finds one too; it is never undefined behaviour. Where that is not enough, see the bytes as
/// [atomics](SharedMemory::as_atomics), or take a `Mutex` or an `Array`.
///
/// All of it is really there: memory that runs out is an error here and not a signal later.
///
/// # Examples
///
/// ```
/// use multiprocess_shm::SharedMemory;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let memory = SharedMemory::new(1024)?;
/// memory.write(10, b"shared");
/// let mut bytes = [0; 6];
/// memory.read(10, &mut bytes);
/// assert_eq!(&bytes, b"shared");
///
/// memory.as_atomics::<AtomicU64>()[2].fetch_add(1, Ordering::Relaxed);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
///
/// # Crash
///
/// What was written stays, for all others. A write that is cut short leaves its first part, or any other.
#[derive(Clone)]
pub struct SharedMemory(pub(crate) Segment);

mod sealed {
    pub trait Sealed {}
}

/// An atomic integer: what shared bytes can be seen as. All bytes are a value of it, and several processes may change it at
/// once.
///
/// # Examples
///
/// ```
/// use multiprocess_shm::{Atomic, SharedMemory};
///
/// fn count<A: Atomic>(memory: &SharedMemory) -> usize {
///     memory.as_atomics::<A>().len()
/// }
/// assert_eq!(count::<std::sync::atomic::AtomicU32>(&SharedMemory::new(10)?), 2);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub trait Atomic: sealed::Sealed + 'static {}

macro_rules! atomic {
    ($($Atomic:ident)*) => { $(
        impl sealed::Sealed for $Atomic {}
        impl Atomic for $Atomic {}
    )* };
}
atomic!(AtomicU8 AtomicU16 AtomicU32 AtomicU64 AtomicUsize AtomicI8 AtomicI16 AtomicI32 AtomicI64 AtomicIsize);

impl SharedMemory {
    /// `len` bytes, all zero, without a name: they travel in arguments and messages.
    ///
    /// # Errors
    ///
    /// `len` is 0; there is no memory, or no free descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(multiprocess_shm::SharedMemory::new(100)?.len(), 100);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// The memory goes with the last process that has it.
    pub fn new(len: usize) -> Result<Self, Error> {
        Segment::anonymous(shape(len)?, |_| {}).map(SharedMemory)
    }

    /// `len` bytes, all zero, of that name.
    ///
    /// # Errors
    ///
    /// Some live process has the name ([`ErrorKind::AlreadyExists`]); it is no name ([`ErrorKind::InvalidName`]); `len` is 0;
    /// there is no memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::SharedMemory;
    ///
    /// let name = format!("example-memory-{}", std::process::id());
    /// let made = SharedMemory::create(&name, 100)?;
    /// made.write(0, b"a");
    /// let mut byte = [0];
    /// SharedMemory::open(&name)?.read(0, &mut byte);
    /// assert_eq!(&byte, b"a");
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// The name is free again when the last process that had it open is gone, however it went.
    pub fn create(name: &str, len: usize) -> Result<Self, Error> {
        Segment::create(name, shape(len).map_err(|e| e.with_object(name))?, |_| {}).map(SharedMemory)
    }

    /// The memory of that name, of whatever length it has.
    ///
    /// # Errors
    ///
    /// Nobody has it ([`ErrorKind::NotFound`]); the name belongs to something else ([`ErrorKind::WrongKind`]), or to another
    /// version of this library ([`ErrorKind::WrongVersion`]), or what lies there is damaged ([`ErrorKind::Damaged`]).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::SharedMemory;
    /// use multiprocess_sys::ErrorKind;
    ///
    /// assert_eq!(SharedMemory::open("nobody-has-this").unwrap_err().kind(), ErrorKind::NotFound);
    /// ```
    ///
    /// # Crash
    ///
    /// As for [`create`](Self::create).
    pub fn open(name: &str) -> Result<Self, Error> {
        Segment::open(name, expect).map(SharedMemory)
    }

    /// The memory of that name, made with `len` bytes if nobody has it.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open) and [`create`](Self::create); and memory of that name has another length
    /// ([`ErrorKind::WrongKind`]).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::SharedMemory;
    ///
    /// let name = format!("example-either-{}", std::process::id());
    /// let first = SharedMemory::open_or_create(&name, 100)?;
    /// let second = SharedMemory::open_or_create(&name, 100)?;
    /// first.write(0, b"a");
    /// let mut byte = [0];
    /// second.read(0, &mut byte);
    /// assert_eq!(&byte, b"a");
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// As for [`create`](Self::create).
    pub fn open_or_create(name: &str, len: usize) -> Result<Self, Error> {
        let same_length = |found: &Shape| {
            expect(found)?;
            if found.length == len as u64 {
                return Ok(());
            }
            let found = found.length;
            Err(Error::new(ErrorKind::WrongKind, format!("opening shared memory of {len} bytes, which has {found},")))
        };
        let shape = shape(len).map_err(|e| e.with_object(name))?;
        Segment::open_or_create(name, shape, |_| {}, same_length).map(SharedMemory)
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.0.shape().length as usize // it is mapped, so it fits
    }

    /// Whether there is no byte: never, since memory of no bytes cannot be made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// Copies bytes out, beginning with the one at `offset`. What another process writes meanwhile may be in them or not.
    ///
    /// # Panics
    ///
    /// If the bytes do not all lie inside, as a slice does.
    ///
    /// # Examples
    ///
    /// ```
    /// let memory = multiprocess_shm::SharedMemory::new(8)?;
    /// let mut bytes = [1; 8];
    /// memory.read(0, &mut bytes);
    /// assert_eq!(bytes, [0; 8]);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        load_bytes(&self.as_atomics()[self.range(offset, into.len())], into);
    }

    /// Copies bytes in, the first to `offset`.
    ///
    /// # Panics
    ///
    /// If the bytes do not all fit inside, as for a slice. Nothing is written then.
    ///
    /// # Examples
    ///
    /// ```
    /// let memory = multiprocess_shm::SharedMemory::new(8)?;
    /// memory.write(6, b"ab");
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// Any part of the bytes may be in place.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        store_bytes(&self.as_atomics()[self.range(offset, bytes.len())], bytes);
    }

    /// All of it as atomics, as many as fit in. Atomics of one size at a time should be used for one place, by all processes:
    /// a processor gives no promise for others.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    ///
    /// let memory = multiprocess_shm::SharedMemory::new(8)?;
    /// memory.as_atomics::<AtomicU32>()[1].store(7, Relaxed);
    /// assert_eq!(memory.clone().as_atomics::<AtomicU32>()[1].load(Relaxed), 7);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn as_atomics<A: Atomic>(&self) -> &[A] {
        let base = self.0.base().cast::<A>();
        // SAFETY: the payload has that many bytes, all of them mapped as long as `self` lives; it begins with a page, so it is
        // aligned; any bytes are an atomic integer (the trait is sealed), and other processes may change one at any time.
        unsafe { std::slice::from_raw_parts(base.as_ptr(), self.len() / size_of::<A>()) }
    }

    fn range(&self, offset: usize, length: usize) -> Range<usize> {
        let end = offset.checked_add(length).filter(|end| *end <= self.len());
        let end = end.unwrap_or_else(|| {
            panic!("{length} bytes from {offset} on are out of range for shared memory of {} bytes", self.len())
        });
        offset..end
    }
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory").field("name", &self.name()).field("len", &self.len()).finish()
    }
}

fn shape(len: usize) -> Result<Shape, Error> {
    match len {
        0 => Err(Error::new(ErrorKind::Other, "making shared memory of no bytes")),
        _ => Ok(Shape { kind: KIND, length: len as u64, reserved: len as u64, parameters: [0; 4] }),
    }
}

/// Whether a segment is shared memory of some length.
pub(crate) fn expect(found: &Shape) -> Result<(), Error> {
    if found.kind != KIND {
        return Err(Error::new(ErrorKind::WrongKind, "opening as shared memory something else:"));
    }
    if found.reserved != found.length || found.parameters != [0; 4] {
        return Err(Error::new(ErrorKind::Damaged, "opening shared memory with a damaged header"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn reads_what_was_written_at_every_offset() {
        let memory = SharedMemory::new(100).unwrap();
        let bytes: Vec<u8> = (1..=40).collect();
        for offset in 0..=60 {
            for length in [0, 1, 7, 8, 9, 24, 40] {
                memory.write(0, &[0; 100]);
                memory.write(offset, &bytes[..length]);
                let mut all = [0xee; 100];
                memory.read(0, &mut all);
                let mut expected = [0; 100];
                expected[offset..offset + length].copy_from_slice(&bytes[..length]);
                assert_eq!(all, expected, "{length} bytes at {offset}");
                let mut part = vec![0xee; length];
                memory.read(offset, &mut part);
                assert_eq!(part, bytes[..length]);
            }
        }
    }

    #[test]
    fn out_of_range_is_a_panic_and_changes_nothing() {
        let memory = SharedMemory::new(10).unwrap();
        for (offset, length) in [(10, 1), (0, 11), (11, 0), (usize::MAX, 2)] {
            assert!(catch_unwind(AssertUnwindSafe(|| memory.write(offset, &vec![1; length]))).is_err());
            assert!(catch_unwind(AssertUnwindSafe(|| memory.read(offset, &mut vec![1; length]))).is_err());
        }
        memory.write(10, &[]);
        assert!(memory.as_atomics::<AtomicU8>().iter().all(|byte| byte.load(Relaxed) == 0));
    }

    #[test]
    fn no_bytes_at_all() {
        let name = format!("unit-empty-{}", std::process::id());
        assert!(SharedMemory::new(0).is_err());
        for error in [SharedMemory::create(&name, 0).unwrap_err(), SharedMemory::open_or_create(&name, 0).unwrap_err()]
        {
            assert_eq!(error.object(), Some(&*name));
        }
    }

    #[test]
    fn another_length_is_refused_by_name() {
        let name = format!("unit-length-{}", std::process::id());
        let _memory = SharedMemory::create(&name, 10).unwrap();
        let error = SharedMemory::open_or_create(&name, 11).unwrap_err();
        assert_eq!((error.kind(), error.object()), (ErrorKind::WrongKind, Some(&*name)));
    }
}
