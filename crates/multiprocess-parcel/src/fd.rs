//! Any owned handle with its type kept.

use std::ops::{Deref, DerefMut};

use multiprocess_sys::Error;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use multiprocess_sys::waitable::{Source, Waitable};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{deserialize_handle, serialize_handle};

/// Any owned handle as part of a message: `Fd<TcpListener>`, `Fd<File>`; `Fd` alone is `Fd<OwnedHandle>`.
///
/// Serializing it sends a duplicate, so the sender's own stays open until it is dropped. That what arrives is of the type
/// that the receiver names, nobody checks: a file taken for a listener answers each call with an error.
///
/// # Examples
///
/// ```
/// use multiprocess_parcel::{Fd, pack, unpack};
/// use std::net::TcpListener;
///
/// let listener = Fd(TcpListener::bind("127.0.0.1:0")?);
/// let arrived: Fd<TcpListener> = unpack(pack(&listener)?)?;
/// assert_eq!(arrived.local_addr()?, listener.local_addr()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Fd<T = OwnedHandle>(pub T);

impl<T> Fd<T> {
    /// The handle without the wrapper.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_parcel::Fd;
    /// use std::io::PipeReader;
    ///
    /// let (reader, _writer) = std::io::pipe()?;
    /// let reader: PipeReader = Fd(reader).into_inner();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Fd<T> {
    fn from(inner: T) -> Fd<T> {
        Fd(inner)
    }
}

impl<T: Into<OwnedHandle>> From<Fd<T>> for OwnedHandle {
    fn from(fd: Fd<T>) -> OwnedHandle {
        fd.0.into()
    }
}

impl<T> Deref for Fd<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Fd<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: AsHandle> AsHandle for Fd<T> {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.0.as_fd()
    }
}

impl<T: Waitable> Waitable for Fd<T> {
    fn source(&self) -> Result<Source<'_>, Error> {
        self.0.source()
    }
}

impl<T: AsHandle> Serialize for Fd<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_handle(self.0.as_fd(), serializer)
    }
}

impl<'de, T: From<OwnedHandle>> Deserialize<'de> for Fd<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fd<T>, D::Error> {
        deserialize_handle(deserializer).map(|handle| Fd(T::from(handle)))
    }
}
