//! Who this process is in a segment, and whether another one lives.
//!
//! | Generation in the table | Lock of the slot | The question is asked through | Answer |
//! | --- | --- | --- | --- |
//! | another | | memory | dead |
//! | the same, and it is this process | | memory | alive |
//! | the same | free | the kept handle | dead |
//! | the same | held | the kept handle | alive: the owner, or a newcomer that has not written its generation yet |
//! | the same | unknown | number and birth, since the program has closed the handle | dead if the process is gone |
//! | the same | unknown | nothing: another namespace, no `/proc` | alive |
//!
//! "Dead" is a proof, "alive" may be wrong for a moment, as the [trait](Environment) wants it: a waiter that hears it
//! asks again after a while.
//!
//! The kept handle is that of the memory, which is passed on and has no lock: the kernel does not tell a description of its own
//! locks. The program may have closed it (a daemon closes all it has), and its number may mean something else by now, so
//! it is looked at first. If it is gone, a named segment is opened again by its name, and any segment through its mapping
//! where the process may do that. If neither works, number and birth that the owner wrote down must do.

use crate::attachments;
use crate::segment::Segment;
use multiprocess_core::{Environment, Owner};
use multiprocess_sys::handle::{BorrowedHandle, OwnedHandle};
use multiprocess_sys::{Error, ErrorKind, byte_lock, park};
use std::sync::atomic::AtomicU64;

impl Segment {
    /// A fresh description of the memory.
    pub(crate) fn open_anew(&self) -> Result<OwnedHandle, Error> {
        match self.kept() {
            Some(handle) => byte_lock::open_anew(handle),
            None => Err(Error::new(ErrorKind::Closed, "using shared memory whose handle the program has closed")),
        }
    }

    /// The handle, opened again if the program has closed it and there is a way.
    pub(crate) fn kept(&self) -> Option<BorrowedHandle<'_>> {
        let inner = &*self.0;
        let by_name = || inner.entry.as_ref()?.open().ok()?.map(|found| found.memory);
        let again = |handle: Option<OwnedHandle>| {
            // It is kept only if it is the same memory; what has the name now may be another.
            handle.and_then(|handle| {
                inner.kept.replace(handle);
                inner.kept.get()
            })
        };
        inner.kept.get().or_else(|| again(by_name())).or_else(|| again(inner.maps.whole().reopen()))
    }

    /// The handle as it came, unless the program has closed it.
    pub(crate) fn original(&self) -> Option<BorrowedHandle<'_>> {
        self.0.kept.get()
    }

    #[cold]
    fn me_anew(&self) -> Owner {
        self.attach(|| self.open_anew())
            .unwrap_or_else(|e| panic!("a copy of the process cannot take part in a shared object: {e}"))
    }
}

impl Environment for Segment {
    /// This process. A copy that the program made with its own `fork` claims a slot here, at its first use.
    ///
    /// # Panics
    ///
    /// The copy cannot: all slots are taken, it has no free descriptor, or it has closed all it had.
    #[inline]
    fn me(&self) -> Owner {
        match self.0.cell.owner() {
            Some(owner) => owner,
            None => self.me_anew(),
        }
    }

    fn is_alive(&self, owner: Owner) -> bool {
        let table = self.0.table();
        if !table.has(owner) {
            return false;
        }
        if self.0.cell.owner() == Some(owner) {
            return true;
        }
        if let Some(asker) = self.kept() {
            // If the kernel does not say, nothing is proved.
            return table.is_locked(asker, owner).unwrap_or(true);
        }
        let Ok(here) = attachments::current() else { return true };
        table.read(owner).is_some_and(|(id, birth)| here.who().may_live(id, birth))
    }

    fn wake(&self, word: &AtomicU64, count: u32) -> u32 {
        park::wake(word, count)
    }

    fn pid_of(&self, owner: Owner) -> u32 {
        let Some((id, birth)) = self.0.table().read(owner) else { return 0 };
        attachments::current().map_or(0, |here| here.who().number_here(id, birth))
    }
}
