//! The descriptors of a pool: its bell, and the set in which the supervisor watches the bell and the ends of all workers.
//!
//! A program may close all its descriptors (`close_range`), and their numbers may mean files of its own then. The pool cannot go on
//! without them: nobody would hear of a worker's end. So one more descriptor, whose identity is known, *stands for all*: it
//! is looked at before any is used, and by the supervisor once a second while nothing happens. When it is gone the pool breaks down with
//! an error that says why, and what it had is neither used nor closed any more. Its workers leave when they are done, or end with the
//! program. (Another thread's table of descriptors, as the processes' permanent thread has one, would not do: workers are started
//! with descriptors of the program's own table.)

use multiprocess_sys::bell::Bell;
use multiprocess_sys::kept::Kept;
use multiprocess_sys::watch::Watch;
use multiprocess_sys::{Error, ErrorKind, map};

/// They; `None` only when they are dropped.
#[derive(Debug)]
pub(crate) struct Descriptors {
    bell: Option<Bell>,
    watch: Option<Watch>,
    stands_for_all: Kept,
}

impl Descriptors {
    /// The bell is watched under this key.
    pub(crate) fn new(key: u64) -> Result<Descriptors, Error> {
        let (bell, watch) = (Bell::new()?, Watch::new()?);
        watch.add(&bell, key)?;
        Ok(Descriptors { bell: Some(bell), watch: Some(watch), stands_for_all: Kept::new(map::anonymous(1)?)? })
    }

    fn are_there(&self) -> bool {
        self.stands_for_all.get().is_some()
    }

    /// The bell, to be given to workers or silenced.
    pub(crate) fn bell(&self) -> Result<&Bell, Error> {
        self.bell.as_ref().filter(|_| self.are_there()).ok_or_else(closed)
    }

    /// The set of what the supervisor watches.
    pub(crate) fn watch(&self) -> Result<&Watch, Error> {
        self.watch.as_ref().filter(|_| self.are_there()).ok_or_else(closed)
    }

    /// Has the supervisor look. If it cannot hear any more, it will find that out by itself.
    pub(crate) fn ring(&self) {
        if let Ok(bell) = self.bell() {
            bell.ring();
        }
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        if !self.are_there() {
            // Their numbers mean something else now, or nothing.
            std::mem::forget((self.bell.take(), self.watch.take()));
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "using a pool whose descriptors were closed by the program")
}
