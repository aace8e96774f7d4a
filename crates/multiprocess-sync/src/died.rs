//! The report that a lock's last owner died.

use multiprocess_sys::{Error, ErrorKind};
use std::fmt;

/// The owner of a lock died, or panicked, while it held the lock; what the lock guards may be half changed.
///
/// The mark stays until somebody takes the lock with `recover`, which takes responsibility for the data. So a `?` that drops
/// this error does not hide torn data from the next one.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::Mutex;
///
/// let balance = Mutex::new(100i64)?;
/// let thread = balance.clone();
/// std::thread::spawn(move || {
///     let _guard = thread.lock();
///     panic!("while holding the lock");
/// })
/// .join()
/// .unwrap_err();
///
/// let died = balance.lock().unwrap_err();
/// assert_eq!(died.owner_pid(), std::process::id());
/// *balance.recover() = 100; // repaired
/// assert_eq!(*balance.lock()?, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OwnerDied {
    pid: u32,
}

impl OwnerDied {
    pub(crate) fn new(pid: u32) -> OwnerDied {
        OwnerDied { pid }
    }

    /// The process number of the dead owner; 0 if nobody knows it any more. That number may belong to another process by now.
    ///
    /// # Examples
    ///
    /// ```
    /// fn report(died: &multiprocess_sync::OwnerDied) {
    ///     eprintln!("process {} died while it held the lock", died.owner_pid());
    /// }
    /// ```
    pub fn owner_pid(&self) -> u32 {
        self.pid
    }
}

impl fmt::Display for OwnerDied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            0 => f.write_str("a process died or panicked while it held the lock"),
            pid => write!(f, "process {pid} died or panicked while it held the lock"),
        }
    }
}

impl std::error::Error for OwnerDied {}

impl From<OwnerDied> for Error {
    fn from(died: OwnerDied) -> Error {
        Error::new(ErrorKind::OwnerDied, "locking").with_source(died)
    }
}
