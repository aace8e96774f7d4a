//! Locks on single bytes of a memory object, which the kernel frees when their holder is gone, however it went.

pub use crate::imp::byte_lock::{is_locked, open_anew, try_lock, unlock};
