//! The program's executable in memory, and taking over before its `main`.

pub use crate::imp::image::{Constructor, Image, intercept, is_privileged_start};
pub use crate::imp::pages::{keep_code, warm_up};
