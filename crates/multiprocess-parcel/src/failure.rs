//! Why a value could not be written or read, before its root type's name is added.

use std::error::Error as StdError;
use std::fmt;

use multiprocess_sys::{Error, ErrorKind};

/// The error of the writer and the reader, as serde's traits want one.
#[derive(Debug)]
pub(crate) struct Failure(Box<dyn StdError + Send + Sync>);

impl Failure {
    #[cold]
    pub(crate) fn new(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
        Failure(cause.into())
    }

    /// A value failed, and the one around it did not say so.
    #[cold]
    pub(crate) fn hidden() -> Failure {
        Failure::new("a value inside it failed, and the type around that value hid it")
    }

    /// What postcard could not read, in this workspace's words.
    #[cold]
    pub(crate) fn malformed(error: postcard::Error) -> Failure {
        Failure::new(match error {
            postcard::Error::DeserializeUnexpectedEnd => "the bytes end too early",
            postcard::Error::DeserializeBadVarint => "the bytes hold a malformed or too large number",
            postcard::Error::DeserializeBadBool => "the bytes hold a truth value that is neither 0 nor 1",
            postcard::Error::DeserializeBadChar => "the bytes hold a malformed character",
            postcard::Error::DeserializeBadUtf8 => "the bytes hold a text that is not UTF-8",
            _ => "the bytes are malformed",
        })
    }

    /// The public error; where the operating system refused, its kind is kept.
    pub(crate) fn into_error(self, kind: ErrorKind, doing: &str, type_name: &str) -> Error {
        let kind = self.0.downcast_ref::<Error>().map_or(kind, Error::kind);
        Error::new(kind, format!("{doing} a value of type `{type_name}`")).with_source(self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Failure {}

impl serde::ser::Error for Failure {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Failure {
        Failure::new(message.to_string())
    }
}

impl serde::de::Error for Failure {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Failure {
        Failure::new(message.to_string())
    }
}
