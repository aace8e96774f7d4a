//! What several of the example programs share: a clock and two jobs that keep a CPU busy.
//!
//! The programs themselves are in the folder `examples`; `cargo run --release --example tutorial` runs the longest.

pub mod clock;
pub mod jobs;
