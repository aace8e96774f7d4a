//! Sleeping on a word of shared memory, and waking those who sleep.

pub use crate::imp::park::{sleep, wake, yield_now};
