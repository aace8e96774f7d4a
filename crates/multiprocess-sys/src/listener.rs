//! Listening for other programs under a name, connecting to them, and who they are.

pub use crate::imp::listener::{Credentials, Listener, Place, connect};
