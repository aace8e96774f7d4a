//! Segments of shared memory, their names, and who is attached to them.
#![doc = include_str!("../README.md")]

mod attach_lock;
mod attachments;
mod copying;
mod fitting;
mod flight;
mod inspection;
mod liveness;
mod mappings;
mod memory;
mod named;
mod patience;
mod segment;
mod slots;
mod travel;

pub use memory::{Atomic, SharedMemory};
pub use named::sweep;
pub use patience::Patience;
pub use segment::{Segment, Shape};
