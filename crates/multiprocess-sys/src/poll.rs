//! Looking at many handles at once: waiting for them.

pub use crate::imp::poll::{Alarm, Readiness, poll};
