//! Events of other processes, from somebody who writes what a letter never says: each letter is read, and comes out of a subscriber
//! that looks at all of it, or is refused.
//!
//! The first byte chooses the way in: a whole letter, the body behind the magic bytes, or a good letter with a few bytes changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use multiprocess_process::fuzzing::Letters;
use std::sync::{LazyLock, Mutex, PoisonError};

/// As the thread that takes letters has them: call sites live for ever.
static LETTERS: LazyLock<Mutex<Letters>> = LazyLock::new(Mutex::default);

fuzz_target!(|bytes: &[u8]| {
    let letter = match bytes.split_first() {
        Some((0..=15, letter)) => letter.to_vec(),
        Some((16..=127, body)) => [&Letters::good()[..4], body].concat(),
        Some((_, changes)) => damaged(changes),
        None => return,
    };
    LETTERS.lock().unwrap_or_else(PoisonError::into_inner).read(&letter);
});

/// A good letter after the changes that the bytes say, three for each: where, what, and the new byte.
fn damaged(changes: &[u8]) -> Vec<u8> {
    let mut letter = Letters::good();
    for [place, change, byte] in changes.as_chunks().0 {
        let place = usize::from(*place) % letter.len().max(1);
        match change % 4 {
            0 => letter.insert(place, *byte),
            1 if !letter.is_empty() => drop(letter.drain(place..letter.len().min(place + usize::from(*byte)))),
            _ => letter.get_mut(place).into_iter().for_each(|old| *old = *byte),
        }
    }
    letter
}
