//! Handles of objects that many values of one message may carry, with the name of the object if it has one.
//!
//! A thousand locks of one group are a thousand values and one handle. So a value says which object its handle belongs to,
//! and the message takes each object's handle once. The value writes a pair: the place of the handle among those of the
//! message, counted from 1, and the name. Where no handles travel (in a queue) the place is 0 and the name must be enough;
//! a serializer of somebody else gets the name alone.
//!
//! It passes through the slot of `handle.rs`, whose table goes on here:
//!
//! | Slot | Meaning | Left by |
//! | --- | --- | --- |
//! | `AskedShared` | our writer waits; it lends its list of objects | the value inside: `GivenShared`, `Failed` |
//! | `GivenShared` | the list is back, with a handle if the object was new | the writer |
//! | `NameOnly` | our writer takes no handles | the value inside: `Shut` |
//! | `OfferedShared` | our reader lends the handles of the message | the value inside: `ReturnedShared` |
//! | `ReturnedShared` | they are back | the reader |

use std::fmt;
use std::sync::Arc;
use std::vec;

use multiprocess_sys::Error;
use multiprocess_sys::handle::{Identity, OwnedHandle};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{self, Serialize, Serializer};

use crate::Kept;
use crate::failure::Failure;
use crate::handle::{Slot, Turn, exchange};
use crate::wire::{HANDLES_TRAVEL, SHARED};

/// The objects whose handles a message has, and the place of the next new one.
#[derive(Default)]
pub(crate) struct Known {
    places: Vec<(Identity, u32, usize)>,
    pub(crate) next: usize,
}

/// A handle for a message, and what is to be kept as long as the sender has it.
pub(crate) type Made = (OwnedHandle, Option<Kept>);

/// The handles of a message that is being read.
#[derive(Default)]
pub(crate) struct Arrived {
    rest: vec::IntoIter<OwnedHandle>,
    taken: usize,
    shared: Vec<(usize, Arc<OwnedHandle>)>,
}

impl Arrived {
    #[inline]
    pub(crate) fn new(handles: Vec<OwnedHandle>) -> Arrived {
        Arrived { rest: handles.into_iter(), ..Arrived::default() }
    }

    /// How many are left, behind how many that were taken.
    #[inline]
    pub(crate) fn left(&self) -> (usize, usize) {
        (self.rest.len(), self.taken)
    }

    /// The handle at `place`, which must be the next one.
    pub(crate) fn take(&mut self, place: usize) -> Result<OwnedHandle, Failure> {
        if place != self.taken {
            return Err(Failure::new("the bytes name its handles out of their order"));
        }
        let Some(handle) = self.rest.next() else {
            return Err(Failure::new(format!("it has more handles than the {place} that came with it")));
        };
        self.taken += 1;
        Ok(handle)
    }

    /// The handle at `place`, which is the next one or that of an object which was there before.
    fn share(&mut self, place: usize) -> Result<Arc<OwnedHandle>, Failure> {
        if let Ok(at) = self.shared.binary_search_by_key(&place, |(place, _)| *place) {
            return Ok(Arc::clone(&self.shared[at].1));
        }
        let handle = Arc::new(self.take(place)?);
        self.shared.push((place, Arc::clone(&handle)));
        Ok(handle)
    }
}

/// Runs `write`, which serializes one shared handle; the handle, if its object is new to the message.
pub(crate) fn collect<R>(
    known: &mut Known,
    write: impl FnOnce() -> Result<R, Failure>,
) -> Result<Option<Made>, Failure> {
    let turn = Turn::begin(Slot::AskedShared(std::mem::take(known)));
    let written = write();
    match (turn.end(), written) {
        (Slot::Failed(error), _) => Err(Failure::new(error)),
        (_, Err(failure)) => Err(failure),
        (Slot::GivenShared(list, handle), Ok(_)) => {
            *known = list;
            Ok(handle)
        }
        (_, Ok(_)) => Err(Failure::new(format!("a type uses the reserved name `{SHARED}`"))),
    }
}

/// Runs `write`, which serializes one shared object for a carrier without handles.
pub(crate) fn name_only<R>(write: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    let turn = Turn::begin(Slot::NameOnly);
    let written = write()?;
    match turn.end() {
        Slot::Shut => Ok(written),
        _ => Err(Failure::new(format!("a type uses the reserved name `{SHARED}`"))),
    }
}

/// Runs `read`, which deserializes one shared handle out of `arrived`.
pub(crate) fn offer<R>(arrived: &mut Arrived, read: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    let turn = Turn::begin(Slot::OfferedShared(std::mem::take(arrived)));
    let value = read()?;
    match turn.end() {
        Slot::ReturnedShared(rest) => {
            *arrived = rest;
            Ok(value)
        }
        _ => Err(Failure::new(format!("a type uses the reserved name `{SHARED}`"))),
    }
}

/// A shared object as it arrives: its handle, its name, or both. Never neither.
///
/// # Examples
///
/// An object that is attached to by its handle where that came, and found by its name where it did not:
///
/// ```
/// use multiprocess_parcel::SharedHandle;
/// use std::sync::Arc;
///
/// fn way(arrived: &SharedHandle) -> String {
///     match (&arrived.handle, &arrived.name) {
///         (Some(_), None) => "by its handle".to_owned(),
///         (Some(_), Some(name)) => format!("by its handle, which must be that of {name:?}"),
///         (None, Some(name)) => format!("by the name {name:?}"),
///         (None, None) => unreachable!("one of them has come"),
///     }
/// }
///
/// let by_name = SharedHandle { handle: None, name: Some("jobs".to_owned()) };
/// assert_eq!(way(&by_name), "by the name \"jobs\"");
/// let (reader, _writer) = std::io::pipe()?;
/// let by_handle = SharedHandle { handle: Some(Arc::new(reader.into())), name: None };
/// assert_eq!(way(&by_handle), "by its handle");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SharedHandle {
    /// The object's handle; several objects of one message may have the same. `None` if the carrier takes no handles.
    pub handle: Option<Arc<OwnedHandle>>,
    /// The name that its sender gave.
    pub name: Option<String>,
}

/// Serializes a handle to the object that `identity` tells from all others: `make` is asked for it at most once for each
/// message, however many of its values carry it.
///
/// What stands beside the handle is kept as long as the sender has the handle, and dropped after it ([`Kept`]).
///
/// With a `name`, the object also passes through carriers without handles and through other serializers, as that name.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{SharedHandle, deserialize_shared, pack, serialize_shared, unpack};
/// use multiprocess_sys::handle::{AsHandle, Identity, duplicate};
/// use serde::{Deserialize, Deserializer, Serialize, Serializer};
///
/// struct Log(std::io::PipeWriter);
///
/// impl Serialize for Log {
///     fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///         let identity = Identity::of(&self.0).expect("an open pipe");
///         serialize_shared(None, identity, || Ok((duplicate(self.0.as_fd())?, None)), serializer)
///     }
/// }
///
/// struct Arrived(SharedHandle);
///
/// impl<'de> Deserialize<'de> for Arrived {
///     fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Arrived, D::Error> {
///         deserialize_shared(deserializer).map(Arrived)
///     }
/// }
///
/// let (_reader, writer) = std::io::pipe()?;
/// let log = Log(writer);
/// let parcel = pack(&(&log, &log))?;
/// assert_eq!(parcel.handles.len(), 1);
/// let (a, b): (Arrived, Arrived) = unpack(parcel)?;
/// assert!(a.0.handle.is_some() && b.0.handle.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Without a name, the serializer is not this crate's or its carrier takes no handles; or `make` fails.
pub fn serialize_shared<S: Serializer>(
    name: Option<&str>,
    identity: Identity,
    make: impl FnOnce() -> Result<(OwnedHandle, Option<Kept>), Error>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serialize_shared_part(name, identity, 0, make, serializer)
}

/// [`serialize_shared`] for an object whose handles are not all the same: each `part` of it has a handle of its own in a message.
/// The two ends of a channel are such parts. [`deserialize_shared`] reads it.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{pack, serialize_shared_part};
/// use multiprocess_sys::handle::{AsHandle, Identity, duplicate};
/// use serde::{Serialize, Serializer};
///
/// struct End<'a>(&'a std::io::PipeWriter, u32);
///
/// impl Serialize for End<'_> {
///     fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///         let identity = Identity::of(self.0).expect("an open pipe");
///         serialize_shared_part(None, identity, self.1, || Ok((duplicate(self.0.as_fd())?, None)), serializer)
///     }
/// }
///
/// let (_reader, writer) = std::io::pipe()?;
/// let parcel = pack(&[End(&writer, 1), End(&writer, 2), End(&writer, 1)])?;
/// assert_eq!(parcel.handles.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As for [`serialize_shared`].
pub fn serialize_shared_part<S: Serializer>(
    name: Option<&str>,
    identity: Identity,
    part: u32,
    make: impl FnOnce() -> Result<(OwnedHandle, Option<Kept>), Error>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let make = std::cell::Cell::new(Some(make));
    serializer.serialize_newtype_struct(SHARED, &Outgoing { name, identity, part, make })
}

/// Deserializes what [`serialize_shared`] wrote.
///
/// # Examples
///
/// An object with a name, which passes through bytes without handles:
///
/// ```
/// use multiprocess_parcel::{deserialize_shared, pack_data, serialize_shared, unpack_data};
/// use multiprocess_sys::handle::{AsHandle, Identity, duplicate};
/// use serde::{Deserialize, Deserializer, Serialize, Serializer};
///
/// struct Log {
///     name: String,
///     file: std::io::PipeWriter,
/// }
///
/// impl Serialize for Log {
///     fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///         let identity = Identity::of(&self.file).expect("an open pipe");
///         serialize_shared(Some(&self.name), identity, || Ok((duplicate(self.file.as_fd())?, None)), serializer)
///     }
/// }
///
/// struct Name(String);
///
/// impl<'de> Deserialize<'de> for Name {
///     fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
///         let arrived = deserialize_shared(deserializer)?;
///         assert!(arrived.handle.is_none(), "these bytes take no handles");
///         arrived.name.map(Name).ok_or_else(|| serde::de::Error::custom("an object without a name"))
///     }
/// }
///
/// let (_reader, file) = std::io::pipe()?;
/// let bytes = pack_data(&Log { name: "jobs".to_owned(), file }, "a queue")?;
/// assert_eq!(unpack_data::<Name>(&bytes)?.0, "jobs");
/// assert!(unpack_data::<Name>(&bytes[1..]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// There is no shared object in this place of the message, or one with neither a handle nor a name.
pub fn deserialize_shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SharedHandle, D::Error> {
    deserializer.deserialize_newtype_struct(SHARED, Incoming)
}

struct Outgoing<'a, F> {
    name: Option<&'a str>,
    identity: Identity,
    part: u32,
    make: std::cell::Cell<Option<F>>,
}

impl<F: FnOnce() -> Result<(OwnedHandle, Option<Kept>), Error>> Outgoing<'_, F> {
    /// The place of the object's handle in the message, and the handle if it is new.
    fn place(&self, known: &mut Known) -> Result<(usize, Option<Made>), Error> {
        let is_this = |(identity, part, _): &&(Identity, u32, usize)| (*identity, *part) == (self.identity, self.part);
        if let Some((.., place)) = known.places.iter().rev().find(is_this) {
            return Ok((*place, None));
        }
        let make = self.make.take().ok_or_else(|| {
            Error::new(multiprocess_sys::ErrorKind::Encode, "serializing a shared object twice through one reference")
        })?;
        let handle = make()?;
        known.places.push((self.identity, self.part, known.next));
        Ok((known.next, Some(handle)))
    }
}

impl<F: FnOnce() -> Result<(OwnedHandle, Option<Kept>), Error>> Serialize for Outgoing<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (exchange(Slot::Shut), self.name) {
            (Slot::AskedShared(mut known), name) => match self.place(&mut known) {
                Ok((place, handle)) => {
                    let written = (place as u64 + 1, name).serialize(serializer)?;
                    exchange(Slot::GivenShared(known, handle));
                    Ok(written)
                }
                Err(error) => {
                    let refusal = ser::Error::custom(&error);
                    exchange(Slot::Failed(error));
                    Err(refusal)
                }
            },
            (Slot::NameOnly, Some(name)) => (0u64, Some(name)).serialize(serializer),
            (Slot::Shut, Some(name)) => serializer.serialize_str(name),
            (other, _) => {
                exchange(other);
                Err(ser::Error::custom(format_args!(
                    "{HANDLES_TRAVEL}, and an object without a name only there; this serializer belongs to none of them"
                )))
            }
        }
    }
}

struct Incoming;

impl<'de> Visitor<'de> for Incoming {
    type Value = SharedHandle;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shared object, or its name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<SharedHandle, E> {
        Ok(SharedHandle { handle: None, name: Some(name.to_owned()) })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<SharedHandle, D::Error> {
        let Slot::OfferedShared(mut arrived) = exchange_if_offered() else {
            return deserializer.deserialize_str(self);
        };
        let (place, name) = <(u64, Option<String>)>::deserialize(deserializer)?;
        let handle = match usize::try_from(place).unwrap_or(usize::MAX).checked_sub(1) {
            Some(place) => Some(arrived.share(place).map_err(de::Error::custom)?),
            None => None,
        };
        exchange(Slot::ReturnedShared(arrived));
        if handle.is_none() && name.is_none() {
            return Err(de::Error::custom("a shared object with neither a handle nor a name"));
        }
        Ok(SharedHandle { handle, name })
    }
}

/// Takes what is offered, and nothing else.
fn exchange_if_offered() -> Slot {
    match exchange(Slot::Shut) {
        offered @ Slot::OfferedShared(_) => offered,
        other => exchange(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fd, Parcel, pack, pack_data, unpack, unpack_data};
    use multiprocess_sys::handle::{AsHandle, duplicate};

    struct Object(std::io::PipeReader, Option<&'static str>);

    impl Serialize for Object {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let identity = Identity::of(&self.0).unwrap();
            serialize_shared(self.1, identity, || Ok((duplicate(self.0.as_fd())?, None)), serializer)
        }
    }

    #[derive(Debug)]
    struct Copy(SharedHandle);

    impl<'de> Deserialize<'de> for Copy {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Copy, D::Error> {
            deserialize_shared(deserializer).map(Copy)
        }
    }

    fn object(name: Option<&'static str>) -> Object {
        Object(std::io::pipe().unwrap().0, name)
    }

    #[test]
    fn each_object_has_one_handle_in_a_message() {
        let (a, b) = (object(None), object(Some("b")));
        let parcel = pack(&(&a, Fd(&a.0), &b, &a, &b)).unwrap();
        assert_eq!(parcel.handles.len(), 3);
        let (first, _, second, third, fourth): (Copy, Fd, Copy, Copy, Copy) = unpack(parcel).unwrap();
        let same = |x: &Copy, y: &Copy| Arc::ptr_eq(x.0.handle.as_ref().unwrap(), y.0.handle.as_ref().unwrap());
        assert!(same(&first, &third) && same(&second, &fourth) && !same(&first, &second));
        assert_eq!((third.0.name, fourth.0.name.as_deref()), (None, Some("b")));
    }

    #[test]
    fn names_pass_where_no_handle_does() {
        let named = object(Some("jobs"));
        let copy: Copy = unpack_data(&pack_data(&named, "a queue").unwrap()).unwrap();
        assert_eq!((copy.0.handle.is_none(), copy.0.name.as_deref()), (true, Some("jobs")));
        assert_eq!(serde_json::to_string(&named).unwrap(), "\"jobs\"");
        assert_eq!(serde_json::from_str::<Copy>("\"jobs\"").unwrap().0.name.as_deref(), Some("jobs"));
    }

    #[test]
    fn objects_without_a_name_are_refused_there() {
        let error = pack_data(&object(None), "a queue").unwrap_err().to_string();
        assert!(error.contains("handles travel in") && error.contains("a queue"), "{error}");
        let error = serde_json::to_string(&object(None)).unwrap_err().to_string();
        assert!(error.contains("handles travel in"), "{error}");
        assert!(matches!(exchange(Slot::Shut), Slot::Shut));
    }

    #[test]
    fn forged_places_are_refused() {
        let parcel = |bytes: &[u8], handles| Parcel { bytes: bytes.to_vec(), handles, ..Parcel::default() };
        let handle = || vec![OwnedHandle::from(std::io::pipe().unwrap().0)];
        assert!(unpack::<Copy>(parcel(&[0, 0], vec![])).is_err(), "neither handle nor name");
        assert!(unpack::<Copy>(parcel(&[1, 0], vec![])).is_err(), "no handle came");
        assert!(unpack::<Copy>(parcel(&[2, 0], handle())).is_err(), "out of order");
        assert!(unpack::<(Fd, Copy)>(parcel(&[0, 1, 0], handle())).is_err(), "a handle that is somebody's alone");
        assert!(unpack::<Copy>(parcel(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0], handle())).is_err());
        assert!(unpack::<Copy>(parcel(&[1, 0], handle())).is_ok());
    }
}
