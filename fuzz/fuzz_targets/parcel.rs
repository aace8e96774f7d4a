//! A parcel from anybody: whatever the bytes and handles are, reading them ends with a value or an error, no handle is left
//! open, and what was read can be sent and read again. And the other way: each value that can be sent arrives as it was.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use multiprocess_parcel::{Fd, Message, PanicReport, Parcel, RemoteError, pack, pack_data, unpack, unpack_data};
use multiprocess_sys::handle::OwnedHandle;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

/// Every kind of variant, and itself inside.
#[derive(Debug, PartialEq, Arbitrary, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(u32),
    Box(i16, Option<Box<Shape>>),
    Group { name: String, members: Vec<Shape>, index: BTreeMap<u8, Vec<char>> },
}

/// Every kind of struct, and every kind of number but floats, which need not equal themselves.
#[derive(Debug, PartialEq, Arbitrary, Serialize, Deserialize)]
struct Mixed {
    unit: Unit,
    pair: Pair,
    wrapped: Wrapped,
    numbers: (u8, i16, u32, i64, u128, i128),
    flags: [bool; 3],
    rows: Vec<Option<(u8, String)>>,
    outcome: Result<u64, String>,
    empty: Vec<()>,
    #[serde(skip)]
    skipped: (),
}

#[derive(Debug, PartialEq, Arbitrary, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Arbitrary, Serialize, Deserialize)]
struct Pair(char, Option<Box<Pair>>);

#[derive(Debug, PartialEq, Arbitrary, Serialize, Deserialize)]
struct Wrapped(Vec<u8>);

/// A value with handles at several depths.
#[derive(Debug, Serialize, Deserialize)]
struct Handles {
    first: Option<Fd>,
    others: Vec<(u8, Fd)>,
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    match choice % 12 {
        0 => read::<Shape>(rest),
        1 => read::<Mixed>(rest),
        2 => read::<Vec<Vec<u64>>>(rest),
        3 => read::<Vec<u8>>(rest),
        4 => read::<(char, bool, Option<String>, f32)>(rest),
        5 => read::<Result<PanicReport, RemoteError>>(rest),
        6 => read::<HashMap<u64, Result<SocketAddr, Duration>>>(rest),
        7 => read::<(Vec<()>, BTreeMap<(), ()>, Vec<Vec<()>>)>(rest),
        8 => read_with_handles(rest),
        9 => write::<Shape>(rest),
        10 => write::<Mixed>(rest),
        _ => write::<(Vec<Shape>, Option<Mixed>)>(rest),
    }
});

/// Reads `bytes`; what is read survives being sent once more, and is then the same in bytes wherever its order is fixed.
fn read<T: Message>(bytes: &[u8]) {
    let Ok(value) = unpack_data::<T>(bytes) else { return };
    let sent = pack_data(&value, "a test").expect("what was read can be sent");
    unpack_data::<T>(&sent).expect("what was sent can be read");
}

/// Reads `bytes` with as many handles as their first byte says; afterwards none of them is open.
fn read_with_handles(bytes: &[u8]) {
    let Some((count, bytes)) = bytes.split_first() else { return };
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let handles: Vec<OwnedHandle> =
        (0..count % 5).map(|_| writer.try_clone().expect("a handle can be duplicated").into()).collect();
    drop(writer);
    if let Ok(value) = unpack::<Handles>(Parcel { bytes: bytes.to_vec(), handles, ..Parcel::default() }) {
        let sent = pack(&value).expect("what was read can be sent");
        unpack::<Handles>(sent).expect("what was sent can be read");
    }
    // A handle of the message that is still open makes this wait, and the fuzzer tells a hang.
    assert_eq!(reader.read(&mut [0]).expect("a pipe can be read"), 0);
}

/// Makes a value of `bytes`, sends it and compares what arrives.
fn write<T: Message + PartialEq + Debug + for<'a> Arbitrary<'a>>(bytes: &[u8]) {
    let Ok(value) = T::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    // Too deep, or too many elements without bytes: then the sender says so.
    let Ok(sent) = pack_data(&value, "a test") else { return };
    assert_eq!(unpack_data::<T>(&sent).expect("what was sent can be read"), value);
    for cut in [0, sent.len() / 2, sent.len().saturating_sub(1)] {
        assert!(cut == sent.len() || unpack_data::<T>(&sent[..cut]).is_err(), "a part of a message is read as a whole");
    }
}
