//! Who still has an end of a channel: senders and receivers, counted by process, right however a process went.
//!
//! Each slot of the segment has a [`Peer`], four words that **only the process in that slot writes**. Each word is a count in its
//! lower half and the generation of the writer in its upper half:
//!
//! | Generation | Count | Its process | Meaning |
//! | --- | :-: | --- | --- |
//! | the slot's present one | n > 0 | alive | it has n handles of this side (or sends n messages, or holds n tasks) |
//! | the slot's present one | 0 | any | it has none (any more) |
//! | the slot's present one | n > 0 | dead | it had n: they count no more |
//! | another one | any | | left by a dead process that had the slot before: counts no more |
//!
//! So nothing has to be put right after a death. A handle on its way in a message has a slot of its own, whose words its sender
//! writes before it sends it, and which lives as long as the message is there.
//!
//! `state` is what everybody looks at in each call:
//!
//! | Flag | Meaning | Set by |
//! | --- | --- | --- |
//! | `SENDERS_GONE` | at some moment no live process had a sender | who saw it |
//! | `RECEIVERS_GONE` | the same for receivers | who saw it |
//! | `CLOSED` | nothing more goes in | whoever closes the queue |
//!
//! Once nobody has a sender nobody can get one, since handles are copied from handles. The one exception is a copy of a process
//! that the program forked: its handles count from their first use, and then the flag goes off again.
//!
//! # Joining and leaving
//!
//! Joining: 1. `reach` is above the slot; 2. the count in the own word goes up; 3. `arrivals` goes up; 4. is the flag on? Then off
//! with it. Leaving: 1. the count goes down; 2. if that was the process's last, look whether anybody is left; 3. if not, set the flag
//! (the caller then wakes whoever sleeps). Looking: read `arrivals`, then the words of all slots, then `arrivals` again.
//!
//! *Race: the last sender moves while somebody looks.* A process sends its only sender to another one and drops its own: a look that
//! passes the new place before and the old one after would find nobody. But the new place joined before the old one left, so the
//! looker who sees the old place empty also sees `arrivals` changed, and looks again.
//!
//! *Race: two leave at the same time.* Both have lowered their counts before they look, with a fence in between: one of them sees
//! the other's zero. *Race: a copy joins while the flag is being set.* It has raised `arrivals` before it looks at the flag, and the
//! other one looks at `arrivals` once more after setting it; fences see to it that one of them sees the other.
//!
//! *Death.* In the middle of joining: the process is dead, its count says nothing. In the middle of leaving: the flag is not set, and
//! whoever waits finds out by looking (a proof of death costs a system call, so a wait looks now and then). A message with a
//! handle that is never read: its slot is free when the kernel drops it.
//!
//! # Closing
//!
//! After [`close`](Peers::close) no message goes in, and receivers take what is there and then know the end. *Race:* a sender looks at
//! the flag, the queue is closed, receivers find it empty and go, and then the message is there. So who sends into a queue that
//! can be closed says so first: raise `sending`, fence, look at the flag; who finds the queue closed and empty does: fence, look
//! at all `sending` words, and goes only if all are zero. One of the fences comes first: the sender sees the flag, or the
//! receiver waits for the message. *Death* of a sender in the middle: it does not live, so it is not waited for.

mod table;
#[cfg(all(test, not(loom)))]
mod tests;

pub use table::{Count, Peer, SPREAD, Table};

use crate::atomics::{AtomicU64, Ordering::Relaxed, fence, light_fence, order};
use crate::owner::Owner;
use crate::wait::Environment;

const SENDERS_GONE: u64 = 1;
const RECEIVERS_GONE: u64 = 2;
const CLOSED: u64 = 4;
/// How often a look that was overtaken is made again before it gives up with "somebody may be there".
const ROUNDS: u32 = 16;

/// One of the two sides of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Those who send.
    Senders,
    /// Those who receive.
    Receivers,
}

impl Side {
    const fn gone(self) -> u64 {
        match self {
            Side::Senders => SENDERS_GONE,
            Side::Receivers => RECEIVERS_GONE,
        }
    }

    const fn count(self) -> Count {
        match self {
            Side::Senders => Count::Senders,
            Side::Receivers => Count::Receivers,
        }
    }

    /// The other one.
    pub const fn other(self) -> Side {
        match self {
            Side::Senders => Side::Receivers,
            Side::Receivers => Side::Senders,
        }
    }
}

/// What all peers have in common; zeros are a channel that nobody has yet.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Peers {
    /// The flags.
    state: AtomicU64,
    /// How often somebody joined.
    arrivals: AtomicU64,
    /// All slots from here on have words of zeros.
    reach: AtomicU64,
}

/// What a look at the peers found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// This one lives and has a handle of the side.
    Somebody(Owner),
    /// Nobody had one, at one moment of the look.
    Nobody,
    /// Peers came and went all the time.
    Unsure,
}

impl Peers {
    /// Peers of a channel that nobody has yet.
    pub fn new() -> Peers {
        Peers::default()
    }

    /// Counts one more handle of `side` for `who`: the calling process, or a handle that it is about to send.
    pub fn join(&self, table: Table<'_>, side: Side, who: Owner) {
        let Some(slot) = who.slot() else { return };
        self.reach.fetch_max(u64::from(slot) + 1, Relaxed);
        table.raise(who, side.count());
        // Release: pairs with `peers.arrivals`; who sees this sees the count, and who sees the place that the handle came from empty
        // sees this.
        self.arrivals.fetch_add(1, order!("peers.arrive", Release));
        // Pairs with `peers.gone`.
        light_fence!("peers.join");
        if self.state.load(Relaxed) & side.gone() != 0 {
            self.state.fetch_and(!side.gone(), Relaxed);
        }
    }

    /// Takes one handle of `side` off the calling process's count. `true` if nobody has one now: then whoever sleeps is to be woken.
    pub fn leave(&self, table: Table<'_>, side: Side, who: Owner, world: &impl Environment) -> bool {
        if table.lower(who, side.count()) != Some(0) {
            return false;
        }
        // Of two who leave at once, one sees the other's zero.
        light_fence!("peers.leave");
        self.look(table, side, Owner::NOBODY, world) == Found::Nobody
    }

    /// Whether nobody has a handle of `side`, as far as somebody has found out. What they have sent is there for who sees it.
    #[inline]
    pub fn is_gone(&self, side: Side) -> bool {
        // Acquire: pairs with `peers.flag`.
        self.state.load(order!("peers.is_gone", Acquire)) & side.gone() != 0
    }

    /// Whether nothing goes in any more.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.state.load(order!("peers.is_closed", Acquire)) & CLOSED != 0
    }

    /// Whether a message can go in: it is not closed, and nobody has found out that there is nobody to receive it.
    #[inline]
    pub fn takes_messages(&self) -> bool {
        self.state.load(Relaxed) & (CLOSED | RECEIVERS_GONE) == 0
    }

    /// Whether a message may still come: it is not closed, and nobody has found out that there is nobody to send one.
    #[inline]
    pub fn gives_messages(&self) -> bool {
        self.state.load(Relaxed) & (CLOSED | SENDERS_GONE) == 0
    }

    /// Looks whether a live process has a handle of `side`, first at `likely`; if not, says so to everybody.
    pub fn look(&self, table: Table<'_>, side: Side, likely: Owner, world: &impl Environment) -> Found {
        for _ in 0..ROUNDS {
            // Acquire: pairs with `peers.arrive`.
            let before = self.arrivals.load(order!("peers.arrivals", Acquire));
            if let Some(somebody) = table.find(side.count(), self.reach(table), likely, world) {
                return Found::Somebody(somebody);
            }
            // Whoever was seen gone or dead had joined elsewhere before that, if it has sent its handle on.
            if self.arrivals.load(Relaxed) == before && self.say_gone(side, before) {
                return Found::Nobody;
            }
        }
        Found::Unsure
    }

    /// Sets the flag; `false` if somebody has joined meanwhile.
    fn say_gone(&self, side: Side, arrivals: u64) -> bool {
        // Release: pairs with `peers.is_gone`; what the last one did is seen by whoever sees the flag.
        self.state.fetch_or(side.gone(), order!("peers.flag", Release));
        // Pairs with `peers.join`.
        light_fence!("peers.gone");
        if self.arrivals.load(Relaxed) == arrivals {
            return true;
        }
        self.state.fetch_and(!side.gone(), Relaxed);
        false
    }

    /// From now on nothing goes in. Whoever sleeps is to be woken. `false` if it was closed before.
    pub fn close(&self) -> bool {
        // Release: pairs with `peers.is_closed`; what the closer did before is seen by whoever sees the end.
        self.state.fetch_or(CLOSED, order!("peers.close", Release)) & CLOSED == 0
    }

    /// Begins to send a message into what may be closed; `false`, and nothing has begun, if it is.
    #[inline]
    pub fn begin_sending(&self, table: Table<'_>, me: Owner) -> bool {
        table.raise(me, Count::Sending);
        // Pairs with `peers.drained`.
        light_fence!("peers.sending");
        if self.state.load(Relaxed) & CLOSED == 0 {
            return true;
        }
        self.end_sending(table, me);
        false
    }

    /// The message is there, or will not come.
    #[inline]
    pub fn end_sending(&self, table: Table<'_>, me: Owner) {
        table.lower(me, Count::Sending);
    }

    /// Whether no message is being sent, once the queue was seen closed: then those that are there are the last ones.
    pub fn is_quiet(&self, table: Table<'_>, world: &impl Environment) -> bool {
        // Pairs with `peers.sending`.
        fence!("peers.drained");
        table.find(Count::Sending, self.reach(table), Owner::NOBODY, world).is_none()
    }

    /// A live process that counts something there.
    pub(crate) fn find(&self, table: Table<'_>, count: Count, world: &impl Environment) -> Option<Owner> {
        table.find(count, self.reach(table), Owner::NOBODY, world)
    }

    /// Whether `who` has a handle of `side`; not whether it lives.
    #[inline]
    pub fn has(&self, table: Table<'_>, side: Side, who: Owner) -> bool {
        table.has(who, side.count())
    }

    /// How many processes and handles on their way have something on this side, dead ones included. For reports.
    pub fn processes(&self, table: Table<'_>, side: Side) -> usize {
        (0..self.reach(table)).filter(|slot| table.count(*slot, side.count()) > 0).count()
    }

    /// The number of slots to look at; a damaged number is cut to those that exist.
    fn reach(&self, table: Table<'_>) -> u32 {
        u32::try_from(self.reach.load(Relaxed)).map_or(table.slots(), |reach| reach.min(table.slots()))
    }
}
