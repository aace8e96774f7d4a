//! Waiting for whichever of many handles is ready first.

pub use crate::imp::watch::{Timer, Watch};
