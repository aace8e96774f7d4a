//! The guard of a lock: access to what it guards, and the way back.
//!
//! A guard keeps the object's memory mapped and remembers which process took the lock. In a process that the user forked its
//! drop does nothing: the lock still belongs to the process that took it. A guard that is dropped by a panic which began
//! under it leaves the lock as a dead owner does.

use crate::died::OwnerDied;
use crate::object::ALIGNMENT;
use multiprocess_core::Environment;
use multiprocess_core::atomics::{AtomicU64, Ordering};
use multiprocess_core::mutex::{Held, Mode, Mutex as RawMutex, Refused};
use multiprocess_core::snapshot::Snapshot;
use multiprocess_shm::Patience;
use multiprocess_shm::Segment;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// What keeps the memory under a guard: the handle that it borrows, or a share of its own.
#[derive(Debug)]
pub(crate) enum Keep<'a> {
    Borrowed(&'a Segment),
    Owned(Segment),
}

impl Keep<'_> {
    #[inline]
    pub(crate) fn segment(&self) -> &Segment {
        match self {
            Keep::Borrowed(segment) => segment,
            Keep::Owned(segment) => segment,
        }
    }

    pub(crate) fn to_owned(&self) -> Keep<'static> {
        Keep::Owned(self.segment().clone())
    }
}

/// Tells a panic that begins under a guard from one that was there before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calm(bool);

impl Calm {
    #[inline]
    pub(crate) fn now() -> Calm {
        Calm(!std::thread::panicking())
    }

    /// Whether a panic has begun since.
    #[inline]
    pub(crate) fn is_over(self) -> bool {
        self.0 && std::thread::panicking()
    }
}

/// One try or one wait for a lock, as the public types tell it: `None` if the time is over.
#[inline]
pub(crate) fn take(
    mutex: &RawMutex,
    segment: &Segment,
    patience: Patience,
    mode: Mode,
) -> Result<Option<Held>, OwnerDied> {
    match mutex.lock(segment, &mut patience.for_lock(), mode) {
        Ok(held) => Ok(Some(held)),
        Err(Refused::TimedOut) => Ok(None),
        Err(Refused::Died(pid)) => Err(OwnerDied::new(pid)),
    }
}

/// As [`take`] for objects without a `recover`: who is told of a dead owner has cleared the mark, and is the only one told.
pub(crate) fn take_and_clear(
    mutex: &RawMutex,
    segment: &Segment,
    mut patience: Patience,
) -> Result<Option<Held>, OwnerDied> {
    patience = patience.for_lock();
    loop {
        let pid = match mutex.lock(segment, &mut patience, Mode::Plain) {
            Ok(held) => return Ok(Some(held)),
            Err(Refused::TimedOut) => return Ok(None),
            Err(Refused::Died(pid)) => pid,
        };
        // Somebody else may be quicker, and then it is told.
        if let Ok(held) = mutex.lock(segment, &mut Patience::none(), Mode::Recover) {
            let recovered = held.recovered();
            mutex.unlock(segment, held);
            if recovered {
                return Err(OwnerDied::new(pid));
            }
        }
    }
}

/// A lock that is held for the time of one call; dropping it gives it back without a mark, also in a panic.
#[derive(Debug)]
pub(crate) struct Briefly<'a> {
    mutex: &'a RawMutex,
    segment: &'a Segment,
    held: Option<Held>,
}

impl<'a> Briefly<'a> {
    /// Waits for the lock whatever its last owner left, which stays.
    #[inline]
    pub(crate) fn hold(mutex: &'a RawMutex, segment: &'a Segment, mode: Mode) -> Briefly<'a> {
        debug_assert!(matches!(mode, Mode::Ignore | Mode::Whole));
        let held = loop {
            if let Ok(held) = mutex.lock(segment, &mut Patience::forever().for_lock(), mode) {
                break held;
            }
        };
        Briefly { mutex, segment, held: Some(held) }
    }
}

impl Drop for Briefly<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(held) = self.held.take_if(|held| held.owner() == self.segment.me()) {
            self.mutex.unlock(self.segment, held);
        }
    }
}

/// What sets the guards of some objects apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sort {
    /// Nothing.
    Plain,
    /// The object has no `recover`: who is told of a dead owner clears the mark.
    Clearing,
    /// The same, and the data is a draft, which becomes the value when the lock is given back. Behind it, at the next multiple of
    /// [`ALIGNMENT`], lie the two copies of the value.
    Draft(NonNull<Snapshot>),
}

/// The lock is held as long as this lives; the data behind it is reached through this.
///
/// Any [`Condition`](crate::Condition) takes it.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{Mutex, MutexGuard};
///
/// let counter = Mutex::new(1u64)?;
/// let mut guard: MutexGuard<'_, u64> = counter.lock()?;
/// *guard += 1;
/// drop(guard);
/// assert_eq!(*counter.lock()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// If the process dies while the guard lives, or the thread panics and drops it, the next `lock` is told by [`OwnerDied`]. A
/// guard that is forgotten keeps the lock until its process ends or has dropped all handles of the object; then the same
/// happens. In a process that the program forked by itself, dropping the copy of a guard does nothing.
#[must_use = "if unused the lock is released at once"]
pub struct MutexGuard<'a, T: ?Sized + 'static> {
    data: NonNull<T>,
    mutex: NonNull<RawMutex>,
    /// `None`: given back already.
    held: Option<Held>,
    /// In the handle that is borrowed, unless there is one in `extra`.
    segment: NonNull<Segment>,
    /// Who this process is, without the way through the segment.
    me: &'static AtomicU64,
    /// What most guards do not need, so that they stay small enough for registers.
    /// `drop` sees to it, where it is there at all: so the usual drop has no other thing to look at.
    extra: ManuallyDrop<Option<Box<Extra>>>,
    borrow: PhantomData<&'a mut T>,
}

#[derive(Debug)]
struct Extra {
    keep: Option<Segment>,
    sort: Sort,
    calm: Calm,
}

// SAFETY: the lock belongs to the process, not to a thread; what is reached through the guard may be sent.
unsafe impl<T: ?Sized + Send> Send for MutexGuard<'_, T> {}
// SAFETY: a shared guard gives shared access only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// A guard of the lock that `held` proves; `data` lies in the same segment, and belongs to who holds the lock.
    pub(crate) fn new(data: NonNull<T>, mutex: &'a RawMutex, segment: &'a Segment, held: Held) -> MutexGuard<'a, T> {
        MutexGuard::near(data, mutex, segment, segment.me_word(), held)
    }

    /// The same for who knows the segment's `me_word` already.
    #[inline]
    pub(crate) fn near(
        data: NonNull<T>,
        mutex: &'a RawMutex,
        segment: &'a Segment,
        me: &'static AtomicU64,
        held: Held,
    ) -> MutexGuard<'a, T> {
        MutexGuard {
            data,
            mutex: NonNull::from_ref(mutex),
            held: Some(held),
            segment: NonNull::from_ref(segment),
            me,
            // Without extra, a panic that is there at the drop has begun under the guard.
            extra: ManuallyDrop::new(if std::thread::panicking() { extra(Sort::Plain) } else { None }),
            borrow: PhantomData,
        }
    }

    /// The same for an object of that sort.
    pub(crate) fn of_sort(self, sort: Sort) -> MutexGuard<'a, T> {
        let mut guard = self;
        *guard.extra = extra(sort);
        guard.draft();
        guard
    }

    /// Whether this guard took over from a dead owner: then the data may need repair.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{Lock, MutexGuard};
    ///
    /// let lock = Lock::new()?;
    /// assert!(!MutexGuard::recovered(&lock.recover()));
    /// # Ok::<(), multiprocess_sync::Error>(())
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
    /// use multiprocess_sync::{Lock, MutexGuard};
    ///
    /// fn take(name: &str) -> Result<MutexGuard<'static, ()>, Box<dyn std::error::Error>> {
    ///     let lock = Lock::open_or_create(name)?;
    ///     Ok(MutexGuard::into_owned(lock.lock()?))
    /// }
    ///
    /// let guard = take("doc-into-owned")?;
    /// assert!(Lock::open("doc-into-owned")?.is_locked());
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_owned(this: Self) -> MutexGuard<'static, T> {
        let mut this = this;
        let keep = this.segment().clone();
        let calm = this.calm();
        let mut extra = this.extra.take().unwrap_or_else(|| Extra::boxed(Sort::Plain));
        (extra.keep, extra.calm) = (Some(keep), calm);
        let (data, mutex, held, segment) = (this.data, this.mutex, this.held.take(), this.segment);
        MutexGuard {
            data,
            mutex,
            held,
            segment,
            me: this.me,
            extra: ManuallyDrop::new(Some(extra)),
            borrow: PhantomData,
        }
    }

    /// The memory in which the lock lies.
    #[inline]
    pub(crate) fn segment(&self) -> &Segment {
        match self.extra.as_ref().and_then(|extra| extra.keep.as_ref()) {
            Some(segment) => segment,
            // SAFETY: in the handle that the guard borrows, since it has none of its own.
            None => unsafe { self.segment.as_ref() },
        }
    }

    /// How it was when the lock was taken.
    fn calm(&self) -> Calm {
        self.extra.as_ref().map_or(Calm(true), |extra| extra.calm)
    }

    fn sort(&self) -> Sort {
        self.extra.as_ref().map_or(Sort::Plain, |extra| extra.sort)
    }

    #[inline]
    fn mutex(&self) -> &RawMutex {
        // SAFETY: it lies in the segment that the guard keeps mapped, and consists of atomics.
        unsafe { self.mutex.as_ref() }
    }

    /// Gives the lock back before the guard is dropped: for a wait in the middle.
    pub(crate) fn unlock(&mut self) {
        self.give_back(false);
    }

    /// Takes the lock again after [`unlock`](MutexGuard::unlock). In an error the guard holds nothing.
    pub(crate) fn relock(&mut self) -> Result<(), OwnerDied> {
        while self.held.is_none() {
            self.held = match self.sort() {
                Sort::Plain => take(self.mutex(), self.segment(), Patience::forever(), Mode::Plain)?,
                Sort::Clearing | Sort::Draft(_) => take_and_clear(self.mutex(), self.segment(), Patience::forever())?,
            };
        }
        self.draft();
        Ok(())
    }

    /// Whether the lock's last owner died, or its present owner is dead.
    pub(crate) fn is_left(&self) -> bool {
        let (mutex, owner) = (self.mutex(), self.mutex().word().owner());
        mutex.died().is_some() || !owner.is_nobody() && !self.segment().is_alive(owner)
    }

    #[cold]
    #[inline(never)]
    fn drop_slowly(mut this: ManuallyDrop<MutexGuard<'_, T>>) {
        let as_dead = this.calm().is_over();
        this.give_back(as_dead);
        drop(this.extra.take());
    }

    #[inline(always)] // as `drop`
    fn unlocked(&mut self, found: u64) {
        // SAFETY: in the handle that the guard borrows: a guard with a share of its own has something extra.
        let segment = unsafe { self.segment.as_ref() };
        if let Some(held) = self.held.take() {
            self.mutex().unlocked(segment, held, found);
        }
    }

    #[cold]
    fn give_back(&mut self, as_dead: bool) {
        // A copy of this process, made by the program itself, does not hold what this process holds.
        let me = self.segment().me();
        let Some(held) = self.held.take_if(|held| held.owner() == me) else { return };
        if as_dead {
            return self.mutex().unlock_as_dead(self.segment(), held);
        }
        if let Sort::Draft(snapshot) = self.sort() {
            self.publish(snapshot);
        }
        self.mutex().unlock(self.segment(), held);
    }

    /// Makes the draft the value.
    fn publish(&mut self, snapshot: NonNull<Snapshot>) {
        let length = size_of_val::<T>(self);
        // SAFETY: the draft has that many bytes of plain data, and belongs to this guard while it holds the lock.
        let draft = unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast::<u8>(), length) };
        let (snapshot, copies) = self.snapshot(snapshot, length);
        snapshot.write(copies, draft);
    }

    /// Makes the value the draft, if the data is one.
    fn draft(&mut self) {
        let Sort::Draft(snapshot) = self.sort() else { return };
        let length = size_of_val::<T>(self);
        let start = self.data.as_ptr().cast::<u8>();
        // SAFETY: the draft has that many bytes, and belongs to this guard while it holds the lock.
        let draft = unsafe { std::slice::from_raw_parts_mut(start, length) };
        let (snapshot, copies) = self.snapshot(snapshot, length);
        // Only who holds the lock writes; if somebody writes all the same, any bytes are a value.
        let _ = snapshot.read(copies, draft);
    }

    fn snapshot(&self, snapshot: NonNull<Snapshot>, length: usize) -> (&Snapshot, &[AtomicU64]) {
        // SAFETY: it lies in the segment that the guard keeps mapped, and consists of an atomic.
        let snapshot = unsafe { snapshot.as_ref() };
        // SAFETY: the draft and the copies lie in one payload.
        let copies = unsafe { copies_behind(self.data.cast(), length) };
        // SAFETY: mapped as long as the guard lives, and atomics, which are valid for any bytes.
        (snapshot, unsafe { copies.as_ref() })
    }
}

impl Extra {
    fn boxed(sort: Sort) -> Box<Extra> {
        Box::new(Extra { keep: None, sort, calm: Calm::now() })
    }
}

#[cold]
fn extra(sort: Sort) -> Option<Box<Extra>> {
    Some(Extra::boxed(sort))
}

/// How far behind a draft of `length` bytes its copies begin, and how many words they are; `None` if that cannot be.
pub(crate) fn copies(length: usize) -> Option<(usize, usize)> {
    Some((length.checked_next_multiple_of(ALIGNMENT)?, Snapshot::words(length)?))
}

/// The copies behind a draft of `length` bytes.
///
/// # Safety
///
/// They are in the same allocation.
pub(crate) unsafe fn copies_behind(draft: NonNull<u8>, length: usize) -> NonNull<[AtomicU64]> {
    let (distance, words) = copies(length).expect("checked when the object was made or found");
    // SAFETY: the caller's promise.
    let start = unsafe { draft.byte_add(distance) };
    NonNull::slice_from_raw_parts(start.cast(), words)
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: mapped as long as the guard lives, valid for any bytes, and nobody else's while the lock is held.
        unsafe { self.data.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: mapped as long as the guard lives, valid for any bytes, and nobody else's while the lock is held.
        unsafe { self.data.as_mut() }
    }
}

impl<T: ?Sized + 'static> Drop for MutexGuard<'_, T> {
    #[inline(always)] // a guard whose drop is a call lives in memory
    fn drop(&mut self) {
        // What most drops are: no wait, no panic, not a copy of the process. There the guard has nothing else to drop either.
        if let (Some(held), None) = (&self.held, &*self.extra) {
            let me = self.me.load(Ordering::Acquire);
            if !std::thread::panicking() && held.word().0 == me {
                let found = self.mutex().unlock_at_once();
                if found != me {
                    self.unlocked(found);
                }
                return;
            }
        }
        // Only values go there, and no reference: a guard that somebody may point to would be written to memory by each
        // lock, and the unlock would wait until it is there.
        MutexGuard::drop_slowly(ManuallyDrop::new(MutexGuard {
            data: self.data,
            mutex: self.mutex,
            held: self.held.take(),
            segment: self.segment,
            me: self.me,
            extra: ManuallyDrop::new(self.extra.take()),
            borrow: PhantomData,
        }));
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
