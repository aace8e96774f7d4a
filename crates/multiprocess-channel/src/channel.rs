//! Where a channel lies: one segment for its peers, its tasks and its ring.
//!
//! ```text
//! segment header and slots | peers | tasks | a word of counts for each slot | ring
//! ```
//!
//! What is fixed when a channel is made stands in the segment's header: each process copies and checks that once, when it gets
//! an end of the channel, and never reads it from shared memory again. All else in the segment may be anything at any time.

use multiprocess_core::layout::SLOTS;
use multiprocess_core::peers::{Peer, Peers, SPREAD, Table};
use multiprocess_core::ring::{Plan, Ring};
use multiprocess_core::tasks::Tasks;
use multiprocess_shm::{Segment, Shape};
use multiprocess_sys::{Error, ErrorKind};
use std::ptr::NonNull;

/// What the header of such a segment says it is.
const KIND: u32 = 48;

/// What stands before the ring. Zeros are a channel that nobody has, as they are an empty ring.
#[derive(Debug)]
#[repr(C)]
struct Head {
    peers: Peers,
    tasks: Tasks,
    table: [Peer; SLOTS as usize],
}

/// If this process may map only so much, a channel takes no more of it than this part.
const PARTS: u64 = 16;

/// Where the ring begins.
const RING: usize = size_of::<Head>();
const _: () = assert!(RING.is_multiple_of(128) && (SLOTS as usize).is_multiple_of(SPREAD));

/// What can be done with a channel, beside sending and receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Nothing.
    Plain = 0,
    /// It can be closed.
    Queue = 1,
    /// It can be closed, and waited for until all its tasks are done.
    Joinable = 2,
}

impl Flavour {
    /// What users call it.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Flavour::Plain => "a channel",
            Flavour::Queue => "a queue",
            Flavour::Joinable => "a joinable queue",
        }
    }
}

/// The memory of a channel, as one process sees it.
#[derive(Debug, Clone)]
#[repr(C)] // what each message needs comes first
pub(crate) struct Channel {
    flavour: Flavour,
    /// In the memory of `segment`, and handed out no longer than that is borrowed.
    head: &'static Head,
    /// Likewise.
    ring: Ring<'static>,
    segment: Segment,
}

impl Channel {
    /// A new channel, which nobody has yet.
    pub(crate) fn new(capacity: usize, flavour: Flavour) -> Result<Channel, Error> {
        if capacity == 0 {
            let why = "making a channel of capacity 0: a sender could not tell whether the receiver that it handed a message to \
                       still lived; a capacity of 1, and an answer, can";
            return Err(Error::new(ErrorKind::Other, why));
        }
        if plan(capacity as u64, 0).is_none() {
            return Err(Error::new(ErrorKind::TooLarge, format!("making a channel of capacity {capacity}")));
        }
        let plans = (0..=u64::from(Plan::HALVINGS_MAX)).map_while(|halvings| plan(capacity as u64, halvings));
        Channel::arrived(Segment::anonymous_where_it_fits(plans.map(|plan| shape(plan, flavour)), PARTS)?)
    }

    /// The channel that a segment holds, which may have come from another process.
    pub(crate) fn arrived(segment: Segment) -> Result<Channel, Error> {
        let found = segment.shape();
        if found.kind != KIND {
            return Err(Error::new(ErrorKind::WrongKind, "opening a channel that is something else"));
        }
        let flavour = match found.parameters[1] {
            0 => Some(Flavour::Plain),
            1 => Some(Flavour::Queue),
            2 => Some(Flavour::Joinable),
            _ => None,
        };
        let plan = plan(found.parameters[0], found.parameters[2])
            .zip(flavour)
            .filter(|(plan, flavour)| shape(*plan, *flavour) == *found);
        let (plan, flavour) =
            plan.ok_or_else(|| Error::new(ErrorKind::Damaged, "opening a channel: its size is impossible"))?;
        Ok(Channel::of(segment, plan, flavour))
    }

    /// The channel in a segment of such a [`shape`].
    fn of(segment: Segment, plan: Plan, flavour: Flavour) -> Channel {
        Channel { ring: ring(&segment, plan), head: head(&segment), flavour, segment }
    }

    #[inline]
    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    #[inline]
    pub(crate) fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// How many messages it holds.
    pub(crate) fn capacity(&self) -> usize {
        usize::try_from(self.ring.plan().capacity()).unwrap_or(usize::MAX)
    }

    #[inline]
    pub(crate) fn ring(&self) -> &Ring<'_> {
        &self.ring
    }

    #[inline]
    pub(crate) fn peers(&self) -> &Peers {
        &self.head.peers
    }

    #[inline]
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.head.tasks
    }

    #[inline]
    pub(crate) fn table(&self) -> Table<'_> {
        Table::new(&self.head.table)
    }

    /// Has memory of the ring be there; what went wrong is left in `failure`.
    pub(crate) fn reserve(&self, offset: u64, length: u64, failure: &mut Option<Error>) -> bool {
        match self.segment.reserve(RING as u64 + offset, length) {
            Ok(()) => true,
            Err(error) => {
                *failure = Some(error);
                false
            }
        }
    }
}

fn plan(capacity: u64, halvings: u64) -> Option<Plan> {
    let plan = Plan::with_halvings(capacity, u32::try_from(halvings).ok()?)?;
    plan.length().checked_add(RING as u64).map(|_| plan)
}

/// The segment of such a channel.
fn shape(plan: Plan, flavour: Flavour) -> Shape {
    let (length, reserved) = (RING as u64 + plan.length(), RING as u64 + plan.reserved());
    Shape { kind: KIND, length, reserved, parameters: [plan.capacity(), flavour as u64, plan.halvings().into(), 0] }
}

/// What stands before the ring in a segment, which must be kept as long.
fn head(segment: &Segment) -> &'static Head {
    let head: NonNull<Head> = segment.front().cast();
    // SAFETY: what is reserved of the payload is longer (`shape`, which was checked); aligned to a page; mapped as long as the segment
    // is kept, which every `Channel` does that has it; and made of atomics, which any bytes are and others may change.
    unsafe { head.as_ref() }
}

/// The ring in a segment, which must be kept as long as the ring.
fn ring(segment: &Segment, plan: Plan) -> Ring<'static> {
    // SAFETY: the payload is longer than what stands before the ring.
    let base = unsafe { segment.base().byte_add(RING) };
    // SAFETY: aligned, since the payload is aligned to a page and the offset to 128; as long as the plan says (`shape`, which was
    // checked); mapped as long as the segment is kept, which every `Channel` does that has the ring.
    let ring = unsafe { Ring::at(base, plan) };
    if plan.front() > plan.reserved() {
        return ring;
    }
    // SAFETY: what is reserved of the payload is longer (`shape`).
    let front = unsafe { segment.front().byte_add(RING) };
    // SAFETY: the same memory, aligned and kept as well. It goes as far as what is reserved, which all of that front is.
    unsafe { ring.with_front(front) }
}
