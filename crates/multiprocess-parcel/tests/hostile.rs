//! Whatever the bytes are, reading them ends soon, with a value or an error, and asks for little memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use multiprocess_parcel::{Fd, Message, PanicReport, Parcel, RemoteError, pack_data, unpack, unpack_data};
use serde::{Deserialize, Serialize};

/// The system's allocator; remembers the largest request.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: each method hands its arguments on unchanged to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract, which is the same there.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract; `place` came from `System`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Above what serde reserves for a sequence before it has seen its elements, twice over.
const LARGEST_MAX: usize = 4 << 20;

#[track_caller]
fn asks_for_little() {
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= LARGEST_MAX, "an allocation of {largest} bytes");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(u32),
    Box(i16, Option<Box<Shape>>),
    Group { name: String, members: Vec<Shape>, index: BTreeMap<u8, Vec<char>> },
}

type Mixed = (Vec<Option<(u8, String)>>, HashMap<u64, [bool; 3]>, Result<SocketAddr, Duration>, Vec<()>, i128, f32);

fn shape() -> Shape {
    let circle = Shape::Box(-5, Some(Box::new(Shape::Circle(70_000))));
    let index = BTreeMap::from([(1, vec!['a', 'é', '🦀']), (2, vec![])]);
    Shape::Group { name: "group".to_owned(), members: vec![Shape::Point, circle], index }
}

fn mixed() -> Mixed {
    let rows = vec![None, Some((1, "one".to_owned()))];
    (rows, HashMap::from([(9, [true, false, true])]), Ok("[::1]:80".parse().unwrap()), vec![(); 5], -1 << 100, 0.5)
}

/// Marsaglia's xorshift; the seed is fixed, so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Reads `bytes`; a value that comes out must survive a round trip.
fn read<T: Message>(bytes: &[u8]) -> bool {
    let Ok(value) = unpack_data::<T>(bytes) else {
        return false;
    };
    let again = pack_data(&value, "a test").unwrap();
    assert!(unpack_data::<T>(&again).is_ok(), "{bytes:?} is read and cannot be read again");
    true
}

fn read_as_each(bytes: &[u8]) {
    read::<Shape>(bytes);
    read::<Mixed>(bytes);
    read::<Vec<Vec<u64>>>(bytes);
    read::<Vec<u8>>(bytes);
    read::<(char, bool, Option<String>)>(bytes);
    read::<Result<PanicReport, RemoteError>>(bytes);
    assert!(unpack::<(Fd, u8)>(Parcel { bytes: bytes.to_vec(), handles: Vec::new(), ..Parcel::default() }).is_err());
}

#[track_caller]
fn no_prefix_is_read<T: Message + PartialEq + Debug>(value: &T) {
    let bytes = pack_data(value, "a test").unwrap();
    assert_eq!(unpack_data::<T>(&bytes).as_ref().unwrap(), value);
    for len in 0..bytes.len() {
        assert!(unpack_data::<T>(&bytes[..len]).is_err(), "{len} bytes of {} are read", bytes.len());
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(unpack_data::<T>(&longer).is_err());
}

#[test]
fn truncation_is_an_error_at_every_length() {
    no_prefix_is_read(&shape());
    no_prefix_is_read(&mixed());
    no_prefix_is_read(&vec![7u8; 300]);
    no_prefix_is_read(&(u64::MAX, i128::MIN, 'é', "text".to_owned()));
    no_prefix_is_read(&RemoteError::new("text"));
    asks_for_little();
}

#[test]
fn random_bytes_are_read_or_refused() {
    let mut random = Random(0x5eed_0001);
    for _ in 0..100_000 {
        let len = random.below(40);
        // Small bytes reach further into a value than even ones do.
        let narrow = random.below(2) == 0;
        let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8 & if narrow { 3 } else { 255 }).collect();
        read_as_each(&bytes);
    }
    asks_for_little();
}

#[test]
fn damaged_messages_are_read_or_refused() {
    let mut random = Random(0x5eed_0002);
    let samples = [pack_data(&shape(), "a test").unwrap(), pack_data(&mixed(), "a test").unwrap()];
    let mut survivors = 0;
    for round in 0..40_000 {
        let mut bytes = samples[round % samples.len()].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = random.next() as u8,
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, 255),
            }
        }
        survivors += usize::from(read::<Shape>(&bytes)) + usize::from(read::<Mixed>(&bytes));
    }
    assert!(survivors > 1000, "only {survivors} damaged messages were read: the damage is too coarse to test anything");
    asks_for_little();
}

#[test]
fn elements_without_bytes_end_soon() {
    let mut random = Random(0x5eed_0003);
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..random.below(8)).map(|_| random.next() as u8).collect();
        read::<Vec<()>>(&bytes);
        read::<HashMap<(), ()>>(&bytes);
        read::<(Vec<()>, Vec<()>, Vec<Vec<()>>)>(&bytes);
    }
    asks_for_little();
}

#[test]
fn lengths_that_lie_cost_nothing() {
    for number in [1u64 << 62, u64::MAX, 1 << 40, 1 << 32, 1 << 31, 1 << 21] {
        let mut bytes = pack_data(&number, "a test").unwrap();
        bytes.extend([1; 64]);
        assert!(!read::<Vec<u64>>(&bytes));
        assert!(!read::<Vec<u8>>(&bytes));
        assert!(!read::<String>(&bytes));
        assert!(!read::<Vec<[u64; 32]>>(&bytes));
        assert!(!read::<Vec<()>>(&bytes));
        assert!(!read::<HashMap<u64, u64>>(&bytes));
        assert!(!read::<Shape>(&bytes));
    }
    asks_for_little();
}

#[test]
fn nesting_does_not_exhaust_the_stack() {
    let mut value = Shape::Point;
    for _ in 0..3 {
        value = Shape::Box(0, Some(Box::new(value)));
    }
    let level = pack_data(&value, "a test").unwrap();
    let point = pack_data(&Shape::Point, "a test").unwrap();
    let level = &level[..(level.len() - point.len()) / 3];
    let bytes = [&level.repeat(100_000)[..], &point].concat();
    let text = unpack_data::<Shape>(&bytes).unwrap_err().to_string();
    assert!(text.contains("Shape") && text.contains("512 levels"), "{text}");
    asks_for_little();
}
