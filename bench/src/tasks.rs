//! What the tasks of the measurements do, and how many of them make a sample.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// A step of a chain that nobody can shorten.
fn step(number: u64) -> u64 {
    number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

/// Takes time in proportion to its argument; none for 0.
pub(crate) fn work(rounds: u64) -> u64 {
    (0..rounds).fold(rounds, |number, _| step(black_box(number)))
}

/// Gives back what it gets.
pub(crate) fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// How many rounds of [`work`] take a microsecond here.
pub(crate) fn rounds_per_microsecond() -> f64 {
    const ROUNDS: u64 = 1_000_000;
    let once = || {
        let start = Instant::now();
        black_box(work(black_box(ROUNDS)));
        start.elapsed()
    };
    // Whatever disturbs makes it longer.
    let shortest = (0..7).map(|_| once()).min().unwrap_or_default();
    ROUNDS as f64 / (shortest.as_secs_f64() * 1e6)
}

/// What the tasks of one sample are like.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) label: &'static str,
    /// How long one takes.
    pub(crate) length: Duration,
    /// How many a quick contender gets, and how many a slow one at most.
    pub(crate) count: u32,
    pub(crate) slow: u32,
}

/// What P8 asks for.
pub(crate) const LOADS: [Load; 4] = [
    Load { label: "nothing", length: Duration::ZERO, count: 100_000, slow: 2_000 },
    Load { label: "1 µs", length: Duration::from_micros(1), count: 100_000, slow: 2_000 },
    Load { label: "100 µs", length: Duration::from_micros(100), count: 1_000, slow: 500 },
    Load { label: "10 ms", length: Duration::from_millis(10), count: 12, slow: 12 },
];

/// The lengths of arguments and results beyond a number: how long, its name, and how many tasks make a sample.
pub(crate) const LENGTHS: [(usize, &str, u32); 2] = [(1 << 10, "1 KiB", 10_000), (1 << 20, "1 MiB", 40)];
