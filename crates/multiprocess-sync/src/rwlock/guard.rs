//! The guards of a read-write lock. See [`crate::guard`] for what all guards have in common.

use crate::guard::{Calm, Keep};
use multiprocess_core::atomics::AtomicU64;
use multiprocess_core::mutex::Held;
use multiprocess_core::rwlock::RwLock as RawLock;
use multiprocess_core::{Environment, Owner};
use multiprocess_shm::Segment;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The lock is held for reading as long as this lives.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{RwLock, RwLockReadGuard};
///
/// let table = RwLock::new(7u64)?;
/// let guard: RwLockReadGuard<'_, u64> = table.read()?;
/// assert_eq!(*guard, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// If the process dies while the guard lives, writers go on without it. In a process that the program forked by itself,
/// dropping the copy of a guard does nothing.
#[must_use = "if unused the lock is released at once"]
pub struct RwLockReadGuard<'a, T: ?Sized + 'static> {
    data: NonNull<T>,
    lock: NonNull<RawLock>,
    readers: NonNull<[AtomicU64]>,
    /// Who counted this guard; `None`: it is uncounted.
    reader: Option<Owner>,
    keep: Keep<'a>,
    borrow: PhantomData<&'a T>,
}

/// The lock is held for writing as long as this lives.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{RwLock, RwLockWriteGuard};
///
/// let table = RwLock::new(7u64)?;
/// let mut guard: RwLockWriteGuard<'_, u64> = table.write()?;
/// *guard += 1;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// As [`MutexGuard`](crate::MutexGuard).
#[must_use = "if unused the lock is released at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized + 'static> {
    data: NonNull<T>,
    lock: NonNull<RawLock>,
    /// `None`: given back already.
    held: Option<Held>,
    keep: Keep<'a>,
    calm: Calm,
    borrow: PhantomData<&'a mut T>,
}

// SAFETY: a reader belongs to its process, not to a thread; a sent guard gives shared access to the value in another thread.
unsafe impl<T: ?Sized + Send + Sync> Send for RwLockReadGuard<'_, T> {}
// SAFETY: the guard gives shared access only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: the lock belongs to the process, not to a thread; what is reached through the guard may be sent.
unsafe impl<T: ?Sized + Send> Send for RwLockWriteGuard<'_, T> {}
// SAFETY: a shared guard gives shared access only.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// A guard of what `reader` has counted in `readers`; all of it lies in the same segment.
    #[inline]
    pub(crate) fn new(
        data: NonNull<T>,
        lock: &'a RawLock,
        readers: &'a [AtomicU64],
        segment: &'a Segment,
        reader: Owner,
    ) -> Self {
        let (lock, readers) = (NonNull::from_ref(lock), NonNull::from_ref(readers));
        RwLockReadGuard {
            data,
            lock,
            readers,
            reader: Some(reader),
            keep: Keep::Borrowed(segment),
            borrow: PhantomData,
        }
    }

    /// Whether this guard took over from a dead owner: never, for reading takes over nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{RwLock, RwLockReadGuard};
    ///
    /// assert!(!RwLockReadGuard::recovered(&RwLock::new(7u64)?.read()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recovered(this: &Self) -> bool {
        let _ = this;
        false
    }

    /// Frees the guard from the borrow of its handle: to return it, or to keep it in a struct. It keeps the object's memory
    /// by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{OwnerDied, RwLock, RwLockReadGuard};
    ///
    /// fn latest(table: RwLock<u64>) -> Result<RwLockReadGuard<'static, u64>, OwnerDied> {
    ///     table.read().map(RwLockReadGuard::into_owned)
    /// }
    ///
    /// assert_eq!(*latest(RwLock::new(7)?)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_owned(this: Self) -> RwLockReadGuard<'static, T> {
        let mut this = this;
        RwLockReadGuard {
            data: this.data,
            lock: this.lock,
            readers: this.readers,
            reader: this.reader.take(),
            keep: this.keep.to_owned(),
            borrow: PhantomData,
        }
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// A guard of the lock that `held` proves; all of it lies in the same segment.
    pub(crate) fn new(data: NonNull<T>, lock: &'a RawLock, segment: &'a Segment, held: Held) -> Self {
        RwLockWriteGuard {
            data,
            lock: NonNull::from_ref(lock),
            held: Some(held),
            keep: Keep::Borrowed(segment),
            calm: Calm::now(),
            borrow: PhantomData,
        }
    }

    /// Whether this guard took over from a dead writer: then the value may need repair.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{RwLock, RwLockWriteGuard};
    ///
    /// assert!(!RwLockWriteGuard::recovered(&RwLock::new(7u64)?.recover()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recovered(this: &Self) -> bool {
        this.held.as_ref().is_some_and(Held::recovered)
    }

    /// Frees the guard from the borrow of its handle: to return it, or to keep it in a struct. It keeps the object's memory
    /// by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{OwnerDied, RwLock, RwLockWriteGuard};
    ///
    /// fn latest(table: RwLock<u64>) -> Result<RwLockWriteGuard<'static, u64>, OwnerDied> {
    ///     table.write().map(RwLockWriteGuard::into_owned)
    /// }
    ///
    /// *latest(RwLock::new(7)?)? += 1;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_owned(this: Self) -> RwLockWriteGuard<'static, T> {
        let mut this = this;
        RwLockWriteGuard {
            data: this.data,
            lock: this.lock,
            held: this.held.take(),
            keep: this.keep.to_owned(),
            calm: this.calm,
            borrow: PhantomData,
        }
    }
}

impl<T: ?Sized + 'static> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let segment = self.keep.segment();
        // A copy of this process, made by the program itself, is not counted.
        let Some(reader) = self.reader.take_if(|reader| *reader == segment.me()) else { return };
        // SAFETY: it lies in the segment that `keep` keeps mapped, and consists of atomics.
        let lock = unsafe { self.lock.as_ref() };
        // SAFETY: they lie in the segment that `keep` keeps mapped, and are atomics.
        let readers = unsafe { self.readers.as_ref() };
        lock.end_read(readers, segment, reader);
    }
}

impl<T: ?Sized + 'static> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let segment = self.keep.segment();
        // A copy of this process, made by the program itself, does not hold what this process holds.
        let Some(held) = self.held.take_if(|held| held.owner() == segment.me()) else { return };
        // SAFETY: it lies in the segment that `keep` keeps mapped, and consists of atomics.
        let lock = unsafe { self.lock.as_ref() };
        lock.end_write(segment, held, self.calm.is_over());
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: mapped as long as the guard lives, valid for any bytes, and written by nobody while the lock is held.
        unsafe { self.data.as_ref() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: mapped as long as the guard lives, valid for any bytes, and nobody else's while the lock is held.
        unsafe { self.data.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: mapped as long as the guard lives, valid for any bytes, and nobody else's while the lock is held.
        unsafe { self.data.as_mut() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
