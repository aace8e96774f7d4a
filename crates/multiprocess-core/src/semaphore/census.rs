//! Looking at all permits as if at one instant.

use super::{Semaphore, permit};
use crate::atomics::{AtomicU64, order};
use crate::owner::Word;

/// How often a failure is looked into while rivals keep changing the words.
pub(super) const ROUNDS: u32 = 64;

/// What one look at all used words saw.
pub(super) struct Census {
    /// How many words were used.
    pub(super) used: usize,
    /// How many permits were free.
    pub(super) free: u32,
    /// How many used words were absent.
    pub(super) absent: u32,
    /// A number that another sight hardly has.
    print: u64,
}

impl Semaphore {
    /// One look.
    fn census(&self, words: &[AtomicU64]) -> Census {
        // Relaxed: a look that missed a later number sees a word that was changed after it, and the next look both.
        let used = self.used(words);
        let mut census = Census { used, free: 0, absent: 0, print: used as u64 };
        for word in &words[..used] {
            // Acquire: pairs with the changes that take away what is looked for, `semaphore.take` and `semaphore.release`. What
            // their processes gave before is then seen by the next look.
            let seen = Word(word.load(order!("semaphore.census", Acquire)));
            census.free += u32::from(permit::is_free(seen));
            census.absent += u32::from(permit::is_absent(seen));
            census.print = (census.print.rotate_left(5) ^ seen.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        census
    }

    /// What two looks have seen the same way, or the last one of [`ROUNDS`].
    pub(super) fn settled(&self, words: &[AtomicU64]) -> Census {
        let mut last = self.census(words);
        for _ in 0..ROUNDS {
            let now = self.census(words);
            let same = now.print == last.print;
            last = now;
            if same {
                break;
            }
        }
        last
    }
}
