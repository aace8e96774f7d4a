//! Sleeping on a word of shared memory, and waking those who sleep.

pub use crate::imp::park::{WORDS_MAX, sleep, sleep_on_any, wake, yield_now};
