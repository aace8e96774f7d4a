//! A permit that a process holds, and the report that none could be released.

use crate::object::Object;
use multiprocess_core::Environment;
use multiprocess_core::semaphore::{Permit as RawPermit, Refused, Semaphore as RawSemaphore};
use multiprocess_sys::{Error, ErrorKind};
use std::fmt;
use std::ops::Deref;

/// A permit of a [`Semaphore`](super::Semaphore), given back when it is dropped, and when its process dies.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{Permit, Semaphore};
///
/// let semaphore = Semaphore::new(1)?;
/// let permit: Permit<'_> = semaphore.acquire();
/// drop(permit);
/// assert_eq!(semaphore.available(), 1);
/// # Ok::<(), multiprocess_sync::Error>(())
/// ```
///
/// # Crash
///
/// The permit comes back within 200 ms. In a process that the program forked by itself, dropping the copy of a permit does
/// nothing.
#[must_use = "if unused the permit is returned at once; `forget` keeps it"]
pub struct Permit<'a> {
    semaphore: Keep<'a>,
    /// `None`: it is given back or forgotten already.
    held: Option<RawPermit>,
}

/// The semaphore of a permit: in the handle that it borrows, or in one of its own. That lies elsewhere, so that permits stay small.
#[derive(Debug)]
enum Keep<'a> {
    Borrowed(&'a Object<RawSemaphore>),
    Owned(Box<Object<RawSemaphore>>),
}

impl Deref for Keep<'_> {
    type Target = Object<RawSemaphore>;

    #[inline]
    fn deref(&self) -> &Object<RawSemaphore> {
        match self {
            Keep::Borrowed(semaphore) => semaphore,
            Keep::Owned(semaphore) => semaphore,
        }
    }
}

impl<'a> Permit<'a> {
    #[inline]
    pub(super) fn new(semaphore: &'a Object<RawSemaphore>, held: RawPermit) -> Permit<'a> {
        Permit { semaphore: Keep::Borrowed(semaphore), held: Some(held) }
    }

    /// Takes the permit out of circulation: it is not given back, not even when its process dies. Only
    /// [`release`](super::Semaphore::release) adds one again.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = multiprocess_sync::Semaphore::new(1)?;
    /// semaphore.acquire().forget();
    /// assert_eq!(semaphore.available(), 0);
    /// semaphore.release(1)?;
    /// assert_eq!(semaphore.available(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Crash
    ///
    /// The permit is forgotten or comes back.
    #[inline]
    pub fn forget(self) {
        let mut permit = self;
        if let Some(held) = permit.take() {
            permit.semaphore.body().forget(permit.semaphore.words(), held);
        }
    }

    /// Frees the permit from the borrow of its handle: to return it, or to keep it in a struct. It keeps the semaphore's memory
    /// by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{Error, Permit, Semaphore};
    ///
    /// struct Connection {
    ///     _permit: Permit<'static>,
    /// }
    ///
    /// fn connect(semaphore: &Semaphore) -> Connection {
    ///     Connection { _permit: semaphore.acquire().into_owned() }
    /// }
    ///
    /// let semaphore = Semaphore::new(1)?;
    /// let connection = connect(&semaphore);
    /// assert_eq!(semaphore.available(), 0);
    /// # drop(connection);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// The permit comes back.
    pub fn into_owned(self) -> Permit<'static> {
        let mut permit = self;
        let semaphore = Keep::Owned(Box::new(permit.semaphore.clone()));
        Permit { semaphore, held: permit.held.take() }
    }

    /// What is held, unless it is a copy that belongs to the process from which this one was forked.
    #[inline]
    fn take(&mut self) -> Option<RawPermit> {
        let held = self.held.take()?;
        (held.owner() == self.semaphore.segment().me()).then_some(held)
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(held) = self.take() {
            self.semaphore.body().give(self.semaphore.words(), held, self.semaphore.segment());
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.held.map(|held| self.semaphore.segment().pid_of(held.owner()));
        let mut shown = f.debug_struct("Permit");
        shown.field("semaphore", &self.semaphore.name()).field("held_by", &owner).finish()
    }
}

/// Nothing was released: the bound of the semaphore would be exceeded, or there is no memory for more permits.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{ReleaseError, Semaphore};
///
/// let error: ReleaseError = Semaphore::bounded(1)?.release(1).unwrap_err();
/// assert_eq!(error.to_string(), "releasing more permits than the semaphore's bound allows");
/// # Ok::<(), multiprocess_sync::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseError(pub(super) Refused);

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Refused::Full => "releasing more permits than the semaphore's bound allows",
            Refused::NoMemory => "releasing permits for which there is no memory",
        })
    }
}

impl std::error::Error for ReleaseError {}

impl From<ReleaseError> for Error {
    fn from(error: ReleaseError) -> Error {
        let kind = match error.0 {
            Refused::Full => ErrorKind::TooLarge,
            Refused::NoMemory => ErrorKind::Os,
        };
        Error::new(kind, "releasing permits of a semaphore").with_source(error)
    }
}
