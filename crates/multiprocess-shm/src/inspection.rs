//! The header of memory that somebody else has made: copied, and checked. And whether the memory is there.

use crate::segment::{Inner, Segment};
use multiprocess_core::layout::{Damage, Header};
use multiprocess_sys::handle::BorrowedHandle;
use multiprocess_sys::map;
use multiprocess_sys::{Error, ErrorKind};
use std::sync::atomic::Ordering::Relaxed;

/// The header of `memory`, which has `size` bytes.
pub(crate) fn read_header(memory: BorrowedHandle<'_>, size: u64) -> Result<Header, Error> {
    inspect(memory, size)?.map_err(damaged)
}

/// The same, or what is wrong with it.
pub(crate) fn inspect(memory: BorrowedHandle<'_>, size: u64) -> Result<Result<Header, Damage>, Error> {
    let mut bytes = [0; Header::SIZE];
    let length = map::read_start(memory, &mut bytes)?;
    Ok(Header::decode(&bytes[..length], size, map::page_size()))
}

/// The error of what cannot be used.
fn damaged(damage: Damage) -> Error {
    let kind = match damage {
        Damage::OtherVersion { .. } => ErrorKind::WrongVersion,
        Damage::OtherKind { .. } => ErrorKind::WrongKind,
        _ => ErrorKind::Damaged,
    };
    Error::new(kind, "opening shared memory").with_source(damage)
}

impl Segment {
    /// Sees to it that `length` bytes of the payload from `offset` on, which another process says it has [reserved](Self::reserve),
    /// are really there. That the beginning is there which the [shape](Self::shape) names is certain anyway.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::{Segment, Shape};
    ///
    /// let segment = Segment::anonymous(Shape { kind: 7, length: 1 << 30, reserved: 8, parameters: [0; 4] }, |_| {})?;
    /// assert!(segment.check_reserved(0, 1 << 20).is_err());
    /// segment.reserve(0, 1 << 20)?;
    /// segment.check_reserved(0, 1 << 20)?;
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Some of it is missing; or it is further than the payload goes.
    pub fn check_reserved(&self, offset: u64, length: u64) -> Result<(), Error> {
        let Inner { header, reserved, .. } = &*self.0;
        let start = header.payload_offset().saturating_add(offset);
        let known = reserved.load(Relaxed);
        if start.saturating_add(length) <= known {
            return Ok(());
        }
        // A process that has closed the handle cannot ask.
        let Some(memory) = self.kept() else { return Ok(()) };
        let checked = map::check_reserved(memory, start, length);
        let end = checked.map_err(|e| match self.name() {
            Some(name) => e.with_object(name),
            None => e,
        })?;
        if start <= known {
            reserved.fetch_max(end, Relaxed);
        }
        Ok(())
    }
}
