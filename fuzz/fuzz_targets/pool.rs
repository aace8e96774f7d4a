//! A pool whose memory a worker writes to as it likes: whatever stands there, the pool's process goes on, reads nothing outside, and
//! takes no more memory than there is.
//!
//! Steps: a word is set (of the board, or in an area), a task is given, results are taken in, a worker dies, a task is cancelled.
#![no_main]

use libfuzzer_sys::fuzz_target;
use multiprocess_pool::fuzzing::Pool;

/// What the fuzzer has not used yet.
struct Tape<'a>(&'a [u8]);

impl Tape<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, left) = self.0.split_first()?;
        self.0 = left;
        Some(*first)
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.byte().unwrap_or(0)))
    }
}

/// A state word of a slot: some state, of some lane, with the owner of a worker.
fn state(value: u64) -> u64 {
    (value & 3) << 14 | (value >> 2 & 1) | (value >> 3 & 3) << 16 | 1 << 24
}

fuzz_target!(|bytes: &[u8]| {
    let mut tape = Tape(bytes);
    let mut pool = Pool::new();
    while let Some(step) = tape.byte() {
        let more = usize::from(step / 8);
        match step % 8 {
            0..3 => {
                let (place, value) = (tape.word(), tape.word());
                let value = match more % 5 {
                    0 => value,
                    1 => value & 0xff,
                    2 => state(value),
                    3 => (value & 7) + 1 << 16 | value >> 8 & 7,
                    _ => pool.place(value, 64 + (value >> 8) % 4096),
                };
                pool.scribble(more == 31, place, value);
            }
            3 | 4 => pool.give(more as u32 % 5, [0, 3, 90, 5000][more % 4], more > 15),
            5 => pool.bury(more),
            6 => pool.cancel(more),
            _ => pool.collect(),
        }
    }
    pool.collect();
});
