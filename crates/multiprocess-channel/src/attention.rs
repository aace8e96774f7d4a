//! How long a call waits for a message or for room: as long as its patience lasts, and somebody is there to wait for.
//!
//! | When | Looks at | Finds |
//! | --- | --- | --- |
//! | each step, and before a sleep | the flags | a last peer that left in good order, and a queue that was closed; both wake whoever sleeps |
//! | a probe: before the first sleep, then by elapsed time | a live peer | a last peer that was killed |
//! | in a call without patience, but a few times for each tick of the clock | a live peer | the same |
//!
//! Once it is over there is one more look at the ring: what was sent before the last sender went is there by then. That step is
//! a probe, because it may stand behind what a killed sender left unfinished.

use crate::channel::Flavour;
use crate::end::End;
use multiprocess_core::atomics::AtomicU64;
use multiprocess_core::peers::Side;
use multiprocess_core::{Step, Wait};
use multiprocess_shm::Patience;

/// The patience of one call on a channel, made by `P` when it is needed first.
pub(crate) struct Attention<'a, P> {
    end: &'a End,
    /// Of the caller.
    side: Side,
    make: P,
    patience: Option<Patience>,
    is_over: bool,
}

impl<'a, P: Fn() -> Patience> Attention<'a, P> {
    #[inline]
    pub(crate) fn new(end: &'a End, side: Side, make: P) -> Attention<'a, P> {
        Attention { end, side, make, patience: None, is_over: false }
    }

    #[inline]
    fn patience(&mut self) -> &mut Patience {
        self.patience.get_or_insert_with(|| match self.side {
            Side::Senders => (self.make)(),
            // It has watched the cell of the next message.
            Side::Receivers => (self.make)().after_a_watch(),
        })
    }

    /// Whether there is nobody to wait for.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// Whether there is nobody for a caller on `side` to wait for; `proves` asks for proof that somebody lives.
pub(crate) fn finds_nobody(end: &End, side: Side, proves: bool) -> bool {
    let (channel, peers) = (end.channel(), end.channel().peers());
    let is_said = match side {
        Side::Senders => !peers.takes_messages(),
        Side::Receivers => !peers.gives_messages(),
    };
    if is_said {
        if side == Side::Senders || peers.is_gone(Side::Senders) {
            return true;
        }
        if peers.is_closed() && peers.is_quiet(channel.table(), channel.segment()) {
            return true;
        }
    }
    proves && end.is_alone(side.other(), end.me())
}

impl<P: Fn() -> Patience> Wait for Attention<'_, P> {
    #[inline]
    fn step(&mut self) -> Step {
        if self.is_over {
            return Step::TimedOut;
        }
        let step = self.patience().step();
        // A proof costs system calls, and who has no patience may call again at once.
        let proves = step == Step::Probe && (!self.patience().is_none() || self.end.may_look_again());
        if finds_nobody(self.end, self.side, proves) {
            self.is_over = true;
            return Step::Probe;
        }
        step
    }

    /// A task does not count as put while its sender sleeps, nor as taken while its receiver does.
    fn sleep(&mut self, word: &AtomicU64, expected: u64) {
        // Who left or closed after the step and before the announcement has woken nobody.
        if finds_nobody(self.end, self.side, false) {
            return;
        }
        let channel = self.end.channel();
        if channel.flavour() != Flavour::Joinable {
            return self.patience().sleep(word, expected);
        }
        let (tasks, table, me) = (channel.tasks(), channel.table(), self.end.me());
        match self.side {
            Side::Senders => _ = tasks.less(channel.segment()),
            Side::Receivers => tasks.give_back(table, me),
        }
        self.patience().sleep(word, expected);
        match self.side {
            Side::Senders => tasks.put(),
            Side::Receivers => tasks.take(table, me),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Channel;
    use crate::end::Sides;

    /// The end of sending comes between the last look and the announcement: the wake-up was too early.
    #[test]
    fn nobody_sleeps_on_when_the_end_came_before_the_announcement() {
        for closes in [false, true] {
            let channel = Channel::new(1, Flavour::Queue).unwrap();
            let (sender, receiver) = (End::new(channel.clone(), Sides::Sender), End::new(channel, Sides::Receiver));
            let mut attention = Attention::new(&receiver, Side::Receivers, Patience::forever);
            while attention.step() != Step::Sleep {}
            if closes {
                sender.close();
            } else {
                drop(sender);
            }
            let (word, announced) = receiver.channel().ring().announce_receiver();
            attention.sleep(word, announced);
            // Each sleep takes a slice, and the next one is longer.
            assert_eq!(attention.patience().next_slice(), Patience::forever().next_slice());
            assert_eq!((attention.step(), attention.step()), (Step::Probe, Step::TimedOut));
            assert!(attention.is_over());
        }
    }
}
