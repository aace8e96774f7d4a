//! A value in shared memory that one process at a time may touch.

use crate::died::OwnerDied;
use crate::element::{bytes_of, check, initialise, parameters_of};
use crate::group::Group;
use crate::guard::{MutexGuard, take};
use crate::object::{Body, Object, Parameters, Payload, kind};
use bytemuck::Pod;
use multiprocess_core::Environment;
use multiprocess_core::atomics::{AtomicU64, Ordering};
use multiprocess_core::mutex::{Held, Mode, Mutex as RawMutex};
use multiprocess_shm::Patience;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// What a `lock` returns: a guard, or the report that the last owner died.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{LockResult, Mutex};
///
/// fn first<'a>(counters: &'a [Mutex<u64>]) -> LockResult<'a, u64> {
///     counters[0].lock()
/// }
/// # let _ = first;
/// ```
pub type LockResult<'a, T> = Result<MutexGuard<'a, T>, OwnerDied>;

/// What a `try_lock` or a `lock_timeout` returns: `None` if somebody holds the lock.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{Mutex, TryLockResult};
///
/// fn now(counter: &Mutex<u64>) -> TryLockResult<'_, u64> {
///     counter.try_lock()
/// }
/// # let _ = now;
/// ```
pub type TryLockResult<'a, T> = Result<Option<MutexGuard<'a, T>>, OwnerDied>;

/// A value in shared memory that one process at a time may touch, and within it one thread.
///
/// The value is plain data ([`Pod`]): a number, an array of them, or a `#[repr(C)]` struct of them with
/// `#[derive(bytemuck::Pod, bytemuck::Zeroable, Clone, Copy)]`. `bool` and `char` are not, since not all bytes are one: use `u8` and
/// `u32`; nor are tuples and `Option`, whose layout is the compiler's: use a struct, and a value that means none. A program that has
/// `bytemuck` from here tells the derives so: `#[bytemuck(crate = "multiprocess_sync::bytemuck")]`.
///
/// A handle is cheap to clone, and travels to other processes in arguments and messages. A lock is not recursive (see
/// [`RLock`](crate::RLock)): a thread that locks twice waits for itself.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::Mutex;
///
/// let counter = Mutex::new(0u64)?;
/// *counter.lock()? += 1;
/// assert_eq!(*counter.lock()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// When a process dies while it holds the lock, everybody who waits for it or locks it is told by [`OwnerDied`], within 200 ms of
/// the death, until somebody takes it with [`recover`](Mutex::recover).
pub struct Mutex<T>(Object<RawMutex>, Near, PhantomData<fn(T) -> T>);

/// What a lock that is free needs, side by side: the way to it through the segment takes as long as the lock itself.
#[derive(Clone, Copy)]
struct Near {
    mutex: NonNull<RawMutex>,
    data: NonNull<u8>,
    /// Who this process is, or 0: see [`Segment::me_word`](multiprocess_shm::Segment::me_word).
    me: &'static AtomicU64,
}

// SAFETY: where the pointers lead is reached by who holds the object, which may be sent, and the data by who holds the lock.
unsafe impl Send for Near {}
// SAFETY: where the pointers lead is reached by who holds the object, which may be shared, and the data by who holds the lock.
unsafe impl Sync for Near {}

// SAFETY: `repr(C)`, one atomic, any bytes are a state of it.
unsafe impl Body for RawMutex {
    const KIND: u32 = kind::MUTEX;

    fn payload(parameters: &Parameters) -> Option<Payload> {
        let bytes = bytes_of(parameters).filter(|_| parameters.0[2] == 1)?;
        Some(Payload::whole(bytes))
    }
}

impl<T> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Mutex::of(self.0.clone())
    }
}

impl<T> Serialize for Mutex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Mutex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Object::deserialize(deserializer, check_value::<T>).map(Mutex::of)
    }
}

fn check_value<T>(parameters: &Parameters) -> Result<(), Error> {
    check::<T>(kind::MUTEX, parameters, Some(1))
}

impl<T: Pod> Mutex<T> {
    /// A mutex without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// let counter = multiprocess_sync::Mutex::new(0u64)?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Out of memory, descriptors or address space; an alignment of more than 128 bytes.
    pub fn new(value: T) -> Result<Self, Error> {
        Object::new(parameters_of::<T>(1), |object| initialise(object, 0, &[value])).map(Mutex::of)
    }

    /// A mutex with a name that no living process uses for anything else.
    ///
    /// A name is 1 to 200 characters of `A-Z a-z 0-9 . _ -`, and exists as long as any process has the object open.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{ErrorKind, Mutex};
    ///
    /// let counter = Mutex::create("doc-mutex-create", 0u64)?;
    /// assert_eq!(Mutex::create("doc-mutex-create", 0u64).unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Mutex::new); the name is taken, or is not a name.
    ///
    /// # Crash
    ///
    /// Nobody sees an object that is made by half.
    pub fn create(name: &str, value: T) -> Result<Self, Error> {
        Object::create(name, parameters_of::<T>(1), |object| initialise(object, 0, &[value])).map(Mutex::of)
    }

    /// The mutex of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{ErrorKind, Mutex};
    ///
    /// let made = Mutex::create("doc-mutex-open", 5u64)?;
    /// assert_eq!(*Mutex::<u64>::open("doc-mutex-open")?.lock()?, 5);
    /// assert_eq!(Mutex::<u8>::open("doc-mutex-open").unwrap_err().kind(), ErrorKind::WrongKind);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is none; it is something else, or a mutex of values of another size or alignment; it is damaged.
    pub fn open(name: &str) -> Result<Self, Error> {
        Object::open(name, check_value::<T>).map(Mutex::of)
    }

    /// The mutex of that name, or else a new one with `value`.
    ///
    /// # Examples
    ///
    /// ```
    /// let counter = multiprocess_sync::Mutex::open_or_create("doc-mutex-either", 0u64)?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`create`](Mutex::create) and [`open`](Mutex::open).
    pub fn open_or_create(name: &str, value: T) -> Result<Self, Error> {
        let init = |object: &Object<RawMutex>| initialise(object, 0, &[value]);
        Object::open_or_create(name, parameters_of::<T>(1), init, check_value::<T>).map(Mutex::of)
    }

    pub(crate) fn in_group(group: &Group, value: T) -> Result<Self, Error> {
        Object::in_group(group, parameters_of::<T>(1), |object| initialise(object, 0, &[value])).map(Mutex::of)
    }

    /// Waits for the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// # let counter = multiprocess_sync::Mutex::new(0u64)?;
    /// *counter.lock()? += 1;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`], at once, also if the death happens during the wait.
    ///
    /// # Crash
    ///
    /// A process that dies waiting is not missed.
    #[doc(alias = "acquire")]
    #[inline]
    pub fn lock(&self) -> LockResult<'_, T> {
        // The guard is made in one place from what is in registers: guards of two ways would meet in memory.
        let near = self.1; // read once, before the exchange and not behind it
        let me = NonZeroU64::new(near.me.load(Ordering::Acquire));
        // SAFETY: the object's body, mapped as long as the object.
        let mutex = unsafe { near.mutex.as_ref() };
        let held = match me.and_then(|me| mutex.lock_at_once_as(me)) {
            Some(held) => held,
            None => self.lock_slowly()?,
        };
        Ok(MutexGuard::near(near.data.cast(), mutex, self.0.segment(), near.me, held))
    }

    /// Takes the lock if nobody holds it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let counter = multiprocess_sync::Mutex::new(0u64)?;
    /// let guard = counter.try_lock()?.expect("nobody has it");
    /// assert!(counter.try_lock()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`].
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<'_, T> {
        self.take(Patience::none(), Mode::Plain)
    }

    /// Waits for the lock, at most for `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let counter = multiprocess_sync::Mutex::new(0u64)?;
    /// # let guard = counter.lock()?;
    /// assert!(counter.lock_timeout(std::time::Duration::from_millis(10))?.is_none(), "somebody has it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`].
    pub fn lock_timeout(&self, timeout: Duration) -> TryLockResult<'_, T> {
        self.take(Patience::until(Deadline::after(timeout)), Mode::Plain)
    }

    /// Waits for the lock, at most until `deadline`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let counter = multiprocess_sync::Mutex::new(0u64)?;
    /// use std::time::{Duration, Instant};
    ///
    /// let deadline = Instant::now() + Duration::from_secs(1);
    /// assert!(counter.lock_deadline(deadline)?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`].
    pub fn lock_deadline(&self, deadline: Instant) -> TryLockResult<'_, T> {
        self.take(Patience::until(Deadline::at(deadline)), Mode::Plain)
    }

    /// Waits for the lock, takes it whether or not its last owner died, and clears the mark: the caller takes responsibility for
    /// the value. [`MutexGuard::recovered`] tells whether there was a mark.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::MutexGuard;
    ///
    /// # let balance = multiprocess_sync::Mutex::new(0i64)?;
    /// let mut guard = balance.recover();
    /// if MutexGuard::recovered(&guard) {
    ///     *guard = 0;
    /// }
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// A process that dies before the guard is dropped leaves a mark again.
    pub fn recover(&self) -> MutexGuard<'_, T> {
        loop {
            if let Ok(Some(guard)) = self.take(Patience::forever(), Mode::Recover) {
                return guard;
            }
        }
    }

    /// The same, at most for `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let balance = multiprocess_sync::Mutex::new(0i64)?;
    /// assert!(balance.recover_timeout(std::time::Duration::from_secs(1)).is_some());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// As [`recover`](Mutex::recover).
    pub fn recover_timeout(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        self.take(Patience::until(Deadline::after(timeout)), Mode::Recover).ok().flatten()
    }

    /// Whether somebody holds the lock. It may be otherwise when this returns.
    ///
    /// # Examples
    ///
    /// ```
    /// # let counter = multiprocess_sync::Mutex::new(0u64)?;
    /// let guard = counter.lock()?;
    /// assert!(counter.is_locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.0.body().is_locked(self.0.segment())
    }

    #[cold]
    fn lock_slowly(&self) -> Result<Held, OwnerDied> {
        loop {
            if let Some(held) = take(self.0.body(), self.0.segment(), Patience::forever(), Mode::Plain)? {
                return Ok(held);
            }
        }
    }

    fn take(&self, patience: Patience, mode: Mode) -> TryLockResult<'_, T> {
        let held = take(self.0.body(), self.0.segment(), patience, mode)?;
        Ok(held.map(|held| self.guard(held)))
    }

    #[inline]
    fn guard(&self, held: Held) -> MutexGuard<'_, T> {
        MutexGuard::near(self.1.data.cast(), self.mutex(), self.0.segment(), self.1.me, held)
    }

    #[inline]
    fn mutex(&self) -> &RawMutex {
        // SAFETY: the object's body, mapped as long as the object.
        unsafe { self.1.mutex.as_ref() }
    }
}

impl<T> Mutex<T> {
    fn of(object: Object<RawMutex>) -> Self {
        let (mutex, data) = (NonNull::from_ref(object.body()), object.payload());
        let near = Near { mutex, data, me: object.segment().me_word() };
        Mutex(object, near, PhantomData)
    }

    /// Shows the state under the name of the public type.
    pub(crate) fn debug(&self, noun: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct(noun);
        shown.field("name", &self.0.name());
        shown.field("state", &State(self.0.body(), self.0.segment())).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.debug("Mutex", f)
    }
}

/// Who holds a lock, in words.
pub(crate) struct State<'a>(pub &'a RawMutex, pub &'a dyn Environment);

impl fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.0.word().owner();
        match self.0.died() {
            _ if !owner.is_nobody() && !self.1.is_alive(owner) => f.write_str("held by a process that died"),
            _ if !owner.is_nobody() => write!(f, "held by process {}", self.1.pid_of(owner)),
            Some(0) => f.write_str("left by a process that died"),
            Some(pid) => write!(f, "left by process {pid}, which died"),
            None => f.write_str("free"),
        }
    }
}
