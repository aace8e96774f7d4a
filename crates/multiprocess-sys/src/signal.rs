//! Signal masks and dispositions.

pub use crate::imp::signal::Blocked;
