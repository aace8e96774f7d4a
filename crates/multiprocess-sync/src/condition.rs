//! A condition: waiting, with a lock let go meanwhile, until another process says that something has changed.

use crate::died::OwnerDied;
use crate::group::Group;
use crate::guard::MutexGuard;
use crate::mutex::LockResult;
use crate::object::{Body, Object, Parameters, Payload, handle, kind};
use multiprocess_core::atomics::AtomicU64;
use multiprocess_core::condition::{Condition as RawCondition, Outcome};
use multiprocess_core::layout::SLOTS;
use multiprocess_core::{Step, Wait};
use multiprocess_shm::Patience;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use std::fmt;
use std::time::Duration;

/// What a wait with a time limit gives: the guard and whether the time ran out, or the report of a dead owner.
pub type TimedWaitResult<'a, T> = Result<(MutexGuard<'a, T>, WaitTimeoutResult), OwnerDied>;

/// Lets processes wait until others change what a lock guards.
///
/// It works with the guard of any [`Mutex`](crate::Mutex) or [`Lock`](crate::Lock). While a call waits, the lock is free; when
/// it returns, the lock is held again. [`notify`](Condition::notify) wakes exactly as many as it says (those who wait
/// at that moment), never waits itself, and leaves nothing behind if nobody waits. Notify under the lock or after it.
///
/// A wait may end without a notification if another waiter was killed, so look again at what you wait for, or use
/// [`wait_while`](Condition::wait_while), which does.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{Condition, Mutex};
///
/// let (jobs, more) = (Mutex::new(0u32)?, Condition::new()?);
/// let worker = std::thread::spawn({
///     let (jobs, more) = (jobs.clone(), more.clone()); // or pass them to a process
///     move || {
///         let mut guard = more.wait_while(jobs.lock().unwrap(), |jobs| *jobs == 0).unwrap();
///         *guard -= 1;
///     }
/// });
/// *jobs.lock()? += 1;
/// more.notify_one();
/// worker.join().unwrap();
/// assert_eq!(*jobs.lock()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// A waiter that is killed disturbs nobody; if it had been chosen for a notification, another one is woken within 200 ms. If
/// the owner of the lock dies meanwhile, who waits gets [`OwnerDied`], like who locks: it would wait in vain for the dead one's
/// notification.
pub struct Condition(Object<RawCondition>);

handle!(Condition, |_| Ok(()));

// SAFETY: the struct is `#[repr(C)]`, made of atomics alone, and any number in them is handled.
unsafe impl Body for RawCondition {
    const KIND: u32 = kind::CONDITION;

    fn payload(parameters: &Parameters) -> Option<Payload> {
        (*parameters == Parameters::default()).then(|| Payload::whole(SLOTS as usize * size_of::<AtomicU64>()))
    }
}

impl Condition {
    /// A condition without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// let condition = multiprocess_sync::Condition::new()?;
    /// condition.notify_all(); // nobody waits: nothing happens
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Out of descriptors or memory.
    pub fn new() -> Result<Condition, Error> {
        Object::new(Parameters::default(), |_| ()).map(Condition)
    }

    /// A condition with a name that nothing else has.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{Condition, ErrorKind};
    ///
    /// let condition = Condition::create("doc-condition-create")?;
    /// let error = Condition::create("doc-condition-create").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    /// # drop(condition);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `AlreadyExists` while a process has something of that name open; a name that cannot be; out of descriptors or memory.
    pub fn create(name: &str) -> Result<Condition, Error> {
        Object::create(name, Parameters::default(), |_| ()).map(Condition)
    }

    /// The condition of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{Condition, ErrorKind};
    ///
    /// let error = Condition::open("doc-condition-nowhere").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound`; something else has the name, or is damaged.
    pub fn open(name: &str) -> Result<Condition, Error> {
        Object::open(name, |_| Ok(())).map(Condition)
    }

    /// The condition of that name, or else a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Condition;
    ///
    /// let first = Condition::open_or_create("doc-condition-either")?;
    /// let second = Condition::open_or_create("doc-condition-either")?; // the same one
    /// # drop((first, second));
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Condition::open) and [`create`](Condition::create), but for the name being there or not.
    pub fn open_or_create(name: &str) -> Result<Condition, Error> {
        Object::open_or_create(name, Parameters::default(), |_| (), |_| Ok(())).map(Condition)
    }

    /// A condition in a group's segment.
    pub(crate) fn in_group(group: &Group) -> Result<Condition, Error> {
        Object::in_group(group, Parameters::default(), |_| ()).map(Condition)
    }

    /// Lets the lock go, waits for a notification, and takes the lock again.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{Condition, Lock};
    ///
    /// let (lock, condition) = (Lock::new()?, Condition::new()?);
    /// let guard = lock.lock()?;
    /// std::thread::spawn({
    ///     let (lock, condition) = (lock.clone(), condition.clone());
    ///     move || {
    ///         let _guard = lock.lock(); // free as soon as the other one waits
    ///         condition.notify_one();
    ///     }
    /// });
    /// let guard = condition.wait(guard)?;
    /// assert!(lock.is_locked());
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OwnerDied`] if an owner of the lock died meanwhile, and nobody has recovered it. Then the lock is not held.
    ///
    /// # Crash
    ///
    /// If the caller dies while it waits, nobody notices. Until this returns, its notification goes to another waiter.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> LockResult<'a, T> {
        self.wait_with(guard, Patience::forever()).map(|(guard, _)| guard)
    }

    /// Waits while the condition is true. It is asked with the lock held, before the first wait and after each.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{Condition, Mutex};
    ///
    /// let (ready, condition) = (Mutex::new(1u8)?, Condition::new()?);
    /// let guard = condition.wait_while(ready.lock()?, |ready| *ready == 0)?; // does not wait
    /// assert_eq!(*guard, 1);
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Condition::wait).
    ///
    /// # Crash
    ///
    /// As [`wait`](Condition::wait); while the condition runs the caller owns the lock.
    #[doc(alias = "wait_for")]
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<'a, T> {
        let mut guard = guard;
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait`](Condition::wait), for at most that long. Taking the lock again may take longer.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{Condition, Lock};
    /// use std::time::Duration;
    ///
    /// let (lock, condition) = (Lock::new()?, Condition::new()?);
    /// let (guard, result) = condition.wait_timeout(lock.lock()?, Duration::from_millis(10))?;
    /// assert!(result.timed_out());
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Condition::wait).
    ///
    /// # Crash
    ///
    /// As [`wait`](Condition::wait).
    pub fn wait_timeout<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>, timeout: Duration) -> TimedWaitResult<'a, T> {
        self.wait_with(guard, Patience::until(Deadline::after(timeout)))
    }

    /// As [`wait_while`](Condition::wait_while), for at most that long. The time ran out if the condition was still true then.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{Condition, Mutex};
    /// use std::time::Duration;
    ///
    /// let (ready, condition) = (Mutex::new(0u8)?, Condition::new()?);
    /// let timeout = Duration::from_millis(10);
    /// let (guard, result) = condition.wait_timeout_while(ready.lock()?, timeout, |ready| *ready == 0)?;
    /// assert!(result.timed_out() && *guard == 0);
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Condition::wait).
    ///
    /// # Crash
    ///
    /// As [`wait_while`](Condition::wait_while).
    #[doc(alias = "wait_for")]
    pub fn wait_timeout_while<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> TimedWaitResult<'a, T> {
        let deadline = Deadline::after(timeout);
        let (mut guard, mut result) = (guard, WaitTimeoutResult(false));
        loop {
            if !condition(&mut guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if result.timed_out() {
                return Ok((guard, result));
            }
            (guard, result) = self.wait_with(guard, Patience::until(deadline))?;
        }
    }

    /// Wakes one of those who wait.
    ///
    /// # Examples
    ///
    /// ```
    /// multiprocess_sync::Condition::new()?.notify_one();
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// As [`notify`](Condition::notify).
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes `n` of those who wait, or all if they are fewer. Never waits for them.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{Condition, Lock};
    /// use std::time::Duration;
    ///
    /// let (lock, condition) = (Lock::new()?, Condition::new()?);
    /// condition.notify(3); // nobody waits, and nothing is kept for later
    /// let (_, result) = condition.wait_timeout(lock.lock()?, Duration::from_millis(10))?;
    /// assert!(result.timed_out());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Crash
    ///
    /// If the caller dies in here, `n` are woken within 100 ms, or none.
    pub fn notify(&self, n: u32) {
        self.0.body().notify(self.0.words(), self.0.segment(), n);
    }

    /// Wakes all who wait.
    ///
    /// # Examples
    ///
    /// ```
    /// multiprocess_sync::Condition::new()?.notify_all();
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// As [`notify`](Condition::notify).
    pub fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    fn wait_with<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>, patience: Patience) -> TimedWaitResult<'a, T> {
        let (body, slots, segment) = (self.0.body(), self.0.words(), self.0.segment());
        let mut guard = guard;
        let mut call = body.begin(slots, segment);
        guard.unlock();
        let mut patience = Attentive { patience, guard: &guard, is_left: false };
        let outcome = body.wait(slots, segment, &mut patience, &mut call);
        let timed_out = outcome == Outcome::TimedOut && !patience.is_left;
        let locked = guard.relock();
        body.end(slots, call);
        locked.map(|()| (guard, WaitTimeoutResult(timed_out)))
    }
}

/// Patience that ends when the owner of the lock is found dead.
struct Attentive<'a, 'b, T: ?Sized + 'static> {
    patience: Patience,
    guard: &'a MutexGuard<'b, T>,
    is_left: bool,
}

impl<T: ?Sized> Wait for Attentive<'_, '_, T> {
    #[inline]
    fn step(&mut self) -> Step {
        if self.is_left {
            return Step::TimedOut;
        }
        let step = self.patience.step();
        self.is_left = step == Step::Probe && self.guard.is_left();
        step
    }

    fn sleep(&mut self, word: &AtomicU64, expected: u64) {
        self.patience.sleep(word, expected);
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiters = self.0.body().waiters(self.0.words(), self.0.segment());
        f.debug_struct("Condition").field("name", &self.0.name()).field("waiters", &waiters).finish()
    }
}

/// Whether a wait ended because its time ran out.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{Condition, Lock};
/// use std::time::Duration;
///
/// let (lock, condition) = (Lock::new()?, Condition::new()?);
/// let (_, result) = condition.wait_timeout(lock.lock()?, Duration::ZERO)?;
/// assert!(result.timed_out());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time ran out without a notification.
    ///
    /// # Examples
    ///
    /// ```
    /// fn is_quiet(result: multiprocess_sync::WaitTimeoutResult) -> bool {
    ///     result.timed_out()
    /// }
    /// ```
    pub fn timed_out(&self) -> bool {
        self.0
    }
}
