//! Bytes one by one, written at the speed of a copy.
//!
//! Serde gives `Vec<u8>` and `[u8]` no other way than element by element. The writer knows them by the name of their
//! elements' type, and this serializer, which takes a `u8` and nothing else, returns each byte without touching the writer,
//! so that the compiler makes one copy of the loop. If the name ever misled, it would be an error, not a wrong message.

use std::fmt;

use serde::ser::{Error, Impossible, Serialize, Serializer};

/// The type of the elements of what is written here.
pub(super) const NAME: &str = "&u8";

/// Takes one `u8`.
pub(super) struct Octet;

/// It was something else.
#[derive(Debug)]
pub(super) struct NotAnOctet;

impl fmt::Display for NotAnOctet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a byte")
    }
}

impl std::error::Error for NotAnOctet {}

impl Error for NotAnOctet {
    fn custom<T: fmt::Display>(_message: T) -> NotAnOctet {
        NotAnOctet
    }
}

type Compound = Impossible<u8, NotAnOctet>;

macro_rules! refused {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => { $(
        fn $method(self, $(_: $argument),*) -> Result<$ok, NotAnOctet> {
            Err(NotAnOctet)
        }
    )* };
}

impl Serializer for Octet {
    type Ok = u8;
    type Error = NotAnOctet;
    type SerializeSeq = Compound;
    type SerializeTuple = Compound;
    type SerializeTupleStruct = Compound;
    type SerializeTupleVariant = Compound;
    type SerializeMap = Compound;
    type SerializeStruct = Compound;
    type SerializeStructVariant = Compound;

    #[inline]
    fn serialize_u8(self, octet: u8) -> Result<u8, NotAnOctet> {
        Ok(octet)
    }

    refused! {
        serialize_bool(bool) -> u8;
        serialize_i8(i8) -> u8;
        serialize_i16(i16) -> u8;
        serialize_i32(i32) -> u8;
        serialize_i64(i64) -> u8;
        serialize_u16(u16) -> u8;
        serialize_u32(u32) -> u8;
        serialize_u64(u64) -> u8;
        serialize_f32(f32) -> u8;
        serialize_f64(f64) -> u8;
        serialize_char(char) -> u8;
        serialize_str(&str) -> u8;
        serialize_bytes(&[u8]) -> u8;
        serialize_none() -> u8;
        serialize_unit() -> u8;
        serialize_unit_struct(&'static str) -> u8;
        serialize_unit_variant(&'static str, u32, &'static str) -> u8;
        serialize_seq(Option<usize>) -> Compound;
        serialize_tuple(usize) -> Compound;
        serialize_tuple_struct(&'static str, usize) -> Compound;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Compound;
        serialize_map(Option<usize>) -> Compound;
        serialize_struct(&'static str, usize) -> Compound;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Compound;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<u8, NotAnOctet> {
        Err(NotAnOctet)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<u8, NotAnOctet> {
        Err(NotAnOctet)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<u8, NotAnOctet> {
        Err(NotAnOctet)
    }
}
