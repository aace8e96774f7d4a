//! One object in shared memory: where it lies, what it is, how it is made, found, and sent.
//!
//! An object made by itself has a segment of its own, whose header says what it is:
//!
//! ```text
//! segment header | body | payload
//! ```
//!
//! An object of a group lies somewhere in the group's segment, behind a header of its own ([`Header`]):
//!
//! ```text
//! segment header | group | header, body, payload | header, body, payload | ...
//! ```
//!
//! The **body** is the protocol's struct of atomics, the **payload** what it guards or its further words; both begin at multiples
//! of [`ALIGNMENT`], so that two objects never share a cache line. **Parameters** are fixed when the object is made (the size
//! of a value, the number of parties); each process copies and checks them once, when it gets the object, and never reads them
//! from shared memory again.

use crate::group::Group;
use multiprocess_core::atomics::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use multiprocess_shm::{Segment, Shape};
use multiprocess_sys::{Error, ErrorKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::ptr::NonNull;

/// Where bodies, payloads and headers begin: cache lines, of which processors fetch two at a time.
pub(crate) const ALIGNMENT: usize = 128;

/// What is fixed when an object is made; each kind says what its numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Parameters(pub [u64; 4]);

/// The memory behind a body, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Payload {
    /// How much of it there is.
    pub length: usize,
    /// How much of it is really there from the beginning.
    pub reserved: usize,
}

impl Payload {
    /// All there from the beginning.
    pub(crate) const fn whole(length: usize) -> Payload {
        Payload { length, reserved: length }
    }
}

/// The kinds, as segment headers and object headers say them.
pub(crate) mod kind {
    pub(crate) const GROUP: u32 = 1;
    pub(crate) const MUTEX: u32 = 2;
    pub(crate) const RLOCK: u32 = 3;
    pub(crate) const RWLOCK: u32 = 4;
    pub(crate) const EVENT: u32 = 5;
    pub(crate) const SEMAPHORE: u32 = 6;
    pub(crate) const CONDITION: u32 = 7;
    pub(crate) const BARRIER: u32 = 8;
    pub(crate) const VALUE: u32 = 9;
    pub(crate) const ARRAY: u32 = 10;
    /// Made by `multiprocess-shm`.
    pub(crate) const SHARED_MEMORY: u32 = 32;
    /// Made by `multiprocess-channel`.
    pub(crate) const CHANNEL: u32 = 48;
    /// Made by `multiprocess-pool`.
    pub(crate) const POOL: u32 = 49;

    /// The noun of a kind.
    pub(crate) fn noun(kind: u32) -> &'static str {
        match kind {
            GROUP => "a group",
            MUTEX => "a lock or mutex",
            RLOCK => "a recursive lock",
            RWLOCK => "a reader-writer lock",
            EVENT => "an event",
            SEMAPHORE => "a semaphore",
            CONDITION => "a condition",
            BARRIER => "a barrier",
            VALUE => "a value",
            ARRAY => "an array",
            SHARED_MEMORY => "shared memory",
            CHANNEL => "a channel or queue",
            POOL => "a pool",
            _ => "something else",
        }
    }
}

/// A protocol's struct in shared memory.
///
/// # Safety
///
/// It is `#[repr(C)]`, consists of atomics only, is valid for any bytes, and needs no alignment above [`ALIGNMENT`].
pub(crate) unsafe trait Body: Sized + 'static {
    /// What headers call it.
    const KIND: u32;

    /// The payload of an object with these parameters; `None` if no object has such ones.
    fn payload(parameters: &Parameters) -> Option<Payload>;
}

/// What stands before an object of a group. All zero: nothing is here (yet).
#[repr(C)]
struct Header {
    /// The kind, written last: then the object is complete.
    kind: AtomicU64,
    parameters: [AtomicU64; 4],
}

/// A handle of an object.
#[derive(Debug)]
pub(crate) struct Object<B> {
    segment: Segment,
    place: Place<B>,
    parameters: Parameters,
    payload: Payload,
}

/// Where a body lies in a mapped segment: the way through the segment takes as long as an operation.
#[derive(Debug)]
struct Place<B>(NonNull<B>);

// SAFETY: it leads to atomics (the promise of `Body`), and is used only by objects, which keep the segment mapped.
unsafe impl<B> Send for Place<B> {}
// SAFETY: the same; atomics may be shared.
unsafe impl<B> Sync for Place<B> {}

impl<B> Clone for Place<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Place<B> {}

impl<B: Body> Place<B> {
    /// The place `offset` bytes into the payload of a segment that has a whole object there.
    fn of(segment: &Segment, offset: usize) -> Place<B> {
        // SAFETY: every caller has checked that the offset lies inside the mapping, with room for a body.
        Place(unsafe { segment.base().byte_add(offset) }.cast())
    }
}

/// The bytes of a body with its padding.
const fn body_length<B>() -> usize {
    assert!(align_of::<B>() <= ALIGNMENT, "a body that no object can hold");
    size_of::<B>().next_multiple_of(ALIGNMENT)
}

/// The shape of a segment that holds one object of this kind.
fn shape<B: Body>(parameters: Parameters) -> Result<(Shape, Payload), Error> {
    let too_large = || Error::new(ErrorKind::TooLarge, format!("making {}", kind::noun(B::KIND)));
    let payload = B::payload(&parameters).ok_or_else(too_large)?;
    let length = body_length::<B>().checked_add(payload.length).ok_or_else(too_large)?;
    let reserved = body_length::<B>() + payload.reserved;
    let shape = Shape { kind: B::KIND, length: length as u64, reserved: reserved as u64, parameters: parameters.0 };
    Ok((shape, payload))
}

/// Checks that a segment holds one object of this kind and nothing else.
fn check_shape<B: Body>(found: &Shape, check: impl FnOnce(&Parameters) -> Result<(), Error>) -> Result<(), Error> {
    check_kind::<B>(found.kind)?;
    let parameters = Parameters(found.parameters);
    let damaged = || Error::new(ErrorKind::Damaged, format!("opening {}: its size is impossible", kind::noun(B::KIND)));
    let (wanted, _) = shape::<B>(parameters).map_err(|_| damaged())?;
    if (wanted.length, wanted.reserved) != (found.length, found.reserved) {
        return Err(damaged());
    }
    check(&parameters)
}

fn check_kind<B: Body>(found: u32) -> Result<(), Error> {
    if found == B::KIND {
        return Ok(());
    }
    let (wanted, found) = (kind::noun(B::KIND), kind::noun(found));
    Err(Error::new(ErrorKind::WrongKind, format!("opening {wanted} that is {found}")))
}

impl<B: Body> Object<B> {
    fn of_segment(segment: Segment) -> Result<Object<B>, Error> {
        let parameters = Parameters(segment.shape().parameters);
        let (_, payload) = shape::<B>(parameters)?;
        let place = Place::of(&segment, 0);
        Ok(Object { segment, place, parameters, payload })
    }

    /// An object without a name. `init` sees it before anybody else can.
    pub(crate) fn new(parameters: Parameters, init: impl FnOnce(&Object<B>)) -> Result<Object<B>, Error> {
        let (shape, _) = shape::<B>(parameters)?;
        Object::of_segment(Segment::anonymous(shape, |segment| Object::initialise(segment, init))?)
    }

    /// An object with a name that nothing else has.
    pub(crate) fn create(
        name: &str,
        parameters: Parameters,
        init: impl FnOnce(&Object<B>),
    ) -> Result<Object<B>, Error> {
        let (shape, _) = shape::<B>(parameters)?;
        Object::of_segment(Segment::create(name, shape, |segment| Object::initialise(segment, init))?)
    }

    /// The object of that name; `check` sees its parameters.
    pub(crate) fn open(name: &str, check: impl FnOnce(&Parameters) -> Result<(), Error>) -> Result<Object<B>, Error> {
        Object::of_segment(Segment::open(name, |found| check_shape::<B>(found, check))?)
    }

    /// The object of that name, or else a new one.
    pub(crate) fn open_or_create(
        name: &str,
        parameters: Parameters,
        init: impl FnOnce(&Object<B>),
        check: impl FnOnce(&Parameters) -> Result<(), Error>,
    ) -> Result<Object<B>, Error> {
        let (shape, _) = shape::<B>(parameters)?;
        let init = |segment: &Segment| Object::initialise(segment, init);
        Object::of_segment(Segment::open_or_create(name, shape, init, |found| check_shape::<B>(found, check))?)
    }

    /// `init` gets a handle that is gone before the segment's maker has its own: nothing else knows the segment yet.
    fn initialise(segment: &Segment, init: impl FnOnce(&Object<B>)) {
        if let Ok(object) = Object::of_segment(segment.clone()) {
            init(&object);
        }
    }

    /// An object in a group's segment.
    pub(crate) fn in_group(
        group: &Group,
        parameters: Parameters,
        init: impl FnOnce(&Object<B>),
    ) -> Result<Object<B>, Error> {
        let (shape, payload) = shape::<B>(parameters)?;
        let header = size_of::<Header>().next_multiple_of(ALIGNMENT);
        let start = group.allocate(header + shape.length as usize, header + shape.reserved as usize)?;
        let segment = group.segment().clone();
        let place = Place::of(&segment, start + header);
        let object = Object { segment, place, parameters, payload };
        init(&object);
        let header = object.header();
        for (word, value) in header.parameters.iter().zip(parameters.0) {
            word.store(value, Relaxed); // Relaxed: ordered by the kind, which comes behind them
        }
        header.kind.store(u64::from(B::KIND), Release);
        Ok(object)
    }

    /// An object whose place in a group somebody else has told us.
    fn found_in_group(
        segment: Segment,
        offset: u64,
        check: impl FnOnce(&Parameters) -> Result<(), Error>,
    ) -> Result<Object<B>, Error> {
        let damaged = || Error::new(ErrorKind::Damaged, format!("opening {} of a group", kind::noun(B::KIND)));
        let header = size_of::<Header>().next_multiple_of(ALIGNMENT);
        let offset = usize::try_from(offset).map_err(|_| damaged())?;
        let allocated = Group::allocated(&segment);
        if !offset.is_multiple_of(ALIGNMENT) || offset < Group::FIRST + header || offset > allocated {
            return Err(damaged());
        }
        // What lies there was reserved before anybody could be told of it.
        segment.check_reserved((offset - header) as u64, (header + body_length::<B>()) as u64)?;
        let unknown = Payload { length: 0, reserved: 0 };
        let place = Place::of(&segment, offset);
        let mut object = Object { segment, place, parameters: Parameters::default(), payload: unknown };
        let header = object.header();
        let kind = header.kind.load(Acquire);
        check_kind::<B>(u32::try_from(kind).unwrap_or(u32::MAX))?;
        let parameters = Parameters(header.parameters.each_ref().map(|word| word.load(Relaxed)));
        let (shape, payload) = shape::<B>(parameters).map_err(|_| damaged())?;
        if shape.length > (allocated - offset) as u64 {
            return Err(damaged());
        }
        object.segment.check_reserved(offset as u64, shape.reserved)?;
        check(&parameters)?;
        (object.parameters, object.payload) = (parameters, payload);
        Ok(object)
    }

    fn header(&self) -> &Header {
        let before = size_of::<Header>().next_multiple_of(ALIGNMENT);
        // SAFETY: objects of a group have a header in front of them, inside the mapping (checked where the offset came from).
        let header = unsafe { self.place.0.byte_sub(before) };
        // SAFETY: aligned like every object, consists of atomics, mapped as long as the segment.
        unsafe { header.cast::<Header>().as_ref() }
    }

    /// The protocol's words.
    #[inline]
    pub(crate) fn body(&self) -> &B {
        // SAFETY: aligned, mapped as long as the segment, and valid for any bytes (the promise of `Body`).
        unsafe { self.place.0.as_ref() }
    }

    /// The memory, who lives, and who we are.
    #[inline]
    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// What was fixed when the object was made.
    #[inline]
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What lies behind the body.
    #[inline]
    pub(crate) fn payload(&self) -> NonNull<u8> {
        // SAFETY: body and payload lie inside the mapping.
        unsafe { self.place.0.cast::<u8>().byte_add(body_length::<B>()) }
    }

    /// Where the body begins, in the segment's payload.
    fn offset(&self) -> usize {
        self.place.0.addr().get() - self.segment.base().addr().get()
    }

    /// Its length in bytes.
    #[inline]
    pub(crate) fn payload_length(&self) -> usize {
        self.payload.length
    }

    /// The payload as words. Those behind the part that is really there must not be touched before [`reserve`](Object::reserve).
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        let words = self.payload().cast::<AtomicU64>();
        // SAFETY: aligned, as long as the payload, mapped as long as the segment; atomics are valid for any bytes.
        unsafe { NonNull::slice_from_raw_parts(words, self.payload.length / size_of::<AtomicU64>()).as_ref() }
    }

    /// Sees to it that the first `length` bytes of the payload are really there.
    pub(crate) fn reserve(&self, length: usize) -> Result<(), Error> {
        let length = length.min(self.payload.length);
        self.segment.reserve((self.offset() + body_length::<B>()) as u64, length as u64)
    }

    /// The object's name.
    pub(crate) fn name(&self) -> Option<&str> {
        self.segment.name()
    }

    /// An object by itself is its segment, one of a group has a place in it; a text for people is a name.
    pub(crate) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.segment.serialize(serializer);
        }
        (&self.segment, self.offset() as u64).serialize(serializer)
    }

    /// Turns what [`Object::serialize`] wrote back into a handle, if it means an object of this kind.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        check: impl FnOnce(&Parameters) -> Result<(), Error>,
    ) -> Result<Object<B>, D::Error> {
        let (segment, offset) = match deserializer.is_human_readable() {
            true => (Segment::deserialize(deserializer)?, 0),
            false => <(Segment, u64)>::deserialize(deserializer)?,
        };
        let name = segment.name().map(str::to_owned);
        Object::received(segment, offset, check).map_err(|error| {
            de::Error::custom(match name {
                Some(name) => error.with_object(name),
                None => error,
            })
        })
    }

    fn received(
        segment: Segment,
        offset: u64,
        check: impl FnOnce(&Parameters) -> Result<(), Error>,
    ) -> Result<Object<B>, Error> {
        if segment.shape().kind == kind::GROUP {
            return Object::found_in_group(segment, offset, check);
        }
        check_shape::<B>(segment.shape(), check)?;
        if offset != 0 {
            return Err(Error::new(ErrorKind::Damaged, format!("opening {}", kind::noun(B::KIND))));
        }
        Object::of_segment(segment)
    }
}

impl<B> Clone for Object<B> {
    fn clone(&self) -> Self {
        Object { segment: self.segment.clone(), ..*self }
    }
}

/// Handles travel and copy whatever they are handles of: `Clone`, `Serialize` and `Deserialize` for a struct around one
/// [`Object`] (and, if it has a type parameter, a `PhantomData`), with a function that checks the parameters of what arrives.
macro_rules! handle {
    ($type:ident, $check:expr) => {
        handle!(@impls [] $type, object, $type(object), $check);
    };
    ($type:ident<$parameter:ident>, $check:expr) => {
        handle!(@impls [$parameter] $type<$parameter>, object, $type(object, std::marker::PhantomData), $check);
    };
    (@impls [$($parameter:ident)?] $type:ty, $object:ident, $new:expr, $check:expr) => {
        impl$(<$parameter>)? Clone for $type {
            fn clone(&self) -> Self {
                let $object = self.0.clone();
                $new
            }
        }

        impl$(<$parameter>)? serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de, $($parameter)?> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let $object = $crate::object::Object::deserialize(deserializer, $check)?;
                Ok($new)
            }
        }
    };
}
pub(crate) use handle;
