//! The facade of the workspace: everything under one name, and no code of its own.
#![doc = include_str!("../../../README.md")]

pub use multiprocess_channel::{JoinableQueue, Queue};
#[cfg(feature = "progress")]
pub use multiprocess_pool::indicatif;
pub use multiprocess_pool::{
    GetTimeoutError, Imap, ImapUnordered, Pool, PoolBuilder, PoolError, Stats, TaskError, TaskHandle, Tasks,
};
#[cfg(feature = "tracing")]
pub use multiprocess_process::flush_logs;
pub use multiprocess_process::{
    ActiveChild, Child, Current, Error, ErrorKind, Fd, Function, JoinError, Message, PanicReport, Parent, Process,
    RemoteError, Run, Scope, ScopedChild, StartMethod, Stdio, active_children, current, parent, scope, spawn,
};
pub use multiprocess_shm::{Atomic, SharedMemory};
pub use multiprocess_sync::{
    Array, Barrier, BarrierWaitResult, BrokenBarrier, Condition, Event, Group, Lock, LockResult, Mutex, MutexGuard,
    OwnerDied, Permit, RLock, RLockGuard, ReleaseError, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore,
    TimedWaitResult, TryLockResult, Value, WaitTimeoutResult, bytemuck,
};

/// Messages: queues, pipes, and waiting for many.
pub mod channel {
    pub use multiprocess_channel::*;
}

/// What only the project's own benchmarks use.
#[doc(hidden)]
pub mod process {
    pub use multiprocess_process::spare_ready;
}
