//! Many objects in one segment, on purpose.
//!
//! The group's own words lie at the beginning of the segment's payload:
//!
//! | Word | Meaning |
//! | --- | --- |
//! | `next` | where the next object begins; grows only |
//!
//! Making an object moves `next` by one compare-exchange, sees to it that the memory is there, and writes the object; its header's
//! kind comes last. A process that is killed in between leaves a hole that nobody uses, and that goes with the group: nothing waits
//! for it.

use crate::object::{ALIGNMENT, kind};
use crate::{Condition, Event, Lock, Mutex, Semaphore};
use bytemuck::Pod;
use multiprocess_core::atomics::{AtomicU64, Ordering::Relaxed};
use multiprocess_shm::{Segment, Shape};
use multiprocess_sys::{Error, ErrorKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

/// Many objects in one segment of shared memory, so that ten thousand locks take one descriptor.
///
/// **Whoever holds a handle of one object of a group can reach the memory of all of them.** Objects that are made by themselves
/// share nothing but themselves; a group is for objects that trust each other's holders, and for many of them.
///
/// A group has room for 1 GiB of objects: a lock takes 256 bytes, a condition about 8 KiB, a semaphore 4 KiB and 252 KiB more
/// if so many permits are released. The room is taken from the system as objects are made, and comes back when the last
/// process has dropped the group and all its objects.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::Group;
///
/// let group = Group::new()?;
/// let locks = (0..100).map(|_| group.lock()).collect::<Result<Vec<_>, _>>()?;
/// let guard = locks[7].lock()?;
/// assert!(locks[7].is_locked() && !locks[8].is_locked());
/// # drop(guard);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// A process that is killed while it makes an object leaves a hole of that object's size. Owners of objects of a group are found dead
/// like all others.
#[derive(Clone)]
pub struct Group {
    segment: Segment,
    /// The part of the segment behind which this handle has seen to the memory, so that small objects do not ask one by one.
    window: Arc<std::sync::Mutex<Range<usize>>>,
}

/// The room of a group in bytes. It is an address range; memory comes as it is used.
const LENGTH: usize = 1 << 30;
/// How much memory is fetched at once.
const STEP: usize = 1 << 16;

impl Group {
    /// Where the first object may begin.
    pub(crate) const FIRST: usize = ALIGNMENT;

    /// An empty group.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = multiprocess_sync::Group::new()?;
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Out of descriptors, memory or address space.
    pub fn new() -> Result<Group, Error> {
        let shape =
            Shape { kind: kind::GROUP, length: LENGTH as u64, reserved: Group::FIRST as u64, parameters: [0; 4] };
        Segment::anonymous(shape, |segment| next(segment).store(Group::FIRST as u64, Relaxed)).map(Group::of)
    }

    /// A lock in this group.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = multiprocess_sync::Group::new()?.lock()?; // outlives the group's handle
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The group is full, or out of memory.
    pub fn lock(&self) -> Result<Lock, Error> {
        Lock::in_group(self)
    }

    /// A mutex around `value` in this group.
    ///
    /// # Examples
    ///
    /// ```
    /// let counter = multiprocess_sync::Group::new()?.mutex(0u64)?;
    /// *counter.lock()? += 1;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The group is full, or out of memory.
    pub fn mutex<T: Pod>(&self, value: T) -> Result<Mutex<T>, Error> {
        Mutex::in_group(self, value)
    }

    /// An event in this group.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = multiprocess_sync::Group::new()?.event()?;
    /// event.set();
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The group is full, or out of memory.
    pub fn event(&self) -> Result<Event, Error> {
        Event::in_group(self)
    }

    /// A semaphore in this group, with so many permits to begin with.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = multiprocess_sync::Group::new()?.semaphore(3)?;
    /// assert_eq!(semaphore.available(), 3);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The group is full, out of memory, or more than [`Semaphore::MAX_PERMITS`].
    pub fn semaphore(&self, permits: u32) -> Result<Semaphore, Error> {
        Semaphore::in_group(self, permits)
    }

    /// A condition in this group.
    ///
    /// # Examples
    ///
    /// ```
    /// let group = multiprocess_sync::Group::new()?;
    /// let (lock, condition) = (group.lock()?, group.condition()?);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The group is full, or out of memory.
    pub fn condition(&self) -> Result<Condition, Error> {
        Condition::in_group(self)
    }

    fn of(segment: Segment) -> Group {
        Group { segment, window: Arc::default() }
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// A place for `length` bytes, of which the first `reserved` are really there.
    pub(crate) fn allocate(&self, length: usize, reserved: usize) -> Result<usize, Error> {
        let full = || Error::new(ErrorKind::TooLarge, "making an object in a group that has no room left for it");
        let length = length.checked_next_multiple_of(ALIGNMENT).ok_or_else(full)?;
        let word = next(&self.segment);
        let mut start = word.load(Relaxed);
        loop {
            // The word may hold anything: another process can write to it.
            let begin = usize::try_from(start).ok().filter(|start| start.is_multiple_of(ALIGNMENT)).ok_or_else(full)?;
            let end =
                begin.checked_add(length).filter(|end| *end <= LENGTH && begin >= Group::FIRST).ok_or_else(full)?;
            // Relaxed: the exchange gives the place to one process; what lies there is published by its header.
            match word.compare_exchange_weak(start, end as u64, Relaxed, Relaxed) {
                Ok(_) => {
                    self.fetch(begin..begin + reserved)?;
                    return Ok(begin);
                }
                Err(present) => start = present,
            }
        }
    }

    /// Sees to it that the memory of `place` is there.
    fn fetch(&self, place: Range<usize>) -> Result<(), Error> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.start <= place.start && place.end <= window.end {
            return Ok(());
        }
        let end = place.end.max(place.start.saturating_add(STEP)).min(LENGTH);
        self.segment.reserve(place.start as u64, (end - place.start) as u64)?;
        *window = place.start..end;
        Ok(())
    }

    /// Where the objects of the group in `segment` end, as far as it can be believed.
    pub(crate) fn allocated(segment: &Segment) -> usize {
        let next = usize::try_from(next(segment).load(Relaxed)).unwrap_or(0);
        if next <= LENGTH && segment.shape().length == LENGTH as u64 { next } else { 0 }
    }
}

/// The word that says where the next object begins.
fn next(segment: &Segment) -> &AtomicU64 {
    // SAFETY: the first bytes of every group's segment are there, aligned to a page, and mapped as long as the segment.
    unsafe { segment.base().cast::<AtomicU64>().as_ref() }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = Group::allocated(&self.segment).saturating_sub(Group::FIRST);
        f.debug_struct("Group").field("bytes_used", &used).field("bytes_free", &(LENGTH - Group::FIRST - used)).finish()
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.segment.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Group, D::Error> {
        let segment = Segment::deserialize(deserializer)?;
        let shape = segment.shape();
        if shape.kind == kind::GROUP && shape.length == LENGTH as u64 {
            return Ok(Group::of(segment));
        }
        let found = kind::noun(shape.kind);
        Err(de::Error::custom(Error::new(ErrorKind::WrongKind, format!("opening a group that is {found}"))))
    }
}
