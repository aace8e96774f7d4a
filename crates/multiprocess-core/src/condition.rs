//! A condition: waiters that let a lock go, and notifications that wake exactly so many of them.
//!
//! One central word holds an *epoch* (how many notifications there were), *tokens* (how many waiters of earlier epochs may go
//! on), a flag for sleepers and a number of *moves*: beginnings and departures. One word for each slot counts the calls of that
//! process: those that *wait*, and those that were *woken* (took a token) and have not ended.
//!
//! | State of a call | Its slot's word | Central word | Leaves it by |
//! | --- | --- | --- | --- |
//! | not there | - | - | `begin`, under the lock: to waiting |
//! | waiting | one waiting | moves + 1; epoch as noted, or no token | a token (to taking); its time is over (to gone) |
//! | taking | one waiting, one woken | another epoch and a token | exchange for a token less: to woken, or back to waiting |
//! | woken | one woken | moves + 1 | `end`, under the lock: to not there |
//! | gone | - | moves + 1 | `end`: to not there |
//! | owner dead, waiting | as waiting | - | whoever probes: to not there |
//! | owner dead, taking or woken | one woken | - | whoever probes: a token more for the others, to not there |
//!
//! A generation that is not the slot's present one is a dead owner's; a newcomer in the slot does what a prober does.
//!
//! **begin**, under the lock: (1) mark the slot as used; (2) count; (3) exchange the central word for one with another number
//! of moves, and note its epoch. **wait**: (1) if the epoch is not as noted and there is a token: count as woken, exchange the
//! central word for one with a token less, count as not waiting, depart; (2) else spin, probe, set the flag for sleepers, sleep on
//! the epoch. **depart**: exchange the central word for one with another number of moves, and with no more tokens than there are
//! waiters. **end**, with the lock: count as not woken. **notify(n)**: (1) read the central word; (2) count the waiters;
//! (3) exchange it for one with the next epoch and `n` tokens more, but no more than waiters; (4) wake `n` if the flag was set.
//! If now everybody has a token: all, and the flag is cleared in the same exchange. Dead owners without woken are not counted,
//! and their words cleared. **probe**: for each dead owner (1) notify once for each of its woken; (2) clear its word.
//!
//! Races: a waiter that lets the lock go and has not gone to sleep finds another epoch. A notification between a waiter's
//! decision to go and its departure has counted it; the departure then removes the token that nobody wants. A departure
//! between steps 1 and 3 of a notification makes the exchange fail, so it counts anew. So does a beginning, where somebody
//! notifies without the lock: one that was not counted, but had noted the epoch before, would take the token of one that was.
//! Whoever comes after the notification has noted its epoch, and cannot do that. (A notifier that stands still between the two
//! steps for exactly 1,024 moves, or a multiple, in which nothing else of the word changes, does not see them.)
//!
//! No notification is lost: a waiter is counted from before it lets the lock go until it has a token, so no cut of the tokens to
//! the number of waiters goes below those that wait; tokens have no names, so whoever is left takes one; and one that is taken by
//! somebody who dies before `end` is told by the slot's word.
//!
//! Deaths: whoever is killed before its exchange for a token leaves the token; one that sleeps finds it at the end of its slice
//! at the latest, because an unneeded sleep is bounded. Killed after it, before the end of the call: the slot's word says
//! woken. A notifier killed between steps 3 and 4: the tokens are there, sleepers look at the end of their slice. A prober
//! killed between its two steps: the next one does both again.
//!
//! More than `n` waiters go on after `notify(n)` in these cases only, and then one more for each time: a notification counted a
//! waiter that was dead (one that never slept) or is killed before it takes its token; a waiter was killed while it took a token
//! or after it; a notification fell between a waiter's token and its departure, and somebody else began to wait between that
//! notification and the departure; more than 65,535 threads of one process wait at once (those above do not wait).

mod word;

use crate::atomics::{AtomicU64, Ordering, order};
use crate::owner::Owner;
use crate::wait::{Environment, Step, Wait};
use word::{Central, Count};

/// How many words mark the used slots.
#[cfg(not(loom))]
const USED: usize = 16;
#[cfg(loom)]
const USED: usize = 1;

/// The central part of a condition; all zeroes is one on which nobody waits. Beside it lie as many words as there are slots,
/// all zero at first, which every method is handed.
///
/// # Examples
///
/// ```
/// use multiprocess_core::condition::{Condition, Outcome};
/// # use multiprocess_core::{atomics::AtomicU64, Environment, Owner, Step, Wait};
/// # struct Alone;
/// # impl Environment for Alone {
/// #     fn me(&self) -> Owner { Owner::new(0, 1) }
/// #     fn is_alive(&self, _: Owner) -> bool { true }
/// #     fn wake(&self, _: &AtomicU64, _: u32) -> u32 { 0 }
/// #     fn pid_of(&self, _: Owner) -> u32 { 1 }
/// # }
/// # struct Never;
/// # impl Wait for Never {
/// #     fn step(&mut self) -> Step { Step::TimedOut }
/// #     fn sleep(&mut self, _: &AtomicU64, _: u64) {}
/// # }
/// // An environment with one process, and a patience that has none.
/// let (environment, mut patience) = (Alone, Never);
/// let (condition, slots) = (Condition::new(), [AtomicU64::new(0)]);
/// let mut call = condition.begin(&slots, &environment);
/// condition.notify(&slots, &environment, 1);
/// assert_eq!(condition.wait(&slots, &environment, &mut patience, &mut call), Outcome::Notified);
/// condition.end(&slots, call);
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct Condition {
    central: AtomicU64,
    /// One bit for each slot that ever waited, so that a notification need not look at all.
    used: [AtomicU64; USED],
}

/// One call that waits: [`Condition::begin`] made it, [`Condition::end`] wants it back.
#[must_use = "a call that does not end is counted for ever"]
#[derive(Debug)]
pub struct Call {
    owner: Owner,
    epoch: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Woken,
    Gone,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// By a notification.
    Notified,
    /// The time is over, and there was no notification for this call.
    TimedOut,
}

impl Default for Condition {
    fn default() -> Self {
        Condition::new()
    }
}

impl Condition {
    /// A condition on which nobody waits.
    #[cfg(not(loom))]
    pub const fn new() -> Condition {
        Condition { central: AtomicU64::new(0), used: [const { AtomicU64::new(0) }; USED] }
    }

    /// A condition on which nobody waits.
    #[cfg(loom)]
    pub fn new() -> Condition {
        Condition { central: AtomicU64::new(0), used: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// The word on which waiters sleep.
    pub fn word(&self) -> &AtomicU64 {
        &self.central
    }

    /// Begins to wait: a notification that comes after this counts the caller. Under the lock.
    pub fn begin<E: Environment>(&self, slots: &[AtomicU64], environment: &E) -> Call {
        let owner = environment.me();
        let state = if self.enter(slots, environment, owner) { State::Waiting } else { State::Gone };
        // Release: who counts after it has read this counts the caller; who has counted before fails in its exchange.
        let seen = self.central.fetch_add(Central::MOVE, order!("condition.begin.note", Release));
        Call { owner, epoch: Central(seen).epoch(), state }
    }

    /// Counts one more of `owner`; false if that cannot be counted.
    fn enter<E: Environment>(&self, slots: &[AtomicU64], environment: &E, owner: Owner) -> bool {
        let Some((at, word)) = word_of(slots, owner) else { return false };
        let (Some(used), bit) = (self.used.get(at / 64), 1 << (at % 64)) else { return false };
        if used.load(Ordering::Relaxed) & bit == 0 {
            used.fetch_or(bit, Ordering::Relaxed);
        }
        loop {
            let seen = Count(word.load(Ordering::Relaxed));
            let mut mine = seen;
            if seen.generation() != owner.generation() {
                // The last user of the slot is dead. Nobody finds what it held once this word is mine.
                self.notify(slots, environment, seen.woken() as u32);
                mine = Count::empty(owner.generation());
            }
            let Some(more) = mine.plus(1, 0) else { return false };
            // Release: who reads this sees the slot as its owner's. An older slot would look like a death.
            if exchange(word, seen.0, more.0, order!("condition.begin", Release)) {
                return true;
            }
        }
    }

    /// Waits for a notification. After the lock was let go.
    pub fn wait<E: Environment, W: Wait>(
        &self,
        slots: &[AtomicU64],
        environment: &E,
        wait: &mut W,
        call: &mut Call,
    ) -> Outcome {
        while call.state == State::Waiting {
            let seen = Central(self.central.load(Ordering::Relaxed));
            if seen.lets(call.epoch) {
                self.take(slots, call);
                continue;
            }
            match wait.step() {
                Step::Retry => {}
                Step::Probe => self.probe(slots, environment),
                Step::Sleep => {
                    let asleep = seen.with_sleepers();
                    if asleep == seen || exchange(&self.central, seen.0, asleep.0, Ordering::Relaxed) {
                        wait.sleep(&self.central, asleep.0);
                    }
                }
                Step::TimedOut if self.take(slots, call) => {}
                Step::TimedOut => return self.give_up(slots, call),
            }
        }
        Outcome::Notified
    }

    /// Ends the call, whatever became of it. With the lock if [`wait`](Condition::wait) has returned: until this, the
    /// notification goes to another waiter if the caller is killed.
    pub fn end(&self, slots: &[AtomicU64], mut call: Call) {
        match call.state {
            State::Waiting => _ = self.give_up(slots, &mut call),
            State::Woken => change(slots, call.owner, 0, -1),
            State::Gone => {}
        }
    }

    /// Wakes `count` of those that wait, or all if they are fewer. Who begins to wait afterwards is not woken.
    pub fn notify<E: Environment>(&self, slots: &[AtomicU64], environment: &E, count: u32) {
        if count == 0 {
            return;
        }
        loop {
            // Acquire: whose departure is in this word is not counted any more, and whose beginning is, is.
            let seen = Central(self.central.load(order!("condition.notify.look", Acquire)));
            let wanted = (seen.tokens() + u64::from(count)).min(Central::MAX_TOKENS);
            // Only who sleeps can be dead for long, and the wake-up costs more than the probes before it.
            let probes = if seen.has_sleepers() { wanted } else { 0 };
            let waiting = self.waiting(slots, environment, probes);
            if waiting == 0 && seen.tokens() == 0 {
                return;
            }
            let tokens = wanted.min(waiting);
            let everybody = tokens == waiting;
            let mut next = seen.next_epoch().with_tokens(tokens);
            if everybody {
                next = next.without_sleepers();
            }
            // Relaxed: who reads this word counts at least those that were counted here, since it has also seen their beginnings,
            // and nobody ever just stores a central word.
            if exchange(&self.central, seen.0, next.0, Ordering::Relaxed) {
                if seen.has_sleepers() {
                    environment.wake(&self.central, if everybody { u32::MAX } else { count });
                }
                return;
            }
        }
    }

    /// How many calls wait in processes that are not known to be dead; for reports.
    pub fn waiters<E: Environment>(&self, slots: &[AtomicU64], environment: &E) -> u64 {
        self.waiting(slots, environment, u64::MAX)
    }

    /// How many calls wait; the owners of the first `probes` of them are not dead.
    fn waiting<E: Environment>(&self, slots: &[AtomicU64], environment: &E, probes: u64) -> u64 {
        let mut waiting = 0;
        self.each_used(slots, |slot, count| {
            if waiting >= probes || is_alive(environment, slot, count) {
                waiting += count.waiting();
            } else if count.woken() == 0 {
                forget(&slots[slot], count);
            }
        });
        waiting
    }

    /// Calls `f` with each slot that has counted somebody.
    fn each_used(&self, slots: &[AtomicU64], mut f: impl FnMut(usize, Count)) {
        for (group, used) in self.used.iter().enumerate() {
            let mut used = used.load(Ordering::Relaxed);
            while used != 0 {
                let slot = group * 64 + used.trailing_zeros() as usize;
                used &= used - 1;
                let Some(word) = slots.get(slot) else { continue };
                // Acquire: see `enter`.
                let count = Count(word.load(order!("condition.count", Acquire)));
                if !count.is_empty() {
                    f(slot, count);
                }
            }
        }
    }

    /// Takes a token if there is one for this call.
    fn take(&self, slots: &[AtomicU64], call: &mut Call) -> bool {
        if !Central(self.central.load(Ordering::Relaxed)).lets(call.epoch) {
            return false;
        }
        change(slots, call.owner, 0, 1);
        loop {
            let seen = Central(self.central.load(Ordering::Relaxed));
            if !seen.lets(call.epoch) {
                change(slots, call.owner, 0, -1);
                return false;
            }
            let next = seen.with_tokens(seen.tokens() - 1);
            if exchange(&self.central, seen.0, next.0, Ordering::Relaxed) {
                break;
            }
        }
        call.state = State::Woken;
        change(slots, call.owner, -1, 0);
        self.depart(slots);
        true
    }

    /// Goes without a token. If one was there for nobody else, it was for this call.
    fn give_up(&self, slots: &[AtomicU64], call: &mut Call) -> Outcome {
        call.state = State::Gone;
        change(slots, call.owner, -1, 0);
        let surplus = self.depart(slots);
        if surplus.is_some_and(|epoch| epoch != call.epoch) { Outcome::Notified } else { Outcome::TimedOut }
    }

    /// Makes it known that somebody waits no more, and removes the tokens that nobody waits for. The epoch of those.
    fn depart(&self, slots: &[AtomicU64]) -> Option<u32> {
        loop {
            // Acquire: those for whom there are tokens in this word are counted.
            let seen = Central(self.central.load(order!("condition.depart.look", Acquire)));
            let mut waiting = 0;
            if seen.tokens() > 0 {
                self.each_used(slots, |_, count| waiting += count.waiting());
            }
            let tokens = seen.tokens().min(waiting);
            let next = seen.with_tokens(tokens).next_move();
            // Release: who counts after it has read this does not count the one that goes. (A token that one of those counted
            // here takes meanwhile changes the word.)
            if exchange(&self.central, seen.0, next.0, order!("condition.depart", Release)) {
                return (tokens < seen.tokens()).then(|| seen.epoch());
            }
        }
    }

    /// Gives the tokens of dead owners to others. Those that died waiting are left to whoever wants to wake them: so a probe
    /// costs nothing while nobody is just being woken.
    fn probe<E: Environment>(&self, slots: &[AtomicU64], environment: &E) {
        self.each_used(slots, |slot, count| {
            if count.woken() > 0 && !is_alive(environment, slot, count) {
                self.notify(slots, environment, count.woken() as u32);
                forget(&slots[slot], count);
            }
        });
    }
}

/// Clears the word of a dead owner, unless a newcomer has it.
fn forget(word: &AtomicU64, count: Count) {
    exchange(word, count.0, Count::empty(count.generation()).0, Ordering::Relaxed);
}

fn exchange(word: &AtomicU64, from: u64, to: u64, success: Ordering) -> bool {
    word.compare_exchange(from, to, success, Ordering::Relaxed).is_ok()
}

/// The word of `owner`'s slot, and which one it is.
fn word_of(slots: &[AtomicU64], owner: Owner) -> Option<(usize, &AtomicU64)> {
    let at = owner.slot()? as usize;
    slots.get(at).map(|word| (at, word))
}

/// Counts so many calls of `owner` more or fewer.
fn change(slots: &[AtomicU64], owner: Owner, waiting: i64, woken: i64) {
    let Some((_, word)) = word_of(slots, owner) else { return };
    loop {
        let seen = Count(word.load(Ordering::Relaxed));
        // Otherwise something has overwritten the word; there is nothing of ours to count in it.
        let Some(next) = seen.plus(waiting, woken).filter(|_| seen.generation() == owner.generation()) else { return };
        if exchange(word, seen.0, next.0, Ordering::Relaxed) {
            return;
        }
    }
}

fn is_alive<E: Environment>(environment: &E, slot: usize, count: Count) -> bool {
    let owner = Owner::new(slot as u32, count.generation());
    owner == environment.me() || environment.is_alive(owner)
}

#[cfg(all(test, not(loom)))]
mod tests;
