//! Every kind of value that serde knows comes back as it was.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::{CString, OsString};
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, Wrapping};
use std::ops::{Bound, Range, RangeInclusive};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use multiprocess_parcel::{Message, pack, pack_data, pack_data_into, unpack, unpack_data};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[track_caller]
fn trip<T: Message + PartialEq + Debug>(value: T) {
    let parcel = pack(&value).unwrap();
    assert!(parcel.handles.is_empty());
    let bytes = pack_data(&value, "a test").unwrap();
    assert_eq!(parcel.bytes, bytes);
    fits_into_any_room(&value, &bytes);
    assert_eq!(unpack_data::<T>(&bytes).unwrap(), value);
    assert_eq!(unpack::<T>(parcel).unwrap(), value);
}

/// Wherever the room ends, the bytes are the same.
#[track_caller]
fn fits_into_any_room<T: Message>(value: &T, bytes: &[u8]) {
    for length in (0..100).chain([bytes.len().saturating_sub(1), bytes.len(), bytes.len() + 1]) {
        let (mut room, mut long) = (vec![0; length], vec![7; length % 3 * 20]);
        match pack_data_into(value, "a test", &mut room, &mut long, |bytes| bytes.extend([7; 9])).unwrap() {
            Some(length) => assert_eq!(room[..length], *bytes),
            None => assert_eq!(long, bytes),
        }
        assert!(length < bytes.len() || room.starts_with(bytes), "a room of {length} bytes is not used");
    }
}

#[test]
fn integers() {
    macro_rules! edges {
        ($($type:ty)*) => { $( for value in [<$type>::MIN, <$type>::MAX, 0, 1, 127, <$type>::MAX / 3] { trip(value); } )* };
    }
    edges!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);
    for shift in 0..128 {
        trip((1u128 << shift, -1i128 << shift, (1u128 << shift) as u64, (-1i128 << shift) as i32));
    }
    trip((NonZeroU32::MIN, Wrapping(3u8)));
}

#[test]
fn floats_keep_their_bits() {
    for bits in [0, 1, 0x7ff0_0000_0000_0000, 0x7ff8_0000_0000_1234, 0xfff0_dead_beef_0001, 1f64.to_bits(), u64::MAX] {
        let back: f64 = unpack(pack(&f64::from_bits(bits)).unwrap()).unwrap();
        assert_eq!(back.to_bits(), bits);
    }
    for bits in [0, 0x8000_0000, 0x7f80_0000, 0x7fc0_1234, 0xff80_0001, u32::MAX] {
        let back: f32 = unpack(pack(&f32::from_bits(bits)).unwrap()).unwrap();
        assert_eq!(back.to_bits(), bits);
    }
}

#[test]
fn texts() {
    trip(true);
    trip(false);
    for character in ['\0', 'a', '\u{7f}', '\u{80}', 'é', '\u{7ff}', '字', '\u{ffff}', '🦀', char::MAX] {
        trip(character);
    }
    for len in [0, 1, 63, 64, 127, 128, 129, 16_383, 16_384, 100_000] {
        trip("é".repeat(len));
    }
    trip(PathBuf::from("/a/b c/é"));
    trip(OsString::from("os"));
    trip(CString::new("c").unwrap());
    trip(Cow::<str>::Owned("cow".to_owned()));
    trip(Box::<str>::from("boxed"));
    assert_eq!(unpack::<String>(pack("borrowed").unwrap()).unwrap(), "borrowed");
}

#[test]
fn options_and_units() {
    trip(());
    trip(None::<u8>);
    trip(Some(Some(None::<()>)));
    trip(Some(Some(Some(()))));
    trip(PhantomData::<u8>);
    trip(Box::new(Some(Box::new(5u8))));
    trip(Ok::<u8, String>(1));
    trip(Err::<u8, String>("no".to_owned()));
    trip(vec![(); 1000]);
}

#[test]
fn sequences_and_maps() {
    trip((0..1000).collect::<Vec<u64>>());
    trip((0..200).map(|i| i as u8).collect::<VecDeque<u8>>());
    trip((0..=255).collect::<Vec<u8>>());
    trip((0..=127).collect::<Vec<i8>>());
    trip(vec![vec![Vec::<u8>::new(); 3], vec![]]);
    trip([[1u8, 2], [3, 4]]);
    trip([7u16; 32]);
    trip(BTreeSet::from([1, 2, 3]));
    trip(HashSet::from(["a".to_owned(), "b".to_owned()]));
    trip(BTreeMap::from([((1, 'a'), vec![Some(1)]), ((2, 'b'), vec![])]));
    trip((0..500).map(|i| (i.to_string(), i)).collect::<HashMap<String, u32>>());
    trip(HashMap::from([((), ())]));
    trip(BTreeSet::<u8>::new());
    assert_eq!(unpack::<Box<[u8]>>(pack(&[1u8, 2, 3][..]).unwrap()).unwrap()[..], [1, 2, 3]);
}

#[test]
fn tuples_up_to_twelve() {
    trip((1u8,));
    trip((1u8, 'b'));
    trip((1u8, 'b', "c".to_owned()));
    trip((1u8, 2u8, 3u8, 4u8));
    trip((1u8, 2u8, 3u8, 4u8, 5u8));
    trip((1u8, 2u8, 3u8, 4u8, 5u8, 6u8));
    trip((1u8, 2u8, 3u8, 4u8, 5u8, 6u8, 7u8));
    trip((1u8, 2u8, 3u8, 4u8, 5u8, 6u8, 7u8, 8u8));
    trip((1u8, 2u8, 3u8, 4u8, 5u8, 6u8, 7u8, 8u8, 9u8));
    trip((1u8, 2u8, 3u8, 4u8, 5u8, 6u8, 7u8, 8u8, 9u8, 10u8));
    trip((1u8, 2u8, 3u8, 4u8, 5u8, 6u8, 7u8, 8u8, 9u8, 10u8, 11u8));
    trip((1u8, 2u16, 3u32, 4u64, 5u128, 'c', "s".to_owned(), (), Some(9), [1u8; 10], vec![11], 12.5));
}

#[test]
fn types_of_std() {
    trip("127.0.0.1".parse::<IpAddr>().unwrap());
    trip("::1".parse::<IpAddr>().unwrap());
    trip(Ipv4Addr::LOCALHOST);
    trip("[::1]:80".parse::<SocketAddr>().unwrap());
    trip("1.2.3.4:5".parse::<SocketAddr>().unwrap());
    trip(Duration::new(5, 999_999_999));
    trip(SystemTime::UNIX_EPOCH + Duration::from_millis(1234));
    trip(Range { start: 1, end: 5 });
    trip(RangeInclusive::new(1, 5));
    trip((Bound::Included(1), Bound::Excluded(2), Bound::<u8>::Unbounded));
    trip(std::cmp::Reverse(3));
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Empty {}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newtype(u32);
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair(u32, String);
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct EmptyTuple();
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Person<T> {
    name: String,
    age: Option<u8>,
    extra: T,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Tree {
    Unit,
    Newtype(Box<Tree>),
    Tuple(Box<Tree>, u8, Option<Box<Tree>>),
    Struct { left: Vec<Tree>, right: BTreeMap<String, Tree> },
    Empty {},
    EmptyTuple(),
}

#[test]
fn structs_and_enums() {
    trip(Empty {});
    trip(Unit);
    trip(EmptyTuple());
    trip(vec![Newtype(1), Newtype(u32::MAX)]);
    trip(Pair(1, "two".to_owned()));
    trip(Person {
        name: "Ada".to_owned(),
        age: Some(36),
        extra: (Empty {}, Unit, EmptyTuple(), Pair(3, String::new())),
    });
    let leaf = || Box::new(Tree::Unit);
    let tuple = Tree::Tuple(Box::new(Tree::Newtype(leaf())), 7, Some(leaf()));
    trip(Tree::Struct {
        left: vec![tuple.clone(), Tree::Empty {}, Tree::EmptyTuple(), Tree::Unit],
        right: BTreeMap::from([("a".to_owned(), tuple), ("b".to_owned(), Tree::Newtype(leaf()))]),
    });
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Attributes {
    #[serde(alias = "old_name", alias = "older_name")]
    renamed_twice: u8,
    #[serde(skip)]
    never_sent: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sometimes_sent: Option<u8>,
    #[serde(with = "as_text")]
    by_text: u64,
    #[serde(rename = "type")]
    kind: (u8, Newtype),
}

mod as_text {
    use super::*;

    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:0>200}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum WithSkipped {
    #[serde(alias = "initial")]
    First,
    #[serde(skip)]
    Hidden,
    #[serde(alias = "2", alias = "two")]
    Second(u8),
    #[serde(rename = "3")]
    Third {
        #[serde(alias = "b")]
        a: u8,
    },
    Fourth,
}

#[test]
fn attributes_that_change_no_meaning() {
    trip(Attributes { renamed_twice: 1, never_sent: 0, sometimes_sent: Some(2), by_text: 3, kind: (4, Newtype(5)) });
}

#[test]
fn variants_behind_a_skipped_one_are_not_mistaken() {
    trip(vec![WithSkipped::First, WithSkipped::Second(2), WithSkipped::Third { a: 3 }, WithSkipped::Fourth]);
    assert!(pack(&WithSkipped::Hidden).is_err());
}

/// A type that uses serde's byte strings, as `serde_bytes` does.
#[derive(PartialEq)]
struct Blob(Vec<u8>);

impl Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[test]
fn large_byte_strings() {
    let mut large = vec![0xa5; 64 << 20];
    large[..256].copy_from_slice(&std::array::from_fn::<u8, 256, _>(|i| i as u8));
    let blob = Blob(large);
    assert_eq!(unpack::<Blob>(pack(&blob).unwrap()).unwrap(), blob);
    let bytes = pack(&blob.0).unwrap();
    assert_eq!(bytes.bytes.len(), (64 << 20) + 4);
    assert!(unpack::<Vec<u8>>(bytes).unwrap() == blob.0);
}

#[test]
fn unsized_and_borrowed_values_are_packed() {
    let shared: Rc<u8> = Rc::new(1);
    assert_eq!(pack(&(&*shared, "a", &[1u8, 2][..])).unwrap().bytes, pack(&(1u8, "a", vec![1u8, 2])).unwrap().bytes);
}

#[test]
fn inner_failure_that_leaves_the_place_known_may_be_hidden() {
    #[derive(Debug, PartialEq)]
    struct NonZeroOr7(u32);
    impl<'de> Deserialize<'de> for NonZeroOr7 {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroOr7, D::Error> {
            Ok(NonZeroOr7(NonZeroU32::deserialize(deserializer).map_or(7, NonZeroU32::get)))
        }
    }
    let back: Vec<(u8, NonZeroOr7)> = unpack(pack(&[(1u8, 0u32), (2, 5)][..]).unwrap()).unwrap();
    assert_eq!(back, [(1, NonZeroOr7(7)), (2, NonZeroOr7(5))]);
}
