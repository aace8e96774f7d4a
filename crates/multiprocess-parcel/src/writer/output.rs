//! Where the bytes of a message go: to room that the caller has, as long as they fit, and then into a vector.
//!
//! | `room` | `length` | `bytes` |
//! | --- | --- | --- |
//! | as the caller gave it | of what is in it | as the caller gave it: empty |
//! | none: it was full, or there was none from the beginning | 0 | all that was written, behind what the caller had in it |

use std::fmt::{self, Write};

use crate::varint;

/// Bytes that become more.
pub(super) struct Output<'c> {
    room: &'c mut [u8],
    length: usize,
    bytes: &'c mut Vec<u8>,
}

impl<'c> Output<'c> {
    /// The least by which a vector grows: a small message makes room once.
    const GROWTH: usize = 64;

    /// Writes behind what is in `bytes`.
    #[inline]
    pub(super) fn behind(bytes: &'c mut Vec<u8>) -> Output<'c> {
        Output { room: &mut [], length: 0, bytes }
    }

    /// Writes into `room`, or, if that is too short, into `bytes`, which is empty.
    #[inline]
    pub(super) fn into_room(room: &'c mut [u8], bytes: &'c mut Vec<u8>) -> Output<'c> {
        Output { room, length: 0, bytes }
    }

    /// The bytes that the room holds; `None`: they are in the vector.
    #[inline]
    pub(super) fn in_room(&self) -> Option<usize> {
        (!self.room.is_empty()).then_some(self.length)
    }

    /// Where the next byte goes.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.length + self.bytes.len()
    }

    /// What was written from `position` on.
    #[inline]
    pub(super) fn since(&mut self, position: usize) -> &mut [u8] {
        let written = if self.room.is_empty() { &mut self.bytes[..] } else { &mut self.room[..self.length] };
        &mut written[position..]
    }

    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        match self.room.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
            }
            None => self.push_behind(byte),
        }
    }

    #[inline]
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        match self.room.get_mut(self.length..self.length + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            _ => self.extend_behind(bytes),
        }
    }

    /// As many bytes as the iterator gives, which should be `count`.
    #[inline]
    pub(super) fn extend_with(&mut self, count: usize, bytes: impl Iterator<Item = u8>) {
        if self.room.len() - self.length < count {
            self.leave_room();
        }
        if self.room.is_empty() {
            self.bytes.extend(bytes);
        } else {
            bytes.for_each(|byte| self.push(byte));
        }
    }

    /// A number as postcard writes it, byte by byte: a copy of so few costs more.
    #[inline]
    pub(super) fn varint(&mut self, mut number: u64) {
        let left = self.room.get_mut(self.length..).unwrap_or_default();
        if let Some(place) = left.first_chunk_mut() {
            self.length += varint::write(number, place).len();
            return;
        }
        while number >= 0x80 {
            self.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.push(number as u8);
    }

    #[inline]
    fn push_behind(&mut self, byte: u8) {
        self.leave_room();
        if self.bytes.len() == self.bytes.capacity() {
            self.grow(1);
        }
        self.bytes.push(byte);
    }

    #[inline]
    fn extend_behind(&mut self, bytes: &[u8]) {
        self.leave_room();
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.grow(bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        self.bytes.reserve(more.max(Self::GROWTH));
    }

    /// Goes on in the vector.
    #[inline]
    fn leave_room(&mut self) {
        if !self.room.is_empty() {
            self.move_out();
        }
    }

    #[cold]
    fn move_out(&mut self) {
        self.bytes.extend_from_slice(&self.room[..self.length]);
        (self.room, self.length) = (&mut [], 0);
    }
}

impl postcard::ser_flavors::Flavor for Output<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.extend(bytes);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.push(byte);
        Ok(())
    }

    #[inline]
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}
