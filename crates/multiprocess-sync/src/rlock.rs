//! A lock that the thread which holds it may take again.

use crate::died::OwnerDied;
use crate::guard::Calm;
use crate::mutex::State;
use crate::object::{Body, Object, Parameters, Payload, handle, kind};
use multiprocess_core::mutex::{Mode, Recursive, Refused};
use multiprocess_core::{Environment, Owner};
use multiprocess_shm::Patience;
use multiprocess_shm::Segment;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::{Error, ErrorKind};
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// A lock that the thread which holds it may take again; others wait until each guard of it is dropped.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::RLock;
///
/// let lock = RLock::new()?;
/// let outer = lock.lock()?;
/// let inner = lock.lock()?;
/// drop(outer);
/// drop(inner);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// As [`Mutex`](crate::Mutex): the next `lock` is told by [`OwnerDied`], until somebody [recovers](RLock::recover).
pub struct RLock(Object<Recursive>);

// SAFETY: `repr(C)`, atomics only, any bytes are a state of it.
unsafe impl Body for Recursive {
    const KIND: u32 = kind::RLOCK;

    fn payload(parameters: &Parameters) -> Option<Payload> {
        (*parameters == Parameters::default()).then_some(Payload::whole(0))
    }
}

fn check(parameters: &Parameters) -> Result<(), Error> {
    match Recursive::payload(parameters) {
        Some(_) => Ok(()),
        None => Err(Error::new(ErrorKind::Damaged, "opening a recursive lock")),
    }
}

handle!(RLock, check);

/// A number of the calling thread that no other thread of this process has or had.
fn this_thread() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    thread_local!(static NUMBER: u32 = LAST.fetch_add(1, Relaxed).wrapping_add(1).max(1));
    NUMBER.with(|number| *number)
}

impl RLock {
    /// A lock without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = multiprocess_sync::RLock::new()?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Out of memory, descriptors or address space.
    pub fn new() -> Result<Self, Error> {
        Object::new(Parameters::default(), |_| ()).map(RLock)
    }

    /// A lock with a name that no living process uses for anything else.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = multiprocess_sync::RLock::create("doc-rlock-create")?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](RLock::new); the name is taken, or is not a name.
    ///
    /// # Crash
    ///
    /// Nobody sees an object that is made by half.
    pub fn create(name: &str) -> Result<Self, Error> {
        Object::create(name, Parameters::default(), |_| ()).map(RLock)
    }

    /// The lock of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{ErrorKind, RLock};
    ///
    /// assert_eq!(RLock::open("doc-rlock-nobody-made").unwrap_err().kind(), ErrorKind::NotFound);
    /// ```
    ///
    /// # Errors
    ///
    /// There is none; it is something else; it is damaged.
    pub fn open(name: &str) -> Result<Self, Error> {
        Object::open(name, check).map(RLock)
    }

    /// The lock of that name, or else a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = multiprocess_sync::RLock::open_or_create("doc-rlock-either")?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`create`](RLock::create) and [`open`](RLock::open).
    pub fn open_or_create(name: &str) -> Result<Self, Error> {
        Object::open_or_create(name, Parameters::default(), |_| (), check).map(RLock)
    }

    /// Waits for the lock, unless the calling thread holds it already.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::RLock::new()?;
    /// let guard = lock.lock()?;
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
    pub fn lock(&self) -> Result<RLockGuard<'_>, OwnerDied> {
        loop {
            if let Some(guard) = self.take(Patience::forever().for_lock(), Mode::Plain)? {
                return Ok(guard);
            }
        }
    }

    /// Takes the lock if no other thread holds it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::RLock::new()?;
    /// let guard = lock.lock()?;
    /// let other = lock.clone();
    /// std::thread::spawn(move || assert!(other.try_lock().unwrap().is_none())).join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`].
    pub fn try_lock(&self) -> Result<Option<RLockGuard<'_>>, OwnerDied> {
        self.take(Patience::none(), Mode::Plain)
    }

    /// Waits for the lock, at most for `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::RLock::new()?;
    /// assert!(lock.lock_timeout(std::time::Duration::from_secs(1))?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`].
    pub fn lock_timeout(&self, timeout: Duration) -> Result<Option<RLockGuard<'_>>, OwnerDied> {
        self.take(Patience::until(Deadline::after(timeout)).for_lock(), Mode::Plain)
    }

    /// Waits for the lock, takes it whether or not its last owner died, and clears the mark.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::RLock::new()?;
    /// let guard = lock.recover();
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// A process that dies before the guard is dropped leaves a mark again.
    pub fn recover(&self) -> RLockGuard<'_> {
        loop {
            if let Ok(Some(guard)) = self.take(Patience::forever().for_lock(), Mode::Recover) {
                return guard;
            }
        }
    }

    fn take(&self, mut patience: Patience, mode: Mode) -> Result<Option<RLockGuard<'_>>, OwnerDied> {
        let (lock, segment, thread) = (self.0.body(), self.0.segment(), this_thread());
        match lock.lock(segment, &mut patience, mode, thread) {
            Ok(_recovered) => {
                let calm = Calm::now();
                Ok(Some(RLockGuard { lock, segment, me: segment.me(), thread, calm, thread_bound: PhantomData }))
            }
            Err(Refused::TimedOut) => Ok(None),
            Err(Refused::Died(pid)) => Err(OwnerDied::new(pid)),
        }
    }
}

impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RLock");
        shown.field("name", &self.0.name());
        shown.field("state", &State(self.0.body().mutex(), self.0.segment()));
        if !self.0.body().mutex().word().owner().is_nobody() {
            shown.field("depth", &self.0.body().depth());
        }
        shown.finish_non_exhaustive()
    }
}

/// The lock is held by this thread as long as this lives; the last guard of a thread gives it back.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{RLock, RLockGuard};
///
/// let lock = RLock::new()?;
/// let guard: RLockGuard<'_> = lock.lock()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It stays on its thread:
///
/// ```compile_fail
/// let lock = multiprocess_sync::RLock::new().unwrap();
/// let guard = lock.lock().unwrap();
/// std::thread::scope(|scope| scope.spawn(|| drop(guard)).join().unwrap());
/// ```
///
/// # Crash
///
/// As [`MutexGuard`](crate::MutexGuard).
#[must_use = "if unused the lock is released at once"]
pub struct RLockGuard<'a> {
    lock: &'a Recursive,
    segment: &'a Segment,
    me: Owner,
    thread: u32,
    calm: Calm,
    thread_bound: PhantomData<*const ()>,
}

impl Drop for RLockGuard<'_> {
    fn drop(&mut self) {
        // A copy of this process, made by the program itself, does not hold what this process holds.
        if self.segment.me() == self.me {
            self.lock.unlock(self.segment, self.me, self.thread, self.calm.is_over());
        }
    }
}

impl fmt::Debug for RLockGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLockGuard").field("depth", &self.lock.depth()).finish_non_exhaustive()
    }
}
