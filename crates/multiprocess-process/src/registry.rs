//! The children of this process that run, or whose end nobody has noticed yet.

use crate::runtime::Runtime;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle};
use multiprocess_sys::process::{self, Process, Reaped, Signal};
use multiprocess_sys::waitable::{Source, Waitable};
use multiprocess_sys::{Error, ErrorKind};
use std::collections::HashMap;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// With this status.
    Known(ExitStatus),
    /// Somebody else has reaped it, and the kernel does not tell.
    Unknown,
}

/// What all handles of one child share.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) pid: u32,
    pub(crate) name: String,
    pub(crate) daemon: bool,
    pub(crate) process: Kept<Process>,
    ending: Mutex<Option<Ending>>,
    /// Whether its end was told to subscribers.
    #[cfg(feature = "tracing")]
    is_told: std::sync::atomic::AtomicBool,
}

impl Life {
    pub(crate) fn new(pid: u32, name: String, daemon: bool, process: Kept<Process>) -> Life {
        Life {
            pid,
            name,
            daemon,
            process,
            ending: Mutex::new(None),
            #[cfg(feature = "tracing")]
            is_told: Default::default(),
        }
    }

    /// How it ended, if it has; looks and does not wait.
    pub(crate) fn ending(&self) -> Result<Option<Ending>, Error> {
        let known = *lock(&self.ending);
        if known.is_some() {
            return Ok(known);
        }
        let found = match self.process.get()?.reap()? {
            Reaped::Running => return Ok(None),
            Reaped::Ended(status) => Ending::Known(status),
            Reaped::Elsewhere(status) => self.runtime().registry().told(self, status),
        };
        self.record(found);
        Ok(Some(found))
    }

    /// The status of one that has ended; an error where it is unknown.
    pub(crate) fn status(&self) -> Result<Option<ExitStatus>, Error> {
        match self.ending()? {
            None => Ok(None),
            Some(Ending::Known(status)) => Ok(Some(status)),
            Some(Ending::Unknown) => Err(self.unknown()),
        }
    }

    pub(crate) fn unknown(&self) -> Error {
        let text = "asking how a process ended: somebody else in this program has waited for it, so nobody knows";
        Error::new(ErrorKind::Child, text).with_object(&self.name)
    }

    /// Waits for its end; the status, or `None` when the time was over first.
    pub(crate) fn wait(&self, deadline: Deadline) -> Result<Option<ExitStatus>, Error> {
        if lock(&self.ending).is_none() && !self.process.get()?.wait(deadline)? {
            return Ok(None);
        }
        // Who waits for the end waits for what was said before it.
        #[cfg(feature = "tracing")]
        if deadline == Deadline::NEVER {
            self.runtime().logs().flush();
        }
        self.status()
    }

    /// Sends a signal; nothing happens if it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Error> {
        // Under the lock, so that nobody reaps it between the look and the signal.
        let ending = lock(&self.ending);
        if ending.is_some() {
            return Ok(());
        }
        self.process.get()?.signal(signal).map(drop).map_err(|e| e.with_object(&self.name))
    }

    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.ending(), Ok(None))
    }

    pub(crate) fn record(&self, ending: Ending) {
        lock(&self.ending).get_or_insert(ending);
        drop(self.runtime().registry().remove(self.pid));
        #[cfg(feature = "tracing")]
        self.tell_end();
    }

    /// Tells subscribers of its end, once. Not for the permanent thread: what a subscriber writes to is not open there.
    #[cfg(feature = "tracing")]
    fn tell_end(&self) {
        let ending = *lock(&self.ending);
        if let Some(ending) = ending
            && !self.is_told.swap(true, std::sync::atomic::Ordering::Relaxed)
        // Relaxed: only one swap finds false
        {
            crate::events::ended(self, ending);
        }
    }

    pub(crate) fn runtime(&self) -> &'static Runtime {
        self.process.runtime()
    }
}

impl AsHandle for Life {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.process.handle().as_fd()
    }
}

/// Ready once it has ended.
impl Waitable for Life {
    fn source(&self) -> Result<Source<'_>, Error> {
        match *lock(&self.ending) {
            Some(_) => Ok(Source::Ready),
            None => Ok(Source::Handle(self.process.get()?.as_fd())),
        }
    }
}

/// A descriptor that the program might close behind our back (`close_range`): it is used and closed only while the one that
/// stands for all of them is still what it was.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    handle: Option<T>,
    runtime: &'static Runtime,
}

impl<T> Kept<T> {
    pub(crate) fn new(handle: T, runtime: &'static Runtime) -> Kept<T> {
        Kept { handle: Some(handle), runtime }
    }

    /// To use it.
    pub(crate) fn get(&self) -> Result<&T, Error> {
        if self.runtime.is_intact() { Ok(self.handle()) } else { Err(closed()) }
    }

    /// Whose it is.
    pub(crate) fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// To name it, right or wrong: for those who only look at its number.
    pub(crate) fn handle(&self) -> &T {
        self.handle.as_ref().expect("a handle is taken out when it is dropped")
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        if self.handle.is_some() && !self.runtime.is_intact() {
            // Its number means something else now, or nothing.
            std::mem::forget(self.handle.take());
        }
    }
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "using a child's descriptors: they were closed by the program, or belong to the process that this one was forked from",
    )
}

/// The children by number. A number stays a child's own until somebody reaps it.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    lives: Mutex<HashMap<u32, Arc<Life>>>,
    /// Reaped by the permanent thread, which has another table of descriptors and so must not be the one to close theirs.
    buried: Mutex<Vec<Arc<Life>>>,
    /// Why the permanent thread could not answer.
    trouble: Mutex<Option<Error>>,
}

impl Registry {
    pub(crate) fn add(&self, life: Arc<Life>) {
        self.close_buried();
        lock(&self.lives).insert(life.pid, life);
    }

    fn remove(&self, pid: u32) -> Option<Arc<Life>> {
        lock(&self.lives).remove(&pid)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Life>> {
        self.close_buried();
        lock(&self.lives).values().cloned().collect()
    }

    /// Closes what is left of the children that the permanent thread has reaped. Not for that thread.
    pub(crate) fn close_buried(&self) {
        let buried = std::mem::take(&mut *lock(&self.buried));
        #[cfg(feature = "tracing")]
        buried.iter().for_each(|life| life.tell_end());
        drop(buried);
    }

    pub(crate) fn note_trouble(&self, error: Error) {
        *lock(&self.trouble) = Some(error);
    }

    pub(crate) fn take_trouble(&self) -> Option<Error> {
        lock(&self.trouble).take()
    }

    /// For the permanent thread: it has reaped a child. `false` if it is none of those known here.
    pub(crate) fn reaped(&self, pid: u32, ending: Ending) -> bool {
        self.bury(&mut lock(&self.lives), pid, ending)
    }

    /// For the permanent thread: reaps one child that has ended. Its number and status, and whether it is known here.
    pub(crate) fn reap_any(&self) -> Option<(u32, ExitStatus, bool)> {
        // Locked before it is reaped: whoever finds that meanwhile waits in `told` until its end is recorded.
        let mut lives = lock(&self.lives);
        let (pid, status) = process::reap_any().ok()??;
        let known = self.bury(&mut lives, pid, Ending::Known(status));
        Some((pid, status, known))
    }

    fn bury(&self, lives: &mut HashMap<u32, Arc<Life>>, pid: u32, ending: Ending) -> bool {
        let Some(life) = lives.remove(&pid) else { return false };
        lock(&life.ending).get_or_insert(ending);
        lock(&self.buried).push(life);
        true
    }

    /// What is known of a child that somebody else has reaped.
    fn told(&self, life: &Life, status: Option<ExitStatus>) -> Ending {
        drop(lock(&self.lives));
        let recorded = *lock(&life.ending);
        status.map(Ending::Known).or(recorded).unwrap_or(Ending::Unknown)
    }
}

/// A panic while one of these was held has left nothing half-done: each change is one call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
