//! Names: making, finding and removing them, so that a name lives exactly as long as a process that uses it.
//!
//! | The name's file | Locks of slots | Meaning |
//! | --- | --- | --- |
//! | none | | the name is free |
//! | a segment | some | in use, by processes or by handles on their way |
//! | a segment | none | dead: all users were killed, or the last one is about to remove it; as good as free |
//! | something else | any | damage: an error for who opens; who creates replaces it if there is no lock |
//! | a file without a name | some | a segment whose maker has not linked it yet, or whose name was taken from it: invisible |
//!
//! Whoever joins, and whoever removes a name, has the **attach lock** of that very file ([`crate::attach_lock`]), through a
//! description that nobody shares. It is what makes "is anybody here?" and "then I take the name away" one step.
//!
//! # Create
//!
//! 1. Make a file without a name; fill it; claim a slot in it; run the caller's initialisation; write the header.
//! 2. Link it under its name, which fails if there is one.
//! 3. If it failed, remove the name if it is dead (below), and go back to 2; if it is in use, the error is "exists already".
//!
//! *Death* before 2: the file is gone with its maker. After 2: a dead name. Nobody ever sees a file without a slot of its
//! maker or with half a header, so 2 needs no lock.
//!
//! # Open
//!
//! 1. Open the file, and look whether it is a file, of this user, for this user alone.
//! 2. Take the attach lock, for which a stopped process makes us wait some seconds at most.
//! 3. Is this file still the one under the name? Else back to 1. *The race:* the last user left, or somebody made the name
//!    anew, between 1 and 2.
//! 4. Is there a lock of a slot? Else remove the name: free. *Never* clear and use such a file again: a handle of it may still be
//!    mapped somewhere.
//! 5. Copy the header, check it, let the caller judge it; map the file; claim a slot; give back the attach lock.
//!
//! *Death* anywhere frees both locks. Before the slot is claimed nothing has changed; afterwards it is the death of a user.
//!
//! # Leave
//!
//! 1. Drop the slot. If there is another one, that is all.
//! 2. Open the name anew (the own handle may be shared with forked copies, and so would a lock), and take the attach lock.
//! 3. Still this file, still no slot: remove the name. *The race:* somebody opened in between and has a slot now.
//!
//! *Death* after 1 leaves a dead name, which the next open, create or sweep of the name removes. Two who leave at once may both
//! come to 3: the second finds the name gone, or another file under it.
//!
//! # What is left behind
//!
//! A dead name costs memory until somebody comes across it. So whoever creates a name sweeps first, at most every 100 ms and for
//! at most a hundredth of its time: every dead name of this user is removed, and what is no segment is left alone. If everything
//! was killed at once, the next program that makes a name finds the folder clean afterwards.
//!
//! # Forked copies
//!
//! A copy that the program forks takes no part before its first use, so it keeps no name; a segment that it uses later goes on
//! without one. Handles on their way that the copy inherits keep a name as any handle does, as long as the copy has them.

use crate::attach_lock::{self, AttachLock};
use crate::inspection::{inspect, read_header};
use crate::segment::{Segment, Shape};
use crate::{attachments, slots};
use multiprocess_core::layout::{Damage, Header};
use multiprocess_core::name;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle, Identity};
use multiprocess_sys::names::{self, Entry};
use multiprocess_sys::{Error, ErrorKind, byte_lock};
use std::time::{Duration, Instant};

/// How long a stopped process may hold up an open.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may hold up a close, which then leaves the name for the next open or sweep.
const PATIENCE_TO_LEAVE: Duration = Duration::from_millis(500);

/// See [`Segment::create`].
pub(crate) fn create(name: &str, shape: Shape, init: impl FnOnce(&Segment)) -> Result<Segment, Error> {
    let entry = entry(name)?;
    let segment = prepare(&entry, shape, init)?;
    let deadline = Deadline::after(PATIENCE);
    while !publish(&segment)? {
        if reclaim(&entry, Which::Any, deadline)? == Name::Taken {
            return Err(Error::new(ErrorKind::AlreadyExists, "creating shared memory: somebody has the name"));
        }
        check(deadline)?;
    }
    Ok(segment)
}

/// See [`Segment::open`].
pub(crate) fn open(name: &str, expected: impl FnOnce(&Shape) -> Result<(), Error>) -> Result<Segment, Error> {
    match find(&entry(name)?, &mut Some(expected), Damaged::Reported, Deadline::after(PATIENCE))? {
        Some(segment) => Ok(segment),
        None => Err(Error::new(ErrorKind::NotFound, "opening shared memory: nobody has the name")),
    }
}

/// See [`Segment::open_or_create`].
pub(crate) fn open_or_create(
    name: &str,
    shape: Shape,
    init: impl FnOnce(&Segment),
    expected: impl FnOnce(&Shape) -> Result<(), Error>,
) -> Result<Segment, Error> {
    let entry = entry(name)?;
    let mut deadline = Deadline::after(PATIENCE);
    let (mut expected, mut init) = (Some(expected), Some(init));
    let mut prepared = None;
    loop {
        if let Some(found) = find(&entry, &mut expected, Damaged::Replaced, deadline)? {
            return Ok(found);
        }
        if let Some(init) = init.take() {
            prepared = Some(prepare(&entry, shape, init)?);
            // However long the caller's part took.
            deadline = Deadline::after(PATIENCE);
        }
        // Kept for the next turn if somebody else was faster: it may be gone again by then.
        if let Some(segment) = prepared.take() {
            if publish(&segment)? {
                return Ok(segment);
            }
            prepared = Some(segment);
        }
        check(deadline)?;
    }
}

/// The place of a name, if it is one.
pub(crate) fn entry(name: &str) -> Result<Entry, Error> {
    match name::check(name) {
        Ok(()) => Ok(Entry::of(name)),
        Err(bad) => Err(Error::new(ErrorKind::InvalidName, "naming a shared object").with_source(bad)),
    }
}

fn check(deadline: Deadline) -> Result<(), Error> {
    if deadline.has_passed() {
        return Err(Error::new(ErrorKind::TimedOut, "opening shared memory that others make and drop all the time"));
    }
    Ok(())
}

/// A segment that has a user, this process, but not its name yet.
fn prepare(entry: &Entry, shape: Shape, init: impl FnOnce(&Segment)) -> Result<Segment, Error> {
    sweep_now_and_then();
    let header = shape.header()?;
    let memory = names::unnamed(header.total())?;
    Segment::make(memory, &header, Some(entry.clone()), init)
}

/// Gives it its name; `false` if the name is taken.
fn publish(segment: &Segment) -> Result<bool, Error> {
    match (segment.entry(), segment.kept()) {
        (Some(entry), Some(memory)) => entry.link(memory),
        _ => Err(closed()),
    }
}

/// What happens to a name under which lies something that is no segment, and that nobody uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Damaged {
    /// An error: whoever wants to open it should know.
    Reported,
    /// It is removed: whoever wants to create the name may.
    Replaced,
}

/// Attaches to what has the name; `None` if nobody uses the name, which is free then.
fn find<F: FnOnce(&Shape) -> Result<(), Error>>(
    entry: &Entry,
    expected: &mut Option<F>,
    damage: Damaged,
    deadline: Deadline,
) -> Result<Option<Segment>, Error> {
    loop {
        let Some(found) = entry.open()? else { return Ok(None) };
        let header = read_header(found.memory.as_fd(), found.size);
        let asker = found.memory.as_fd();
        let lock = AttachLock::take(asker, deadline)?;
        if entry.identity()? != Some(found.identity) {
            check(deadline)?;
            continue;
        }
        if !slots::is_anybody_there(asker)? {
            if damage == Damaged::Reported {
                header?;
            }
            entry.unlink(found.identity)?;
            return Ok(None);
        }
        let header = header?;
        if let Some(expected) = expected.take() {
            expected(&Shape::of(&header))?;
        }
        if let Some(inner) = attachments::current()?.find(found.identity) {
            return Ok(Some(Segment(inner)));
        }
        // By the name, which is faster than through the handle; under the lock it is the same memory.
        let own = match entry.open()? {
            Some(again) if again.identity == found.identity => again.memory,
            _ => byte_lock::open_anew(asker)?,
        };
        lock.leave_to_description();
        let segment = Segment::join(found.memory, own, &header, Some(entry.clone()))?;
        // Without its handle, or if the call fails, the segment goes, and the description with it.
        let kept = segment.original().ok_or_else(closed)?;
        attach_lock::release(kept)?;
        return Ok(Some(segment));
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "attaching to shared memory whose handle the program has closed")
}

/// Which object a name is to be taken from.
#[derive(Clone, Copy)]
enum Which {
    /// Whatever has it.
    Any,
    /// This one, and no other: the caller has seen that nobody else uses it.
    Only(Identity),
    /// What this library has made.
    Ours,
}

/// What became of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// Nothing had it, or nothing has it any more.
    Free,
    /// It stays.
    Taken,
}

/// Removes the name from an object that nobody uses.
fn reclaim(entry: &Entry, which: Which, deadline: Deadline) -> Result<Name, Error> {
    let Some(found) = entry.open()? else { return Ok(Name::Free) };
    let asker = found.memory.as_fd();
    let is_meant = match which {
        Which::Any => true,
        Which::Only(identity) => identity == found.identity,
        Which::Ours => is_ours(asker, found.size)?,
    };
    // Without the lock first: whoever finds somebody need not wait for anybody.
    let has_looked = matches!(which, Which::Only(_));
    if !is_meant || (!has_looked && slots::is_anybody_there(asker)?) {
        return Ok(Name::Taken);
    }
    let _lock = AttachLock::take(asker, deadline)?;
    // Whoever came meanwhile has a slot by now, since it claimed that under this lock. If the name is another object's by now,
    // that says nothing about the name.
    if slots::is_anybody_there(asker)? && entry.identity()? == Some(found.identity) {
        return Ok(Name::Taken);
    }
    entry.unlink(found.identity)?;
    Ok(Name::Free)
}

/// Whether this library made it, whatever happened to it since. A sweep leaves alone what others put there.
fn is_ours(memory: BorrowedHandle<'_>, size: u64) -> Result<bool, Error> {
    Ok(match inspect(memory, size)? {
        Ok(_) | Err(Damage::OtherVersion { .. } | Damage::OtherKind { .. } | Damage::Inconsistent(_)) => true,
        Err(Damage::Truncated { size }) => size >= Header::SIZE as u64,
        Err(Damage::NotOurs) => false,
    })
}

/// This process has dropped its slot: removes the name if it was the last. `asker` is a handle without locks, if there is one.
pub(crate) fn leave(entry: &Entry, identity: Identity, asker: Option<BorrowedHandle<'_>>) {
    if asker.is_some_and(|asker| slots::is_anybody_there(asker).unwrap_or(false)) {
        return;
    }
    // A name that cannot be removed now is one of a dead object: the next open, create or sweep does it.
    let _ = reclaim(entry, Which::Only(identity), Deadline::after(PATIENCE_TO_LEAVE));
}

/// Removes the names of this user whose last users were killed; how many.
///
/// Nobody needs to call it: each name is reclaimed when it is used again, and a process that creates names sweeps by itself, with
/// its first one and from time to time (it spends at most a hundredth of its time on that).
///
/// # Examples
///
/// ```
/// multiprocess_shm::sweep()?;
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
///
/// # Errors
///
/// The names cannot be listed. A name that cannot be looked at is left.
///
/// # Crash
///
/// Every name is removed, or left, in one step.
pub fn sweep() -> Result<usize, Error> {
    let mut removed = 0;
    for entry in names::list()? {
        // No waiting: whoever has the lock takes care of the name.
        if reclaim(&entry, Which::Ours, Deadline::now()).is_ok_and(|name| name == Name::Free) {
            removed += 1;
        }
    }
    Ok(removed)
}

fn sweep_now_and_then() {
    let Ok(here) = attachments::current() else { return };
    if here.may_sweep() {
        let start = Instant::now();
        // A sweep is a courtesy; what it leaves is swept another time.
        let _ = sweep();
        here.swept(start.elapsed());
    }
}
