//! A thread for the life of the program, and what the process has three or one of: standard streams, a current directory.

pub use crate::imp::thread::{Stream, directory, enter, start, start_in};
