//! Tasks that are packed and not placed yet.

use crate::payload::Bytes;
use multiprocess_process::task::{pack_single, push_item};
use multiprocess_sys::Error;
use serde::Serialize;
use std::collections::VecDeque;

/// How many tasks are packed before they are placed.
const TASKS: usize = 256;
/// The same in bytes.
const BYTES: usize = 1 << 19;

/// One task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed {
    /// The number of its first item.
    pub(crate) item: u64,
    /// How many items it is a chunk of; 0 = it is none.
    pub(crate) items: u32,
    /// Its bytes are a vector of their own.
    is_own: bool,
    /// Where its bytes end, which begin where those of the task before it end.
    end: usize,
}

/// Packed tasks, the first of which may be placed already.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    tasks: Vec<Packed>,
    placed: usize,
    bytes: Vec<u8>,
    /// Where the bytes of the next task begin.
    start: usize,
    own: VecDeque<Vec<u8>>,
    /// How many bytes these have.
    own_bytes: usize,
}

impl Batch {
    /// How many tasks are not placed.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.tasks.len() - self.placed
    }

    /// How many items these have.
    pub(crate) fn items(&self) -> usize {
        self.tasks[self.placed..].iter().map(|task| task.items.max(1) as usize).sum()
    }

    /// Whether they are to be placed before more are packed.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= TASKS || self.bytes.len() + self.own_bytes >= BYTES
    }

    /// Packs the next inputs as one task, up to `size` of them: how many, and whether there may be more.
    #[inline]
    pub(crate) fn pack<I>(&mut self, item: u64, size: usize, inputs: &mut I) -> (u64, Result<bool, Error>)
    where
        I: Iterator,
        I::Item: Serialize,
    {
        let (mut count, mut more) = (0, Ok(true));
        if size == 1 {
            match inputs.next().map(|input| pack_single(&mut self.bytes, input)) {
                Some(Ok(own)) => {
                    self.push(item, 0, own);
                    return (1, more);
                }
                Some(Err(error)) => return (0, Err(error)),
                None => return (0, Ok(false)),
            }
        }
        while count < size {
            match inputs.next().map(|input| push_item(&mut self.bytes, &input)) {
                Some(Ok(())) => count += 1,
                Some(Err(error)) => {
                    more = Err(error);
                    break;
                }
                None => {
                    more = Ok(false);
                    break;
                }
            }
        }
        if count > 0 {
            self.push(item, count as u32, None);
        }
        (count as u64, more)
    }

    #[inline]
    fn push(&mut self, item: u64, items: u32, own: Option<Vec<u8>>) {
        self.tasks.push(Packed { item, items, is_own: own.is_some(), end: self.bytes.len() });
        if let Some(own) = own {
            self.own_bytes += own.len();
            self.own.push_back(own);
        }
    }

    /// The next task to place, and its bytes.
    #[inline]
    pub(crate) fn next(&self) -> Option<(Packed, &[u8])> {
        let task = *self.tasks.get(self.placed)?;
        match self.own.front() {
            Some(own) if task.is_own => Some((task, own)),
            _ => Some((task, &self.bytes[self.start..task.end])),
        }
    }

    /// The next task is placed. If its bytes are a vector of their own, that is not needed any more.
    #[inline]
    pub(crate) fn advance(&mut self) -> Option<Vec<u8>> {
        let Packed { is_own, end, .. } = self.tasks[self.placed];
        self.placed += 1;
        self.start = end;
        let own = if is_own { self.own.pop_front() } else { None };
        self.own_bytes -= own.as_ref().map_or(0, Vec::len);
        if self.placed == self.tasks.len() {
            self.clear();
        }
        own
    }

    /// The bytes of the next task, which are to be kept elsewhere.
    pub(crate) fn take_bytes(&mut self) -> Bytes {
        let is_own = self.tasks.get(self.placed).is_some_and(|task| task.is_own);
        match self.own.front_mut() {
            Some(own) if is_own => Bytes::from(std::mem::take(own)),
            _ => self.next().map_or(Bytes::EMPTY, |(_, bytes)| Bytes::new(bytes)),
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.tasks.clear();
        self.bytes.clear();
        self.own.clear();
        (self.placed, self.start, self.own_bytes) = (0, 0, 0);
    }
}
