//! Locks of other libraries in shared memory, behind one method.

use std::ptr::NonNull;

use multiprocess::SharedMemory;
use raw_sync::locks::{LockImpl, LockInit};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU64;

/// A lock of somebody else, and the counter that it guards; both in the same shared memory.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PeerLock {
    memory: SharedMemory,
    kind: PeerKind,
}

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PeerKind {
    /// `pthread_mutex_t`, shared between processes.
    Pthread,
    /// The same with the robust attribute.
    PthreadRobust,
    /// `raw_sync::locks::Mutex`.
    RawSync,
}

/// Where the counter lies; everything before it is the lock's.
const COUNTER: usize = 256;

/// How this process uses it.
pub(crate) enum Attached {
    Pthread(NonNull<libc::pthread_mutex_t>, NonNull<u64>, SharedMemory),
    RawSync(Box<dyn LockImpl>, SharedMemory),
}

impl PeerLock {
    pub(crate) fn new(kind: PeerKind) -> PeerLock {
        let lock = PeerLock { memory: SharedMemory::new(4096).expect("shared memory"), kind };
        match kind {
            PeerKind::RawSync => {
                let base = lock.base().as_ptr();
                // SAFETY: the counter lies in the same page.
                let counter = unsafe { base.add(COUNTER) };
                // SAFETY: zeroed memory of this process alone, with room for the lock before the counter.
                drop(unsafe { raw_sync::locks::Mutex::new(base, counter) }.expect("a lock of raw_sync"));
            }
            PeerKind::Pthread | PeerKind::PthreadRobust => lock.init_pthread(),
        }
        lock
    }

    fn init_pthread(&self) {
        // SAFETY: the attributes are plain data that the next call fills.
        let mut attributes: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
        // SAFETY: a valid place for attributes.
        assert_eq!(unsafe { libc::pthread_mutexattr_init(&raw mut attributes) }, 0);
        let shared = libc::PTHREAD_PROCESS_SHARED;
        // SAFETY: initialised attributes.
        assert_eq!(unsafe { libc::pthread_mutexattr_setpshared(&raw mut attributes, shared) }, 0);
        if self.kind == PeerKind::PthreadRobust {
            let robust = libc::PTHREAD_MUTEX_ROBUST;
            // SAFETY: initialised attributes.
            assert_eq!(unsafe { libc::pthread_mutexattr_setrobust(&raw mut attributes, robust) }, 0);
        }
        // SAFETY: memory of this process alone, aligned to a page and larger than a mutex.
        assert_eq!(unsafe { libc::pthread_mutex_init(self.base().cast().as_ptr(), &raw const attributes) }, 0);
    }

    fn base(&self) -> NonNull<u8> {
        NonNull::from(self.memory.as_atomics::<AtomicU64>()).cast()
    }

    /// The lock as this process uses it.
    pub(crate) fn attach(&self) -> Attached {
        let base = self.base();
        // SAFETY: the counter lies in the same page.
        let counter = unsafe { base.add(COUNTER) };
        match self.kind {
            PeerKind::RawSync => {
                // SAFETY: its maker has initialised it.
                let lock = unsafe { raw_sync::locks::Mutex::from_existing(base.as_ptr(), counter.as_ptr()) };
                Attached::RawSync(lock.expect("a lock of raw_sync").0, self.memory.clone())
            }
            PeerKind::Pthread | PeerKind::PthreadRobust => {
                Attached::Pthread(base.cast(), counter.cast(), self.memory.clone())
            }
        }
    }
}

impl Attached {
    /// Adds one under the lock.
    #[inline]
    pub(crate) fn increment(&self) {
        match self {
            Attached::Pthread(lock, counter, _memory) => {
                // SAFETY: initialised by its maker, mapped as long as the memory beside it.
                assert_eq!(unsafe { libc::pthread_mutex_lock(lock.as_ptr()) }, 0);
                // SAFETY: the lock is held, so nobody else is here.
                unsafe { *counter.as_ptr() += 1 };
                // SAFETY: held by this thread.
                assert_eq!(unsafe { libc::pthread_mutex_unlock(lock.as_ptr()) }, 0);
            }
            Attached::RawSync(lock, _memory) => {
                let guard = lock.lock().expect("a lock of raw_sync");
                let counter = guard.cast::<u64>();
                // SAFETY: the lock is held, so nobody else is here.
                unsafe { *counter += 1 };
            }
        }
    }
}
