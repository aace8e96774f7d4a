//! Names of memory objects, one set of them per user.

pub use crate::imp::names::{Entry, Found, list, unnamed};
