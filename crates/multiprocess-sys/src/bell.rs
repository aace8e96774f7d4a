//! A bell: a handle that wakes whoever watches it among others.

pub use crate::imp::bell::Bell;
