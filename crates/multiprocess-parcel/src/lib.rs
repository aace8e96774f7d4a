//! Any serde value, with the operating-system handles inside it, as bytes and handles, and back.
#![doc = include_str!("../README.md")]
//!
//! # What is refused
//!
//! Serde lets a type leave out fields and variants, and lets it ask the bytes what they hold. Postcard's bytes do not tell,
//! so such values would come back wrong, often without an error. Here they are refused, and the error names the type that
//! was packed or unpacked:
//!
//! | The type has | Refused by | Because |
//! | --- | --- | --- |
//! | `skip_serializing_if`, and the condition holds | [`pack`] | the reader could not know that the field is missing |
//! | `skip_serializing` or `skip_deserializing` alone (`skip` is fine) | [`unpack`] | what is sent is not what is read |
//! | different names for the two directions in one `rename` | [`unpack`] | it looks the same as the line above |
//! | `flatten`, or an iterator of unknown length | [`pack`] | the length stands before the elements |
//! | `untagged`, `tag`, `serde_json::Value` and its kind | [`unpack`] | it asks the bytes for their type |
//! | more than 512 levels of nesting | both | a damaged message must not exhaust the stack |
//! | more than 2<sup>20</sup> elements that take no bytes, as in `Vec<()>` | both | a damaged message must not run for ever |
//!
//! One mistake cannot be seen: a tuple struct or tuple variant (its fields have no names) that leaves out one field when
//! written and another one when read.
//!
//! # How handles travel
//!
//! [`Fd`] wraps anything that has a handle; types of this workspace that carry one use [`serialize_handle`] and
//! [`deserialize_handle`]. The handle goes beside the bytes, duplicated, so the sender keeps its own. Any other serializer,
//! JSON for instance, refuses it, because a number in a text is no handle in the process that reads it. Whatever happens
//! to a message (an error, a panic in a user's `Serialize`), its handles are closed and the next message starts empty:
//! they belong to the call that packs, not to the thread. Objects that many values of one message may carry
//! ([`serialize_shared`]) send one handle, and those with a name travel through other serializers as their name.
//!
//! # How the rest is arranged
//!
//! `wire` tells the format byte by byte; `writer` and `reader` are the two wrappers around postcard that write and check
//! it; `handle` and `shared` are the one place where a handle passes through serde's interface, which has no room for one.
#![forbid(unsafe_code)]

mod failure;
mod fd;
mod handle;
mod reader;
mod report;
mod shared;
pub mod varint;
mod wire;
mod writer;

use std::any::{Any, type_name};
use std::sync::Arc;

use multiprocess_sys::handle::OwnedHandle;
use multiprocess_sys::{Error, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use fd::Fd;
pub use handle::{deserialize_handle, serialize_handle};
pub use report::{PanicReport, RemoteError};
pub use shared::{SharedHandle, deserialize_shared, serialize_shared, serialize_shared_part};

use failure::Failure;
use reader::Reader;
use writer::Writer;

/// What can travel between processes: `Serialize + DeserializeOwned`, and nothing else.
///
/// Every such type has it; it is never implemented by hand.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::Message;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Job {
///     id: u64,
/// }
///
/// fn travels<T: Message>() {}
/// travels::<Job>();
/// travels::<(String, Vec<u8>)>();
/// ```
pub trait Message: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> Message for T {}

/// A value on its way: its bytes, and the handles that they speak of, in their order.
///
/// Dropping it closes the handles.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{Parcel, pack, unpack};
///
/// let parcel = pack("hello")?;
/// assert!(parcel.handles.is_empty());
/// let copy = Parcel { bytes: parcel.bytes.clone(), ..Parcel::default() };
/// assert_eq!(unpack::<String>(copy)?, "hello");
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Parcel {
    /// The value without its handles.
    pub bytes: Vec<u8>,
    /// Duplicates of the handles inside the value.
    pub handles: Vec<OwnedHandle>,
    /// What the sender keeps until its duplicates are closed: it is dropped after them.
    pub kept: Vec<Kept>,
}

/// Something that a sender keeps as long as it has the handles of a message, to do what is to be done after the last one is
/// closed: an object with a name, for instance, gives the name free if nobody else has it.
pub type Kept = Arc<dyn Any + Send + Sync>;

/// Turns `value` into bytes and duplicates of the handles inside it.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{Fd, pack};
/// use std::net::UdpSocket;
///
/// let socket = UdpSocket::bind("127.0.0.1:0")?;
/// let parcel = pack(&vec![Fd(&socket), Fd(&socket)])?;
/// assert_eq!(parcel.handles.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The value's `Serialize` fails, or it is one that the format refuses (see the [crate's page](crate#what-is-refused)), or
/// the process has no free handle.
#[inline]
pub fn pack<T: Serialize + ?Sized>(value: &T) -> Result<Parcel, Error> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(None, &mut bytes);
    match value.serialize(&mut writer).and_then(|_| writer.finish()) {
        Ok(()) => {
            let (handles, kept) = writer.into_handles();
            Ok(Parcel { bytes, handles, kept })
        }
        Err(failure) => Err(unpackable(failure, type_name::<T>())),
    }
}

/// Turns `value` into bytes for `carrier`, which carries no handles.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{Fd, pack_data, unpack_data};
/// use std::net::UdpSocket;
///
/// let bytes = pack_data(&(1u8, "one"), "a queue")?;
/// assert_eq!(unpack_data::<(u8, String)>(&bytes)?, (1, "one".to_owned()));
///
/// let refusal = pack_data(&Fd(UdpSocket::bind("127.0.0.1:0")?), "a queue").unwrap_err().to_string();
/// assert!(refusal.contains("handles travel in arguments, pool initialisers and pipes, not in a queue"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// There is a handle in the value, or [`pack`] would fail.
#[inline]
pub fn pack_data<T: Serialize + ?Sized>(value: &T, carrier: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    pack_data_onto(value, carrier, &mut bytes).map(|()| bytes)
}

/// As [`pack_data`], but appends to `bytes`, which is as it was if that fails. (After a panic of the value's `Serialize` there
/// is something behind it.)
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{pack_data, pack_data_onto};
///
/// let mut bytes = vec![1];
/// pack_data_onto(&"text", "a queue", &mut bytes)?;
/// assert_eq!(bytes[1..], pack_data("text", "a queue")?);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
///
/// # Errors
///
/// As [`pack_data`].
#[inline]
pub fn pack_data_onto<T: Serialize + ?Sized>(value: &T, carrier: &str, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let before = bytes.len();
    let mut writer = Writer::new(Some(carrier), bytes);
    let written = value.serialize(&mut writer).and_then(|_| writer.finish());
    writer.end();
    written.map_err(|failure| {
        bytes.truncate(before);
        unpackable(failure, type_name::<T>())
    })
}

/// As [`pack_data`], but into `room`: how many bytes of it that takes. `None`: it is too short, and all are in `bytes`, in place
/// of what was there. `prepare` is called before `bytes` is used: it may give it memory.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{pack_data, pack_data_into};
///
/// let (mut room, mut bytes) = ([0; 16], Vec::new());
/// assert_eq!(pack_data_into(&7u64, "a queue", &mut room, &mut bytes, |_| {})?, Some(1));
/// assert_eq!(room[..1], pack_data(&7u64, "a queue")?);
///
/// let text = "a text that is longer than the room";
/// assert_eq!(pack_data_into(text, "a queue", &mut room, &mut bytes, |bytes| bytes.reserve(100))?, None);
/// assert_eq!(bytes, pack_data(text, "a queue")?);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
///
/// # Errors
///
/// As [`pack_data`]. Then both may hold anything.
#[inline]
pub fn pack_data_into<T: Serialize + ?Sized>(
    value: &T,
    carrier: &str,
    room: &mut [u8],
    bytes: &mut Vec<u8>,
    prepare: fn(&mut Vec<u8>),
) -> Result<Option<usize>, Error> {
    let mut writer = Writer::in_room(carrier, room, bytes, prepare);
    let written = value.serialize(&mut writer).and_then(|_| writer.finish());
    let length = writer.length_in_room();
    writer.end();
    match written {
        Ok(()) => Ok(length),
        Err(failure) => Err(unpackable(failure, type_name::<T>())),
    }
}

/// Turns a parcel back into the value; it may come from anybody.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{Parcel, pack, unpack};
///
/// assert_eq!(unpack::<Vec<u32>>(pack(&[1u32, 2, 3][..])?)?, [1, 2, 3]);
///
/// let damaged = Parcel { bytes: vec![255; 9], ..Parcel::default() };
/// assert!(unpack::<Vec<u32>>(damaged).is_err());
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
///
/// # Errors
///
/// The bytes do not hold a value of this type and nothing else, the number of handles is not the one that they speak of,
/// or the type is one that the format refuses (see the [crate's page](crate#what-is-refused)). All handles are closed then.
#[inline]
pub fn unpack<T: DeserializeOwned>(parcel: Parcel) -> Result<T, Error> {
    read(&mut Reader::new(&parcel.bytes, parcel.handles))
}

/// Turns the bytes of [`pack_data`] back into the value; they may come from anybody.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{pack_data, unpack_data};
///
/// let bytes = pack_data(&Some(7u64), "a queue")?;
/// assert_eq!(unpack_data::<Option<u64>>(&bytes)?, Some(7));
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
///
/// # Errors
///
/// As [`unpack`] without handles.
#[inline]
pub fn unpack_data<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    read(&mut Reader::new(bytes, Vec::new()))
}

#[inline]
fn read<T: DeserializeOwned>(reader: &mut Reader<'_>) -> Result<T, Error> {
    match T::deserialize(&mut *reader).and_then(|value| reader.finish().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(failure) => Err(failure.into_error(ErrorKind::Decode, "unpacking", type_name::<T>())),
    }
}

#[cold]
fn unpackable(failure: Failure, type_name: &str) -> Error {
    failure.into_error(ErrorKind::Encode, "packing", type_name)
}
