//! Operating-system handles as owning types; raw integers never leave this crate.

pub use crate::imp::handle::{AsHandle, BorrowedHandle, Identity, OwnedHandle, duplicate, pipe, readable, writable};
