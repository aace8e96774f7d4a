//! A lock without a value.

use crate::group::Group;
use crate::guard::MutexGuard;
use crate::mutex::{LockResult, Mutex, TryLockResult};
use multiprocess_sys::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, Instant};

/// A lock without a value: for what lies elsewhere, a file or a terminal.
///
/// Its guard is a `MutexGuard<()>`, so a [`Condition`](crate::Condition) takes it. All else is as with [`Mutex`], and a lock of a
/// name is opened as `Mutex<()>` too.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::Lock;
///
/// let terminal = Lock::new()?;
/// let guard = terminal.lock()?;
/// println!("two lines that");
/// println!("stay together");
/// drop(guard);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// As [`Mutex`].
#[derive(Clone, Serialize, Deserialize)]
pub struct Lock(Mutex<()>);

impl Lock {
    /// A lock without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = multiprocess_sync::Lock::new()?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Mutex::new`].
    pub fn new() -> Result<Self, Error> {
        Mutex::new(()).map(Lock)
    }

    /// A lock with a name that no living process uses for anything else.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = multiprocess_sync::Lock::create("doc-lock-create")?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Mutex::create`].
    ///
    /// # Crash
    ///
    /// As [`Mutex::create`].
    pub fn create(name: &str) -> Result<Self, Error> {
        Mutex::create(name, ()).map(Lock)
    }

    /// The lock of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{ErrorKind, Lock};
    ///
    /// assert_eq!(Lock::open("doc-lock-nobody-made").unwrap_err().kind(), ErrorKind::NotFound);
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Mutex::open`].
    pub fn open(name: &str) -> Result<Self, Error> {
        Mutex::open(name).map(Lock)
    }

    /// The lock of that name, or else a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = multiprocess_sync::Lock::open_or_create("doc-lock-either")?;
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Mutex::open_or_create`].
    pub fn open_or_create(name: &str) -> Result<Self, Error> {
        Mutex::open_or_create(name, ()).map(Lock)
    }

    pub(crate) fn in_group(group: &Group) -> Result<Self, Error> {
        Mutex::in_group(group, ()).map(Lock)
    }

    /// Waits for the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::Lock::new()?;
    /// let guard = lock.lock()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](crate::OwnerDied), at once, also if the death happens during the wait.
    ///
    /// # Crash
    ///
    /// A process that dies waiting is not missed.
    #[doc(alias = "acquire")]
    #[inline]
    pub fn lock(&self) -> LockResult<'_, ()> {
        self.0.lock()
    }

    /// Takes the lock if nobody holds it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::Lock::new()?;
    /// let guard = lock.try_lock()?.expect("nobody has it");
    /// assert!(lock.try_lock()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](crate::OwnerDied).
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<'_, ()> {
        self.0.try_lock()
    }

    /// Waits for the lock, at most for `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::Lock::new()?;
    /// assert!(lock.lock_timeout(std::time::Duration::from_secs(1))?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](crate::OwnerDied).
    pub fn lock_timeout(&self, timeout: Duration) -> TryLockResult<'_, ()> {
        self.0.lock_timeout(timeout)
    }

    /// Waits for the lock, at most until `deadline`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::Lock::new()?;
    /// use std::time::{Duration, Instant};
    ///
    /// assert!(lock.lock_deadline(Instant::now() + Duration::from_secs(1))?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`](crate::OwnerDied).
    pub fn lock_deadline(&self, deadline: Instant) -> TryLockResult<'_, ()> {
        self.0.lock_deadline(deadline)
    }

    /// Waits for the lock, takes it whether or not its last owner died, and clears the mark.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::Lock::new()?;
    /// let guard = lock.recover();
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// As [`Mutex::recover`].
    pub fn recover(&self) -> MutexGuard<'_, ()> {
        self.0.recover()
    }

    /// The same, at most for `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::Lock::new()?;
    /// assert!(lock.recover_timeout(std::time::Duration::from_secs(1)).is_some());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// As [`Mutex::recover`].
    pub fn recover_timeout(&self, timeout: Duration) -> Option<MutexGuard<'_, ()>> {
        self.0.recover_timeout(timeout)
    }

    /// Whether somebody holds the lock. It may be otherwise when this returns.
    ///
    /// # Examples
    ///
    /// ```
    /// # let lock = multiprocess_sync::Lock::new()?;
    /// assert!(!lock.is_locked());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("Lock", f)
    }
}
