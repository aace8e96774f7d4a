//! What would come back wrong is refused, by an error that names the type and the reason.

use std::collections::HashMap;
use std::fmt;

use multiprocess_parcel::{Message, Parcel, pack, pack_data, unpack, unpack_data};
use multiprocess_sys::{Error, ErrorKind};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[track_caller]
fn expect(error: Error, kind: ErrorKind, type_name: &str, reason: &str) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    let doing = if kind == ErrorKind::Encode { "packing" } else { "unpacking" };
    assert!(text.starts_with(&format!("{doing} a value of type `")), "{text}");
    assert!(text.contains(type_name), "`{type_name}` is not in: {text}");
    assert!(text.contains(reason), "`{reason}` is not in: {text}");
}

#[track_caller]
fn pack_refuses<T: Serialize>(value: T, type_name: &str, reason: &str) {
    expect(pack(&value).unwrap_err(), ErrorKind::Encode, type_name, reason);
    expect(pack_data(&value, "a test").unwrap_err(), ErrorKind::Encode, type_name, reason);
}

#[track_caller]
fn unpack_refuses<T: Message + fmt::Debug>(value: T, type_name: &str, reason: &str) {
    expect(unpack::<T>(pack(&value).unwrap()).unwrap_err(), ErrorKind::Decode, type_name, reason);
    expect(unpack::<Vec<T>>(pack(&[value][..]).unwrap()).unwrap_err(), ErrorKind::Decode, type_name, reason);
}

#[test]
fn skip_serializing_if_names_struct_and_field() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Sometimes {
        a: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maybe: Option<u8>,
    }
    pack_refuses(Sometimes { a: 1, maybe: None }, "Sometimes", "field `maybe` of `Sometimes` is left out");
    pack_refuses(vec![Sometimes { a: 1, maybe: None }], "Vec<refusals", "skip_serializing_if");

    #[derive(Debug, Serialize, Deserialize)]
    enum Choice {
        Some {
            #[serde(skip_serializing_if = "String::is_empty")]
            text: String,
        },
    }
    pack_refuses(Choice::Some { text: String::new() }, "Choice", "field `text` of `Some` is left out");
}

#[test]
fn field_left_out_on_one_side_is_refused() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unsent {
        a: u8,
        #[serde(skip_serializing, default)]
        b: u8,
    }
    unpack_refuses(Unsent { a: 1, b: 2 }, "Unsent", "reads more fields than were sent");

    #[derive(Debug, Serialize, Deserialize)]
    struct Unread {
        a: u8,
        #[serde(skip_deserializing)]
        b: u8,
    }
    unpack_refuses(Unread { a: 1, b: 2 }, "Unread", "sent with 2 fields and reads 1");

    #[derive(Debug, Serialize, Deserialize)]
    struct UnreadTuple(u8, #[serde(skip_deserializing)] u8, u8);
    unpack_refuses(UnreadTuple(1, 2, 3), "UnreadTuple", "sent with 3 fields and reads 2");

    #[derive(Debug, Serialize, Deserialize)]
    enum Variants {
        Tuple(u8, #[serde(skip_serializing)] u8),
        Struct {
            #[serde(skip_deserializing)]
            a: u8,
            b: u8,
        },
    }
    unpack_refuses(Variants::Tuple(1, 2), "Variants", "skip_serializing");
    unpack_refuses(Variants::Struct { a: 1, b: 2 }, "Variants", "skip_deserializing");
}

#[test]
fn different_fields_left_out_are_refused() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct User {
        #[serde(skip_deserializing)]
        id: String,
        name: String,
        #[serde(skip_serializing)]
        password: String,
    }
    let user = User { id: "1".to_owned(), name: "ada".to_owned(), password: "secret".to_owned() };
    unpack_refuses(user, "User", "other names than were sent");
}

#[test]
fn aliases_hide_no_missing_field() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Aliased {
        #[serde(alias = "x", alias = "y")]
        a: u8,
        #[serde(skip_serializing, default)]
        b: u8,
        c: u8,
    }
    unpack_refuses(Aliased { a: 1, b: 2, c: 3 }, "Aliased", "skip_serializing");

    #[derive(Debug, Serialize, Deserialize)]
    struct AliasedUnread {
        #[serde(alias = "x", alias = "y")]
        a: u8,
        #[serde(skip_deserializing)]
        b: u8,
        c: u8,
    }
    unpack_refuses(AliasedUnread { a: 1, b: 2, c: 3 }, "AliasedUnread", "skip_deserializing");
}

#[test]
fn variant_that_is_not_read_is_refused() {
    #[derive(Debug, Serialize, Deserialize)]
    enum Partial {
        #[serde(skip_deserializing)]
        Old(u8),
        New(u8),
    }
    unpack_refuses(Partial::Old(1), "Partial", "skip_deserializing");
    assert!(matches!(unpack(pack(&Partial::New(2)).unwrap()), Ok(Partial::New(2))));
}

#[test]
fn unknown_lengths_are_refused() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: HashMap<String, u8>,
    }
    pack_refuses(Flat { a: 1, rest: HashMap::new() }, "Flat", "flatten");

    struct Filtered;
    impl Serialize for Filtered {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq([1u8, 2, 3].iter().filter(|i| **i > 1))
        }
    }
    pack_refuses(Filtered, "Filtered", "length");
}

#[test]
fn self_describing_values_are_refused() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
    }
    unpack_refuses(Untagged::Number(1), "Untagged", "untagged");

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Internal {
        Named { a: u8 },
    }
    unpack_refuses(Internal::Named { a: 1 }, "Internal", "#[serde(tag = ..)]");

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "type", content = "value")]
    enum Adjacent {
        Unit,
        Number(u8),
    }
    unpack_refuses(Adjacent::Unit, "Adjacent", "#[serde(tag = ..)]");
    unpack_refuses(Adjacent::Number(1), "Adjacent", "#[serde(tag = ..)]");
    unpack_refuses(serde_json::json!({"a": [1, null, "x"]}), "serde_json::value::Value", "serde_json::Value");

    let error = unpack::<IgnoredAny>(pack(&1u8).unwrap()).unwrap_err();
    expect(error, ErrorKind::Decode, "IgnoredAny", "asks the bytes for their type");
}

#[test]
fn leftover_bytes_are_refused() {
    let error = unpack::<u8>(pack(&(1u8, 2u8)).unwrap()).unwrap_err();
    expect(error, ErrorKind::Decode, "`u8`", "1 bytes are left over");
    let error = unpack_data::<()>(&[0]).unwrap_err();
    expect(error, ErrorKind::Decode, "`()`", "left over");
}

#[test]
fn custom_errors_keep_their_text() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    pack_refuses((1, Refuses), "Refuses", "not today");
    let error = unpack::<std::num::NonZeroU8>(pack(&0u8).unwrap()).unwrap_err();
    expect(error, ErrorKind::Decode, "NonZero", "expected a nonzero u8");

    struct Unprintable;
    impl fmt::Display for Unprintable {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            Err(fmt::Error)
        }
    }
    struct Text;
    impl Serialize for Text {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&Unprintable)
        }
    }
    pack_refuses(Text, "Text", "cannot be formatted");
}

/// A `Serialize` that keeps none of serde's promises, each in its way.
#[derive(Clone, Copy)]
enum Broken {
    MoreElements,
    FewerElements,
    FewerFields,
    MoreValues,
    KeyWithoutValue,
    ValueWithoutKey,
    HiddenFailure,
}

impl Serialize for Broken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Broken::MoreElements => {
                let mut seq = serializer.serialize_seq(Some(1))?;
                seq.serialize_element(&1u8)?;
                seq.serialize_element(&2u8)?;
                seq.end()
            }
            Broken::FewerElements => serializer.serialize_seq(Some(1))?.end(),
            Broken::FewerFields => serializer.serialize_struct("Fields", 2)?.end(),
            Broken::MoreValues => {
                let mut tuple = serializer.serialize_tuple(0)?;
                tuple.serialize_element(&1u8)?;
                tuple.end()
            }
            Broken::KeyWithoutValue => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_key(&1u8)?;
                map.end()
            }
            Broken::ValueWithoutKey => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_value(&1u8)?;
                map.end()
            }
            Broken::HiddenFailure => {
                let mut tuple = serializer.serialize_tuple(2)?;
                let _hidden = tuple.serialize_element(&(1u8, Broken::FewerElements));
                tuple.serialize_element(&1u8)?;
                tuple.end()
            }
        }
    }
}

#[test]
fn broken_serialize_is_refused() {
    pack_refuses(Broken::MoreElements, "Broken", "more parts than it promised");
    pack_refuses(Broken::FewerElements, "Broken", "1 parts less than it promised");
    pack_refuses(Broken::FewerFields, "Broken", "2 parts less than it promised");
    pack_refuses(Broken::MoreValues, "Broken", "more parts than it promised");
    pack_refuses(Broken::KeyWithoutValue, "Broken", "key without a value");
    pack_refuses(Broken::ValueWithoutKey, "Broken", "value without a key");
    pack_refuses(Broken::HiddenFailure, "Broken", "hid it");
}

/// A `Deserialize` that takes the first element and leaves the rest.
#[derive(Debug)]
struct First;

impl<'de> Visitor<'de> for First {
    type Value = First;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence or map")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<First, A::Error> {
        seq.next_element::<u8>().map(|_| First)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<First, A::Error> {
        map.next_key::<u8>().map(|_| First)
    }
}

#[derive(Debug)]
struct FirstOfMap;

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<First, D::Error> {
        deserializer.deserialize_seq(First)
    }
}

impl<'de> Deserialize<'de> for FirstOfMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FirstOfMap, D::Error> {
        deserializer.deserialize_map(First).map(|_| FirstOfMap)
    }
}

#[test]
fn value_that_is_not_read_to_its_end_is_refused() {
    assert!(unpack::<First>(pack(&[1u8][..]).unwrap()).is_ok());
    let error = unpack::<First>(pack(&[1u8, 2][..]).unwrap()).unwrap_err();
    expect(error, ErrorKind::Decode, "First", "not read to its end");
    let error = unpack::<FirstOfMap>(pack(&HashMap::from([(1u8, 2u8)])).unwrap()).unwrap_err();
    expect(error, ErrorKind::Decode, "FirstOfMap", "not read to its end");
}

#[test]
fn hidden_failure_of_the_reader_is_refused() {
    #[derive(Debug)]
    struct Hides;
    impl<'de> Deserialize<'de> for Hides {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hides, D::Error> {
            let _hidden = <(bool, String)>::deserialize(deserializer);
            Ok(Hides)
        }
    }
    let error = unpack::<Hides>(Parcel { bytes: vec![2], handles: Vec::new(), ..Parcel::default() }).unwrap_err();
    expect(error, ErrorKind::Decode, "Hides", "hid it");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Nest {
    End,
    Newtype(Box<Nest>),
    Tuple(Box<Nest>, ()),
    Struct { inner: Box<Nest> },
    Option(Option<Box<Nest>>),
    Sequence(Vec<Nest>),
    Map(HashMap<u8, Nest>),
    Pair((Box<Nest>, u8)),
}

impl Nest {
    fn around(self, kind: usize) -> Nest {
        match kind {
            0 => Nest::Newtype(Box::new(self)),
            1 => Nest::Tuple(Box::new(self), ()),
            2 => Nest::Struct { inner: Box::new(self) },
            3 => Nest::Option(Some(Box::new(self))),
            4 => Nest::Sequence(vec![self]),
            5 => Nest::Map(HashMap::from([(1, self)])),
            _ => Nest::Pair((Box::new(self), 1)),
        }
    }
}

#[test]
fn depth_has_one_limit_on_both_sides() {
    for kind in 0..7 {
        let mut value = Nest::End;
        let mut levels = 0;
        let error = loop {
            match pack(&value) {
                Ok(parcel) => assert_eq!(unpack::<Nest>(parcel).unwrap(), value, "{levels} levels of kind {kind}"),
                Err(error) => break error,
            }
            value = value.around(kind);
            levels += 1;
            assert!(levels <= 513);
        };
        expect(error, ErrorKind::Encode, "Nest", "more than 512 levels deep");
        assert!(levels > 256, "kind {kind} is refused at {levels} levels");
    }
}

#[test]
fn elements_without_bytes_have_one_limit_on_both_sides() {
    let most = 1usize << 20;
    assert_eq!(unpack::<Vec<()>>(pack(&vec![(); most]).unwrap()).unwrap().len(), most);
    pack_refuses(vec![(); most + 1], "Vec<()>", "more than 1048576 elements that take no bytes");
    pack_refuses(vec![(); 1 << 60], "Vec<()>", "elements that take no bytes");
    pack_refuses(vec![vec![(); most / 2]; 3], "Vec<()>", "elements that take no bytes");
    assert!(pack(&vec![((), 1u8); most + 1]).is_ok());

    let sent = pack(&(1u64 << 60)).unwrap();
    expect(unpack::<Vec<()>>(sent).unwrap_err(), ErrorKind::Decode, "Vec<()>", "cannot hold");
    let mut sent = pack(&((most + 1) as u64)).unwrap();
    sent.bytes.push(0);
    expect(unpack::<Vec<()>>(sent).unwrap_err(), ErrorKind::Decode, "Vec<()>", "elements that take no bytes");
    let sent = pack(&(1u64 << 60)).unwrap();
    expect(unpack::<HashMap<(), ()>>(sent).unwrap_err(), ErrorKind::Decode, "HashMap", "cannot hold");
}
