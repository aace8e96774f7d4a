//! Message sockets that carry handles, and the frame around each message.

pub use crate::imp::transport::{Message, Received, Socket};
