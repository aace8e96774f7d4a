//! The reader: a deserializer around postcard's that believes no byte before it has checked it.
//!
//! Postcard reads most leaves, and says what is wrong with numbers, which are read here because that is faster. What has parts
//! is read here too, because each part must pass through this deserializer again.
//! A type may hide the failure of a value inside it and go on with a default. Once that has left the bytes in an unknown
//! place, all that follows would be read from the wrong place: the reader remembers it and refuses the whole.

mod parts;
mod variant;

use std::any::type_name;

use multiprocess_sys::handle::OwnedHandle;
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::failure::Failure;
use crate::handle;
use crate::shared::{self, Arrived};
use crate::varint;
use crate::wire::{DEPTH_MAX, EMPTY_MAX, HANDLE, Mark, SHARED};
use parts::{Elements, Entries, Fields, Octets};
use variant::Variant;

/// The one sequence that is read as a whole.
const BYTES: &str = "alloc::vec::Vec<u8>";

/// The bytes and handles of one message that are still to be read, and all that is counted meanwhile.
pub(crate) struct Reader<'de> {
    bytes: &'de [u8],
    /// The handles that came with it; none came with most.
    arrived: Option<Box<Arrived>>,
    depth: usize,
    empty_left: usize,
    /// An inner value failed and left the bytes in an unknown place.
    broken: bool,
}

impl<'de> Reader<'de> {
    #[inline]
    pub(crate) fn new(bytes: &'de [u8], handles: Vec<OwnedHandle>) -> Reader<'de> {
        let arrived = (!handles.is_empty()).then(|| Box::new(Arrived::new(handles)));
        Reader { bytes, arrived, depth: 0, empty_left: EMPTY_MAX, broken: false }
    }

    /// Checks that nothing is left over.
    #[inline]
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        if self.broken {
            return Err(Failure::hidden());
        }
        if !self.bytes.is_empty() {
            return Err(Failure::new(format!("{} bytes are left over", self.bytes.len())));
        }
        match self.arrived.as_ref().map(|arrived| arrived.left()) {
            None | Some((0, _)) => Ok(()),
            Some((left, taken)) => {
                Err(Failure::new(format!("{left} handles are left over behind the {taken} that it has")))
            }
        }
    }

    /// Reads what postcard reads at once.
    #[inline]
    fn leaf<T: Deserialize<'de>>(&mut self) -> Result<T, Failure> {
        match postcard::take_from_bytes(self.bytes) {
            Ok((value, rest)) => {
                self.bytes = rest;
                Ok(value)
            }
            Err(error) => Err(self.refuse(Failure::malformed(error))),
        }
    }

    /// Reads a number, of one byte nearly always. Postcard is asked about what is not one, or too large: it knows what is wrong.
    #[inline]
    fn varint<T: Deserialize<'de> + TryFrom<u64>>(&mut self) -> Result<T, Failure> {
        self.convert(|number| T::try_from(number).ok())
    }

    /// The same with a sign, which is the lowest bit.
    #[inline]
    fn signed<T: Deserialize<'de> + TryFrom<i64>>(&mut self) -> Result<T, Failure> {
        self.convert(|number| T::try_from((number >> 1) as i64 ^ -((number & 1) as i64)).ok())
    }

    #[inline]
    fn convert<T: Deserialize<'de>>(&mut self, convert: impl Fn(u64) -> Option<T>) -> Result<T, Failure> {
        if let [byte @ ..0x80, rest @ ..] = self.bytes
            && let Some(number) = convert(u64::from(*byte))
        {
            self.bytes = rest;
            return Ok(number);
        }
        let longest = (size_of::<T>() * 8).div_ceil(7);
        if let Some((number, length)) = varint::read(&self.bytes[..self.bytes.len().min(longest)])
            && let Some(number) = convert(number)
        {
            self.bytes = &self.bytes[length..];
            return Ok(number);
        }
        self.leaf()
    }

    /// So many bytes.
    #[inline]
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        match self.bytes.split_first_chunk() {
            Some((chunk, rest)) => {
                self.bytes = rest;
                Ok(*chunk)
            }
            None => Err(self.refuse(Failure::malformed(postcard::Error::DeserializeUnexpectedEnd))),
        }
    }

    /// A count or an index.
    #[inline]
    fn number(&mut self) -> Result<usize, Failure> {
        let number = self.varint::<u64>()?;
        usize::try_from(number).map_err(|_| self.refuse(Failure::new("the bytes hold too large a number")))
    }

    /// The number of elements of a sequence or map, which cannot be more than bytes and limits allow.
    #[inline]
    fn len(&mut self) -> Result<usize, Failure> {
        let len = self.number()?;
        if len > self.bytes.len().saturating_add(self.empty_left) {
            let left = self.bytes.len();
            return Err(self.refuse(Failure::new(format!("{left} bytes cannot hold {len} elements"))));
        }
        Ok(len)
    }

    /// Reads a `Vec<u8>`, whose elements need no counting; several times faster than one by one.
    #[inline]
    fn octets<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, Failure> {
        let Some((octets, rest)) = self.bytes.split_at_checked(len) else {
            return Err(self.refuse(Failure::malformed(postcard::Error::DeserializeUnexpectedEnd)));
        };
        self.bytes = rest;
        self.inner(|_| visitor.visit_seq(Octets(octets)))
    }

    /// From here on nothing can be trusted.
    #[cold]
    fn refuse(&mut self, failure: Failure) -> Failure {
        self.broken = true;
        failure
    }

    /// Reads a value with something inside it.
    #[inline]
    fn inner<R>(&mut self, read: impl FnOnce(&mut Reader<'de>) -> Result<R, Failure>) -> Result<R, Failure> {
        if self.depth == DEPTH_MAX {
            return Err(self.refuse(Failure::new(format!("it is nested more than {DEPTH_MAX} levels deep"))));
        }
        self.depth += 1;
        match read(self) {
            Ok(value) => {
                self.depth -= 1;
                Ok(value)
            }
            Err(failure) => Err(self.refuse(failure)),
        }
    }

    fn handle<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Failure> {
        let place = self.number()?;
        let handle = self.arrived.get_or_insert_default().take(place).map_err(|failure| self.refuse(failure))?;
        handle::offer(handle, || visitor.visit_newtype_struct(&mut *self)).map_err(|failure| self.refuse(failure))
    }

    fn shared<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Failure> {
        let mut arrived = self.arrived.take().unwrap_or_default();
        let value = shared::offer(&mut arrived, || self.inner(|reader| visitor.visit_newtype_struct(reader)));
        self.arrived = Some(arrived);
        value.map_err(|failure| self.refuse(failure))
    }

    /// Reads values without names, in a number that the type tells.
    #[inline]
    fn values<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, Failure> {
        self.inner(|reader| Fields::read(reader, "a tuple", len, len, visitor))
    }

    /// The same with a number that the sender told.
    #[inline]
    fn counted_values<V: Visitor<'de>>(
        &mut self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let sent = self.number()?;
        if sent != len {
            return Err(self.refuse(parts::unequal(name, sent, len)));
        }
        self.inner(|reader| Fields::read(reader, name, sent, len, visitor))
    }

    /// Reads values with names.
    #[inline]
    fn fields<V: Visitor<'de>>(
        &mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let sent = self.number()?;
        let mark: [u8; 2] = self.chunk()?;
        if sent > fields.len() {
            return Err(self.refuse(parts::unequal(name, sent, fields.len())));
        }
        if sent == fields.len() && mark != Mark::of(fields).bytes() {
            return Err(self.refuse(parts::misnamed(name)));
        }
        self.inner(|reader| Fields::read(reader, name, sent, fields.len(), visitor))
    }

    #[cold]
    fn self_describing<T>(&mut self) -> Result<T, Failure> {
        let why = "a value inside it asks the bytes for their type, which they do not tell; `#[serde(untagged)]`, \
                   `#[serde(tag = ..)]` and types such as `serde_json::Value` do so";
        Err(self.refuse(Failure::new(why)))
    }
}

/// Values that are read at once, by the method that is named first.
macro_rules! leaves {
    ($read:ident $($method:ident $visit:ident $type:ty;)*) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            visitor.$visit(self.$read::<$type>()?)
        }
    )* };
}

macro_rules! chunks {
    ($($method:ident $visit:ident $type:ty;)*) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            visitor.$visit(<$type>::from_le_bytes(self.chunk()?))
        }
    )* };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Failure;

    leaves! { varint
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    leaves! { signed
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
    }

    chunks! {
        deserialize_u8 visit_u8 u8;
        deserialize_i8 visit_i8 i8;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }

    leaves! { leaf
        deserialize_bool visit_bool bool;
        deserialize_i128 visit_i128 i128;
        deserialize_u128 visit_u128 u128;
        deserialize_str visit_borrowed_str &'de str;
        deserialize_string visit_borrowed_str &'de str;
        deserialize_bytes visit_borrowed_bytes &'de [u8];
        deserialize_byte_buf visit_borrowed_bytes &'de [u8];
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let before = self.bytes.len();
        let character: char = self.leaf()?;
        // Postcard takes the first character of up to four bytes and passes over the others.
        if before - self.bytes.len() != 1 + character.len_utf8() {
            return Err(self.refuse(Failure::malformed(postcard::Error::DeserializeBadChar)));
        }
        visitor.visit_char(character)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.chunk()? {
            [0] => visitor.visit_none(),
            [1] => self.inner(|reader| visitor.visit_some(reader)),
            _ => Err(self.refuse(Failure::new("the bytes hold an option that is neither 0 nor 1"))),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Failure> {
        match name {
            HANDLE => self.handle(visitor),
            SHARED => self.shared(visitor),
            _ => self.inner(|reader| visitor.visit_newtype_struct(reader)),
        }
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let len = self.len()?;
        if type_name::<V::Value>() == BYTES {
            return self.octets(len, visitor);
        }
        self.inner(|reader| Elements::read(reader, len, visitor))
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Failure> {
        self.values(len, visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.counted_values(name, len, visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let len = self.len()?;
        self.inner(|reader| Entries::read(reader, len, visitor))
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.fields(name, fields, visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        // A level of nesting is counted where the variant's content begins, as the writer does.
        match Variant::read(self, name, variants).and_then(|variant| visitor.visit_enum(variant)) {
            Ok(value) => Ok(value),
            Err(failure) => Err(self.refuse(failure)),
        }
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Failure> {
        self.self_describing()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Failure> {
        self.self_describing()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Failure> {
        self.self_describing()
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}
