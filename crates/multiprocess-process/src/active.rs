//! The children that run, seen without their results.

use crate::registry::Life;
use crate::runtime;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle};
use multiprocess_sys::process::Signal;
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
pub fn active_children() -> Vec<ActiveChild> {
    // Without a runtime nothing was started here; one that belongs to the process that this one was forked from does not count.
    let Ok(runtime) = runtime::get() else { return Vec::new() };
    let mut children: Vec<_> = runtime.registry().all().into_iter().filter(|life| life.is_alive()).collect();
    children.sort_by_key(|life| life.pid);
    children.into_iter().map(ActiveChild).collect()
}

impl ActiveChild {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it ends with this process.
    pub fn is_daemon(&self) -> bool {
        self.0.daemon
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// Waits until it has ended; `None` if it still runs after `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Child::try_wait`](crate::Child::try_wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<ExitStatus>, Error> {
        self.0.wait(Deadline::after(timeout))
    }

    /// Interrupts it.
    ///
    /// # Errors
    ///
    /// As [`Child::interrupt`](crate::Child::interrupt).
    pub fn interrupt(&self) -> Result<(), Error> {
        self.0.signal(Signal::Interrupt)
    }

    /// Asks it to end.
    ///
    /// # Errors
    ///
    /// As [`Child::interrupt`](crate::Child::interrupt).
    pub fn terminate(&self) -> Result<(), Error> {
        self.0.signal(Signal::Terminate)
    }

    /// Ends it at once.
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

impl fmt::Debug for ActiveChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveChild").field("name", &self.name()).field("pid", &self.pid()).finish_non_exhaustive()
    }
}
