//! Tasks of a queue that are not done yet, and waiting until all are, even if who took one was killed.
//!
//! `word` counts the tasks that were put and not done; it moves as a whole:
//!
//! | Bits | Meaning |
//! | --- | --- |
//! | 0 to 31 | how many tasks are unfinished |
//! | 32 | somebody sleeps until there are none |
//! | 33 to 47 | how often the count has come to zero |
//! | 48 to 63 | how often tasks were given up |
//!
//! | Count | Who sleeps | Others may be |
//! | :-: | :-: | --- |
//! | 0 | - | about to put a task |
//! | n > 0 | no | about to finish or to wait |
//! | n > 0 | yes | asleep on the lower half, until it changes or a slice ends |
//! | n > 0, all takers dead | any | about to give the tasks up |
//!
//! The word alone cannot tell whether a task will ever be done. So each process has a count of the tasks in its hands
//! ([`Count::Tasks`], in its own slot), and each task is seen in one of three places until it is done, in this order:
//!
//! 1. **Being sent**: its sender is marked ([`Peers::begin_sending`]) before the count goes up, until the task is in the queue.
//! 2. **In the queue**.
//! 3. **In hands**: who wants to take a task counts it as taken first, and gives that back if there was none.
//!
//! **Done**: `word` goes down, then the count in the hands; who brings `word` to zero wakes all who sleep. **Waiting** ends when the
//! count is zero, or has been meanwhile. From time to time who waits **searches**: it reads `puts` and `word`, looks at the three
//! places in their order, and reads `word` and `puts` again. If all three are empty and both numbers are what they were, the
//! tasks will never be done: they are given up, by one exchange of `word` which sets the count to zero and says so to all.
//!
//! *Why that is a proof.* A task moves on only. One that is counted and in none of the places when each was looked at was done by
//! then (so `word` went down before its hands became empty), or belongs to a dead process. `word` can only have come back to what it
//! was if another task was put, and then `puts` is another. What happens after that look changes `word`, so that the exchange
//! fails, or it is a new task that came and went, and the exchange does what is right.
//!
//! *Race: a task moves from the queue into hands while somebody looks.* The taker counts it before it takes it; a fence behind the
//! count, and one between the looks at queue and hands: who finds it taken finds the count.
//!
//! *Death.* A sender between count and queue: the task may or may not be there; if not, it is given up. A sender asleep because the
//! queue is full has taken its task off the count for that long. A taker before it takes: the task is still in the queue. After:
//! the task was in its hands, is in no place now, and is given up. Between `word` and the hands of a task that is done: it is done.
//! A waiter: nothing.

#[cfg(all(test, not(loom)))]
mod tests;

use crate::atomics::{AtomicU64, Ordering::Relaxed, fence, light_fence, order};
use crate::owner::Owner;
use crate::peers::{Count, Peers, Table};
use crate::wait::{Environment, Step, Wait};

const COUNT: u64 = u32::MAX as u64;
const WAITERS: u64 = 1 << 32;
const ZEROS: u64 = 0x7fff << 33;
const ZERO: u64 = 1 << 33;
const LOSSES: u64 = 0xffff << 48;
const LOSS: u64 = 1 << 48;

/// The unfinished tasks of a queue; zeros are none.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Tasks {
    word: AtomicU64,
    /// How many tasks were ever put.
    puts: AtomicU64,
    /// How many tasks were given up; for reports.
    lost: AtomicU64,
}

/// How a wait for all tasks ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// There was a moment without unfinished tasks.
    Finished,
    /// So many were given up, because whoever had them died.
    Lost(u64),
    /// The time is over.
    TimedOut,
}

impl Tasks {
    /// No tasks.
    pub fn new() -> Tasks {
        Tasks::default()
    }

    /// How many are unfinished.
    pub fn unfinished(&self) -> u32 {
        self.word.load(Relaxed) as u32
    }

    /// One more, which its sender is about to put into the queue.
    #[inline]
    pub fn put(&self) {
        // Pairs with `tasks.before`: who sees that it was put sees that it is being sent, by the fence behind the sender's mark.
        self.puts.fetch_add(1, Relaxed);
        // No overflow into the bits above: a queue cannot hold so many, and a damaged word says anything anyway.
        // Release: pairs with `tasks.done`; who sees a task done after it sees that it was put.
        self.word.fetch_add(1, order!("tasks.put", Release));
    }

    /// `me` is about to take one out of the queue.
    #[inline]
    pub fn take(&self, table: Table<'_>, me: Owner) {
        table.raise(me, Count::Tasks);
        // Pairs with `tasks.empty`: who finds the task taken sees that it is in hands.
        light_fence!("tasks.take");
    }

    /// There was none to take.
    #[inline]
    pub fn give_back(&self, table: Table<'_>, me: Owner) {
        table.lower(me, Count::Tasks);
    }

    /// One that `me` has taken is done. `false`: there is none that could be.
    ///
    /// # Crash
    ///
    /// The task is done, or it is given up.
    pub fn done(&self, table: Table<'_>, me: Owner, world: &impl Environment) -> bool {
        let is_done = self.less(world);
        if is_done {
            table.lower(me, Count::Tasks);
        }
        is_done
    }

    /// One that was put is not in the queue after all. `false`: there is none.
    pub fn less(&self, world: &impl Environment) -> bool {
        let mut seen = self.word.load(Relaxed);
        loop {
            let after = match seen & COUNT {
                0 => return false,
                1 => at_zero(seen, ZERO),
                _ => seen - 1,
            };
            // Release, and Acquire for those done before: pairs with `tasks.join`; who waited sees what was done for each task.
            match self.word.compare_exchange_weak(seen, after, order!("tasks.done", AcqRel), Relaxed) {
                Ok(_) => {
                    if seen & COUNT == 1 && seen & WAITERS != 0 {
                        world.wake(&self.word, u32::MAX);
                    }
                    return true;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Waits until all tasks are done, or given up. `is_queued` tells whether a task is in the queue.
    ///
    /// # Crash
    ///
    /// Nobody notices.
    pub fn join(
        &self,
        peers: &Peers,
        table: Table<'_>,
        world: &impl Environment,
        wait: &mut impl Wait,
        is_queued: impl Fn() -> bool,
    ) -> Joined {
        let (first, lost) = (self.word.load(order!("tasks.join", Acquire)), self.lost.load(Relaxed));
        let mut seen = first;
        loop {
            if let Some(joined) = self.outcome(first, seen, lost) {
                return joined;
            }
            match wait.step() {
                Step::Retry => {}
                Step::Probe => self.give_up(peers, table, world, &is_queued),
                Step::TimedOut => return Joined::TimedOut,
                Step::Sleep => {
                    if seen & WAITERS != 0 {
                        wait.sleep(&self.word, seen);
                    } else {
                        let _ = self.word.compare_exchange(seen, seen | WAITERS, Relaxed, Relaxed);
                    }
                }
            }
            seen = self.word.load(order!("tasks.join", Acquire));
        }
    }

    fn outcome(&self, first: u64, seen: u64, lost: u64) -> Option<Joined> {
        if (first ^ seen) & LOSSES != 0 {
            // Another one may have given them up, and is about to say how many.
            return Some(Joined::Lost(self.lost.load(Relaxed).wrapping_sub(lost).max(1)));
        }
        let was_zero = seen & COUNT == 0 || (first ^ seen) & ZEROS != 0;
        was_zero.then_some(Joined::Finished)
    }

    /// Gives up all tasks if they are in none of the three places.
    #[cold]
    fn give_up(&self, peers: &Peers, table: Table<'_>, world: &impl Environment, is_queued: impl Fn() -> bool) {
        let puts = self.puts.load(order!("tasks.before", Acquire));
        let seen = self.word.load(Relaxed);
        if seen & COUNT == 0 || peers.find(table, Count::Sending, world).is_some() || is_queued() {
            return;
        }
        // Pairs with `tasks.take`.
        fence!("tasks.empty");
        if peers.find(table, Count::Tasks, world).is_some()
            || self.word.load(Relaxed) != seen
            || self.puts.load(Relaxed) != puts
        {
            return;
        }
        let after = at_zero(seen, LOSS);
        if self.word.compare_exchange(seen, after, Relaxed, Relaxed).is_ok() {
            self.lost.fetch_add(seen & COUNT, Relaxed);
            world.wake(&self.word, u32::MAX);
        }
    }
}

/// The word when the count comes to zero: one more of `what`, nobody sleeps.
const fn at_zero(seen: u64, what: u64) -> u64 {
    let field = if what == LOSS { LOSSES } else { ZEROS };
    let counted = seen.wrapping_add(what) & field;
    seen & !(COUNT | WAITERS | field) | counted
}
