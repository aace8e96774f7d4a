//! A value in shared memory that many may read or one may write.

use crate::died::OwnerDied;
use crate::element::{bytes_of, check, initialise, parameters_of};
use crate::mutex::State;
use crate::object::{Body, Object, Parameters, Payload, handle, kind};
use bytemuck::Pod;
use multiprocess_core::Owner;
use multiprocess_core::atomics::AtomicU64;
use multiprocess_core::layout::SLOTS;
use multiprocess_core::mutex::{Held, Refused};
use multiprocess_core::rwlock::RwLock as RawLock;
use multiprocess_shm::Patience;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::Duration;

mod guard;
pub use guard::{RwLockReadGuard, RwLockWriteGuard};

/// A value in shared memory that many may read or one may write: plain data, as in a [`Mutex`](crate::Mutex).
///
/// Who wants to write waits for those who read, and keeps new ones out meanwhile. So a thread that reads must not read
/// again before it is done: between the two a writer may have come, and both wait for ever.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::RwLock;
///
/// let table = RwLock::new([0u64; 4])?;
/// table.write()?[2] = 7;
/// let (one, other) = (table.read()?, table.read()?);
/// assert_eq!(one[2] + other[2], 14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// A reader that dies is not missed, nor is a writer that still waits. When one dies that was writing, everybody is told by
/// [`OwnerDied`], within 200 ms of the death, until somebody takes the lock with [`recover`](RwLock::recover).
pub struct RwLock<T>(Object<RawLock>, PhantomData<fn(T) -> T>);

/// The payload: a word for each slot, then the value.
const READERS: usize = SLOTS as usize * size_of::<AtomicU64>();
const _: () = assert!(READERS.is_multiple_of(crate::object::ALIGNMENT));

// SAFETY: `repr(C)`, atomics only, any bytes are a state of it.
unsafe impl Body for RawLock {
    const KIND: u32 = kind::RWLOCK;

    fn payload(parameters: &Parameters) -> Option<Payload> {
        let bytes = bytes_of(parameters).filter(|_| parameters.0[2] == 1)?;
        bytes.checked_add(READERS).map(Payload::whole)
    }
}

crate::object::handle!(RwLock<T>, check_value::<T>);

fn check_value<T>(parameters: &Parameters) -> Result<(), Error> {
    check::<T>(kind::RWLOCK, parameters, Some(1))
}

/// The words in which processes count their readers.
fn readers(object: &Object<RawLock>) -> &[AtomicU64] {
    let words = NonNull::slice_from_raw_parts(object.payload().cast(), SLOTS as usize);
    // SAFETY: each payload of this kind begins with them; mapped as long as the object, valid for any bytes.
    unsafe { words.as_ref() }
}

impl<T: Pod> RwLock<T> {
    /// A lock without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// let table = multiprocess_sync::RwLock::new(0u64)?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Out of memory, descriptors or address space; an alignment of more than 128 bytes.
    pub fn new(value: T) -> Result<Self, Error> {
        Object::new(parameters_of::<T>(1), |object| initialise(object, READERS, &[value])).map(RwLock::of)
    }

    /// A lock with a name that no living process uses for anything else.
    ///
    /// # Examples
    ///
    /// ```
    /// let table = multiprocess_sync::RwLock::create("doc-rwlock-create", 0u64)?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](RwLock::new); the name is taken, or is not a name.
    ///
    /// # Crash
    ///
    /// Nobody sees an object that is made by half.
    pub fn create(name: &str, value: T) -> Result<Self, Error> {
        let init = |object: &Object<RawLock>| initialise(object, READERS, &[value]);
        Object::create(name, parameters_of::<T>(1), init).map(RwLock::of)
    }

    /// The lock of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{ErrorKind, RwLock};
    ///
    /// let made = RwLock::create("doc-rwlock-open", 5u64)?;
    /// assert_eq!(*RwLock::<u64>::open("doc-rwlock-open")?.read()?, 5);
    /// assert_eq!(RwLock::<u8>::open("doc-rwlock-open").unwrap_err().kind(), ErrorKind::WrongKind);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is none; it is something else, or has a value of another size or alignment; it is damaged.
    pub fn open(name: &str) -> Result<Self, Error> {
        Object::open(name, check_value::<T>).map(RwLock::of)
    }

    /// The lock of that name, or else a new one with `value`.
    ///
    /// # Examples
    ///
    /// ```
    /// let table = multiprocess_sync::RwLock::open_or_create("doc-rwlock-either", 0u64)?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`create`](RwLock::create) and [`open`](RwLock::open).
    pub fn open_or_create(name: &str, value: T) -> Result<Self, Error> {
        let init = |object: &Object<RawLock>| initialise(object, READERS, &[value]);
        Object::open_or_create(name, parameters_of::<T>(1), init, check_value::<T>).map(RwLock::of)
    }

    /// Waits until nobody writes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let table = multiprocess_sync::RwLock::new(7u64)?;
    /// assert_eq!(*table.read()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`] if the last writer died, at once, also if the death happens during the wait.
    ///
    /// # Crash
    ///
    /// A process that dies reading, or waiting for it, is not missed.
    #[inline]
    pub fn read(&self) -> Result<RwLockReadGuard<'_, T>, OwnerDied> {
        loop {
            if let Some(guard) = self.take_read(Patience::forever().for_lock())? {
                return Ok(guard);
            }
        }
    }

    /// Reads if nobody writes, or waits to write.
    ///
    /// # Examples
    ///
    /// ```
    /// # let table = multiprocess_sync::RwLock::new(7u64)?;
    /// let guard = table.write()?;
    /// assert!(table.try_read()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`].
    pub fn try_read(&self) -> Result<Option<RwLockReadGuard<'_, T>>, OwnerDied> {
        self.take_read(Patience::none())
    }

    /// Waits until nobody writes, at most for `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let table = multiprocess_sync::RwLock::new(7u64)?;
    /// assert!(table.read_timeout(std::time::Duration::from_secs(1))?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`].
    pub fn read_timeout(&self, timeout: Duration) -> Result<Option<RwLockReadGuard<'_, T>>, OwnerDied> {
        self.take_read(Patience::until(Deadline::after(timeout)).for_lock())
    }

    /// Waits until nobody reads or writes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let table = multiprocess_sync::RwLock::new(7u64)?;
    /// *table.write()? += 1;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`] if the last writer died, at once, also if the death happens during the wait.
    ///
    /// # Crash
    ///
    /// A process that dies waiting is not missed.
    pub fn write(&self) -> Result<RwLockWriteGuard<'_, T>, OwnerDied> {
        loop {
            if let Some(guard) = self.take_write(Patience::forever().for_lock(), false)? {
                return Ok(guard);
            }
        }
    }

    /// Writes if nobody reads or writes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let table = multiprocess_sync::RwLock::new(7u64)?;
    /// let guard = table.read()?;
    /// assert!(table.try_write()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`].
    pub fn try_write(&self) -> Result<Option<RwLockWriteGuard<'_, T>>, OwnerDied> {
        self.take_write(Patience::none(), false)
    }

    /// Waits until nobody reads or writes, at most for `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let table = multiprocess_sync::RwLock::new(7u64)?;
    /// assert!(table.write_timeout(std::time::Duration::from_secs(1))?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`].
    pub fn write_timeout(&self, timeout: Duration) -> Result<Option<RwLockWriteGuard<'_, T>>, OwnerDied> {
        self.take_write(Patience::until(Deadline::after(timeout)).for_lock(), false)
    }

    /// Waits until nobody reads or writes, takes the lock for writing whether or not the last writer died, and clears the mark: the
    /// caller takes responsibility for the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::RwLockWriteGuard;
    ///
    /// # let table = multiprocess_sync::RwLock::new(7u64)?;
    /// let mut guard = table.recover();
    /// if RwLockWriteGuard::recovered(&guard) {
    ///     *guard = 0;
    /// }
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// A process that dies before the guard is dropped leaves a mark again, or the old one.
    pub fn recover(&self) -> RwLockWriteGuard<'_, T> {
        loop {
            if let Ok(Some(guard)) = self.take_write(Patience::forever().for_lock(), true) {
                return guard;
            }
        }
    }

    #[inline]
    fn take_read(&self, mut patience: Patience) -> Result<Option<RwLockReadGuard<'_, T>>, OwnerDied> {
        let (lock, segment) = (self.0.body(), self.0.segment());
        let taken = refused(lock.read(readers(&self.0), segment, &mut patience))?;
        Ok(taken.map(|reader: Owner| {
            RwLockReadGuard::new(self.value(), lock, readers(&self.0), segment, reader) //
        }))
    }

    fn take_write(&self, mut patience: Patience, recover: bool) -> Result<Option<RwLockWriteGuard<'_, T>>, OwnerDied> {
        let (lock, segment) = (self.0.body(), self.0.segment());
        let taken = refused(lock.write(readers(&self.0), segment, &mut patience, recover))?;
        Ok(taken.map(|held: Held| RwLockWriteGuard::new(self.value(), lock, segment, held)))
    }

    /// The value, which belongs to who holds the lock.
    fn value(&self) -> NonNull<T> {
        // SAFETY: the payload has room for the readers' words and the value (checked when it was made or found).
        unsafe { self.0.payload().byte_add(READERS).cast() }
    }
}

#[inline]
fn refused<R>(result: Result<R, Refused>) -> Result<Option<R>, OwnerDied> {
    match result {
        Ok(taken) => Ok(Some(taken)),
        Err(Refused::TimedOut) => Ok(None),
        Err(Refused::Died(pid)) => Err(OwnerDied::new(pid)),
    }
}

impl<T> RwLock<T> {
    fn of(object: Object<RawLock>) -> Self {
        RwLock(object, PhantomData)
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lock, segment) = (self.0.body(), self.0.segment());
        let mut shown = f.debug_struct("RwLock");
        shown.field("name", &self.0.name()).field("writer", &State(lock.writer(), segment));
        shown.field("readers", &lock.readers(readers(&self.0), segment)).finish_non_exhaustive()
    }
}
