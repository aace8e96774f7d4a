//! Values with several parts, while they are read: as many are taken as were sent, no fewer and no more.

use serde::de::value::U8Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::Reader;
use crate::failure::Failure;
use crate::wire::EMPTY_MAX;

impl<'de> Reader<'de> {
    /// Counts an element or entry that left as many bytes as there were before it.
    #[inline]
    fn charge(&mut self, bytes_before: usize) -> Result<(), Failure> {
        if self.bytes.len() != bytes_before {
            return Ok(());
        }
        if self.empty_left == 0 {
            let why = format!("it has more than {EMPTY_MAX} elements that take no bytes");
            return Err(self.refuse(Failure::new(why)));
        }
        self.empty_left -= 1;
        Ok(())
    }

    /// Reads one of several values inside another one.
    #[inline]
    fn part<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        match seed.deserialize(&mut *self) {
            Ok(value) => Ok(value),
            Err(failure) => Err(self.refuse(failure)),
        }
    }
}

/// A sequence.
pub(super) struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
}

impl<'r, 'de> Elements<'r, 'de> {
    #[inline]
    pub(super) fn read<V: Visitor<'de>>(
        reader: &'r mut Reader<'de>,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let mut elements = Elements { reader, left };
        let value = visitor.visit_seq(&mut elements)?;
        all_taken(elements.left, "a sequence")?;
        Ok(value)
    }
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let before = self.reader.bytes.len();
        let value = self.reader.part(seed)?;
        self.reader.charge(before)?;
        Ok(Some(value))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.reader.bytes.len()))
    }
}

/// The elements of a `Vec<u8>`; it takes all of them, or it could not be what its name says.
pub(super) struct Octets<'de>(pub(super) &'de [u8]);

impl<'de> SeqAccess<'de> for Octets<'de> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Some((octet, rest)) = self.0.split_first() else {
            return Ok(None);
        };
        self.0 = rest;
        seed.deserialize(U8Deserializer::new(*octet)).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// A map.
pub(super) struct Entries<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
    before: usize,
    value_due: bool,
}

impl<'r, 'de> Entries<'r, 'de> {
    #[inline]
    pub(super) fn read<V: Visitor<'de>>(
        reader: &'r mut Reader<'de>,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let mut entries = Entries { reader, left, before: 0, value_due: false };
        let value = visitor.visit_map(&mut entries)?;
        all_taken(entries.left + usize::from(entries.value_due), "a map")?;
        Ok(value)
    }

    #[cold]
    fn out_of_turn(&mut self) -> Failure {
        self.reader.refuse(Failure::new("a map is read as keys without values or values without keys"))
    }
}

impl<'de> MapAccess<'de> for &mut Entries<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        if self.value_due {
            return Err(self.out_of_turn());
        }
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.value_due = true;
        self.before = self.reader.bytes.len();
        self.reader.part(seed).map(Some)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        if !self.value_due {
            return Err(self.out_of_turn());
        }
        self.value_due = false;
        let value = self.reader.part(seed)?;
        self.reader.charge(self.before)?;
        Ok(value)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.reader.bytes.len()))
    }
}

/// A tuple or the fields of a struct or variant.
pub(super) struct Fields<'r, 'de> {
    reader: &'r mut Reader<'de>,
    name: &'static str,
    left: usize,
    /// Whether the type announced more names than were sent: names of aliases, or a field that the sender left out. Only
    /// in the second case does it ask for more.
    announced_more: bool,
}

impl<'r, 'de> Fields<'r, 'de> {
    #[inline]
    pub(super) fn read<V: Visitor<'de>>(
        reader: &'r mut Reader<'de>,
        name: &'static str,
        sent: usize,
        announced: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let mut fields = Fields { reader, name, left: sent, announced_more: announced > sent };
        let value = visitor.visit_seq(&mut fields)?;
        match fields.left {
            0 => Ok(value),
            left => Err(unequal(name, sent, sent - left)),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Fields<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        if self.left == 0 {
            if self.announced_more {
                let why = format!("`{}` reads more fields than were sent; {ONE_SIDED}", self.name);
                return Err(self.reader.refuse(Failure::new(why)));
            }
            return Ok(None);
        }
        self.left -= 1;
        self.reader.part(seed).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

const ONE_SIDED: &str =
    "`#[serde(skip_serializing)]` or `#[serde(skip_deserializing)]` leaves a field out on one side only";

#[inline]
fn all_taken(left: usize, what: &str) -> Result<(), Failure> {
    match left {
        0 => Ok(()),
        _ => Err(Failure::new(format!("{what} was not read to its end: {left} are left over"))),
    }
}

#[cold]
pub(super) fn unequal(name: &str, sent: usize, read: usize) -> Failure {
    Failure::new(format!("`{name}` was sent with {sent} fields and reads {read}; {ONE_SIDED}"))
}

#[cold]
pub(super) fn misnamed(name: &str) -> Failure {
    Failure::new(format!("`{name}` reads fields of other names than were sent; {ONE_SIDED}, or `rename` differs"))
}
