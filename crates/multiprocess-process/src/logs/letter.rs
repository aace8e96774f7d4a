//! A letter: one event as bytes.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | [`MAGIC`]; anything else is none of ours |
//! | 4 | .. | a [`Letter`], encoded as everything that travels |
//!
//! The largest one fits: texts of a known small size, [`FIELDS_MAX`] names, and values with [`VALUES_MAX`] bytes of text altogether.

use multiprocess_parcel::{pack_data_onto, unpack_data};
use multiprocess_sys::letterbox::LETTER_MAX;
use multiprocess_sys::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use tracing_core::field::{Field, Visit};

const MAGIC: [u8; 4] = *b"mpl1";

/// The longest name of a process, a target, a file, a field; what is longer is cut.
pub(super) const NAME_MAX: usize = 255;
const FIELD_NAME_MAX: usize = 64;
/// The most fields of an event.
pub(super) const FIELDS_MAX: usize = 32;
/// The longest text about the spans that an event is in.
pub(super) const SPANS_MAX: usize = 1 << 10;
/// How long the texts of an event's values may be altogether.
const VALUES_MAX: usize = 8 << 10;

// Five names, the spans, the names of fields, and what stands before each of them.
const _: () = assert!(5 * NAME_MAX + SPANS_MAX + FIELDS_MAX * (FIELD_NAME_MAX + 16) + VALUES_MAX + 128 <= LETTER_MAX);

/// What travels.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Letter<'a> {
    pub(super) process: Cow<'a, str>,
    pub(super) pid: u32,
    /// How many events of this process were lost since the last letter that said so.
    pub(super) lost: u64,
    /// `None`: there is nothing else to say.
    pub(super) event: Option<Event<'a>>,
}

/// One event.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Event<'a> {
    pub(super) level: u8,
    pub(super) name: Cow<'a, str>,
    pub(super) target: Cow<'a, str>,
    pub(super) module: Option<Cow<'a, str>>,
    pub(super) file: Option<Cow<'a, str>>,
    pub(super) line: Option<u32>,
    /// `outer{a=1}:inner`, or nothing.
    pub(super) spans: Cow<'a, str>,
    pub(super) values: Values<'a>,
}

/// The fields of an event and their values.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Values<'a> {
    pub(super) fields: Vec<(Cow<'a, str>, Scalar)>,
    /// Something was too long.
    pub(super) is_cut: bool,
}

/// One value.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Scalar {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    /// What `Debug` or `Display` have made of it.
    Shown(String),
}

impl Letter<'_> {
    /// Its bytes, into `bytes`.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        bytes.clear();
        bytes.extend_from_slice(&MAGIC);
        pack_data_onto(self, "an event", bytes)
    }

    /// The letter in these bytes, which anybody may have written.
    pub(super) fn decode(bytes: &[u8]) -> Result<Letter<'static>, Error> {
        let body = bytes.strip_prefix(&MAGIC);
        let body = body.ok_or_else(|| Error::new(ErrorKind::Damaged, "reading an event: it is none"))?;
        let letter: Letter<'static> = unpack_data(body)?;
        let is_known =
            |event: &Event<'_>| super::level(event.level).is_some() && event.values.fields.len() <= FIELDS_MAX;
        match letter.event.as_ref().is_none_or(is_known) {
            true => Ok(letter),
            false => Err(Error::new(ErrorKind::Damaged, "reading an event: it has a level or fields that none has")),
        }
    }
}

/// The beginning of a text, of at most so many bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Text that ends where there is no more room.
pub(super) struct Bounded<'a> {
    pub(super) text: &'a mut String,
    pub(super) room: &'a mut usize,
}

impl fmt::Write for Bounded<'_> {
    /// An error where something is cut, so that whoever writes need not go on.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let part = cut(text, *self.room);
        self.text.push_str(part);
        *self.room -= part.len();
        if part.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Takes the values of an event.
pub(super) struct Draft {
    pub(super) values: Values<'static>,
    room: usize,
}

impl Draft {
    pub(super) fn new() -> Draft {
        Draft { values: Values::default(), room: VALUES_MAX }
    }

    pub(super) fn push(&mut self, name: &'static str, value: Scalar) {
        if self.values.fields.len() == FIELDS_MAX {
            self.values.is_cut = true;
            return;
        }
        let short = cut(name, FIELD_NAME_MAX);
        self.values.is_cut |= short.len() < name.len();
        self.values.fields.push((short.into(), value));
    }

    /// A text, as far as there is room.
    pub(super) fn text(&mut self, value: fmt::Arguments<'_>) -> String {
        let mut text = String::new();
        self.values.is_cut |= Bounded { text: &mut text, room: &mut self.room }.write_fmt(value).is_err();
        text
    }
}

impl Visit for Draft {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field.name(), Scalar::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field.name(), Scalar::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field.name(), Scalar::Unsigned(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field.name(), Scalar::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = self.text(format_args!("{value}"));
        self.push(field.name(), Scalar::Text(text));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let text = self.text(format_args!("{value}"));
        self.push(field.name(), Scalar::Shown(text));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = self.text(format_args!("{value:?}"));
        self.push(field.name(), Scalar::Shown(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Letter<'static> {
        let long = |size: usize| Cow::from("x".repeat(size));
        let mut draft = Draft::new();
        for _ in 0..FIELDS_MAX + 1 {
            let text = draft.text(format_args!("{}", "é".repeat(VALUES_MAX)));
            draft.push("a_name_that_is_as_long_as_the_name_of_a_field_may_be_and_then_longer", Scalar::Shown(text));
        }
        let event = Event {
            level: 3,
            name: long(NAME_MAX),
            target: long(NAME_MAX),
            module: Some(long(NAME_MAX)),
            file: Some(long(NAME_MAX)),
            line: Some(u32::MAX),
            spans: long(SPANS_MAX),
            values: draft.values,
        };
        Letter { process: long(NAME_MAX), pid: u32::MAX, lost: u64::MAX, event: Some(event) }
    }

    #[test]
    fn the_largest_letter_fits_and_comes_back() {
        let (letter, mut bytes) = (full(), Vec::new());
        letter.encode(&mut bytes).unwrap();
        assert!(bytes.len() <= LETTER_MAX, "{}", bytes.len());
        assert_eq!(Letter::decode(&bytes).unwrap(), letter);
        let values = letter.event.unwrap().values;
        assert!(values.is_cut);
        assert_eq!(values.fields.len(), FIELDS_MAX);
    }

    #[test]
    fn a_damaged_letter_is_an_error() {
        let mut bytes = Vec::new();
        full().encode(&mut bytes).unwrap();
        for end in 0..bytes.len() {
            assert!(Letter::decode(&bytes[..end]).is_err(), "{end}");
        }
        for at in 0..400 {
            for value in [0, 1, 127, 128, 255] {
                let mut other = bytes.clone();
                other[at] = value;
                // Whatever it is by now, reading it comes to an end.
                let _ = Letter::decode(&other);
            }
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        let (mut text, mut room) = (String::new(), 4);
        let written = Bounded { text: &mut text, room: &mut room }.write_fmt(format_args!("{}{}", "aé", "éé"));
        assert!(written.is_err());
        assert_eq!((text.as_str(), room), ("aé", 1));
    }
}
