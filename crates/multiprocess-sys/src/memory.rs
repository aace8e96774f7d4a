//! Memory objects: bytes that travel to another process as one handle.

pub use crate::imp::memory::{seal, unseal};
