//! Synchronisation objects between processes, named or passed.
#![doc = include_str!("../README.md")]

mod array;
mod barrier;
mod condition;
mod died;
mod element;
mod event;
mod group;
mod guard;
mod lock;
mod mutex;
mod object;
mod rlock;
mod rwlock;
mod semaphore;
mod value;

pub use array::Array;
pub use barrier::{Barrier, BarrierWaitResult, BrokenBarrier};
pub use bytemuck;
pub use condition::{Condition, TimedWaitResult, WaitTimeoutResult};
pub use died::OwnerDied;
pub use event::Event;
pub use group::Group;
pub use guard::MutexGuard;
pub use lock::Lock;
pub use multiprocess_sys::{Error, ErrorKind};
pub use mutex::{LockResult, Mutex, TryLockResult};
pub use rlock::{RLock, RLockGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Permit, ReleaseError, Semaphore};
pub use value::Value;
