//! What a child finds set as its parent had it at the time of the start.

pub use crate::imp::settings::{Settings, capture};
