//! A fixed number of plain values under one lock.
//!
//! Reading leaves no mark when the reader dies; a write of one value does, since it may be half done.

use crate::died::OwnerDied;
use crate::element::{bytes_of, check, initialise, parameters_of};
use crate::guard::{Briefly, MutexGuard, Sort, take_and_clear};
use crate::mutex::{LockResult, State, TryLockResult};
use crate::object::{Body, Object, Parameters, Payload, handle, kind};
use bytemuck::Pod;
use multiprocess_core::mutex::{Mode, Mutex as RawMutex};
use multiprocess_shm::Patience;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::Duration;

/// A fixed number of plain values under one lock; the guard is a `MutexGuard<[T]>`, so a [`Condition`](crate::Condition) takes it.
///
/// [`get`](Array::get), [`set`](Array::set) and [`to_vec`](Array::to_vec) take the lock for their own time: a thread that calls them while it holds a guard waits for
/// itself. They do not report a dead owner; [`lock`](Array::lock) does.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::Array;
///
/// let array = Array::new(&[3u32, 1, 2])?;
/// array.lock()?.sort();
/// array.set(0, 7);
/// assert_eq!(array.to_vec(), [7, 2, 3]);
/// assert_eq!(array.get(9), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// When a process dies while it holds the lock for writing, the next `lock` is told once by [`OwnerDied`].
pub struct Array<T>(Object<Words>, PhantomData<fn(T) -> T>);

/// The lock.
#[repr(C)]
pub(crate) struct Words {
    mutex: RawMutex,
}

// SAFETY: `repr(C)`, one atomic, any bytes are a state of it.
unsafe impl Body for Words {
    const KIND: u32 = kind::ARRAY;

    fn payload(parameters: &Parameters) -> Option<Payload> {
        bytes_of(parameters).map(Payload::whole)
    }
}

handle!(Array<T>, check_values::<T>);

fn check_values<T>(parameters: &Parameters) -> Result<(), Error> {
    check::<T>(kind::ARRAY, parameters, None)
}

impl<T: Pod> Array<T> {
    /// An array without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = multiprocess_sync::Array::new(&[0u32; 8])?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Out of memory, descriptors or address space; an alignment of more than 128 bytes.
    pub fn new(values: &[T]) -> Result<Self, Error> {
        Object::new(parameters_of::<T>(values.len()), |object| initialise(object, 0, values)).map(Array::of)
    }

    /// An array of `len` zeroes without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = multiprocess_sync::Array::<f64>::zeroed(1000)?;
    /// assert_eq!(array.get(999), Some(0.0));
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Array::new).
    pub fn zeroed(len: usize) -> Result<Self, Error> {
        Object::new(parameters_of::<T>(len), |_| ()).map(Array::of)
    }

    /// An array with a name that no living process uses for anything else.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = multiprocess_sync::Array::create("doc-array-create", &[0u32; 8])?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Array::new); the name is taken, or is not a name.
    ///
    /// # Crash
    ///
    /// Nobody sees an object that is made by half.
    pub fn create(name: &str, values: &[T]) -> Result<Self, Error> {
        Object::create(name, parameters_of::<T>(values.len()), |object| initialise(object, 0, values)).map(Array::of)
    }

    /// The array of that name, whatever its length.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Array;
    ///
    /// let array = Array::create("doc-array-open", &[1u8, 2, 3])?;
    /// assert_eq!(Array::<u8>::open("doc-array-open")?.len(), 3);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is none; it is something else, or its values have another size or alignment; it is damaged.
    pub fn open(name: &str) -> Result<Self, Error> {
        Object::open(name, check_values::<T>).map(Array::of)
    }

    /// The array of that name and length, or else a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// let array = multiprocess_sync::Array::open_or_create("doc-array-either", &[0u32; 8])?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`create`](Array::create) and [`open`](Array::open); there is one of another length.
    pub fn open_or_create(name: &str, values: &[T]) -> Result<Self, Error> {
        let init = |object: &Object<Words>| initialise(object, 0, values);
        let check = |found: &Parameters| check::<T>(kind::ARRAY, found, Some(values.len()));
        Object::open_or_create(name, parameters_of::<T>(values.len()), init, check).map(Array::of)
    }

    /// The number of values.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(multiprocess_sync::Array::new(&[0u32; 8])?.len(), 8);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.0.parameters().0[2] as usize // checked to fit when the object was made or found
    }

    /// Whether there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(multiprocess_sync::Array::<u32>::new(&[])?.is_empty());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index`; `None` behind the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # let array = multiprocess_sync::Array::new(&[1u32, 2])?;
    /// assert_eq!((array.get(1), array.get(2)), (Some(2), None));
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    pub fn get(&self, index: usize) -> Option<T> {
        let place = self.place(index)?;
        let _lock = self.hold(Mode::Whole);
        // SAFETY: inside the payload, aligned, any bytes are a value, and the lock keeps everybody else out.
        Some(unsafe { place.read() })
    }

    /// Makes `value` the one at `index`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let array = multiprocess_sync::Array::new(&[1u32, 2])?;
    /// array.set(0, 5);
    /// assert_eq!(array.to_vec(), [5, 2]);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no such index.
    ///
    /// # Crash
    ///
    /// The value may be half written; the next `lock` is told.
    #[track_caller]
    pub fn set(&self, index: usize, value: T) {
        let Some(place) = self.place(index) else {
            panic!("index out of bounds: the length is {} but the index is {index}", self.len());
        };
        let _lock = self.hold(Mode::Ignore);
        // SAFETY: inside the payload, aligned, and the lock keeps everybody else out.
        unsafe { place.write(value) };
    }

    /// All values, as they are at one moment.
    ///
    /// # Examples
    ///
    /// ```
    /// # let array = multiprocess_sync::Array::new(&[1u32, 2])?;
    /// assert_eq!(array.to_vec(), [1, 2]);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    pub fn to_vec(&self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len()); // before the lock is taken
        let _lock = self.hold(Mode::Whole);
        // SAFETY: they lie in the payload, are aligned and valid for any bytes, and the lock keeps everybody else out.
        values.extend_from_slice(unsafe { self.values().as_ref() });
        values
    }

    /// Waits for the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// # let array = multiprocess_sync::Array::new(&[1u32, 2])?;
    /// array.lock()?.fill(9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`] if the last one that held the lock for writing died, or panicked. This is told once, to one caller, who
    /// should look whether the values need repair.
    ///
    /// # Crash
    ///
    /// The values may be half changed; the next `lock` is told.
    #[doc(alias = "get_lock")]
    pub fn lock(&self) -> LockResult<'_, [T]> {
        loop {
            if let Some(guard) = self.take(Patience::forever())? {
                return Ok(guard);
            }
        }
    }

    /// Takes the lock if nobody holds it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let array = multiprocess_sync::Array::new(&[1u32, 2])?;
    /// assert!(array.try_lock()?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`lock`](Array::lock).
    pub fn try_lock(&self) -> TryLockResult<'_, [T]> {
        self.take(Patience::none())
    }

    /// Waits for the lock, at most for `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let array = multiprocess_sync::Array::new(&[1u32, 2])?;
    /// assert!(array.lock_timeout(std::time::Duration::from_secs(1))?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`lock`](Array::lock).
    pub fn lock_timeout(&self, timeout: Duration) -> TryLockResult<'_, [T]> {
        self.take(Patience::until(Deadline::after(timeout)))
    }

    fn take(&self, patience: Patience) -> Result<Option<MutexGuard<'_, [T]>>, OwnerDied> {
        let (mutex, segment) = (&self.0.body().mutex, self.0.segment());
        let held = take_and_clear(mutex, segment, patience)?;
        Ok(held.map(|held| MutexGuard::new(self.values(), mutex, segment, held).of_sort(Sort::Clearing)))
    }

    fn hold(&self, mode: Mode) -> Briefly<'_> {
        Briefly::hold(&self.0.body().mutex, self.0.segment(), mode)
    }

    /// The values, which belong to who holds the lock.
    fn values(&self) -> NonNull<[T]> {
        NonNull::slice_from_raw_parts(self.0.payload().cast(), self.len())
    }

    fn place(&self, index: usize) -> Option<NonNull<T>> {
        if index >= self.len() {
            return None;
        }
        // SAFETY: the payload has room for as many values as the array is long, and the index is below that.
        Some(unsafe { self.0.payload().cast::<T>().add(index) })
    }
}

impl<T> Array<T> {
    fn of(object: Object<Words>) -> Self {
        Array(object, PhantomData)
    }
}

impl<T> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Array");
        shown.field("name", &self.0.name()).field("len", &self.0.parameters().0[2]);
        shown.field("state", &State(&self.0.body().mutex, self.0.segment())).finish_non_exhaustive()
    }
}
