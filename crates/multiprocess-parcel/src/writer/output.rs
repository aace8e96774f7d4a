//! Where the bytes of a message go: behind those of a vector, or into room that the caller has.

use std::fmt;

use postcard::ser_flavors::Flavor;

use crate::varint;

/// Takes bytes, from postcard too.
pub(crate) trait Output: Flavor<Output = ()> + fmt::Write {
    /// Where the next byte goes.
    fn position(&self) -> usize;

    /// What was written from `position` on.
    fn since(&mut self, position: usize) -> &mut [u8];

    fn push(&mut self, byte: u8);

    fn extend(&mut self, bytes: &[u8]);

    /// As many bytes as the iterator gives, which should be `count`.
    fn extend_with(&mut self, count: usize, bytes: impl Iterator<Item = u8>);

    /// A number as postcard writes it, byte by byte: a copy of so few costs more.
    #[inline]
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.push(number as u8);
    }
}

/// A vector. The first bytes that need it make room for a small message.
pub(crate) struct Behind<'c>(pub(super) &'c mut Vec<u8>);

impl Behind<'_> {
    const ROOM: usize = 64;

    #[cold]
    fn grow(&mut self, more: usize) {
        self.0.reserve(more.max(Self::ROOM));
    }
}

impl Output for Behind<'_> {
    #[inline]
    fn position(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn since(&mut self, position: usize) -> &mut [u8] {
        &mut self.0[position..]
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        if self.0.len() == self.0.capacity() {
            self.grow(1);
        }
        self.0.push(byte);
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            self.grow(bytes.len());
        }
        self.0.extend_from_slice(bytes);
    }

    #[inline]
    fn extend_with(&mut self, _count: usize, bytes: impl Iterator<Item = u8>) {
        self.0.extend(bytes);
    }
}

/// Room that the caller has, and a vector for what does not fit.
///
/// | `prepare` | `room` | `length` | `bytes` |
/// | --- | --- | --- | --- |
/// | there | as the caller gave it | of what is in it | not used yet |
/// | called | none, since it was full | 0 | all that was written |
pub(crate) struct Room<'c> {
    room: &'c mut [u8],
    length: usize,
    bytes: &'c mut Vec<u8>,
    /// Called before the vector is used: it may be given memory.
    prepare: Option<fn(&mut Vec<u8>)>,
}

impl<'c> Room<'c> {
    #[inline]
    pub(super) fn new(room: &'c mut [u8], bytes: &'c mut Vec<u8>, prepare: fn(&mut Vec<u8>)) -> Room<'c> {
        Room { room, length: 0, bytes, prepare: Some(prepare) }
    }

    /// How much of the room it takes; `None`: it is in the vector.
    #[inline]
    pub(super) fn length(&self) -> Option<usize> {
        self.prepare.is_some().then_some(self.length)
    }

    /// The vector, in which all is from now on.
    #[cold]
    fn leave(&mut self) -> Behind<'_> {
        if let Some(prepare) = self.prepare.take() {
            prepare(self.bytes);
            self.bytes.clear();
            self.bytes.extend_from_slice(&self.room[..self.length]);
            (self.room, self.length) = (&mut [], 0);
        }
        Behind(self.bytes)
    }
}

impl Output for Room<'_> {
    #[inline]
    fn position(&self) -> usize {
        self.length().unwrap_or(self.bytes.len())
    }

    #[inline]
    fn since(&mut self, position: usize) -> &mut [u8] {
        match self.length() {
            Some(length) => &mut self.room[position..length],
            None => &mut self.bytes[position..],
        }
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        match self.room.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
            }
            None => self.leave().push(byte),
        }
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        match self.room.get_mut(self.length..self.length + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.leave().extend(bytes),
        }
    }

    #[inline]
    fn extend_with(&mut self, count: usize, bytes: impl Iterator<Item = u8>) {
        if self.room.len() - self.length < count {
            self.leave().extend_with(count, bytes);
        } else {
            bytes.for_each(|byte| self.push(byte));
        }
    }

    #[inline]
    fn varint(&mut self, number: u64) {
        let left = self.room.get_mut(self.length..).unwrap_or_default();
        match left.first_chunk_mut() {
            Some(place) => self.length += varint::write(number, place).len(),
            None => self.varint_at_the_end(number),
        }
    }
}

impl Room<'_> {
    /// A number near the end of the room, or behind it.
    #[cold]
    fn varint_at_the_end(&mut self, number: u64) {
        self.extend(varint::write(number, &mut [0; varint::MAX]));
    }
}

macro_rules! outputs {
    ($($Type:ident)*) => { $(
        impl Flavor for $Type<'_> {
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

        impl fmt::Write for $Type<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.extend(text.as_bytes());
                Ok(())
            }
        }
    )* };
}

outputs! { Behind Room }
