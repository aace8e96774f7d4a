//! Ending together with another process.

pub use crate::imp::lifeline::{again, end_with_parent, hold, pair};
