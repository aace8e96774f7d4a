//! Memory that several processes map: objects without a name, mappings, and pages that hold on to something.

pub use crate::imp::map::{
    Map, Pin, anonymous, anonymous_size, check_reserved, in_use, page_size, read_start, size, wiped_words,
};
pub use crate::imp::space::{is_too_long, space_limit};
