//! One handle of a channel: counted among its peers as long as it lives, in whichever process it is used.
//!
//! | `counted_as` | The process in the segment | Meaning |
//! | --- | --- | --- |
//! | w | w | counted |
//! | w | another, or none yet | a copy of the process that the program forked, before its first use of the handle |
//!
//! A copy counts its handles when it first uses them, and takes nothing off anybody's count when it drops them unused.

mod looks;

use crate::attention::Attention;
use crate::channel::{Channel, Flavour};
use crate::here::Here;
use multiprocess_core::peers::{Found, Side};
use multiprocess_core::ring::{Incoming, Receiving, Refused, SHORT, Sending};
use multiprocess_core::{Environment, Owner, Word};
use multiprocess_shm::Patience;
use multiprocess_sys::{Error, ErrorKind};
use serde::{Deserializer, Serializer};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed};

/// How often a receiver looks at the cell of the next message before it does anything else. On one processor that is lost, so it
/// takes far less than a wake-up does.
const LOOKS: u32 = 16;

/// How often the sender of a short message that finds no room pauses before it looks again, at the most; and for how many messages
/// there must be room in all for each pause. A receiver that frees cell after cell is slowed down by one that looks at each.
const GIVES_WAY: usize = 32;
const ROOM_PER_PAUSE: usize = 4;

/// How many short messages a sender sends behind a long one before it expects only short ones.
const LONG_AHEAD: u64 = 16;

/// Which sides of the channel a handle is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sides {
    Sender = 1,
    Receiver = 2,
    Both = 3,
}

impl Sides {
    fn each(self) -> impl Iterator<Item = Side> {
        let sends = (self != Sides::Receiver).then_some(Side::Senders);
        let receives = (self != Sides::Sender).then_some(Side::Receivers);
        sends.into_iter().chain(receives)
    }
}

/// Why nothing was sent.
pub(crate) enum Unsent {
    /// No room, and no more patience.
    Full,
    /// Nobody is there to receive it, or the queue was closed.
    Disconnected,
    /// It cannot be sent.
    Failed(Error),
}

/// Why nothing was received.
pub(crate) enum Unreceived {
    /// No message, and no more patience.
    Empty,
    /// No message, and none will come.
    Disconnected,
    /// A message came that cannot be read.
    Failed(Error),
}

/// A handle that is counted.
///
/// Who uses thousands of them waits for each line of memory that a message needs: what that is comes first, and is together.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct End {
    /// Who this process is in the segment; zero in a copy that has not taken part yet.
    me_word: &'static AtomicU64,
    /// Under which of its values this handle was counted.
    counted_as: AtomicU64,
    /// How many messages it sends until it looks at the clock.
    clock_pause: AtomicU64,
    /// How many ends of processes were known to this one when a sender looked last.
    ends_seen: AtomicU64,
    channel: Channel,
    /// How many more short messages are sent before a long one is no longer expected.
    long_ahead: AtomicU64,
    /// When a sender looks again whether anybody receives, in milliseconds.
    next_look: AtomicU64,
    /// A peer on the other side that was alive when somebody looked last, as a [`Word`].
    likely: AtomicU64,
    /// The last tick at which calls without patience looked, and how often: one number.
    looks: AtomicU64,
    sides: Sides,
}

impl End {
    /// One more handle of the channel.
    pub(crate) fn new(channel: Channel, sides: Sides) -> End {
        let me_word = channel.segment().me_word();
        let zero = || AtomicU64::new(0);
        let end = End {
            channel,
            sides,
            me_word,
            counted_as: zero(),
            likely: zero(),
            next_look: zero(),
            clock_pause: zero(),
            ends_seen: zero(),
            long_ahead: zero(),
            looks: zero(),
        };
        end.me();
        end
    }

    /// Another handle of the same channel, in this process.
    pub(crate) fn split(&self, sides: Sides) -> End {
        self.me();
        End::new(self.channel.clone(), sides)
    }

    #[inline]
    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// This process, among whose handles this one is counted.
    #[inline]
    pub(crate) fn me(&self) -> Owner {
        let word = self.me_word.load(Acquire);
        if word != 0 && word == self.counted_as.load(Relaxed) { Word(word).owner() } else { self.me_anew() }
    }

    #[cold]
    fn me_anew(&self) -> Owner {
        let me = self.channel.segment().me();
        let word = Word::held_by(me).0;
        // One of several threads counts it.
        if self.counted_as.swap(word, Relaxed) != word {
            for side in self.sides.each() {
                self.channel.peers().join(self.channel.table(), side, me);
            }
        }
        me
    }

    /// Sends `head` and `body`, one behind the other, as one message.
    #[inline]
    pub(crate) fn send(&self, head: &[u8], body: &[u8], patience: impl Fn() -> Patience) -> Result<(), Unsent> {
        let me = self.begin_sending()?;
        let sent = self.put(me, head, body, patience);
        self.end_sending(me, sent.is_ok());
        sent
    }

    /// Whether one of the last messages that were sent did not fit into its cell, so that the next one may not either.
    #[inline]
    pub(crate) fn expects_long(&self) -> bool {
        self.long_ahead.load(Relaxed) > 0
    }

    /// A message of so many bytes is sent, where a long one was expected or has come.
    pub(crate) fn sent_where_long_is_expected(&self, length: usize) {
        let ahead = if length > SHORT { LONG_AHEAD } else { self.long_ahead.load(Relaxed).saturating_sub(1) };
        self.long_ahead.store(ahead, Relaxed);
    }

    /// Sends the first `length` bytes of `room` as one message.
    #[inline]
    pub(crate) fn send_short(
        &self,
        room: &[u8; SHORT],
        length: usize,
        patience: impl Fn() -> Patience,
    ) -> Result<(), Unsent> {
        let (me, channel) = (self.begin_sending()?, &self.channel);
        let sent = match channel.ring().send_now(room, length, &Here { segment: channel.segment(), me }) {
            true => Ok(()),
            false => {
                if !patience().is_none() {
                    self.give_way();
                }
                self.put(me, &[], &room[..length], patience)
            }
        };
        self.end_sending(me, sent.is_ok());
        sent
    }

    /// Sends about `count` short messages, if anybody is there to receive them, without waiting. Not for a joinable queue.
    #[inline]
    pub(crate) fn send_burst<R>(
        &self,
        count: usize,
        burst: impl FnOnce(&mut Sending<'_, Here<'_>>) -> R,
    ) -> Result<R, Unsent> {
        let (me, channel) = (self.begin_sending()?, &self.channel);
        let here = Here { segment: channel.segment(), me };
        let sent = burst(&mut channel.ring().sending(&here, count as u64));
        self.end_sending(me, true);
        Ok(sent)
    }

    /// Takes up to `count` messages, without waiting. Not for a joinable queue.
    #[inline]
    pub(crate) fn receive_burst<R>(&self, count: usize, burst: impl FnOnce(&mut Receiving<'_, Here<'_>>) -> R) -> R {
        let (me, channel) = (self.me(), &self.channel);
        burst(&mut channel.ring().receiving(&Here { segment: channel.segment(), me }, count as u64))
    }

    /// This process, which may send if anybody is there to receive it.
    #[inline]
    fn begin_sending(&self) -> Result<Owner, Unsent> {
        let (me, peers) = (self.me(), self.channel.peers());
        if !peers.takes_messages() || (self.is_time_to_look() && self.is_alone(Side::Receivers, me)) {
            return Err(Unsent::Disconnected);
        }
        if self.channel.flavour() != Flavour::Plain && !self.enter_queue(me) {
            return Err(Unsent::Disconnected);
        }
        Ok(me)
    }

    #[inline]
    fn end_sending(&self, me: Owner, is_sent: bool) {
        if self.channel.flavour() != Flavour::Plain {
            self.leave_queue(me, is_sent);
        }
    }

    /// Marks this process as one that sends into a queue; `false`: that is closed.
    fn enter_queue(&self, me: Owner) -> bool {
        if !self.channel.peers().begin_sending(self.channel.table(), me) {
            // Who saw the mark may sleep until it is gone.
            self.wake_all();
            return false;
        }
        if self.channel.flavour() == Flavour::Joinable {
            self.channel.tasks().put();
        }
        true
    }

    fn leave_queue(&self, me: Owner, is_sent: bool) {
        let peers = self.channel.peers();
        if self.channel.flavour() == Flavour::Joinable && !is_sent {
            self.channel.tasks().less(self.channel.segment());
        }
        peers.end_sending(self.channel.table(), me);
        if peers.is_closed() {
            // Also if the message is there: it has woken one of those who wait for the mark to be gone.
            self.wake_all();
        }
    }

    #[cold]
    fn give_way(&self) {
        let pauses = (self.channel.capacity() / ROOM_PER_PAUSE).min(GIVES_WAY);
        (0..pauses).for_each(|_| std::hint::spin_loop());
    }

    /// Sends a message that may have to wait, or is not encoded in room for a short one.
    #[inline(never)]
    fn put(&self, me: Owner, head: &[u8], body: &[u8], patience: impl Fn() -> Patience) -> Result<(), Unsent> {
        let (channel, mut failure) = (&self.channel, None);
        let here = Here { segment: channel.segment(), me };
        let mut attention = Attention::new(self, Side::Senders, patience);
        let grow = |offset, length| channel.reserve(offset, length, &mut failure);
        match channel.ring().send(head, body, &here, &mut attention, grow) {
            Ok(()) => Ok(()),
            Err(refused) => Err(unsent(refused, attention.is_over(), failure, || {
                (head.len().saturating_add(body.len()), channel.ring().plan().message_max())
            })),
        }
    }

    /// Hands the next message to `read`, which should do nothing but copy it, unless it is a short one.
    #[inline]
    pub(crate) fn receive(
        &self,
        patience: impl Fn() -> Patience,
        read: impl FnOnce(&Incoming<'_>),
    ) -> Result<(), Unreceived> {
        let (me, channel) = (self.me(), &self.channel);
        if channel.flavour() == Flavour::Joinable {
            channel.tasks().take(channel.table(), me);
        }
        let looks = || if patience().is_none() { 0 } else { LOOKS };
        match channel.ring().receive_now(&Here { segment: channel.segment(), me }, looks, read) {
            Ok(()) => Ok(()),
            Err(read) => self.receive_later(me, patience, read),
        }
    }

    /// The same where no message was found.
    #[cold]
    fn receive_later(
        &self,
        me: Owner,
        patience: impl Fn() -> Patience,
        read: impl FnOnce(&Incoming<'_>),
    ) -> Result<(), Unreceived> {
        let channel = &self.channel;
        let mut attention = Attention::new(self, Side::Receivers, patience);
        if channel.ring().receive(&Here { segment: channel.segment(), me }, &mut attention, read).is_some() {
            return Ok(());
        }
        if channel.flavour() == Flavour::Joinable {
            channel.tasks().give_back(channel.table(), me);
        }
        Err(if attention.is_over() { Unreceived::Disconnected } else { Unreceived::Empty })
    }

    /// One of the tasks that this process took is done. `false`: there is none.
    pub(crate) fn task_done(&self) -> bool {
        let (me, channel) = (self.me(), &self.channel);
        channel.tasks().done(channel.table(), me, channel.segment())
    }

    /// A message that was taken is nothing anybody could work on: if it was a task, it is done.
    #[cold]
    pub(crate) fn message_lost(&self) {
        if self.channel.flavour() == Flavour::Joinable {
            self.task_done();
        }
    }

    /// Whether nobody is on `side`, by asking for the life of one who should be.
    pub(crate) fn is_alone(&self, side: Side, me: Owner) -> bool {
        let (peers, table) = (self.channel.peers(), self.channel.table());
        if peers.has(table, side, me) {
            return false;
        }
        let likely = Word(self.likely.load(Relaxed)).owner();
        match peers.look(table, side, likely, self.channel.segment()) {
            Found::Somebody(somebody) => {
                self.likely.store(Word::held_by(somebody).0, Relaxed);
                false
            }
            Found::Unsure => false,
            Found::Nobody => {
                self.wake_all();
                true
            }
        }
    }

    /// Nothing goes in any more.
    pub(crate) fn close(&self) {
        self.me();
        if self.channel.peers().close() {
            self.wake_all();
        }
    }

    pub(crate) fn wake_all(&self) {
        self.channel.ring().wake_all(self.channel.segment());
    }

    /// What a handle called `name` shows of itself.
    pub(crate) fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let (ring, capacity) = (self.channel.ring(), self.channel.capacity());
        let mut debug = f.debug_struct(name);
        debug.field("len", &ring.len()).field("capacity", &capacity);
        if self.channel.peers().is_closed() {
            debug.field("closed", &true);
        }
        if self.channel.flavour() == Flavour::Joinable {
            debug.field("unfinished", &self.channel.tasks().unfinished());
        }
        debug.finish_non_exhaustive()
    }

    /// Writes the handle into a message, where it counts until it is read.
    pub(crate) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.me();
        let (peers, table) = (self.channel.peers(), self.channel.table());
        let enter = |flight| self.sides.each().for_each(|side| peers.join(table, side, flight));
        self.channel.segment().serialize_in_flight(self.sides as u32, enter, serializer)
    }

    /// Reads a handle out of a message.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, sides: Sides) -> Result<End, D::Error> {
        multiprocess_shm::Segment::deserialize_in_flight(deserializer, |segment| {
            Channel::arrived(segment).map(|channel| End::new(channel, sides))
        })
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let word = self.me_word.load(Acquire);
        if word == 0 || word != self.counted_as.load(Relaxed) {
            return;
        }
        let (me, channel) = (Word(word).owner(), &self.channel);
        let mut is_last = false;
        for side in self.sides.each() {
            is_last |= channel.peers().leave(channel.table(), side, me, channel.segment());
        }
        if is_last {
            self.wake_all();
        }
    }
}

#[cold]
fn unsent(refused: Refused, is_over: bool, failure: Option<Error>, sizes: impl FnOnce() -> (usize, u64)) -> Unsent {
    match refused {
        Refused::Full if is_over => Unsent::Disconnected,
        Refused::Full => Unsent::Full,
        Refused::TooLarge => {
            let (length, most) = sizes();
            let text = format!("sending a message of {length} bytes, where a channel takes {most}");
            Unsent::Failed(Error::new(ErrorKind::TooLarge, text))
        }
        Refused::NoMemory => {
            let error = Error::new(ErrorKind::Os, "sending a message: there is no memory to put it into");
            Unsent::Failed(
                failure.map_or_else(|| error, |cause| Error::new(cause.kind(), "sending a message").with_source(cause)),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of several who sleep because a message may still come, the message wakes one.
    #[test]
    fn the_last_message_of_a_closed_queue_wakes_all_who_waited_for_it() {
        let end = End::new(Channel::new(1, Flavour::Queue).unwrap(), Sides::Both);
        let ring = end.channel().ring();
        assert!(end.send(&[], &[1], Patience::none).is_ok());
        let announced = AtomicU64::new(0);
        // Asked for when there is no room, in the middle of sending.
        let patience = || {
            assert!(end.receive(Patience::none, |_| ()).is_ok());
            end.close();
            announced.store(ring.announce_sender().1, Relaxed);
            Patience::none()
        };
        assert!(end.send(&[], &[2], patience).is_ok());
        assert_ne!(ring.announce_sender().1, announced.into_inner());
    }
}
