//! A letterbox: any process that has its slot puts letters in, one process takes them out.

pub use crate::imp::letterbox::{LETTER_MAX, Letterbox, Slot, Taken};
