//! Handles that count as users of a segment while they are on their way.
//!
//! Who sends a handle may drop its own, or end, before the receiver has attached. A segment without a name does not care, since its
//! memory lives anyway. But where the users themselves are counted (who has an end of a channel?) somebody must count in
//! between. So such a handle is a description of its own, with a slot of its own, for which its sender enters what it stands for.
//!
//! | Death of | when | then |
//! | --- | --- | --- |
//! | the sender | before the message is sent | its handles are closed: the slot in flight is free, and counts no more |
//! | the sender | while the message is unread | the message keeps the description, so the slot counts |
//! | everybody who could read it | while the message is unread | the kernel drops the message, and the slot is free |
//! | the receiver | before it has entered itself | the message or the received handle is closed: the slot is free |
//! | the receiver | afterwards | it has a slot of its own, which is as dead as it is |
//!
//! There is no moment without a count: the sender enters the slot in flight before it sends, the receiver enters its own before
//! the one in flight goes.

use crate::attachments;
use crate::segment::Segment;
use crate::travel::attached;
use multiprocess_core::Owner;
use multiprocess_parcel::{SharedHandle, deserialize_shared, serialize_shared_part};
use multiprocess_sys::handle::{AsHandle, OwnedHandle};
use multiprocess_sys::{Error, ErrorKind, byte_lock, map};
use serde::{Deserializer, Serializer, de};

impl Segment {
    /// Serializes the segment, which has no name, so that the handle in the message is a user of it by itself. `enter` is told
    /// who that is before the message is sent. Handles of one `part` (a number above zero) are one user in each message.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_core::Environment;
    /// use multiprocess_parcel::{pack, unpack};
    /// use multiprocess_shm::{Segment, Shape};
    /// use serde::{Deserialize, Deserializer, Serialize, Serializer};
    /// use std::cell::Cell;
    ///
    /// struct End(Segment, Cell<multiprocess_core::Owner>);
    ///
    /// impl Serialize for End {
    ///     fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
    ///         self.0.serialize_in_flight(1, |owner| self.1.set(owner), serializer)
    ///     }
    /// }
    ///
    /// let shape = Shape { kind: 7, length: 8, reserved: 8, parameters: [0; 4] };
    /// let end = End(Segment::anonymous(shape, |_| {})?, Cell::new(multiprocess_core::Owner::NOBODY));
    /// let parcel = pack(&end)?;
    /// assert!(end.0.is_alive(end.1.get()) && end.1.get() != end.0.me());
    /// drop(parcel);
    /// assert!(!end.0.is_alive(end.1.get()));
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The serializer takes no handles, there is no free descriptor, or all slots are taken.
    pub fn serialize_in_flight<S: Serializer>(
        &self,
        part: u32,
        enter: impl FnOnce(Owner),
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let make = || {
            let (handle, owner) = self.handle_in_flight()?;
            enter(owner);
            Ok((handle, None))
        };
        serialize_shared_part(None, self.identity(), part, make, serializer)
    }

    /// Attaches to what [`serialize_in_flight`](Self::serialize_in_flight) wrote, and has `arrive` enter this process while the
    /// handle in flight still counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::Segment;
    /// use serde::{Deserialize, Deserializer};
    ///
    /// struct End(Segment);
    ///
    /// impl<'de> Deserialize<'de> for End {
    ///     fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<End, D::Error> {
    ///         Segment::deserialize_in_flight(deserializer, |segment| Ok(End(segment)))
    ///     }
    /// }
    ///
    /// assert!(multiprocess_parcel::unpack_data::<End>(&[0, 0]).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// It is no handle of such a segment, there is no free descriptor, all slots are taken, or what `arrive` says.
    pub fn deserialize_in_flight<'de, D: Deserializer<'de>, R>(
        deserializer: D,
        arrive: impl FnOnce(Segment) -> Result<R, Error>,
    ) -> Result<R, D::Error> {
        let SharedHandle { handle, .. } = deserialize_shared(deserializer)?;
        let missing = || Error::new(ErrorKind::Damaged, "attaching to shared memory that did not come");
        let arrived = handle.ok_or_else(missing).and_then(|handle| arrive(landed(&handle)?));
        arrived.map_err(de::Error::custom)
    }

    /// A fresh description that has a slot of its own, for a message: so the segment has a user while it travels.
    pub(crate) fn handle_in_flight(&self) -> Result<(OwnedHandle, Owner), Error> {
        let own = self.open_anew()?;
        let owner = self.0.table().lock(own.as_fd(), attachments::current()?.who())?;
        Ok((own, owner))
    }
}

/// Attaches through a handle that has a slot, and goes.
fn landed(memory: &OwnedHandle) -> Result<Segment, Error> {
    let size = map::anonymous_size(memory.as_fd())?;
    if let Some(segment) = attached(memory)? {
        return Ok(segment);
    }
    let header = crate::inspection::read_header(memory.as_fd(), size)?;
    let (kept, own) = (byte_lock::open_anew(memory.as_fd())?, byte_lock::open_anew(memory.as_fd())?);
    Segment::join(kept, own, &header, None)
}
