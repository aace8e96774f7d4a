//! How a handle passes through serde, whose interface has no room for one.
//!
//! A handle is written as a newtype struct of a name that only this crate uses. Our writer recognises the name, **opens** a
//! slot of the thread, and calls the value inside; that value finds the slot open, puts a duplicate of its handle in, and
//! the writer takes it out. Reading is the same in the other direction.
//!
//! | Slot | Meaning | Left by |
//! | --- | --- | --- |
//! | `Shut` | nobody asks: the serializer at hand is not ours | a writer or reader that comes to a handle |
//! | `Asked` | our writer waits for one handle | the value inside: `Given` or `Failed` |
//! | `Given` | the duplicate is there | the writer, which takes it |
//! | `Failed` | the operating system refused the duplicate | the writer, which reports it |
//! | `Offered` | our reader offers one handle | the value inside, which takes it: `Shut` |
//!
//! Objects that several values of a message share have rows of their own, in `shared.rs`.
//!
//! 1. The slot is other than `Shut` only while that one inner call runs; a [`Turn`] puts back what was there before on every
//!    way out, panics included. So nothing of a failed message is left for the next one, a serializer of somebody else
//!    finds the slot shut even if it runs in the middle of ours, and one message may be packed while another is.
//! 2. The slot holds one handle. The list belongs to the writer or reader of the one message, and is dropped with it.

use std::cell::Cell;
use std::fmt;
use std::mem;

use multiprocess_sys::Error;
use multiprocess_sys::handle::{BorrowedHandle, OwnedHandle, duplicate};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{self, Serialize, Serializer};

use crate::failure::Failure;
use crate::shared::{Arrived, Known, Made};
use crate::wire::{HANDLE, HANDLES_TRAVEL};

pub(crate) enum Slot {
    Shut,
    Asked,
    Given(OwnedHandle),
    Failed(Error),
    Offered(OwnedHandle),
    AskedShared(Known),
    GivenShared(Known, Option<Made>),
    NameOnly,
    OfferedShared(Arrived),
    ReturnedShared(Arrived),
}

thread_local! {
    static SLOT: Cell<Slot> = const { Cell::new(Slot::Shut) };
}

/// Puts `slot` in place of what was there; a thread that is past its end has a shut slot.
pub(crate) fn exchange(slot: Slot) -> Slot {
    SLOT.try_with(|place| place.replace(slot)).unwrap_or(Slot::Shut)
}

/// The time for which the slot is not shut (invariant 1).
pub(crate) struct Turn {
    before: Slot,
}

impl Turn {
    pub(crate) fn begin(slot: Slot) -> Turn {
        Turn { before: exchange(slot) }
    }

    pub(crate) fn end(self) -> Slot {
        exchange(Slot::Shut)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        exchange(mem::replace(&mut self.before, Slot::Shut));
    }
}

/// Runs `write`, which serializes one handle, and returns the duplicate that it made.
pub(crate) fn collect<R>(write: impl FnOnce() -> Result<R, Failure>) -> Result<OwnedHandle, Failure> {
    let turn = Turn::begin(Slot::Asked);
    let written = write();
    match (turn.end(), written) {
        (Slot::Failed(error), _) => Err(Failure::new(error)),
        (_, Err(failure)) => Err(failure),
        (Slot::Given(handle), Ok(_)) => Ok(handle),
        (_, Ok(_)) => Err(Failure::new(format!("a type uses the reserved name `{HANDLE}`"))),
    }
}

/// Runs `read`, which deserializes one handle, and sees to it that it takes `handle`.
pub(crate) fn offer<R>(handle: OwnedHandle, read: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    let turn = Turn::begin(Slot::Offered(handle));
    let value = read()?;
    match turn.end() {
        Slot::Shut => Ok(value),
        _ => Err(Failure::new(format!("a type uses the reserved name `{HANDLE}`"))),
    }
}

/// Serializes a duplicate of `handle`, for types that carry one; [`pack`](crate::pack) takes it up.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{pack, serialize_handle};
/// use multiprocess_sys::handle::AsHandle;
/// use serde::{Serialize, Serializer};
///
/// struct Log(std::io::PipeWriter);
///
/// impl Serialize for Log {
///     fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///         serialize_handle(self.0.as_fd(), serializer)
///     }
/// }
///
/// let (_reader, writer) = std::io::pipe()?;
/// assert_eq!(pack(&Log(writer))?.handles.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The serializer is not this crate's, or its carrier takes no handles, or the process has no free handle.
pub fn serialize_handle<S: Serializer>(handle: BorrowedHandle<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(HANDLE, &Outgoing(handle))
}

/// Deserializes a handle that [`serialize_handle`] wrote.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{Fd, deserialize_handle, pack, unpack};
/// use serde::{Deserialize, Deserializer};
///
/// struct Log(std::io::PipeWriter);
///
/// impl<'de> Deserialize<'de> for Log {
///     fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Log, D::Error> {
///         deserialize_handle(deserializer).map(|handle| Log(handle.into()))
///     }
/// }
///
/// let (_reader, writer) = std::io::pipe()?;
/// let log: Log = unpack(pack(&Fd(writer))?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The deserializer is not this crate's, or there is no handle in this place of the message.
pub fn deserialize_handle<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OwnedHandle, D::Error> {
    deserializer.deserialize_newtype_struct(HANDLE, Incoming)
}

struct Outgoing<'a>(BorrowedHandle<'a>);

impl Serialize for Outgoing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match exchange(Slot::Shut) {
            Slot::Asked => match duplicate(self.0) {
                Ok(handle) => {
                    exchange(Slot::Given(handle));
                    serializer.serialize_unit()
                }
                Err(error) => {
                    let refusal = ser::Error::custom(&error);
                    exchange(Slot::Failed(error));
                    Err(refusal)
                }
            },
            other => {
                exchange(other);
                Err(ser::Error::custom(format_args!("{HANDLES_TRAVEL}; this serializer belongs to none of them")))
            }
        }
    }
}

struct Incoming;

impl<'de> Visitor<'de> for Incoming {
    type Value = OwnedHandle;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a handle ({HANDLES_TRAVEL})")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<OwnedHandle, D::Error> {
        match exchange(Slot::Shut) {
            Slot::Offered(handle) => <()>::deserialize(deserializer).map(|()| handle),
            other => {
                exchange(other);
                Err(de::Error::custom(format_args!("{HANDLES_TRAVEL}; this deserializer belongs to none of them")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pack, unpack};
    use std::panic;

    fn slot_is_shut() -> bool {
        matches!(exchange(Slot::Shut), Slot::Shut)
    }

    #[test]
    fn turn_puts_back_what_was_there() {
        let outer = Turn::begin(Slot::Asked);
        assert!(matches!(Turn::begin(Slot::Asked).end(), Slot::Asked));
        assert!(matches!(outer.end(), Slot::Asked), "the inner turn changed the outer one's slot");
        assert!(slot_is_shut());
    }

    #[test]
    fn panic_inside_a_turn_shuts_the_slot() {
        let result = panic::catch_unwind(|| collect(|| -> Result<(), Failure> { panic::resume_unwind(Box::new(())) }));
        assert!(result.is_err());
        assert!(slot_is_shut());
    }

    #[test]
    fn reserved_name_in_another_type_is_refused() {
        #[derive(Debug, serde::Serialize, serde::Deserialize)]
        #[serde(rename = "$multiprocess_parcel::handle")]
        struct Forged(u8);

        let error = pack(&Forged(1)).unwrap_err().to_string();
        assert!(error.contains("Forged") && error.contains("reserved name"), "{error}");
        assert!(slot_is_shut());

        let (reader, _writer) = std::io::pipe().unwrap();
        let mut parcel = pack(&crate::Fd(reader)).unwrap();
        parcel.bytes.push(1);
        let error = unpack::<Forged>(parcel).unwrap_err().to_string();
        assert!(error.contains("Forged") && error.contains("reserved name"), "{error}");
        assert!(slot_is_shut());
    }
}
