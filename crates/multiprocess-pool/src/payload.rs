//! What came of a task, as it arrives: bytes whose type only the one who waits for them knows.

use crate::error::TaskError;
use multiprocess_parcel::{PanicReport, RemoteError, unpack_data};
use multiprocess_process::task::{End, unpack_single, unpack_single_owned};
use multiprocess_sys::Error;
use serde::de::DeserializeOwned;

/// Bytes, few of them without memory of their own.
#[derive(Debug, Clone)]
pub(crate) enum Bytes {
    Short(u8, [[u8; 8]; SHORT as usize / 8]),
    Long(Vec<u8>),
}

/// How many bytes are few.
pub(crate) const SHORT: u64 = 16;

impl Bytes {
    pub(crate) const EMPTY: Bytes = Bytes::Short(0, [[0; 8]; SHORT as usize / 8]);

    #[inline]
    pub(crate) fn new(bytes: &[u8]) -> Bytes {
        if bytes.len() as u64 > SHORT {
            return Bytes::Long(bytes.into());
        }
        let mut short = [[0; 8]; SHORT as usize / 8];
        short.as_flattened_mut()[..bytes.len()].copy_from_slice(bytes);
        Bytes::Short(bytes.len() as u8, short)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Short(length, bytes) => &bytes.as_flattened()[..usize::from(*length)],
            Bytes::Long(bytes) => bytes,
        }
    }
}

/// What came of a task.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// What its worker left.
    Left(End, Bytes),
    /// Nothing was left.
    Lost(Box<TaskError>),
}

impl Outcome {
    pub(crate) fn lost(error: TaskError) -> Outcome {
        Outcome::Lost(Box::new(error))
    }

    /// The value of a single call, or why there is none.
    #[inline]
    pub(crate) fn decode<R: DeserializeOwned>(self) -> Result<R, TaskError> {
        match self {
            Outcome::Left(End::Value, Bytes::Long(bytes)) => unpack_single_owned(bytes).map_err(TaskError::transfer),
            Outcome::Left(end, bytes) => decode(end, bytes.as_slice(), unpack_single),
            Outcome::Lost(error) => Err(*error),
        }
    }
}

/// The value that a worker left, or why there is none.
#[inline]
pub(crate) fn decode<R>(end: End, bytes: &[u8], unpack: fn(&[u8]) -> Result<R, Error>) -> Result<R, TaskError> {
    match end {
        End::Value => unpack(bytes).map_err(TaskError::transfer),
        End::Panicked => Err(unpack_data::<PanicReport>(bytes).map_or_else(TaskError::transfer, TaskError::Panicked)),
        End::Failed => Err(unpack_data::<RemoteError>(bytes).map_or_else(TaskError::transfer, TaskError::Transfer)),
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        if bytes.len() as u64 > SHORT { Bytes::Long(bytes) } else { Bytes::new(&bytes) }
    }
}
