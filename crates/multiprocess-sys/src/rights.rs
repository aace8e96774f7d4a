//! What the calling thread may do, so that a child never gets more.

pub use crate::imp::rights::{Rights, children_live_elsewhere};
