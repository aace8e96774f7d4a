//! Children that are all joined before a block ends.

use crate::child::{Bond, Child, decode};
use crate::function::{Function, must_not_capture};
use crate::join_error::JoinError;
use crate::process::Process;
use crate::registry::{Life, lock};
use multiprocess_parcel::Message;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::process::Signal;
use multiprocess_sys::waitable::{Source, Waitable};
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long children may take to end themselves when the block that started them panicked.
const GRACE: Duration = Duration::from_secs(2);

/// Runs `f`, then waits for every child that was started in it.
///
/// # Examples
///
/// ```
/// use multiprocess_process::scope;
///
/// fn add(a: u64, b: u64) -> u64 {
///     a + b
/// }
///
/// let sum = scope(|s| {
///     let left = s.spawn(add, (1, 2)).unwrap();
///     let right = s.spawn(add, (3, 4)).unwrap();
///     left.join().unwrap() + right.join().unwrap()
/// })?;
/// assert_eq!(sum, 10);
/// # Ok::<(), multiprocess_process::JoinError>(())
/// ```
///
/// # Errors
///
/// The first failure of a child that was not joined by hand.
///
/// # Panics
///
/// If `f` does; its children are terminated first.
pub fn scope<T>(f: impl FnOnce(&Scope) -> T) -> Result<T, JoinError> {
    let scope = Scope { lives: Mutex::default(), bonds: Mutex::default() };
    match catch_unwind(AssertUnwindSafe(|| f(&scope))) {
        Ok(value) => scope.join_all().map(|()| value),
        Err(payload) => {
            scope.end_all();
            resume_unwind(payload)
        }
    }
}

/// Starts children that end before [`scope`] does.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{Scope, scope};
///
/// fn start_some(scope: &Scope) {
///     for number in 0..3 {
///         scope.spawn(|n: u64| assert!(n < 3), (number,)).unwrap();
///     }
/// }
///
/// scope(start_some)?; // all three have ended
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Scope {
    lives: Mutex<Vec<Arc<Life>>>,
    /// Of children whose handle was dropped without a join, in the order of the drops.
    bonds: Mutex<Vec<Bond>>,
}

impl Scope {
    /// As [`spawn`](crate::spawn).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::scope;
    ///
    /// let sum = scope(|s| s.spawn(|a: u64, b: u64| a + b, (1, 2)).unwrap().join().unwrap())?;
    /// assert_eq!(sum, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Process::start`].
    pub fn spawn<F, A>(&self, f: F, args: A) -> Result<ScopedChild<'_, F::Output>, Error>
    where
        F: Function<A>,
        A: Message,
        F::Output: Message,
    {
        const { must_not_capture::<F>() };
        self.start(Process::new(f, args))
    }

    /// Starts a process that was described before.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, scope};
    ///
    /// let name = scope(|s| s.start(Process::new(|| {}, ()).name("worker")).unwrap().name().to_owned())?;
    /// assert_eq!(name, "worker");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Process::start`].
    pub fn start<R>(&self, process: Process<R>) -> Result<ScopedChild<'_, R>, Error> {
        let child = process.start()?;
        lock(&self.lives).push(Arc::clone(child.life()));
        Ok(ScopedChild { scope: self, child })
    }

    fn join_all(&self) -> Result<(), JoinError> {
        let bonds = std::mem::take(&mut *lock(&self.bonds));
        // All of them, whatever the first one says.
        let results: Vec<_> = bonds.into_iter().map(Bond::finish).collect();
        for life in lock(&self.lives).iter() {
            // A handle that was forgotten (`mem::forget`) has no result to give, but its child is waited for.
            life.wait(Deadline::NEVER).map_err(JoinError::transfer)?;
        }
        results.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }

    fn end_all(&self) {
        let lives = std::mem::take(&mut *lock(&self.lives));
        // A child that cannot be signalled has ended, or cannot be helped; the panic goes on in any case.
        lives.iter().for_each(|life| drop(life.signal(Signal::Terminate)));
        let deadline = Deadline::after(GRACE);
        for life in &lives {
            if let Ok(None) = life.wait(deadline) {
                let _ = life.signal(Signal::Kill);
                let _ = life.wait(Deadline::NEVER);
            }
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("children", &lock(&self.lives).len()).finish_non_exhaustive()
    }
}

/// A child of a [`Scope`]. If it is dropped, the scope joins it.
///
/// # Examples
///
/// ```
/// use multiprocess_process::scope;
///
/// scope(|s| {
///     let child = s.spawn(|| std::thread::park(), ()).unwrap();
///     assert!(child.is_alive()); // as a `Child`
///     child.kill().unwrap();
///     assert!(child.join().is_err());
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ScopedChild<'scope, R> {
    scope: &'scope Scope,
    child: Child<R>,
}

impl<R: DeserializeOwned> ScopedChild<'_, R> {
    /// As [`Child::join`].
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::scope;
    ///
    /// let value = scope(|s| s.spawn(|| 42, ()).unwrap().join())??;
    /// assert_eq!(value, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Child::join`].
    pub fn join(mut self) -> Result<R, JoinError> {
        drop(self.child.stdin.take());
        match self.child.take_bond() {
            Some(bond) => decode(bond.finish()?),
            None => Err(JoinError::transfer(self.child.life().unknown())),
        }
    }
}

impl<R> Deref for ScopedChild<'_, R> {
    type Target = Child<R>;

    fn deref(&self) -> &Child<R> {
        &self.child
    }
}

/// For the ends of its standard streams: `child.stdout.take()`.
impl<R> DerefMut for ScopedChild<'_, R> {
    fn deref_mut(&mut self) -> &mut Child<R> {
        &mut self.child
    }
}

/// As its [`Child`].
impl<R> fmt::Debug for ScopedChild<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.child.fmt(f)
    }
}

/// Ready once it has ended.
impl<R> Waitable for ScopedChild<'_, R> {
    fn source(&self) -> Result<Source<'_>, Error> {
        self.child.source()
    }
}

impl<R> Drop for ScopedChild<'_, R> {
    fn drop(&mut self) {
        lock(&self.scope.bonds).extend(self.child.take_bond());
    }
}
