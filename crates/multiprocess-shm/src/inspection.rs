//! The header of memory that somebody else has made: copied, and checked.

use multiprocess_core::layout::{Damage, Header};
use multiprocess_sys::handle::BorrowedHandle;
use multiprocess_sys::map;
use multiprocess_sys::{Error, ErrorKind};

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
