//! One variant of an enum, while it is read: found by the mark of its name, handed to the type by its name.

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::Reader;
use crate::failure::Failure;
use crate::wire::Mark;

/// Which variant was sent, and the reader that stands before its content.
pub(super) struct Variant<'r, 'de> {
    reader: &'r mut Reader<'de>,
    tag: Tag,
}

/// What a type learns about the variant: its name, or its index if the type announces no names.
#[derive(Clone, Copy)]
enum Tag {
    Name(&'static str),
    Index(u32),
}

impl<'r, 'de> Variant<'r, 'de> {
    #[inline]
    pub(super) fn read(
        reader: &'r mut Reader<'de>,
        name: &'static str,
        variants: &'static [&'static str],
    ) -> Result<Variant<'r, 'de>, Failure> {
        let index = reader.number()?;
        let mark: [u8; 2] = reader.chunk()?;
        let is_sent = |variant: &&&'static str| Mark::EMPTY.with(variant).bytes() == mark;
        // Without skipped variants and aliases the place is the index; the search is for those with.
        if let Some(variant) = variants.get(index).filter(is_sent) {
            return Ok(Variant { reader, tag: Tag::Name(variant) });
        }
        let mut others = variants.iter().filter(is_sent);
        let tag = match (others.next(), others.next(), u32::try_from(index)) {
            (Some(variant), None, _) => Tag::Name(variant),
            (None, _, Ok(index)) if variants.is_empty() => Tag::Index(index),
            _ => return Err(unknown(name, index)),
        };
        Ok(Variant { reader, tag })
    }
}

#[cold]
fn unknown(name: &str, index: usize) -> Failure {
    Failure::new(format!(
        "`{name}` does not read the variant {index} that was sent; the bytes are damaged, or \
         `#[serde(skip_deserializing)]` or a `rename` that differs leaves it out on one side only"
    ))
}

impl<'r, 'de> EnumAccess<'de> for Variant<'r, 'de> {
    type Error = Failure;
    type Variant = &'r mut Reader<'de>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, &'r mut Reader<'de>), Failure> {
        let value = seed.deserialize(self.tag)?;
        Ok((value, self.reader))
    }
}

impl<'de> Deserializer<'de> for Tag {
    type Error = Failure;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self {
            Tag::Name(name) => visitor.visit_borrowed_str(name),
            Tag::Index(index) => visitor.visit_u32(index),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> VariantAccess<'de> for &mut Reader<'de> {
    type Error = Failure;

    #[inline]
    fn unit_variant(self) -> Result<(), Failure> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        self.inner(|reader| seed.deserialize(reader))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Failure> {
        self.counted_values("a tuple variant", len, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        self.fields("a struct variant", fields, visitor)
    }
}
