//! Values with several parts, while they are written: each promises a number of parts and must keep it.

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant,
};

use super::{Output, Writer, Written};
use crate::failure::Failure;
use crate::wire::{EMPTY_MAX, Mark};

impl<O: Output> Writer<'_, O> {
    /// Counts an element or entry that began at `start` and took no bytes.
    #[inline]
    fn charge(&mut self, start: usize) -> Result<(), Failure> {
        if self.position() != start {
            return Ok(());
        }
        if self.empty_left == 0 {
            self.broken = true;
            return Err(Failure::new(format!("it has more than {EMPTY_MAX} elements that take no bytes")));
        }
        self.empty_left -= 1;
        Ok(())
    }

    /// One part less is left of those that were promised.
    #[inline]
    fn step(&mut self, left: &mut usize, what: &str) -> Result<(), Failure> {
        if *left == 0 {
            self.broken = true;
            return Err(Failure::new(format!("{what} has more parts than it promised")));
        }
        *left -= 1;
        Ok(())
    }

    #[inline]
    fn leave(&mut self, left: usize, what: &str) -> Result<Written, Failure> {
        if left != 0 {
            return Err(Failure::new(format!("{what} has {left} parts less than it promised")));
        }
        self.depth -= 1;
        Ok(Written(()))
    }
}

/// A sequence: its number of elements is data, so those that take no bytes are counted.
pub(crate) struct Elements<'w, 'c, O: Output> {
    writer: &'w mut Writer<'c, O>,
    left: usize,
}

impl<'w, 'c, O: Output> Elements<'w, 'c, O> {
    #[inline]
    pub(super) fn begin(writer: &'w mut Writer<'c, O>, left: usize) -> Result<Elements<'w, 'c, O>, Failure> {
        writer.enter()?;
        Ok(Elements { writer, left })
    }
}

impl<O: Output> SerializeSeq for Elements<'_, '_, O> {
    type Ok = Written;
    type Error = Failure;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.writer.step(&mut self.left, "a sequence")?;
        let start = self.writer.position();
        self.writer.part(value)?;
        self.writer.charge(start)
    }

    #[inline]
    fn end(self) -> Result<Written, Failure> {
        self.writer.leave(self.left, "a sequence")
    }
}

/// A map: keys and values by turns.
pub(crate) struct Entries<'w, 'c, O: Output> {
    writer: &'w mut Writer<'c, O>,
    left: usize,
    start: usize,
    value_due: bool,
}

impl<'w, 'c, O: Output> Entries<'w, 'c, O> {
    #[inline]
    pub(super) fn begin(writer: &'w mut Writer<'c, O>, left: usize) -> Result<Entries<'w, 'c, O>, Failure> {
        writer.enter()?;
        Ok(Entries { writer, left, start: 0, value_due: false })
    }

    #[cold]
    fn out_of_turn(&mut self) -> Failure {
        self.writer.broken = true;
        Failure::new("a map has a key without a value or a value without a key")
    }
}

impl<O: Output> SerializeMap for Entries<'_, '_, O> {
    type Ok = Written;
    type Error = Failure;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failure> {
        if self.value_due {
            return Err(self.out_of_turn());
        }
        self.value_due = true;
        self.writer.step(&mut self.left, "a map")?;
        self.start = self.writer.position();
        self.writer.part(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        if !self.value_due {
            return Err(self.out_of_turn());
        }
        self.value_due = false;
        self.writer.part(value)?;
        self.writer.charge(self.start)
    }

    #[inline]
    fn end(mut self) -> Result<Written, Failure> {
        if self.value_due {
            return Err(self.out_of_turn());
        }
        self.writer.leave(self.left, "a map")
    }
}

/// A tuple, tuple struct or tuple variant: values without names, in a number that the type tells.
pub(crate) struct Values<'w, 'c, O: Output> {
    writer: &'w mut Writer<'c, O>,
    name: &'static str,
    left: usize,
}

impl<'w, 'c, O: Output> Values<'w, 'c, O> {
    #[inline]
    pub(super) fn begin(
        writer: &'w mut Writer<'c, O>,
        name: &'static str,
        left: usize,
    ) -> Result<Values<'w, 'c, O>, Failure> {
        writer.enter()?;
        Ok(Values { writer, name, left })
    }

    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.writer.step(&mut self.left, self.name)?;
        self.writer.part(value)
    }

    #[inline]
    fn finish(self) -> Result<Written, Failure> {
        self.writer.leave(self.left, self.name)
    }
}

/// A struct or struct variant: values with names, whose mark stands before them and is filled in at the end.
pub(crate) struct Fields<'w, 'c, O: Output> {
    writer: &'w mut Writer<'c, O>,
    name: &'static str,
    left: usize,
    mark: Mark,
    mark_at: usize,
}

impl<'w, 'c, O: Output> Fields<'w, 'c, O> {
    #[inline]
    pub(super) fn begin(
        writer: &'w mut Writer<'c, O>,
        name: &'static str,
        left: usize,
    ) -> Result<Fields<'w, 'c, O>, Failure> {
        writer.enter()?;
        writer.number(left);
        let mark_at = writer.position();
        writer.postcard.output.extend(&[0; 2]);
        Ok(Fields { writer, name, left, mark: Mark::EMPTY, mark_at })
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Failure> {
        self.writer.step(&mut self.left, self.name)?;
        self.mark = self.mark.with(name);
        self.writer.part(value)
    }

    #[cold]
    fn skip(&mut self, field: &'static str) -> Result<(), Failure> {
        self.writer.broken = true;
        let name = self.name;
        Err(Failure::new(format!(
            "field `{field}` of `{name}` is left out, as with `#[serde(skip_serializing_if)]`, and the reader could not know"
        )))
    }

    #[inline]
    fn finish(self) -> Result<Written, Failure> {
        if let Some(place) = self.writer.postcard.output.since(self.mark_at).first_chunk_mut() {
            *place = self.mark.bytes();
        }
        self.writer.leave(self.left, self.name)
    }
}

macro_rules! values {
    ($($trait:ident $method:ident;)*) => { $(
        impl<O: Output> $trait for Values<'_, '_, O> {
            type Ok = Written;
            type Error = Failure;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
                self.value(value)
            }

            #[inline]
            fn end(self) -> Result<Written, Failure> {
                self.finish()
            }
        }
    )* };
}

values! {
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! fields {
    ($($trait:ident)*) => { $(
        impl<O: Output> $trait for Fields<'_, '_, O> {
            type Ok = Written;
            type Error = Failure;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Failure> {
                self.field(name, value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Failure> {
                self.skip(name)
            }

            #[inline]
            fn end(self) -> Result<Written, Failure> {
                self.finish()
            }
        }
    )* };
}

fields! { SerializeStruct SerializeStructVariant }
