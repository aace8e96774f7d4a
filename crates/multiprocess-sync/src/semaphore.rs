//! A semaphore: a number of permits, each held by at most one at a time.

mod permit;

pub use permit::{Permit, ReleaseError};

use crate::group::Group;
use crate::object::{Body, Object, Parameters, Payload, handle, kind};
use multiprocess_core::Environment;
use multiprocess_core::semaphore::Semaphore as RawSemaphore;
use multiprocess_shm::Patience;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::{Error, ErrorKind};
use std::fmt;
use std::time::Duration;

/// A number of permits that processes take and give back.
///
/// [`acquire`](Semaphore::acquire) gives a [`Permit`], which goes back when it is dropped and when its process dies.
/// [`Permit::forget`] takes a permit out of circulation, and [`release`](Semaphore::release) adds some, so that one process can
/// acquire and another one release, as with semaphores elsewhere.
///
/// A handle is cheap to clone, and travels to other processes in arguments and messages. Waiting processes get permits in no
/// particular order.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::Semaphore;
///
/// let connections = Semaphore::new(3)?;
/// let permit = connections.acquire();
/// assert_eq!(connections.available(), 2);
/// drop(permit);
/// assert_eq!(connections.available(), 3);
/// # Ok::<(), multiprocess_sync::Error>(())
/// ```
///
/// # Crash
///
/// The permits of a process that dies come back within 200 ms, also while others acquire and release all the time. A process
/// that is killed while it waits takes nothing with it.
///
/// # Persistence
///
/// It goes with its last handle, and its name with the last process that has it open.
pub struct Semaphore(Object<RawSemaphore>);

handle!(Semaphore, |_| Ok(()));

/// The bytes of a permit.
const PERMIT: usize = size_of::<u64>();

/// What is there of a semaphore without a bound from the beginning, beside its first permits: a page.
const PAGE: usize = 4096;

// SAFETY: the struct is `#[repr(C)]`, made of atomics, aligned to 64, and any numbers in it are handled.
unsafe impl Body for RawSemaphore {
    const KIND: u32 = kind::SEMAPHORE;

    /// The parameters are the number of permits at first, and whether it is the bound.
    fn payload(parameters: &Parameters) -> Option<Payload> {
        let [permits, is_bounded, 0, 0] = parameters.0 else { return None };
        let most = Semaphore::MAX_PERMITS as usize * PERMIT;
        let first = usize::try_from(permits).ok()?.checked_mul(PERMIT).filter(|first| *first <= most)?;
        match is_bounded {
            0 => Some(Payload { length: most, reserved: first.next_multiple_of(PAGE).max(PAGE).min(most) }),
            1 => Some(Payload::whole(first)),
            _ => None,
        }
    }
}

fn parameters(permits: u32, is_bounded: bool) -> Result<Parameters, Error> {
    if permits > Semaphore::MAX_PERMITS {
        let most = Semaphore::MAX_PERMITS;
        let operation = format!("making a semaphore of {permits} permits, which is more than {most}");
        return Err(Error::new(ErrorKind::TooLarge, operation));
    }
    Ok(Parameters([u64::from(permits), u64::from(is_bounded), 0, 0]))
}

/// Gives a semaphore that nobody else sees its first permits.
fn fill(object: &Object<RawSemaphore>) {
    let (permits, payload) = (object.parameters().0[0] as u32, RawSemaphore::payload(object.parameters()));
    let present = payload.map_or(0, |payload| payload.reserved / PERMIT);
    object.body().fill(object.words(), permits, present);
}

impl Semaphore {
    /// The most permits that a semaphore can have, those that are held included.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Semaphore;
    ///
    /// assert!(Semaphore::new(Semaphore::MAX_PERMITS + 1).is_err());
    /// ```
    pub const MAX_PERMITS: u32 = 32_767;

    /// A semaphore without a name and without a bound below [`MAX_PERMITS`](Semaphore::MAX_PERMITS), with so many permits.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = multiprocess_sync::Semaphore::new(3)?;
    /// assert_eq!(semaphore.available(), 3);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Too many permits; out of descriptors or memory.
    pub fn new(permits: u32) -> Result<Semaphore, Error> {
        Object::new(parameters(permits, false)?, fill).map(Semaphore)
    }

    /// A semaphore without a name that never has more permits than at first: what releases more is an error, and found.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = multiprocess_sync::Semaphore::bounded(3)?;
    /// semaphore.release(1).unwrap_err();
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`new`](Semaphore::new).
    #[doc(alias = "BoundedSemaphore")]
    pub fn bounded(permits: u32) -> Result<Semaphore, Error> {
        Object::new(parameters(permits, true)?, fill).map(Semaphore)
    }

    /// A semaphore as [`new`](Semaphore::new) makes it, with a name that nothing else has.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Semaphore;
    ///
    /// let semaphore = Semaphore::create("doc-semaphore-create", 3)?;
    /// assert_eq!(Semaphore::open("doc-semaphore-create")?.available(), 3);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) while a process has something of that name open; a name that cannot be; too
    /// many permits; out of descriptors or memory.
    ///
    /// # Crash
    ///
    /// Either nothing has the name or the semaphore does, until others find nobody alive who has it open.
    pub fn create(name: &str, permits: u32) -> Result<Semaphore, Error> {
        Object::create(name, parameters(permits, false)?, fill).map(Semaphore)
    }

    /// A semaphore as [`bounded`](Semaphore::bounded) makes it, with a name that nothing else has.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Semaphore;
    ///
    /// let semaphore = Semaphore::create_bounded("doc-semaphore-bounded", 3)?;
    /// Semaphore::open("doc-semaphore-bounded")?.release(1).unwrap_err();
    /// # drop(semaphore);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`create`](Semaphore::create).
    ///
    /// # Crash
    ///
    /// As for [`create`](Semaphore::create).
    pub fn create_bounded(name: &str, permits: u32) -> Result<Semaphore, Error> {
        Object::create(name, parameters(permits, true)?, fill).map(Semaphore)
    }

    /// The semaphore of that name, with a bound or without.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{ErrorKind, Semaphore};
    ///
    /// let error = Semaphore::open("doc-semaphore-nowhere").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound); something else has the name, or is damaged.
    ///
    /// # Crash
    ///
    /// Nothing has changed for others.
    pub fn open(name: &str) -> Result<Semaphore, Error> {
        Object::open(name, |_| Ok(())).map(Semaphore)
    }

    /// The semaphore of that name, whatever its permits, or else a new one without a bound and with so many.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Semaphore;
    ///
    /// let first = Semaphore::open_or_create("doc-semaphore-either", 1)?;
    /// let second = Semaphore::open_or_create("doc-semaphore-either", 1)?;
    /// let permit = first.acquire();
    /// assert!(second.try_acquire().is_none());
    /// # drop(permit);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`open`](Semaphore::open) and [`create`](Semaphore::create), but that the name may be new or not.
    ///
    /// # Crash
    ///
    /// As for [`create`](Semaphore::create).
    pub fn open_or_create(name: &str, permits: u32) -> Result<Semaphore, Error> {
        Object::open_or_create(name, parameters(permits, false)?, fill, |_| Ok(())).map(Semaphore)
    }

    pub(crate) fn in_group(group: &Group, permits: u32) -> Result<Semaphore, Error> {
        Object::in_group(group, parameters(permits, false)?, fill).map(Semaphore)
    }

    /// Waits for a permit.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = multiprocess_sync::Semaphore::new(1)?;
    /// {
    ///     let _permit = semaphore.acquire();
    ///     assert_eq!(semaphore.available(), 0);
    /// }
    /// assert_eq!(semaphore.available(), 1);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// A permit that was taken comes back.
    #[inline]
    pub fn acquire(&self) -> Permit<'_> {
        match self.0.body().acquire_at_once(self.0.words(), self.0.segment()) {
            Some(permit) => Permit::new(&self.0, permit),
            None => self.acquire_slowly(),
        }
    }

    #[cold]
    fn acquire_slowly(&self) -> Permit<'_> {
        loop {
            if let Some(permit) = self.acquire_with(Patience::forever()) {
                return permit;
            }
        }
    }

    /// A permit, if one is free. `None` means that for an instant none was, not that somebody was in the way.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = multiprocess_sync::Semaphore::new(1)?;
    /// let permit = semaphore.try_acquire();
    /// assert!(permit.is_some() && semaphore.try_acquire().is_none());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// A permit that was taken comes back.
    #[inline]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.acquire_with(Patience::none())
    }

    /// Waits for a permit, at most for `timeout`. The time is that of a clock that nobody sets.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let semaphore = multiprocess_sync::Semaphore::new(0)?;
    /// assert!(semaphore.acquire_timeout(Duration::from_millis(10)).is_none());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// A permit that was taken comes back.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.acquire_with(Patience::until(Deadline::after(timeout)))
    }

    /// Adds so many permits, or none of them.
    ///
    /// # Examples
    ///
    /// Acquired here, released elsewhere:
    ///
    /// ```
    /// let items = multiprocess_sync::Semaphore::new(0)?;
    /// let producer = items.clone();
    /// let thread = std::thread::spawn(move || producer.release(2));
    /// items.acquire().forget();
    /// items.acquire().forget();
    /// # thread.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There would be more than the semaphore's bound, or than [`MAX_PERMITS`](Semaphore::MAX_PERMITS), those that are held
    /// included; or there is no memory for them: 8 bytes each, taken by the page as their number grows.
    ///
    /// # Crash
    ///
    /// Some of them may have been added. If there were any, those who wait get them within 100 ms.
    #[inline]
    pub fn release(&self, permits: u32) -> Result<(), ReleaseError> {
        match permits == 1 && self.0.body().release_one(self.0.words(), self.0.segment()) {
            true => Ok(()),
            false => self.release_slowly(permits),
        }
    }

    #[cold]
    fn release_slowly(&self, permits: u32) -> Result<(), ReleaseError> {
        let grow = |words: usize| self.0.reserve(words * PERMIT).is_ok();
        let mut patience = Patience::forever();
        let released = self.0.body().release(self.0.words(), permits, self.0.segment(), &mut patience, grow);
        released.map_err(ReleaseError)
    }

    /// How many permits are free. Another process may take them before this returns.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = multiprocess_sync::Semaphore::new(2)?;
    /// let permit = semaphore.acquire();
    /// assert_eq!(semaphore.available(), 1);
    /// # drop(permit);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// Nothing has changed for others but that permits of dead processes may be back.
    #[doc(alias = "get_value")]
    pub fn available(&self) -> u32 {
        self.0.body().available(self.0.words(), self.0.segment())
    }

    #[inline]
    fn acquire_with(&self, mut patience: Patience) -> Option<Permit<'_>> {
        let permit = self.0.body().acquire(self.0.words(), self.0.segment(), &mut patience)?;
        Some(Permit::new(&self.0, permit))
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [permits, is_bounded, ..] = self.0.parameters().0;
        let mut shown = f.debug_struct("Semaphore");
        shown.field("name", &self.0.name()).field("available", &self.available());
        if is_bounded == 1 {
            shown.field("bound", &permits);
        }
        let holders = self.0.body().holders(self.0.words()).map(|owner| self.0.segment().pid_of(owner));
        shown.field("held_by", &holders.collect::<Vec<_>>()).finish()
    }
}
