//! What lies under a name, or arrives as a handle, and is no segment: an error that names it, and the name can be used again.

use multiprocess_parcel::{pack, serialize_shared, unpack};
use multiprocess_process::spawn;
use multiprocess_shm::{Segment, Shape, SharedMemory};
use multiprocess_sys::byte_lock::{open_anew, try_lock};
use multiprocess_sys::handle::{AsHandle, Identity, OwnedHandle};
use multiprocess_sys::map::{self, Map};
use multiprocess_sys::names::{self, Entry};
use multiprocess_sys::{Error, ErrorKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SHAPE: Shape = Shape { kind: 77, length: 10_000, reserved: 4096, parameters: [1, 2, 3, 4] };

fn unique(what: &str) -> String {
    format!("shm-{what}-{}", std::process::id())
}

fn any(_: &Shape) -> Result<(), Error> {
    Ok(())
}

/// The bytes of a sound segment.
fn sound() -> Vec<u8> {
    let name = unique("sound");
    let _segment = Segment::create(&name, SHAPE, |_| {}).unwrap();
    let found = Entry::of(&name).open().unwrap().unwrap();
    let mut bytes = vec![0; usize::try_from(found.size).unwrap()];
    assert_eq!(map::read_start(found.memory.as_fd(), &mut bytes).unwrap(), bytes.len());
    bytes
}

/// Memory that holds `bytes`.
fn holding(memory: OwnedHandle, bytes: &[u8]) -> OwnedHandle {
    if !bytes.is_empty() {
        let map = Map::shared(memory.as_fd(), bytes.len() as u64).unwrap();
        // SAFETY: the mapping is as long, and nobody else has it.
        unsafe { map.start().as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
    memory
}

/// Damaged bytes, and what is said of them.
fn damaged() -> Vec<(&'static str, Vec<u8>, ErrorKind)> {
    let sound = sound();
    let changed = |place: usize, byte: u8| {
        let mut bytes = sound.clone();
        bytes[place] ^= byte;
        bytes
    };
    let mut longer = sound.clone();
    longer.resize(sound.len() + 4096, 0);
    vec![
        ("nothing", vec![], ErrorKind::Damaged),
        ("zeros", vec![0; sound.len()], ErrorKind::Damaged),
        ("ones", vec![0xff; sound.len()], ErrorKind::Damaged),
        ("half a header", sound[..64].to_vec(), ErrorKind::Damaged),
        ("a header alone", sound[..128].to_vec(), ErrorKind::Damaged),
        ("one byte too few", sound[..sound.len() - 1].to_vec(), ErrorKind::Damaged),
        ("a page too many", longer, ErrorKind::Damaged),
        ("another beginning", changed(0, 1), ErrorKind::Damaged),
        ("another version", changed(8, 1), ErrorKind::WrongVersion),
        ("another size", changed(17, 1), ErrorKind::Damaged),
        ("another place of the payload", changed(30, 1), ErrorKind::Damaged),
        ("a huge payload", changed(39, 0x40), ErrorKind::Damaged),
        ("another parameter", changed(48, 1), ErrorKind::Damaged),
        ("unfinished", changed(84, 0xff), ErrorKind::Damaged),
    ]
}

#[test]
fn damage_under_a_name_is_reported_and_the_name_can_be_used_again() {
    let name = unique("damage");
    let entry = Entry::of(&name);
    for (what, bytes, kind) in damaged() {
        let memory = holding(names::unnamed(bytes.len() as u64).unwrap(), &bytes);
        assert!(entry.link(memory.as_fd()).unwrap());
        for _ in 0..2 {
            let error = Segment::open(&name, any).unwrap_err();
            assert_eq!((error.kind(), error.object()), (kind, Some(&*name)), "{what}: {error}");
        }
        // As long as somebody has a slot, the name is taken.
        let user = open_anew(memory.as_fd()).unwrap();
        assert!(try_lock(user.as_fd(), 5).unwrap());
        assert_eq!(Segment::open(&name, any).unwrap_err().kind(), kind, "{what}");
        assert_eq!(Segment::create(&name, SHAPE, |_| {}).unwrap_err().kind(), ErrorKind::AlreadyExists, "{what}");
        assert_eq!(Segment::open_or_create(&name, SHAPE, |_| {}, any).unwrap_err().kind(), kind, "{what}");
        drop(user);
        drop(Segment::create(&name, SHAPE, |_| {}).unwrap_or_else(|error| panic!("{what}: {error}")));
    }
}

#[test]
fn the_caller_judges_kind_and_parameters() {
    let name = unique("kinds");
    let _segment = Segment::create(&name, SHAPE, |_| {}).unwrap();
    let error = SharedMemory::open(&name).unwrap_err();
    assert_eq!((error.kind(), error.object()), (ErrorKind::WrongKind, Some(&*name)));
    let refuse = |found: &Shape| {
        assert_eq!(found, &SHAPE);
        Err(Error::new(ErrorKind::Other, "not this one"))
    };
    assert_eq!(Segment::open(&name, refuse).unwrap_err().to_string(), format!("not this one {name:?}"));
}

#[test]
fn what_is_no_name_is_refused() {
    for name in ["", ".", "..", "a/b", "/a", "a\0", "ä", "a b", &"x".repeat(201)] {
        for result in [
            Segment::open(name, any),
            Segment::create(name, SHAPE, |_| {}),
            Segment::open_or_create(name, SHAPE, |_| {}, any),
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidName, "{name:?}");
        }
    }
    let longest = format!("{:x<200}", unique("longest"));
    assert_eq!(Segment::create(&longest, SHAPE, |_| {}).unwrap().name(), Some(&*longest));
}

#[test]
fn what_cannot_be_there_is_an_error() {
    for length in [u64::MAX, 1 << 63, (1 << 62) + 1] {
        let error = Segment::anonymous(Shape { length, ..SHAPE }, |_| {}).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
    let name = unique("large");
    assert!(Segment::create(&name, Shape { length: 1 << 62, reserved: 1 << 62, ..SHAPE }, |_| {}).is_err());
    let segment = Segment::create(&name, SHAPE, |_| {}).unwrap();
    segment.reserve(4096, 10_000 - 4096).unwrap();
    for (offset, length) in [(0, 10_001), (10_001, 0), (u64::MAX, 2)] {
        assert_eq!(segment.reserve(offset, length).unwrap_err().object(), Some(&*name));
    }
}

/// Travels as a segment does, and is something else.
struct Forged<'a>(OwnedHandle, Option<&'a str>);

impl Serialize for Forged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let identity = Identity::of(&self.0).unwrap();
        serialize_shared(self.1, identity, || Ok((self.0.try_clone().unwrap(), None)), serializer)
    }
}

#[track_caller]
fn refused(handle: OwnedHandle, name: Option<&str>, why: &str) {
    let error = unpack::<Segment>(pack(&Forged(handle, name)).unwrap()).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn handles_of_something_else_are_refused() {
    refused(std::io::pipe().unwrap().0.into(), None, "not a memory object");
    refused(std::fs::File::open("/").unwrap().into(), None, "not a memory object");
    let sound = sound();
    refused(holding(names::unnamed(sound.len() as u64).unwrap(), &sound), None, "not sealed");
    for (_, bytes, kind) in damaged() {
        let memory = holding(map::anonymous(bytes.len() as u64).unwrap(), &bytes);
        refused(memory, None, if kind == ErrorKind::WrongVersion { "version" } else { "opening shared memory" });
    }
    let name = unique("forged");
    let segment = Segment::create(&name, SHAPE, |_| {}).unwrap();
    refused(std::io::pipe().unwrap().0.into(), Some(&name), &name);
    refused(holding(map::anonymous(sound.len() as u64).unwrap(), &sound), Some(&name), "not what has the name");
    refused(std::io::pipe().unwrap().0.into(), Some("../a"), "not");
    // Sound memory that this library did not make is as good as any other.
    let memory = holding(map::anonymous(sound.len() as u64).unwrap(), &sound);
    assert_eq!(unpack::<Segment>(pack(&Forged(memory, None)).unwrap()).unwrap().shape(), &SHAPE);
    assert!(unpack::<SharedMemory>(pack(&segment).unwrap()).unwrap_err().to_string().contains(&name));
}

/// Sealed memory with the header of a segment of [`SHAPE`], whose first two pages should be there, and so many others than those behind them.
fn with_holes(memory: OwnedHandle, others: u64) -> OwnedHandle {
    let memory = holding(memory, &sound()[..128]);
    let map = Map::shared(memory.as_fd(), 4 * PAGE).unwrap();
    map.reserve(Some(memory.as_fd()), 2 * PAGE, others * PAGE).unwrap();
    memory
}

const PAGE: u64 = 4096;

#[test]
fn memory_that_is_not_there_is_refused() {
    let length = sound().len() as u64;
    refused(with_holes(map::anonymous(length).unwrap(), 0), None, "some of it is not there");
    let name = unique("holes");
    let memory = with_holes(names::unnamed(length).unwrap(), 0);
    let user = open_anew(memory.as_fd()).unwrap();
    assert!(Entry::of(&name).link(memory.as_fd()).unwrap() && try_lock(user.as_fd(), 5).unwrap());
    let error = Segment::open(&name, any).unwrap_err();
    assert_eq!((error.kind(), error.object()), (ErrorKind::Damaged, Some(&*name)), "{error}");
    refused(user, Some(&name), &format!("some of it is not there {name:?}"));
    // However much it says is there, nobody takes that much for it.
    let huge = Segment::anonymous(Shape { length: 1 << 40, reserved: 4096, ..SHAPE }, |_| {}).unwrap();
    assert!(huge.check_reserved(0, 1 << 40).is_err_and(|error| error.kind() == ErrorKind::Damaged));
    assert!(huge.in_use().is_some_and(|bytes| bytes < 1 << 20));
    assert!(huge.check_reserved(1 << 41, 1).is_err() && huge.check_reserved(u64::MAX, u64::MAX).is_err());
}

#[test]
fn holes_are_filled_where_there_is_as_much_elsewhere() {
    let memory = with_holes(map::anonymous(sound().len() as u64).unwrap(), 1);
    assert_eq!(map::in_use(memory.as_fd()).unwrap(), 2 * PAGE);
    let segment = unpack::<Segment>(pack(&Forged(memory, None)).unwrap()).unwrap();
    // Its two pages, and that which nobody asked for.
    assert_eq!(segment.in_use(), Some(3 * PAGE));
    segment.check_reserved(0, 4096).unwrap();
    segment.check_reserved(4096, 4096).unwrap();
}

/// What a child sends back: memory with holes, which arrives as a segment or not at all.
enum FromChild {
    Holes(OwnedHandle),
    Segment(Segment),
}

impl Serialize for FromChild {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            FromChild::Holes(memory) => Forged(memory.try_clone().unwrap(), None).serialize(serializer),
            FromChild::Segment(segment) => segment.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for FromChild {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Segment::deserialize(deserializer).map(FromChild::Segment)
    }
}

fn make_holes(others: u64) -> FromChild {
    FromChild::Holes(with_holes(map::anonymous(sound().len() as u64).unwrap(), others))
}

#[test]
fn another_process_that_sends_holes_is_told_from_one_that_sends_memory() {
    let error = spawn(make_holes, (0,)).unwrap().join().map(|_| ()).unwrap_err();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    assert!(causes.concat().contains("some of it is not there"), "{causes:?}");
    let Ok(FromChild::Segment(segment)) = spawn(make_holes, (1,)).unwrap().join() else { panic!("it can be filled") };
    segment.check_reserved(0, 4096).unwrap();
}
