//! What has come of tasks, for those who wait for them.

use crate::error::TaskError;
use crate::payload::{Bytes, Outcome, decode};
use multiprocess_parcel::RemoteError;
use multiprocess_process::task::{End, split_result, unpack, unpack_single};
use multiprocess_sys::{Error, ErrorKind};
use serde::de::DeserializeOwned;

/// Something that came for a job: the results of some items.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The number of the first item.
    pub(crate) item: u64,
    /// How many items; 0 = one call that is no chunk.
    pub(crate) items: u32,
    pub(crate) outcome: Outcome,
}

/// The same with few bytes, in pieces that are written where they shall lie: to copy what was just written in pieces is slow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Short {
    pub(crate) item: u64,
    pub(crate) items: u32,
    pub(crate) end: End,
    pub(crate) length: u8,
    pub(crate) first: u64,
    pub(crate) second: u64,
}

impl Short {
    #[inline]
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::Short(self.length, [self.first.to_le_bytes(), self.second.to_le_bytes()])
    }
}

/// What has come for the job of a call that gives many tasks, in any order.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    pub(crate) short: Vec<Short>,
    pub(crate) others: Vec<Arrival>,
}

impl Arrivals {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.short.len() + self.others.len()
    }

    /// Moves all to `to`, whose memory it may get in exchange.
    pub(crate) fn empty(&mut self, to: &mut Arrivals) {
        if to.len() == 0 {
            return std::mem::swap(self, to);
        }
        to.short.append(&mut self.short);
        to.others.append(&mut self.others);
    }

    /// Takes out what has come: for each item its number and its value or why there is none.
    pub(crate) fn each<R: DeserializeOwned>(&mut self, mut each: impl FnMut(u64, Result<R, TaskError>)) {
        for short in self.short.drain(..) {
            let (item, items, bytes) = (short.item, short.items, short.bytes());
            match short.end {
                end if items == 0 => each(item, decode(end, bytes.as_slice(), unpack_single)),
                End::Value => each_result(item, items, bytes.as_slice(), &mut each),
                end => each_failure(item, items, Outcome::Left(end, bytes), &mut each),
            }
        }
        for Arrival { item, items, outcome } in self.others.drain(..) {
            match outcome {
                outcome if items == 0 => each(item, outcome.decode()),
                Outcome::Left(End::Value, bytes) => each_result(item, items, bytes.as_slice(), &mut each),
                lost => each_failure(item, items, lost, &mut each),
            }
        }
    }
}

/// What has come for a job.
#[derive(Debug)]
pub(crate) enum Inbox {
    /// For one that has one task.
    One(Option<Arrival>),
    Many(Arrivals),
}

impl Inbox {
    pub(crate) fn push(&mut self, arrival: Arrival) {
        match self {
            Inbox::One(place) => _ = place.get_or_insert(arrival),
            Inbox::Many(arrivals) => arrivals.others.push(arrival),
        }
    }

    #[inline]
    pub(crate) fn push_short(&mut self, short: Short) {
        match self {
            Inbox::Many(arrivals) => arrivals.short.push(short),
            Inbox::One(_) => {
                let outcome = Outcome::Left(short.end, short.bytes());
                self.push(Arrival { item: short.item, items: short.items, outcome });
            }
        }
    }

    /// What came of the one task.
    pub(crate) fn take(&mut self) -> Option<Outcome> {
        match self {
            Inbox::One(arrival) => arrival.take().map(|arrival| arrival.outcome),
            Inbox::Many(_) => None,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Inbox::One(arrival) => usize::from(arrival.is_some()),
            Inbox::Many(arrivals) => arrivals.len(),
        }
    }
}

/// The results of a chunk.
#[inline]
fn each_result<R: DeserializeOwned>(
    item: u64,
    items: u32,
    mut bytes: &[u8],
    mut each: impl FnMut(u64, Result<R, TaskError>),
) {
    for number in item..item + u64::from(items.max(1)) {
        let Some((end, result, more)) = split_result(bytes) else {
            let error = Error::new(ErrorKind::Damaged, "reading the results of a chunk");
            each(number, Err(TaskError::transfer(error)));
            continue;
        };
        bytes = more;
        each(number, decode(end, result, unpack));
    }
}

/// A chunk that has no results.
#[cold]
fn each_failure<R>(item: u64, items: u32, outcome: Outcome, mut each: impl FnMut(u64, Result<R, TaskError>)) {
    let error = match outcome {
        Outcome::Left(End::Panicked, _) => {
            TaskError::Transfer(RemoteError::new("the results of a chunk are of an unknown kind"))
        }
        outcome => outcome.decode::<()>().err().unwrap_or(TaskError::Closed),
    };
    (item..item + u64::from(items.max(1))).for_each(|number| each(number, Err(error.clone())));
}
