//! Segments in messages: as a handle, as a name, or both.
//!
//! An anonymous segment travels as its handle. One with a name travels as its name, and where handles travel with one too, so that
//! the name lives while the message is on its way, even if its sender ends meanwhile: that handle is a description of its own
//! with a slot of its own.
//!
//! | Death of | when | then |
//! | --- | --- | --- |
//! | the sender | before the message is sent | its handles are closed, the slot in flight is free |
//! | the sender | while the message is unread | the message keeps the description, the slot keeps the name |
//! | the receiver | before it attaches | the message or the received handle is closed; who comes next finds nobody |
//! | the receiver | after it attached | it had a slot of its own before it closed the handle |
//!
//! What arrives is as little trusted as what is found under a name: memory without a name must be sealed, so that nobody can cut
//! it off; memory with a name must be what has that name; its header is copied and checked, and what that says is reserved must be
//! there.

use crate::inspection::read_header;
use crate::memory::{self, SharedMemory};
use crate::segment::Segment;
use crate::{attachments, named};
use multiprocess_parcel::{Kept, SharedHandle, deserialize_shared, serialize_shared};
use multiprocess_sys::handle::{AsHandle, Identity, OwnedHandle, duplicate};
use multiprocess_sys::{Error, ErrorKind, byte_lock, map};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::sync::Arc;

impl Serialize for Segment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_shared(self.name(), self.identity(), || self.handle_to_send(), serializer)
    }
}

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Segment, D::Error> {
        let SharedHandle { handle, name } = deserialize_shared(deserializer)?;
        let segment = match (handle, &name) {
            (Some(memory), None) => anonymous(memory),
            (Some(memory), Some(name)) => with_name(name, &memory),
            (None, Some(name)) => named::open(name, |_| Ok(())),
            (None, None) => Err(Error::new(ErrorKind::Damaged, "attaching to shared memory that did not come")),
        };
        segment.map_err(|e| match name {
            Some(name) => de::Error::custom(e.with_object(name)),
            None => de::Error::custom(e),
        })
    }
}

impl Serialize for SharedMemory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedMemory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SharedMemory, D::Error> {
        let segment = Segment::deserialize(deserializer)?;
        match memory::expect(segment.shape()) {
            Ok(()) => Ok(SharedMemory(segment)),
            Err(e) => Err(de::Error::custom(match segment.name() {
                Some(name) => e.with_object(name),
                None => e,
            })),
        }
    }
}

impl Segment {
    /// A handle for a message; with one in flight this process stays attached until that is closed, so that somebody is left to
    /// give the name free.
    fn handle_to_send(&self) -> Result<(OwnedHandle, Option<Kept>), Error> {
        match (self.name(), self.kept()) {
            (Some(_), _) => Ok((self.handle_in_flight()?.0, Some(Arc::new(self.clone())))),
            (None, Some(handle)) => Ok((duplicate(handle)?, None)),
            (None, None) => {
                Err(Error::new(ErrorKind::Closed, "sending shared memory whose handle the program has closed"))
            }
        }
    }
}

/// Attaches to memory without a name.
fn anonymous(memory: Arc<OwnedHandle>) -> Result<Segment, Error> {
    let size = map::anonymous_size(memory.as_fd())?;
    if let Some(segment) = attached(&memory)? {
        return Ok(segment);
    }
    let header = read_header(memory.as_fd(), size)?;
    let own = byte_lock::open_anew(memory.as_fd())?;
    let memory = match Arc::try_unwrap(memory) {
        Ok(memory) => memory,
        Err(shared) => duplicate(shared.as_fd())?,
    };
    Segment::join(memory, own, &header, None)
}

/// Attaches to memory with a name, whose handle has a slot as long as it is open: so no lock is needed.
fn with_name(name: &str, memory: &OwnedHandle) -> Result<Segment, Error> {
    let entry = named::entry(name)?;
    if !entry.may_be(memory.as_fd())? {
        return Err(Error::new(ErrorKind::Damaged, "attaching to shared memory: the handle is not what has the name"));
    }
    let header = read_header(memory.as_fd(), map::size(memory.as_fd())?)?;
    if let Some(segment) = attached(memory)? {
        return Ok(segment);
    }
    // The handle that came has a lock, and goes.
    let (kept, own) = (byte_lock::open_anew(memory.as_fd())?, byte_lock::open_anew(memory.as_fd())?);
    Segment::join(kept, own, &header, Some(entry))
}

/// The segment that this process has already.
pub(crate) fn attached(memory: &OwnedHandle) -> Result<Option<Segment>, Error> {
    let here = attachments::current()?;
    Ok(Identity::of(memory).and_then(|identity| here.find(identity)).map(Segment))
}
