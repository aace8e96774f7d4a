//! A bell (eventfd(2)): anybody who has a handle may ring it, and who watches it among other handles is woken.

use super::handle::{AsHandle, BorrowedHandle, Identity, OwnedHandle};
use crate::{Error, seam};
use rustix::event::{EventfdFlags, eventfd};

/// A handle that can be read from the time when it was rung until it is silenced.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::bell::Bell;
/// use multiprocess_sys::watch::Watch;
///
/// let (bell, watch) = (Bell::new()?, Watch::new()?);
/// watch.add(&bell, 7)?;
/// bell.ring();
/// bell.ring();
/// assert_eq!(watch.wait()?, [7]);
/// bell.silence();
/// assert_eq!(watch.wait_timeout(std::time::Duration::ZERO)?, []);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[derive(Debug)]
pub struct Bell {
    handle: OwnedHandle,
    /// What it refers to, as far as that tells: all bells are one file to the system. A program that has closed all its descriptors
    /// finds nothing of ours in the file, pipe or socket that has got this one's number.
    identity: Option<Identity>,
}

impl Bell {
    /// One that is silent.
    ///
    /// # Errors
    ///
    /// The process has no free descriptor.
    pub fn new() -> Result<Bell, Error> {
        seam::call("eventfd", || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK))
            .map(Bell::from_handle)
            .map_err(|e| Error::os("making a bell", e))
    }

    /// Takes the handle of a bell that another process has made. With another kind of handle, nothing rings.
    pub fn from_handle(handle: OwnedHandle) -> Bell {
        Bell { identity: Identity::of(&handle), handle }
    }

    /// Rings it. That fails only if it has been rung as often as a counter counts, and then it rings already: it needs no memory and
    /// never waits, so it does not pass the seam, where calls fail that can fail.
    pub fn ring(&self) {
        if self.is_there() {
            let _ = rustix::io::write(&self.handle, &1u64.to_ne_bytes());
        }
    }

    /// Silences it until it is rung again; that cannot fail either.
    pub fn silence(&self) {
        if self.is_there() {
            let _ = rustix::io::read(&self.handle, &mut [0u8; 8]);
        }
    }

    fn is_there(&self) -> bool {
        Identity::of(&self.handle) == self.identity
    }
}

impl AsHandle for Bell {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.handle.as_fd()
    }
}
