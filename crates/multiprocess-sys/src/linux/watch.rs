//! Waiting for whichever of many handles is ready first (epoll(7)): the cost does not grow with their number.

use super::handle::{AsHandle, OwnedHandle};
use crate::{Error, seam};
use rustix::event::epoll;

/// A set of handles, each under a key.
#[derive(Debug)]
pub struct Watch(OwnedHandle);

impl Watch {
    /// An empty set.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::watch::Watch;
    ///
    /// let (reader, writer) = std::io::pipe()?;
    /// let watch = Watch::new()?;
    /// watch.add(&reader, 7)?;
    /// drop(writer);
    /// assert_eq!(watch.wait()?, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Result<Watch, Error> {
        seam::call("epoll_create1", || epoll::create(epoll::CreateFlags::CLOEXEC))
            .map(Watch)
            .map_err(|e| Error::os("making a set of descriptors to watch", e))
    }

    /// Adds a handle. It must be [removed](Watch::remove) before it is closed: the set holds on to what the handle refers to as
    /// long as anybody has a handle to that, in whichever process.
    ///
    /// # Errors
    ///
    /// Out of memory, or it is in the set already.
    pub fn add(&self, handle: &impl AsHandle, key: u64) -> Result<(), Error> {
        let add = || epoll::add(&self.0, handle, epoll::EventData::new_u64(key), epoll::EventFlags::IN);
        seam::call("epoll_ctl", add).map_err(|e| Error::os("watching a descriptor", e))
    }

    /// Removes a handle.
    ///
    /// # Errors
    ///
    /// It is not in the set.
    pub fn remove(&self, handle: &impl AsHandle) -> Result<(), Error> {
        seam::call("epoll_ctl", || epoll::delete(&self.0, handle))
            .map_err(|e| Error::os("watching a descriptor no longer", e))
    }

    /// Waits until some are ready; their keys.
    ///
    /// # Errors
    ///
    /// The operating system refused. An interrupted wait goes on.
    pub fn wait(&self) -> Result<Vec<u64>, Error> {
        let mut events = Vec::with_capacity(64);
        seam::retry("epoll_wait", || epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), None))
            .map_err(|e| Error::os("waiting for descriptors", e))?;
        Ok(events.iter().map(|event: &epoll::Event| event.data.u64()).collect())
    }
}
