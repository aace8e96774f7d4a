//! The writer: a serializer around postcard's that counts, marks and refuses what would come back wrong.
//!
//! Postcard writes the leaves; what has parts is written here, because each part must pass through this serializer again.
//! The value that a successful step returns, [`Written`], cannot be made elsewhere: a type whose `Serialize` forgets to
//! finish what it began, or to begin at all, does not compile.

mod compound;
mod octet;
mod output;

use std::any::type_name;
use std::fmt;
use std::mem;

use multiprocess_sys::handle::OwnedHandle;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::failure::Failure;
use crate::shared::{self, Known};
use crate::wire::{DEPTH_MAX, EMPTY_MAX, HANDLE, HANDLES_TRAVEL, Mark, SHARED};
use crate::{Kept, handle};
use compound::{Elements, Entries, Fields, Values};
use octet::Octet;
pub(crate) use output::{Behind, Output, Room};

/// The bytes of one message and all that is counted while they are written.
pub(crate) struct Writer<'c, O: Output> {
    postcard: postcard::Serializer<O>,
    /// What handles need; there once one was met, because most messages have none and are to be begun and ended at once.
    luggage: Option<Box<Luggage>>,
    /// The name of a carrier that takes no handles.
    carrier: Option<&'c str>,
    depth: usize,
    empty_left: usize,
    /// An inner value failed; its type may try to go on as if it had not.
    broken: bool,
}

/// What goes with the bytes of a message.
#[derive(Default)]
struct Luggage {
    handles: Vec<OwnedHandle>,
    /// What goes after the handles.
    kept: Vec<Kept>,
    /// The objects whose handles are among them.
    known: Known,
}

/// The proof that a value was written to its end.
pub(crate) struct Written(());

impl<'c> Writer<'c, Behind<'c>> {
    /// Writes behind what is in `bytes`.
    #[inline]
    pub(crate) fn new(carrier: Option<&'c str>, bytes: &'c mut Vec<u8>) -> Self {
        Writer::to(carrier, Behind(bytes))
    }
}

impl<'c> Writer<'c, Room<'c>> {
    /// Writes into `room`, or, if that is too short, into `bytes`, after a call of `prepare`.
    #[inline]
    pub(crate) fn in_room(
        carrier: &'c str,
        room: &'c mut [u8],
        bytes: &'c mut Vec<u8>,
        prepare: fn(&mut Vec<u8>),
    ) -> Self {
        Writer::to(Some(carrier), Room::new(room, bytes, prepare))
    }

    /// How much of the room was written to; `None`: all is in the vector.
    #[inline]
    pub(crate) fn length_in_room(&self) -> Option<usize> {
        self.postcard.output.length()
    }
}

impl<'c, O: Output> Writer<'c, O> {
    #[inline]
    fn to(carrier: Option<&'c str>, output: O) -> Writer<'c, O> {
        Writer {
            postcard: postcard::Serializer { output },
            luggage: None,
            carrier,
            depth: 0,
            empty_left: EMPTY_MAX,
            broken: false,
        }
    }

    /// Checks that it was written to its end.
    #[inline]
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        if self.broken { Err(Failure::hidden()) } else { Ok(()) }
    }

    /// The handles of what was written, and what goes after them.
    #[inline]
    pub(crate) fn into_handles(self) -> (Vec<OwnedHandle>, Vec<Kept>) {
        self.luggage.map_or_else(Default::default, |luggage| (luggage.handles, luggage.kept))
    }

    /// Drops it; most have nothing that would have to be dropped.
    #[inline]
    pub(crate) fn end(self) {
        if self.luggage.is_none() {
            mem::forget(self);
        }
    }

    fn luggage(&mut self) -> &mut Luggage {
        self.luggage.get_or_insert_default()
    }

    #[inline]
    fn position(&self) -> usize {
        self.postcard.output.position()
    }

    /// Counts and indexes: a varint, of one byte nearly always.
    #[inline]
    fn number(&mut self, number: usize) {
        self.postcard.output.varint(number as u64);
    }

    #[inline]
    fn variant(&mut self, index: u32, name: &str) -> Result<(), Failure> {
        self.number(index as usize);
        self.postcard.output.extend(&Mark::EMPTY.with(name).bytes());
        Ok(())
    }

    #[inline]
    fn enter(&mut self) -> Result<(), Failure> {
        if self.depth == DEPTH_MAX {
            return Err(Failure::new(format!("it is nested more than {DEPTH_MAX} levels deep")));
        }
        self.depth += 1;
        Ok(())
    }

    /// Writes a value that stands alone inside another one.
    #[inline]
    fn inner<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<Written, Failure> {
        self.enter()?;
        let written = value.serialize(&mut *self)?;
        self.depth -= 1;
        Ok(written)
    }

    /// Writes one of several values inside another one.
    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        match value.serialize(&mut *self) {
            Ok(Written(())) => Ok(()),
            Err(failure) => {
                self.broken = true;
                Err(failure)
            }
        }
    }

    /// Writes a sequence of bytes; see `octet`.
    #[inline]
    fn octets<T: Serialize>(&mut self, len: usize, octets: impl Iterator<Item = T>) -> Result<Written, Failure> {
        self.number(len);
        self.enter()?;
        let start = self.position();
        let mut misled = false;
        let octets = octets.map(|octet| {
            octet.serialize(Octet).unwrap_or_else(|_| {
                misled = true;
                0
            })
        });
        self.postcard.output.extend_with(len, octets);
        if misled || self.position() - start != len {
            return Err(Failure::new("a sequence of bytes is not what it seems"));
        }
        self.depth -= 1;
        Ok(Written(()))
    }

    fn handle<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<Written, Failure> {
        if let Some(carrier) = self.carrier {
            return Err(Failure::new(format!("{HANDLES_TRAVEL}, not in {carrier}")));
        }
        let handle = handle::collect(|| value.serialize(&mut *self))?;
        let place = self.luggage().handles.len();
        self.number(place);
        self.luggage().handles.push(handle);
        Ok(Written(()))
    }

    fn shared<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<Written, Failure> {
        if let Some(carrier) = self.carrier {
            let refused = |failure: Failure| Failure::new(format!("{failure} ({carrier} takes none)"));
            return shared::name_only(|| self.inner(value)).map_err(refused);
        }
        let luggage = self.luggage();
        let mut known = mem::take(&mut luggage.known);
        known.next = luggage.handles.len();
        let handle = shared::collect(&mut known, || self.inner(value))?;
        let luggage = self.luggage();
        if let Some((handle, kept)) = handle {
            luggage.handles.push(handle);
            luggage.kept.extend(kept);
        }
        luggage.known = known;
        Ok(Written(()))
    }
}

#[inline]
fn leaf(result: postcard::Result<()>) -> Result<(), Failure> {
    result.map_err(Failure::malformed)
}

macro_rules! leaves {
    ($($method:ident $type:ty;)*) => { $(
        #[inline]
        fn $method(self, value: $type) -> Result<Written, Failure> {
            leaf((&mut self.postcard).$method(value)).map(Written)
        }
    )* };
}

/// Numbers of several bytes: a varint, the sign in the lowest bit.
macro_rules! numbers {
    ($($method:ident $type:ident $number:expr;)*) => { $(
        #[inline]
        fn $method(self, $type: $type) -> Result<Written, Failure> {
            self.postcard.output.varint($number);
            Ok(Written(()))
        }
    )* };
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

impl<'w, 'c, O: Output> Serializer for &'w mut Writer<'c, O> {
    type Ok = Written;
    type Error = Failure;
    type SerializeSeq = Elements<'w, 'c, O>;
    type SerializeTuple = Values<'w, 'c, O>;
    type SerializeTupleStruct = Values<'w, 'c, O>;
    type SerializeTupleVariant = Values<'w, 'c, O>;
    type SerializeMap = Entries<'w, 'c, O>;
    type SerializeStruct = Fields<'w, 'c, O>;
    type SerializeStructVariant = Fields<'w, 'c, O>;

    leaves! {
        serialize_bool bool;
        serialize_i8 i8;
        serialize_i128 i128;
        serialize_u8 u8;
        serialize_u128 u128;
        serialize_f32 f32;
        serialize_f64 f64;
        serialize_char char;
        serialize_str &str;
        serialize_bytes &[u8];
    }

    numbers! {
        serialize_i16 i16 zigzag(i16.into());
        serialize_i32 i32 zigzag(i32.into());
        serialize_i64 i64 zigzag(i64);
        serialize_u16 u16 u16.into();
        serialize_u32 u32 u32.into();
        serialize_u64 u64 u64;
    }

    #[inline]
    fn serialize_none(self) -> Result<Written, Failure> {
        self.serialize_u8(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Written, Failure> {
        self.postcard.output.extend(&[1]);
        self.inner(value)
    }

    #[inline]
    fn serialize_unit(self) -> Result<Written, Failure> {
        Ok(Written(()))
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<Written, Failure> {
        Ok(Written(()))
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<Written, Failure> {
        self.variant(index, variant).map(Written)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Written, Failure> {
        match name {
            HANDLE => self.handle(value),
            SHARED => self.shared(value),
            _ => self.inner(value),
        }
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Written, Failure> {
        self.variant(index, variant)?;
        self.inner(value)
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Elements<'w, 'c, O>, Failure> {
        let len = len.ok_or_else(|| Failure::new("a sequence does not tell its length beforehand"))?;
        self.number(len);
        Elements::begin(self, len)
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Values<'w, 'c, O>, Failure> {
        Values::begin(self, "a tuple", len)
    }

    #[inline]
    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Values<'w, 'c, O>, Failure> {
        self.number(len);
        Values::begin(self, name, len)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Values<'w, 'c, O>, Failure> {
        self.variant(index, variant)?;
        self.number(len);
        Values::begin(self, variant, len)
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Entries<'w, 'c, O>, Failure> {
        let unknown = "a map does not tell its length beforehand, as with `#[serde(flatten)]`";
        let len = len.ok_or_else(|| Failure::new(unknown))?;
        self.number(len);
        Entries::begin(self, len)
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields<'w, 'c, O>, Failure> {
        Fields::begin(self, name, len)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Fields<'w, 'c, O>, Failure> {
        self.variant(index, variant)?;
        Fields::begin(self, variant, len)
    }

    #[inline]
    fn collect_seq<I>(self, iter: I) -> Result<Written, Failure>
    where
        I: IntoIterator<Item: Serialize>,
    {
        let iter = iter.into_iter();
        let len = match iter.size_hint() {
            (low, Some(high)) if low == high => Some(low),
            _ => None,
        };
        if type_name::<I::Item>() == octet::NAME
            && let Some(len) = len
        {
            return self.octets(len, iter);
        }
        let mut elements = self.serialize_seq(len)?;
        for element in iter {
            elements.serialize_element(&element)?;
        }
        elements.end()
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<Written, Failure> {
        let start = self.position();
        write!(self.postcard.output, "{value}").map_err(|_| Failure::new("a text inside it cannot be formatted"))?;
        let len = self.position() - start;
        self.number(len);
        // The length belongs before the text, and is known only now.
        let prefix = self.position() - start - len;
        self.postcard.output.since(start).rotate_right(prefix);
        Ok(Written(()))
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}
