//! The children that run, seen without their results.

use crate::registry::Life;
use crate::runtime;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle};
use multiprocess_sys::process::Signal;
use multiprocess_sys::waitable::{Source, Waitable};
use std::fmt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

/// A child started here, seen without its result.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{active_children, spawn};
///
/// let child = spawn(|| std::thread::park(), ())?;
/// for active in active_children() {
///     active.terminate()?;
/// }
/// child.wait()?;
/// assert!(active_children().is_empty());
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[derive(Clone)]
pub struct ActiveChild(Arc<Life>);

/// The children started by this process that still run, whether their [`Child`](crate::Child) was dropped or not.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{active_children, spawn};
///
/// let child = spawn(|| std::thread::park(), ())?;
/// assert_eq!(active_children().len(), 1);
/// child.kill()?;
/// child.wait()?;
/// assert_eq!(active_children().len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn active_children() -> Vec<ActiveChild> {
    // Without a runtime nothing was started here; one that belongs to the process that this one was forked from does not count.
    let Ok(runtime) = runtime::get() else { return Vec::new() };
    let mut children: Vec<_> = runtime.registry().all().into_iter().filter(|life| life.is_alive()).collect();
    children.sort_by_key(|life| life.pid);
    children.into_iter().map(ActiveChild).collect()
}

impl ActiveChild {
    /// Its number.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{active_children, spawn};
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// let active = active_children().remove(0);
    /// assert_eq!(active.pid(), child.pid());
    /// child.kill()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Its name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{active_children, spawn};
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// let active = active_children().remove(0);
    /// assert_eq!(active.name(), child.name());
    /// child.kill()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it ends with this process.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{active_children, spawn};
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// let active = active_children().remove(0);
    /// assert!(!active.is_daemon());
    /// child.kill()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_daemon(&self) -> bool {
        self.0.daemon
    }

    /// Whether it still runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{active_children, spawn};
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// let active = active_children().remove(0);
    /// assert!(active.is_alive());
    /// child.kill()?;
    /// child.wait()?;
    /// assert!(!active.is_alive());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// Waits until it has ended; `None` if it still runs after `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{active_children, spawn};
    /// use std::time::Duration;
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// let active = active_children().remove(0);
    /// assert_eq!(active.wait_timeout(Duration::ZERO)?, None);
    /// child.kill()?;
    /// assert!(active.wait_timeout(Duration::from_secs(60))?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Child::try_wait`](crate::Child::try_wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<ExitStatus>, Error> {
        self.0.wait(Deadline::after(timeout))
    }

    /// Interrupts it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{active_children, spawn};
    ///
    /// let child = spawn(|| std::thread::sleep(std::time::Duration::from_secs(60)), ())?;
    /// let active = active_children().remove(0);
    /// active.interrupt()?;
    /// assert_eq!(child.join().unwrap_err().signal(), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Child::interrupt`](crate::Child::interrupt).
    pub fn interrupt(&self) -> Result<(), Error> {
        self.0.signal(Signal::Interrupt)
    }

    /// Asks it to end.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{active_children, spawn};
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// let active = active_children().remove(0);
    /// active.terminate()?;
    /// assert_eq!(child.join().unwrap_err().signal(), Some(15));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Child::interrupt`](crate::Child::interrupt).
    pub fn terminate(&self) -> Result<(), Error> {
        self.0.signal(Signal::Terminate)
    }

    /// Ends it at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{active_children, spawn};
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// let active = active_children().remove(0);
    /// active.kill()?;
    /// assert_eq!(child.join().unwrap_err().signal(), Some(9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Child::interrupt`](crate::Child::interrupt).
    pub fn kill(&self) -> Result<(), Error> {
        self.0.signal(Signal::Kill)
    }
}

impl AsHandle for ActiveChild {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.0.as_fd()
    }
}

/// Ready once it has ended.
impl Waitable for ActiveChild {
    fn source(&self) -> Result<Source<'_>, Error> {
        self.0.source()
    }
}

impl fmt::Debug for ActiveChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveChild").field("name", &self.name()).field("pid", &self.pid()).finish_non_exhaustive()
    }
}
