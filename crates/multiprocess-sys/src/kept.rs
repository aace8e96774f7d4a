//! A handle that is kept for long, while the program may close it behind our back.

pub use crate::imp::kept::Kept;
