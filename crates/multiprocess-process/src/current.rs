//! Who this process is, and who started it.

use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle, Identity, OwnedHandle, readable};
use multiprocess_sys::process::{self, Process};
use multiprocess_sys::waitable::{Source, Waitable};
use multiprocess_sys::{Error, ErrorKind};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// This process.
///
/// # Examples
///
/// ```
/// let current = multiprocess_process::current();
/// assert_eq!(current.name(), "MainProcess");
/// assert_eq!(current.pid(), std::process::id());
/// assert!(!current.is_daemon());
/// ```
pub struct Current {
    name: String,
    lineage: String,
    daemon: bool,
    parent: Option<Parent>,
}

static CURRENT: OnceLock<Current> = OnceLock::new();

/// This process. The program itself is called `MainProcess`, as in Python.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{Process, current};
///
/// assert_eq!(current().name(), "MainProcess");
/// let child = Process::new(|| current().name().to_owned(), ()).name("worker").start()?;
/// assert_eq!(child.join()?, "worker");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "current_process")]
pub fn current() -> &'static Current {
    CURRENT.get_or_init(|| Current { name: "MainProcess".into(), lineage: String::new(), daemon: false, parent: None })
}

impl Current {
    /// Its name.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(multiprocess_process::current().name(), "MainProcess");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(multiprocess_process::current().pid(), std::process::id());
    /// ```
    pub fn pid(&self) -> u32 {
        process::id()
    }

    /// Whether it ends with the program that started it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, current};
    ///
    /// let child = Process::new(|| current().is_daemon(), ()).daemon(true).start()?;
    /// assert!(child.join()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_daemon(&self) -> bool {
        self.daemon
    }

    /// The lineage of the next process made here: `3`, or `1:3` in a child.
    pub(crate) fn next_lineage(&self) -> String {
        // Relaxed: the numbers differ, and nothing else depends on them.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Relaxed) + 1;
        if self.lineage.is_empty() { number.to_string() } else { format!("{}:{number}", self.lineage) }
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Current");
        shown.field("name", &self.name).field("pid", &self.pid()).field("daemon", &self.daemon);
        shown.field("parent", &self.parent).finish_non_exhaustive()
    }
}

/// Makes this process the child that its parent said. Once, before the function runs.
pub(crate) fn become_child(name: String, lineage: String, daemon: bool, parent: Parent) {
    // Nobody has asked before: a constructor of the user's that did has got the wrong answer and keeps it.
    let _ = CURRENT.set(Current { name, lineage, daemon, parent: Some(parent) });
}

/// The process that started this one.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{current, parent, spawn};
///
/// assert!(parent().is_none(), "the program itself was not started by this library");
/// let child = spawn(|| parent().map(|p| (p.name().to_owned(), p.pid(), p.is_alive())), ())?;
/// assert_eq!(child.join()?, Some(("MainProcess".to_owned(), current().pid(), true)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Parent {
    name: String,
    pid: u32,
    /// A handle that can be read once the parent has ended: its pidfd, or an end whose other end went with it; and what it is.
    end: OnceLock<(OwnedHandle, Option<Identity>)>,
}

/// The process that started this one; `None` in the program itself.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{parent, spawn};
///
/// assert!(parent().is_none());
/// assert!(spawn(|| parent().is_some(), ())?.join()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "parent_process")]
pub fn parent() -> Option<&'static Parent> {
    current().parent.as_ref()
}

impl Parent {
    /// `pid` is what the kernel said when this process began.
    pub(crate) fn new(name: String, pid: u32) -> Parent {
        Parent { name, pid, end: OnceLock::new() }
    }

    /// Its name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{parent, spawn};
    ///
    /// let child = spawn(|| parent().unwrap().name().to_owned(), ())?;
    /// assert_eq!(child.join()?, "MainProcess");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{parent, spawn};
    ///
    /// let child = spawn(|| parent().unwrap().pid(), ())?;
    /// assert_eq!(child.join()?, std::process::id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{parent, spawn};
    ///
    /// let child = spawn(|| parent().unwrap().is_alive(), ())?;
    /// assert!(child.join()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_alive(&self) -> bool {
        !self.wait(Deadline::now())
    }

    /// Waits until it has ended; `false` when the time was over first.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{parent, spawn};
    ///
    /// let child = spawn(|| parent().unwrap().wait_timeout(std::time::Duration::ZERO), ())?;
    /// assert!(!child.join()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait(Deadline::after(timeout))
    }

    fn wait(&self, deadline: Deadline) -> bool {
        // A process whose parent has ended is given to another one.
        process::parent_id() != self.pid || readable([self.as_fd()], deadline).is_ok_and(|[ended]| ended)
    }

    /// Opened when first asked for, so that a child which never asks holds no descriptor for it. The number is still the
    /// parent's if the kernel names it as our parent *after* it was opened.
    fn end(&self) -> &(OwnedHandle, Option<Identity>) {
        self.end.get_or_init(|| {
            let end = match Process::open(self.pid) {
                Ok(process) if process::parent_id() == self.pid => process.into(),
                _ => ended_for_ever(),
            };
            let identity = Identity::of(&end);
            (end, identity)
        })
    }
}

/// A handle that can be read at once: the end of a socket whose other end is closed.
fn ended_for_ever() -> OwnedHandle {
    let pair = multiprocess_sys::transport::Socket::pair();
    pair.map_or_else(|error| panic!("asking whether the parent has ended: {error}"), |(end, _)| end.into())
}

impl fmt::Debug for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parent").field("name", &self.name).field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl AsHandle for Parent {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.end().0.as_fd()
    }
}

/// Ready once it has ended.
impl Waitable for Parent {
    fn source(&self) -> Result<Source<'_>, Error> {
        if process::parent_id() != self.pid {
            return Ok(Source::Ready);
        }
        let (end, identity) = self.end();
        // The program may have closed it, and its number may mean another file.
        if Identity::of(end) == *identity {
            return Ok(Source::Handle(end.as_fd()));
        }
        Err(Error::new(ErrorKind::Closed, "waiting for the parent: the program closed its descriptor"))
    }
}
