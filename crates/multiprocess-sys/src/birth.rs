//! Which process a number meant: when it was born, and in which namespaces.

pub use crate::imp::birth::Birth;
