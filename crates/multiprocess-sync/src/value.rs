//! One plain value that is whole at any time, whoever dies.
//!
//! The payload is a draft and two copies. The copies are a [`Snapshot`]: one of them is the value, and only who holds the lock
//! writes the other one. The guard of [`Value::lock`] gives access to the draft, which becomes the value when the guard is
//! dropped.
//!
//! | Who dies | The value | The lock |
//! | --- | --- | --- |
//! | in `get` | as it was | was not held, or becomes free |
//! | in `set`, `replace`, `update` | the old or the new one | becomes free: there is nothing to repair |
//! | with a guard of `lock` | the old one, unless the guard was being dropped | reports the death once, to the next `lock` |

use crate::died::OwnerDied;
use crate::element::{bytes_of, check, parameters_of};
use crate::guard::{Briefly, MutexGuard, Sort, copies, copies_behind, take_and_clear};
use crate::mutex::{LockResult, State, TryLockResult};
use crate::object::{Body, Object, Parameters, Payload, handle, kind};
use bytemuck::Pod;
use multiprocess_core::atomics::AtomicU64;
use multiprocess_core::mutex::{Mode, Mutex as RawMutex};
use multiprocess_core::snapshot::Snapshot;
use multiprocess_shm::Patience;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::Duration;

/// How often a reader that is overtaken by writers tries again before it keeps them out.
const TRIES: u32 = 8;

/// One plain value. It is read and written as a whole, and whole it stays when a process dies in the middle.
///
/// [`get`](Value::get), [`set`](Value::set), [`replace`](Value::replace) and [`update`](Value::update) need no repair after a death: they never report a dead owner,
/// and leave no mark themselves. [`lock`](Value::lock) gives access for longer; what was changed under its guard counts from the moment when the
/// guard is dropped. If the process dies before, the value is the old one, and the next `lock` is told once by [`OwnerDied`].
///
/// There is no `+=` without a lock: use [`update`](Value::update).
///
/// # Examples
///
/// ```
/// use multiprocess_sync::Value;
///
/// let value = Value::new(7i32)?;
/// value.set(8);
/// value.update(|value| *value += 1);
/// assert_eq!(value.get(), 9);
/// # Ok::<(), multiprocess_sync::Error>(())
/// ```
///
/// # Crash
///
/// The value is the old or the new one, never a part of each.
pub struct Value<T>(Object<Words>, PhantomData<fn(T) -> T>);

/// The lock, and which copy is the value.
#[repr(C)]
pub(crate) struct Words {
    mutex: RawMutex,
    snapshot: Snapshot,
}

// SAFETY: `repr(C)`, atomics only, any bytes are a state of it.
unsafe impl Body for Words {
    const KIND: u32 = kind::VALUE;

    fn payload(parameters: &Parameters) -> Option<Payload> {
        let (start, words) = copies(bytes_of(parameters).filter(|_| parameters.0[2] == 1)?)?;
        let bytes = words.checked_mul(8)?.checked_add(start)?;
        Some(Payload::whole(bytes))
    }
}

handle!(Value<T>, check_value::<T>);

fn check_value<T>(parameters: &Parameters) -> Result<(), Error> {
    check::<T>(kind::VALUE, parameters, Some(1))
}

/// The two copies of a value of this type, as words.
fn copies_of<T>(object: &Object<Words>) -> &[AtomicU64] {
    // SAFETY: the payload of an object of values of this type has room for them (checked when it was made or found).
    let copies = unsafe { copies_behind(object.payload(), size_of::<T>()) };
    // SAFETY: mapped as long as the object, and atomics, which are valid for any bytes.
    unsafe { copies.as_ref() }
}

impl<T: Pod> Value<T> {
    /// A value without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = multiprocess_sync::Value::new(0.5f64)?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Out of memory, descriptors or address space; an alignment of more than 128 bytes.
    pub fn new(value: T) -> Result<Self, Error> {
        Object::new(parameters_of::<T>(1), |object| publish(object, &value)).map(Value::of)
    }

    /// A value with a name that no living process uses for anything else.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = multiprocess_sync::Value::create("doc-value-create", 7i32)?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Value::new); the name is taken, or is not a name.
    ///
    /// # Crash
    ///
    /// Nobody sees an object that is made by half.
    pub fn create(name: &str, value: T) -> Result<Self, Error> {
        Object::create(name, parameters_of::<T>(1), |object| publish(object, &value)).map(Value::of)
    }

    /// The value of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Value;
    ///
    /// let value = Value::create("doc-value-open", 7i32)?;
    /// assert_eq!(Value::<i32>::open("doc-value-open")?.get(), 7);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is none; it is something else, or a value of another size or alignment; it is damaged.
    pub fn open(name: &str) -> Result<Self, Error> {
        Object::open(name, check_value::<T>).map(Value::of)
    }

    /// The value of that name, or else a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// let value = multiprocess_sync::Value::open_or_create("doc-value-either", 7i32)?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`create`](Value::create) and [`open`](Value::open).
    pub fn open_or_create(name: &str, value: T) -> Result<Self, Error> {
        let init = |object: &Object<Words>| publish(object, &value);
        Object::open_or_create(name, parameters_of::<T>(1), init, check_value::<T>).map(Value::of)
    }

    /// The value. It does not wait for whoever holds the lock: what they have not finished is not the value yet.
    ///
    /// # Examples
    ///
    /// ```
    /// # let value = multiprocess_sync::Value::new(7i32)?;
    /// assert_eq!(value.get(), 7);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    pub fn get(&self) -> T {
        let mut value = T::zeroed();
        if (0..TRIES).any(|_| self.read(&mut value)) {
            return value;
        }
        // Writers came and went all the time: keep them out for a moment.
        let _lock = self.hold();
        self.read(&mut value);
        value
    }

    /// Makes `value` the value.
    ///
    /// # Examples
    ///
    /// ```
    /// # let value = multiprocess_sync::Value::new(7i32)?;
    /// value.set(8);
    /// assert_eq!(value.get(), 8);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// The value is the old or the new one.
    pub fn set(&self, value: T) {
        let _lock = self.hold();
        publish(&self.0, &value);
    }

    /// Makes `value` the value, and returns the one before it; nobody else comes in between.
    ///
    /// # Examples
    ///
    /// ```
    /// # let value = multiprocess_sync::Value::new(7i32)?;
    /// assert_eq!(value.replace(8), 7);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// The value is the old or the new one.
    pub fn replace(&self, value: T) -> T {
        self.update(|place| std::mem::replace(place, value))
    }

    /// Changes the value; nobody else comes in between. If `change` panics, the value stays as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// # let value = multiprocess_sync::Value::new(7i32)?;
    /// let doubled = value.update(|value| {
    ///     *value *= 2;
    ///     *value
    /// });
    /// assert_eq!(doubled, 14);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// The value is the old or the new one.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let _lock = self.hold();
        let mut value = T::zeroed();
        self.read(&mut value);
        let result = change(&mut value);
        publish(&self.0, &value);
        result
    }

    /// Waits for the lock, to read and change the value for as long as the guard lives.
    ///
    /// # Examples
    ///
    /// ```
    /// # let value = multiprocess_sync::Value::new(7i32)?;
    /// let mut guard = value.lock()?;
    /// *guard += 1;
    /// assert_eq!(value.get(), 7, "not yet");
    /// drop(guard);
    /// assert_eq!(value.get(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`] if the last one that held a guard died before it was dropped, or panicked. This is told once, to one
    /// caller; there is nothing to repair, for the value is the one before.
    ///
    /// # Crash
    ///
    /// The value is the old one, unless the guard was being dropped.
    #[doc(alias = "get_lock")]
    pub fn lock(&self) -> LockResult<'_, T> {
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
    /// # let value = multiprocess_sync::Value::new(7i32)?;
    /// assert!(value.try_lock()?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`lock`](Value::lock).
    pub fn try_lock(&self) -> TryLockResult<'_, T> {
        self.take(Patience::none())
    }

    /// Waits for the lock, at most for `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let value = multiprocess_sync::Value::new(7i32)?;
    /// assert!(value.lock_timeout(std::time::Duration::from_secs(1))?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`lock`](Value::lock).
    pub fn lock_timeout(&self, timeout: Duration) -> TryLockResult<'_, T> {
        self.take(Patience::until(Deadline::after(timeout)))
    }

    fn take(&self, patience: Patience) -> Result<Option<MutexGuard<'_, T>>, OwnerDied> {
        let (words, segment) = (self.0.body(), self.0.segment());
        let held = take_and_clear(&words.mutex, segment, patience)?;
        Ok(held.map(|held| {
            let guard = MutexGuard::new(self.0.payload().cast::<T>(), &words.mutex, segment, held);
            guard.of_sort(Sort::Draft(NonNull::from_ref(&words.snapshot)))
        }))
    }

    fn hold(&self) -> Briefly<'_> {
        Briefly::hold(&self.0.body().mutex, self.0.segment(), Mode::Whole)
    }

    /// Copies the value; `false` if it was overwritten meanwhile.
    fn read(&self, value: &mut T) -> bool {
        self.0.body().snapshot.read(copies_of::<T>(&self.0), bytemuck::bytes_of_mut(value))
    }
}

/// Makes `value` the value, for who holds the lock or has the object alone.
fn publish<T: Pod>(object: &Object<Words>, value: &T) {
    object.body().snapshot.write(copies_of::<T>(object), bytemuck::bytes_of(value));
}

impl<T> Value<T> {
    fn of(object: Object<Words>) -> Self {
        Value(object, PhantomData)
    }
}

impl<T> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Value");
        shown.field("name", &self.0.name());
        shown.field("state", &State(&self.0.body().mutex, self.0.segment())).finish_non_exhaustive()
    }
}
