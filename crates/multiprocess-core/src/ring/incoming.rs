//! A message in the hands of its receiver.

use super::Ring;
use super::plan::INLINE_WORDS;
use super::pool::Chain;
use core::cell::Cell;
use core::mem::MaybeUninit;

/// A message that was taken, while its receiver reads it.
#[derive(Debug)]
pub struct Incoming<'a> {
    ring: &'a Ring<'a>,
    length: u64,
    damaged: bool,
    words: &'a [u64; INLINE_WORDS],
    /// Where it lies if it is not in `words`.
    chain: Chain,
    /// A place in the chain: how many blocks are before this one.
    place: Cell<(u64, u64)>,
}

impl<'a> Incoming<'a> {
    #[inline]
    pub(super) fn new(
        ring: &'a Ring<'a>,
        length: u64,
        damaged: bool,
        words: &'a [u64; INLINE_WORDS],
        chain: Chain,
    ) -> Incoming<'a> {
        Incoming { ring, length, damaged, words, chain, place: Cell::new((0, chain.first)) }
    }

    /// Whether it has blocks.
    #[inline]
    pub(super) fn is_long(&self) -> bool {
        self.chain.count > 0
    }

    pub(super) fn chain(&self) -> Chain {
        self.chain
    }

    /// The bytes of the message.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// ring.send_now(&[7; SHORT], 3, &Alone);
    /// assert_eq!(ring.receive_now(&Alone, || 0, |message| message.len()).ok(), Some(3));
    /// # });
    /// ```
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "an empty message is a message")]
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether what describes it in the ring was overwritten by a process that does not keep to the protocol. Then its
    /// length is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// ring.send_now(&[7; SHORT], 3, &Alone);
    /// assert_eq!(ring.receive_now(&Alone, || 0, |message| message.is_damaged()).ok(), Some(false));
    /// # });
    /// ```
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// All bytes of a message that is short enough to lie in its cell. None of a longer one, and of a damaged one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// ring.send_now(&[7; SHORT], 3, &Alone);
    /// assert_eq!(ring.receive_now(&Alone, || 0, |message| message.short() == Some(&[7; 3])).ok(), Some(true));
    /// # });
    /// ```
    #[inline]
    pub fn short(&self) -> Option<&[u8]> {
        (!self.is_long() && !self.damaged).then(|| self.inline())
    }

    #[inline]
    fn inline(&self) -> &[u8] {
        let length = (self.length as usize).min(size_of_val(self.words));
        // SAFETY: so many bytes are there, initialised, and borrowed for as long.
        unsafe { core::slice::from_raw_parts(self.words.as_ptr().cast(), length) }
    }

    /// Copies the bytes from `offset` on into `into`. Cheapest from the beginning to the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// ring.send_now(&[7; SHORT], 3, &Alone);
    /// let mut last = [0; 2];
    /// assert!(ring.receive_now(&Alone, || 0, |message| message.copy_to(1, &mut last)).is_ok());
    /// assert_eq!(last, [7; 2]);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If the message does not have so many bytes.
    #[inline]
    pub fn copy_to(&self, offset: usize, into: &mut [u8]) {
        let into: *mut [u8] = into;
        // SAFETY: the same bytes, for as long; all that is done with them is to write initialised ones.
        self.copy_to_uninit(offset, unsafe { &mut *(into as *mut [MaybeUninit<u8>]) });
    }

    /// Copies the bytes from `offset` on into `into`, all of which is initialised then: memory that nobody has to clear
    /// before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use multiprocess_core::ring::{Alone, SHORT, example};
    /// # example(|ring| {
    /// ring.send_now(&[7; SHORT], 3, &Alone);
    /// let mut bytes = Vec::with_capacity(3);
    /// let room = &mut bytes.spare_capacity_mut()[..3];
    /// assert!(ring.receive_now(&Alone, || 0, |message| message.copy_to_uninit(0, room)).is_ok());
    /// // SAFETY: three bytes were written.
    /// unsafe { bytes.set_len(3) };
    /// assert_eq!(bytes, [7; 3]);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If the message does not have so many bytes.
    #[inline]
    pub fn copy_to_uninit(&self, offset: usize, into: &mut [MaybeUninit<u8>]) {
        let end = offset.checked_add(into.len());
        assert!(end.is_some_and(|end| end <= self.len()), "a message is read only as far as it goes");
        if self.is_long() {
            return self.copy_blocks(offset as u64, into);
        }
        into.write_copy_of_slice(&self.inline()[offset..offset + into.len()]);
    }

    fn copy_blocks(&self, offset: u64, mut into: &mut [MaybeUninit<u8>]) {
        let pool = self.ring.pool(self.chain.class);
        let (mut before, mut block) = self.place.get();
        let (mut skip, mut within) = (offset / pool.size(), offset % pool.size());
        if skip < before {
            (before, block) = (0, self.chain.first);
        }
        skip -= before;
        while !into.is_empty() {
            if skip == 0 {
                let (now, later) = into.split_at_mut(into.len().min((pool.size() - within) as usize));
                self.ring.whole.copy_out(pool.offset(block) + within, now);
                (into, within) = (later, 0);
                if into.is_empty() {
                    break;
                }
            }
            skip = skip.saturating_sub(1);
            // The links were right when the message was taken. If somebody has changed them, the bytes are any.
            (before, block) = (before + 1, pool.next(block).unwrap_or(self.chain.first));
        }
        self.place.set((before, block));
    }
}
