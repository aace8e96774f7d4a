//! A message as bytes, and back: small ones without allocating, `Vec<u8>` without copying it more than once.
//!
//! A `Vec<u8>` is its length as a varint and its bytes, in the ring and in pipes as in any parcel; here the two are handed to the ring as two
//! parts, and the bytes are copied out of it straight into the vector that the receiver gets.

use crate::end::{End, Unreceived, Unsent};
use multiprocess_core::Environment;
use multiprocess_core::ring::{Incoming, Receiving, SHORT};
use multiprocess_parcel::{pack_data_into, pack_data_onto, unpack_data, varint};
use multiprocess_shm::Patience;
use multiprocess_sys::{Error, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{TypeId, type_name};
use std::cell::Cell;
use std::mem::{ManuallyDrop, needs_drop};

/// What refuses handles.
const CARRIER: &str = "a queue";

/// A thread keeps no more room than this for its next message.
const ROOM_MAX: usize = 1 << 20;

thread_local! {
    /// Room for one long message of this thread.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Puts the room of this thread, to be given back, into `bytes`; a new one if a value that is being encoded sends another one,
/// or at the thread's end. It may hold anything.
fn take_room(bytes: &mut Vec<u8>) {
    *bytes = ROOM.try_with(Cell::take).unwrap_or_default();
}

fn keep_room(bytes: Vec<u8>) {
    if bytes.capacity() <= ROOM_MAX {
        // Where it cannot be kept, there is another one.
        let _ = ROOM.try_with(|room| room.set(bytes));
    }
}

/// Whether `T` is `Vec<u8>`.
#[inline]
pub(crate) fn is_bytes<T>() -> bool {
    typeid::of::<T>() == TypeId::of::<Vec<u8>>()
}

#[inline]
pub(crate) fn as_bytes<T>(value: &T) -> Option<&[u8]> {
    let value: *const T = value;
    // SAFETY: if so, the two are one type, which has no lifetime in it; the reference is as long-lived as the one that came.
    is_bytes::<T>().then(|| unsafe { &*value.cast::<Vec<u8>>() }).map(Vec::as_slice)
}

/// The value that `bytes` are, if `T` is `Vec<u8>`.
#[inline]
pub(crate) fn of_bytes<T>(bytes: Vec<u8>) -> T {
    assert!(is_bytes::<T>(), "a value that is a vector of bytes");
    let bytes = ManuallyDrop::new(bytes);
    // SAFETY: the two are one type; what was copied is not dropped.
    unsafe { std::mem::transmute_copy::<ManuallyDrop<Vec<u8>>, T>(&bytes) }
}

/// Sends `value`, which is encoded before anybody waits.
#[inline]
pub(crate) fn send<T: Serialize>(end: &End, value: &T, patience: impl Fn() -> Patience) -> Result<(), Unsent> {
    if let Some(bytes) = as_bytes(value) {
        return send_bytes(end, bytes, patience);
    }
    if !expects_short::<T>(end) {
        return send_expecting_long(end, value, patience);
    }
    let (mut short, mut long) = ([0; SHORT], Vec::new());
    match encode(value, &mut short, &mut long)? {
        Some(length) => end.send_short(&short, length, patience),
        None => send_long(end, long, patience),
    }
}

/// Whether messages of this type should be tried as short ones.
#[inline]
pub(crate) fn expects_short<T>(end: &End) -> bool {
    !is_bytes::<T>() && (is_short::<T>() || !end.expects_long())
}

/// Encodes a value into `short`: how long it is; `None`: it is not short, and is in `long` then.
#[inline]
pub(crate) fn encode<T: Serialize>(
    value: &T,
    short: &mut [u8; SHORT],
    long: &mut Vec<u8>,
) -> Result<Option<usize>, Unsent> {
    pack_data_into(value, CARRIER, short, long, take_room).map_err(Unsent::Failed)
}

/// Whether a value is short when it is encoded, but for some: it owns nothing and is short itself.
const fn is_short<T>() -> bool {
    !needs_drop::<T>() && size_of::<T>() <= SHORT
}

/// [`send`] where a long message has been before: the value is encoded where there is room for one.
#[inline(never)]
fn send_expecting_long<T: Serialize>(end: &End, value: &T, patience: impl Fn() -> Patience) -> Result<(), Unsent> {
    let mut bytes = Vec::new();
    take_room(&mut bytes);
    bytes.clear();
    pack_data_onto(value, CARRIER, &mut bytes).map_err(Unsent::Failed)?;
    send_long(end, bytes, patience)
}

/// Sends what is in the room of this thread.
#[inline(never)]
pub(crate) fn send_long(end: &End, bytes: Vec<u8>, patience: impl Fn() -> Patience) -> Result<(), Unsent> {
    end.sent_where_long_is_expected(bytes.len());
    let sent = end.send(&[], &bytes, patience);
    keep_room(bytes);
    sent
}

/// Sends a `Vec<u8>` of these bytes.
#[inline]
pub(crate) fn send_bytes(end: &End, bytes: &[u8], patience: impl Fn() -> Patience) -> Result<(), Unsent> {
    end.send(varint::write(bytes.len() as u64, &mut [0; varint::MAX]), bytes, patience)
}

/// Receives a `Vec<u8>` into `bytes`, which holds the message then, or nothing.
#[inline]
pub(crate) fn receive_into(end: &End, bytes: &mut Vec<u8>, patience: impl Fn() -> Patience) -> Result<(), Unreceived> {
    bytes.clear();
    let mut read = Ok(());
    end.receive(patience, |incoming| read = read_bytes(incoming, bytes))?;
    read.map_err(|error| lost::<Vec<u8>>(end, error))
}

/// What takes a message and gives it to who reads it.
pub(crate) trait Source {
    fn take(self, read: impl FnOnce(&Incoming<'_>)) -> Result<(), Unreceived>;
}

/// The next message, with patience.
struct Next<'a, P>(&'a End, P);

impl<P: Fn() -> Patience> Source for Next<'_, P> {
    #[inline]
    fn take(self, read: impl FnOnce(&Incoming<'_>)) -> Result<(), Unreceived> {
        self.0.receive(self.1, read)
    }
}

/// The next one of several that are there.
impl<E: Environment> Source for &mut Receiving<'_, E> {
    #[inline]
    fn take(self, read: impl FnOnce(&Incoming<'_>)) -> Result<(), Unreceived> {
        self.receive_now(read).map_err(|_| Unreceived::Empty)
    }
}

/// Receives a value. One that cannot be read is lost.
#[inline]
pub(crate) fn receive<T: DeserializeOwned>(end: &End, patience: impl Fn() -> Patience) -> Result<T, Unreceived> {
    receive_by(end, Next(end, patience))
}

/// Receives a value whose message comes from `source`.
#[inline]
pub(crate) fn receive_by<T: DeserializeOwned>(end: &End, source: impl Source) -> Result<T, Unreceived> {
    // Results are left in variables of this function: small values are not carried from one place to another.
    let received = if is_bytes::<T>() {
        let (mut bytes, mut read) = (Vec::new(), Ok(()));
        source.take(|incoming| read = read_bytes(incoming, &mut bytes))?;
        read.map(|()| of_bytes(bytes))
    } else {
        let mut read = Read::Long(Vec::new());
        source.take(|incoming| match (incoming.short(), &mut read) {
            (None, Read::Long(room)) => {
                if let Err(error) = read_long(incoming, room) {
                    read = Read::Value(Err(error));
                }
            }
            (short, _) => read = Read::Value(decode(end, short.unwrap_or_default())),
        })?;
        match read {
            Read::Value(value) => value,
            // By reference: what was written in parts is not read as a whole just after that.
            Read::Long(ref mut room) => decode_long(end, room),
        }
    };
    received.map_err(|error| lost::<T>(end, error))
}

/// The value that the bytes of a message are. If the type's own code panics, the message is lost as if they were none.
#[inline]
fn decode<T: DeserializeOwned>(end: &End, bytes: &[u8]) -> Result<T, Error> {
    struct Unread<'a>(&'a End);

    impl Drop for Unread<'_> {
        fn drop(&mut self) {
            self.0.message_lost();
        }
    }

    let unread = Unread(end);
    let value = unpack_data(bytes);
    std::mem::forget(unread);
    value
}

/// The same for bytes in the room of this thread.
#[cold]
fn decode_long<T: DeserializeOwned>(end: &End, room: &mut Vec<u8>) -> Result<T, Error> {
    let value = decode(end, room);
    keep_room(std::mem::take(room));
    value
}

/// A message that was taken cannot be read.
#[cold]
fn lost<T>(end: &End, error: Error) -> Unreceived {
    end.message_lost();
    let text = format!("receiving from {} of `{}`", end.channel().flavour().noun(), type_name::<T>());
    Unreceived::Failed(Error::new(error.kind(), text).with_source(error))
}

/// What was read of a message while its receiver held it.
enum Read<T> {
    /// All, since it is short.
    Value(Result<T, Error>),
    /// Its bytes, into the room of this thread: others wait for its memory. Nothing at first.
    Long(Vec<u8>),
}

#[cold]
fn read_long(incoming: &Incoming<'_>, room: &mut Vec<u8>) -> Result<(), Error> {
    if incoming.is_damaged() {
        return Err(damaged());
    }
    take_room(room);
    fill(room, incoming, 0)
}

/// Copies a `Vec<u8>` out of its message.
fn read_bytes(incoming: &Incoming<'_>, bytes: &mut Vec<u8>) -> Result<(), Error> {
    if incoming.is_damaged() {
        return Err(damaged());
    }
    let mut start = [0; varint::MAX];
    let start = &mut start[..incoming.len().min(varint::MAX)];
    incoming.copy_to(0, start);
    let (length, prefix) = varint::read(start).ok_or_else(malformed)?;
    if u64::try_from(incoming.len() - prefix).ok() != Some(length) {
        return Err(malformed());
    }
    fill(bytes, incoming, prefix)
}

#[cold]
pub(crate) fn malformed() -> Error {
    Error::new(ErrorKind::Decode, "its bytes are no `Vec<u8>`")
}

#[cold]
fn damaged() -> Error {
    Error::new(ErrorKind::Damaged, "the memory of the channel was overwritten")
}

/// Replaces what is in `bytes` by the message from `offset` on. What is not needed is not cleared before.
fn fill(bytes: &mut Vec<u8>, incoming: &Incoming<'_>, offset: usize) -> Result<(), Error> {
    let length = incoming.len() - offset;
    bytes.clear();
    bytes
        .try_reserve_exact(length)
        .map_err(|e| Error::new(ErrorKind::Os, "making room for a message").with_source(e))?;
    incoming.copy_to_uninit(offset, &mut bytes.spare_capacity_mut()[..length]);
    // SAFETY: so many bytes were reserved, and all of them were written.
    unsafe { bytes.set_len(length) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use multiprocess_parcel::pack_data;

    #[test]
    fn bytes_are_encoded_as_any_parcel_does() {
        for length in [0usize, 1, 127, 128, 300, 70000] {
            let bytes = vec![7u8; length];
            let mut prefix = [0; varint::MAX];
            let prefix = varint::write(length as u64, &mut prefix);
            let whole = [prefix, &bytes].concat();
            assert_eq!(whole, pack_data(&bytes, "a queue").unwrap());
            assert_eq!(varint::read(&whole[..whole.len().min(varint::MAX)]), Some((length as u64, prefix.len())));
        }
    }

    #[test]
    fn bytes_are_recognised_and_nothing_else_is() {
        assert!(is_bytes::<Vec<u8>>());
        assert!(!is_bytes::<Vec<i8>>() && !is_bytes::<Box<[u8]>>() && !is_bytes::<&[u8]>() && !is_bytes::<[u8; 24]>());
        assert_eq!(as_bytes(&vec![1u8, 2]), Some(&[1u8, 2][..]));
        assert_eq!(as_bytes(&"text"), None);
        assert_eq!(of_bytes::<Vec<u8>>(vec![3]), [3]);
    }
}
