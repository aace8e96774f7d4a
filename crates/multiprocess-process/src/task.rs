//! Functions that a process calls again and again for a pool: a task is an entry in the executable, and bytes.
//!
//! An entry for tasks is found as one for a child is (`function.rs`). It takes bytes without handles, because a task has no
//! message of its own that could carry one, and puts what came of it into a buffer that the worker uses again. Whatever panics,
//! the function or the code that reads its arguments or writes its result, the process goes on.
//!
//! The bytes of a **single** call are its packed arguments, and its packed result; those of a vector of bytes are its
//! own (`octets.rs`). A **chunk** is several calls of one function. Its bytes are those of each call behind their
//! length (32 bits), and so are its results, with a byte in front that says what each is ([`End`]).

use crate::function::{ChildEntry, Code, Entry, Function, Outcome, conjure};
use crate::octets;
use crate::report;
use multiprocess_parcel::{Fd, Message, Parcel, RemoteError, pack, pack_data, pack_data_onto, unpack_data};
use multiprocess_sys::handle::{AsHandle, OwnedHandle};
use multiprocess_sys::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// What refusals of a handle call the carrier.
pub const CARRIER: &str = "a pool task";

/// What the bytes are that a task leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum End {
    /// The value.
    Value = 0,
    /// A report of its panic.
    Panicked = 1,
    /// An error: the arguments could not be read, or the value not written.
    Failed = 2,
}

impl End {
    /// What that number means; `None` if nothing.
    #[inline]
    pub fn of(number: u8) -> Option<End> {
        [End::Value, End::Panicked, End::Failed].into_iter().find(|end| *end as u8 == number)
    }
}

/// Called after each call of a chunk with all results so far.
pub type Step<'a> = &'a mut dyn FnMut(&mut Vec<u8>);

/// The code of tasks: it calls the function once, or with a step for each item of a chunk, and puts what came of it into the second
/// buffer, which is empty before. The arguments of a single call may be taken.
pub type TaskCall = fn(&mut Vec<u8>, &mut Vec<u8>, Option<Step<'_>>) -> End;

/// How to call one function for tasks.
pub type TaskEntry = Entry<TaskCall>;

impl Code for TaskCall {
    const MAGIC: u64 = u64::from_ne_bytes(*b"mp-tasks");
    const ERRAND: &'static str = "giving a task to a pool";

    fn address(self) -> *const () {
        self as *const ()
    }
}

impl TaskEntry {
    /// The entry of `F` for the arguments `A`. A value alone is packed as the tuple of it: both are the same bytes.
    pub fn of<F, A>() -> &'static TaskEntry
    where
        F: Function<A>,
        A: Message,
        F::Output: Message,
    {
        const { &Entry::new(call::<F, A> as TaskCall) }
    }

    /// Calls the function in this process.
    #[inline]
    pub fn call(&self, arguments: &mut Vec<u8>, out: &mut Vec<u8>, step: Option<Step<'_>>) -> End {
        self.code()(arguments, out, step)
    }
}

fn call<F, A>(arguments: &mut Vec<u8>, out: &mut Vec<u8>, step: Option<Step<'_>>) -> End
where
    F: Function<A>,
    A: Message,
    F::Output: Message,
{
    let function = conjure::<F>();
    match step {
        None => run_single(arguments, out, |arguments: A| function.call(arguments)),
        Some(step) => run_chunk(arguments, out, step, |arguments: A| function.call(arguments)),
    }
}

fn run_single<A: Message, R: Message>(
    arguments: &mut Vec<u8>,
    out: &mut Vec<u8>,
    function: impl FnOnce(A) -> R,
) -> End {
    run(out, |out| {
        // A buffer that is much larger stays here.
        let value = match octets::are::<A>() && arguments.capacity() / 2 <= arguments.len() {
            true => function(octets::value(std::mem::take(arguments))),
            false => function(unpack_single::<A>(arguments)?),
        };
        match octets::of(value) {
            Ok(octets) => *out = octets,
            Err(value) => pack_data_onto(&value, CARRIER, out)?,
        }
        Ok(())
    })
}

fn run_chunk<A: Message, R: Message>(
    mut arguments: &[u8],
    out: &mut Vec<u8>,
    step: Step<'_>,
    function: impl Fn(A) -> R + Copy,
) -> End {
    while !arguments.is_empty() {
        let Some((item, rest)) = split_item(arguments) else {
            out.clear();
            return fail(out, Error::new(ErrorKind::Damaged, "reading a chunk of tasks"));
        };
        arguments = rest;
        let start = out.len();
        out.extend_from_slice(&[0; RESULT_HEAD]);
        let end = run(out, |out| pack_data_onto(&function(unpack::<A>(item)?), CARRIER, out));
        // A result of 4 GiB is none.
        let length = u32::try_from(out.len() - start - RESULT_HEAD);
        let (end, length) = length.map(|length| (end, length)).unwrap_or_else(|_| {
            out.truncate(start + RESULT_HEAD);
            let end = fail(out, Error::new(ErrorKind::TooLarge, "returning a result of a chunk"));
            (end, (out.len() - start - RESULT_HEAD) as u32)
        });
        out[start] = end as u8;
        out[start + 1..start + RESULT_HEAD].copy_from_slice(&length.to_ne_bytes());
        step(out);
    }
    End::Value
}

/// What stands before each result of a chunk.
const RESULT_HEAD: usize = 5;

/// The first item of a chunk, and the rest; `None` if the bytes are none of a chunk.
#[inline]
fn split_item(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_ne_bytes(*length) as usize)
}

/// Appends an item to a chunk.
///
/// # Errors
///
/// It cannot be packed, or is larger than 4 GiB. The chunk is as it was.
#[inline]
pub fn push_item<T: Serialize>(chunk: &mut Vec<u8>, item: &T) -> Result<(), Error> {
    let start = chunk.len();
    chunk.extend_from_slice(&[0; 4]);
    let packed = pack_data_onto(item, CARRIER, chunk).and_then(|()| {
        let length = u32::try_from(chunk.len() - start - 4);
        length.map_err(|_| Error::new(ErrorKind::TooLarge, "giving a task of 4 GiB or more to a pool"))
    });
    match packed {
        Ok(length) => {
            chunk[start..start + 4].copy_from_slice(&length.to_ne_bytes());
            Ok(())
        }
        Err(error) => {
            chunk.truncate(start);
            Err(error)
        }
    }
}

/// The value that an item of a chunk, or one of its results, is. A vector of bytes is copied, not read byte by byte.
///
/// # Errors
///
/// It is none.
#[inline]
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    match octets::find::<T>(bytes, 0) {
        Some(start) => Ok(octets::value(bytes[start..].to_vec())),
        None => unpack_data(bytes),
    }
}

/// Packs the arguments of a single call: at the end of `bytes`, or as a vector of their own, if they are one already that is not short.
///
/// # Errors
///
/// They cannot be packed; `bytes` are as they were.
#[inline]
pub fn pack_single<T: Serialize>(bytes: &mut Vec<u8>, arguments: T) -> Result<Option<Vec<u8>>, Error> {
    match octets::of(arguments) {
        Ok(octets) if octets.len() > OCTETS_SHORT => return Ok(Some(octets)),
        Ok(octets) => bytes.extend_from_slice(&octets),
        Err(arguments) => pack_data_onto(&arguments, CARRIER, bytes)?,
    }
    Ok(None)
}

/// What is rather copied to others than kept by itself.
const OCTETS_SHORT: usize = 256;

/// The arguments of a single call, or its result.
///
/// # Errors
///
/// They are none.
#[inline]
pub fn unpack_single<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if octets::are::<T>() { Ok(octets::value(bytes.to_vec())) } else { unpack_data(bytes) }
}

/// The same, if the bytes are not needed any more.
///
/// # Errors
///
/// As [`unpack_single`].
#[inline]
pub fn unpack_single_owned<T: DeserializeOwned>(bytes: Vec<u8>) -> Result<T, Error> {
    if octets::are::<T>() { Ok(octets::value(bytes)) } else { unpack_data(&bytes) }
}

/// How many items a chunk holds, and where the item of that number begins.
pub fn item_start(chunk: &[u8], number: usize) -> Option<usize> {
    let mut rest = chunk;
    for _ in 0..number {
        rest = split_item(rest)?.1;
    }
    Some(chunk.len() - rest.len())
}

/// The first result of a chunk, and the rest; `None` if there is none, or the bytes are none of a chunk.
#[inline]
pub fn split_result(bytes: &[u8]) -> Option<(End, &[u8], &[u8])> {
    let ([end, length @ ..], rest) = bytes.split_first_chunk::<RESULT_HEAD>()?;
    let (result, rest) = rest.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
    Some((End::of(*end)?, result, rest))
}

#[inline]
fn run(out: &mut Vec<u8>, work: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) -> End {
    let start = out.len();
    // Unwind safe: what a task left half-done in this process is for the program's author to know about, as with threads.
    let result = catch_unwind(AssertUnwindSafe(|| work(out)));
    match result {
        Ok(Ok(())) => End::Value,
        Ok(Err(error)) => {
            out.truncate(start);
            fail(out, error)
        }
        Err(payload) => {
            out.truncate(start);
            let report = report::of(&*payload);
            // Dropping what a user's panic carries may panic again.
            std::mem::forget(payload);
            tell(out, End::Panicked, &report)
        }
    }
}

#[cold]
fn fail(out: &mut Vec<u8>, error: Error) -> End {
    tell(out, End::Failed, &RemoteError::new(error))
}

fn tell<T: Serialize>(out: &mut Vec<u8>, end: End, what: &T) -> End {
    // Text can be packed.
    out.extend(pack_data(what, CARRIER).unwrap_or_default());
    end
}

/// Packs an error as a task's result would be.
pub fn pack_failure(error: Error) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = fail(&mut bytes, error);
    bytes
}

/// A call that each worker of a pool makes first: packed once, sent many times, with the handles in its arguments.
#[derive(Debug, Clone)]
pub struct Preparation {
    function: u64,
    arguments: Arc<Parcel>,
}

impl Preparation {
    /// `F` with these arguments.
    ///
    /// # Errors
    ///
    /// The arguments cannot be sent, or the function lies outside the program's executable.
    pub fn new<F, A>(arguments: &A) -> Result<Preparation, Error>
    where
        F: Function<A, Output = ()>,
        A: Message,
    {
        let function = ChildEntry::of_function::<F, A>().offset()?;
        Ok(Preparation { function, arguments: Arc::new(pack(arguments)?) })
    }

    /// Makes the call. A panic goes on.
    ///
    /// # Errors
    ///
    /// The arguments cannot be read.
    pub fn run(self) -> Result<(), Error> {
        let arguments = Arc::into_inner(self.arguments).unwrap_or_default();
        match ChildEntry::at(self.function)?.call(arguments) {
            Outcome::Value(_) => Ok(()),
            Outcome::Panicked(payload) => resume_unwind(payload),
            Outcome::Failed(error) => Err(Error::from(error)),
        }
    }
}

impl Serialize for Preparation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let handles: Vec<_> = self.arguments.handles.iter().map(|handle| Fd(handle.as_fd())).collect();
        (self.function, &self.arguments.bytes, handles).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Preparation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Preparation, D::Error> {
        let (function, bytes, handles) = <(u64, Vec<u8>, Vec<Fd<OwnedHandle>>)>::deserialize(deserializer)?;
        let handles = handles.into_iter().map(|handle| handle.0).collect();
        let arguments = Parcel { bytes, handles, ..Parcel::default() };
        Ok(Preparation { function, arguments: Arc::new(arguments) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry_of<F: Fn(u32) -> u32 + Copy + Send + 'static>(_: F) -> &'static TaskEntry {
        TaskEntry::of::<F, (u32,)>()
    }

    #[test]
    fn a_chunk_has_a_result_for_each_item() {
        let entry = entry_of(|x| if x == 2 { panic!("two") } else { x * 2 });
        let entry = TaskEntry::at(entry.offset().unwrap()).unwrap();
        let (mut chunk, mut out, mut steps) = (Vec::new(), Vec::new(), 0);
        for item in 1..=3u32 {
            push_item(&mut chunk, &item).unwrap();
        }
        assert_eq!(entry.call(&mut chunk, &mut out, Some(&mut |_| steps += 1)), End::Value);
        assert_eq!(steps, 3);
        let (end, first, rest) = split_result(&out).unwrap();
        assert_eq!((end, unpack_data::<u32>(first).unwrap()), (End::Value, 2));
        let (end, _, rest) = split_result(rest).unwrap();
        assert_eq!(end, End::Panicked);
        let (end, last, rest) = split_result(rest).unwrap();
        assert_eq!((end, unpack_data::<u32>(last).unwrap(), rest.len()), (End::Value, 6, 0));
        assert_eq!(item_start(&chunk, 3), Some(chunk.len()));
        assert_eq!(item_start(&chunk, 4), None);
    }

    #[test]
    fn a_single_call_has_its_arguments_alone() {
        let entry = entry_of(|x| x * 2);
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        assert_eq!(pack_single(&mut bytes, 21u32).unwrap(), None);
        assert_eq!(entry.call(&mut bytes, &mut out, None), End::Value);
        assert_eq!(unpack_single::<u32>(&out).unwrap(), 42);
        assert_eq!(entry.call(&mut vec![255; 9], &mut Vec::new(), None), End::Failed);
    }

    #[test]
    fn a_vector_of_bytes_goes_through_a_single_call_as_it_is() {
        fn entry<F: Function<(Vec<u8>,), Output = Vec<u8>>>(_: F) -> &'static TaskEntry {
            TaskEntry::of::<F, (Vec<u8>,)>()
        }
        let mut bytes = pack_single(&mut Vec::new(), vec![7u8; 1000]).unwrap().unwrap();
        let (place, mut out) = (bytes.as_ptr(), Vec::new());
        assert_eq!(entry(|bytes: Vec<u8>| bytes).call(&mut bytes, &mut out, None), End::Value);
        assert_eq!((out.as_ptr(), out.len()), (place, 1000));
        let value = unpack_single_owned::<Vec<u8>>(out).unwrap();
        assert_eq!((value.as_ptr(), value.len()), (place, 1000));
    }

    #[test]
    fn damaged_chunks_are_errors() {
        let entry = entry_of(|x| x);
        for bytes in [&[1u8][..], &[9, 0, 0, 0, 1], &[255; 9]] {
            let mut out = Vec::new();
            assert_eq!(entry.call(&mut bytes.to_vec(), &mut out, Some(&mut |_| ())), End::Failed);
        }
        assert!(TaskEntry::at(entry.offset().unwrap() + 8).is_err());
        assert!(ChildEntry::at(entry.offset().unwrap()).is_err());
    }
}
