//! Waiting for whichever of many handles is ready first (epoll(7)): the cost does not grow with their number.

use super::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use crate::{Error, seam};
use rustix::event::{Timespec, epoll};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};
use std::time::Duration;

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
        self.add_for(handle, key, epoll::EventFlags::IN)
    }

    /// Adds a socket or pipe whose other end will be closed: that makes it ready, once; what can be read does not.
    /// It leaves the set when it is closed, unless somebody else has a handle to it too.
    ///
    /// # Errors
    ///
    /// Out of memory, or it is in the set already.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::watch::Watch;
    /// use std::io::Write;
    /// use std::time::Duration;
    ///
    /// let (reader, mut writer) = std::io::pipe()?;
    /// let watch = Watch::new()?;
    /// watch.add_end(&reader, 7)?;
    /// writer.write_all(b"text")?;
    /// assert_eq!(watch.wait_timeout(Duration::from_millis(1))?, []);
    /// drop(writer);
    /// assert_eq!(watch.wait()?, [7]);
    /// assert_eq!(watch.wait_timeout(Duration::from_millis(1))?, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_end(&self, handle: &impl AsHandle, key: u64) -> Result<(), Error> {
        // A closed other end is told whether one asks for it or not.
        self.add_for(handle, key, epoll::EventFlags::ONESHOT)
    }

    fn add_for(&self, handle: &impl AsHandle, key: u64, flags: epoll::EventFlags) -> Result<(), Error> {
        seam::call("epoll_ctl", || epoll::add(&self.0, handle, epoll::EventData::new_u64(key), flags))
            .map_err(|e| Error::os("watching a descriptor", e))
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
        self.wait_for(None)
    }

    /// As [`wait`](Watch::wait), but for no longer than `limit`; an interrupted wait begins again. Whole milliseconds.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub fn wait_timeout(&self, limit: Duration) -> Result<Vec<u64>, Error> {
        self.wait_for(Some(&timespec(limit)))
    }

    fn wait_for(&self, limit: Option<&Timespec>) -> Result<Vec<u64>, Error> {
        let mut events = Vec::with_capacity(64);
        seam::retry("epoll_wait", || epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), limit))
            .map_err(|e| Error::os("waiting for descriptors", e))?;
        Ok(events.iter().map(|event: &epoll::Event| event.data.u64()).collect())
    }

    /// Takes the set's handle as a set.
    pub fn from_handle(handle: OwnedHandle) -> Watch {
        Watch(handle)
    }
}

impl AsHandle for Watch {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.0.as_fd()
    }
}

/// A time as the kernel has it; longer than anybody lives, if it is too long for the kernel.
fn timespec(time: Duration) -> Timespec {
    let time = time.min(Duration::from_secs(i32::MAX as u64));
    Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() }
}

/// What becomes ready after some time, and stays so (timerfd_create(2)): for a set on which somebody waits without a limit.
#[derive(Debug)]
pub struct Timer(OwnedHandle);

impl Timer {
    /// A timer that becomes ready `left` from now.
    ///
    /// # Errors
    ///
    /// Out of descriptors or memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::watch::{Timer, Watch};
    /// use std::time::Duration;
    ///
    /// let watch = Watch::new()?;
    /// watch.add(&Timer::after(Duration::MAX)?, 1)?;
    /// let timer = Timer::after(Duration::ZERO)?;
    /// watch.add(&timer, 2)?;
    /// assert_eq!(watch.wait()?, [2]);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn after(left: Duration) -> Result<Timer, Error> {
        let failed = |e| Error::os("making a timer to watch", e);
        let timer = seam::call("timerfd_create", || {
            rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)
        })
        .map_err(failed)?;
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A timer of no time would never be ready.
        let time = Itimerspec { it_interval: never, it_value: timespec(left.max(Duration::from_nanos(1))) };
        seam::call("timerfd_settime", || rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &time))
            .map_err(failed)?;
        Ok(Timer(timer))
    }
}

impl AsHandle for Timer {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.0.as_fd()
    }
}
