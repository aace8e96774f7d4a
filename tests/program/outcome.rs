//! What came of a start, as one line that a suite can compare.

use multiprocess::{Child, Error, JoinError};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Joins what was started: `value V`, `start-error Kind code: text`, or `join-error text`.
pub fn joined<R: Debug + DeserializeOwned>(started: Result<Child<R>, Error>) -> String {
    match started {
        Ok(child) => value(child.join()),
        Err(error) => refusal(&error),
    }
}

/// The outcome of a join: `value V` or `join-error text`.
pub fn value<R: Debug>(joined: Result<R, JoinError>) -> String {
    match joined {
        Ok(value) => format!("value {value:?}"),
        Err(error) => format!("join-error {}", chain(&error)),
    }
}

/// The error of a start with its kind and the operating system's code, if there is one.
pub fn refusal(error: &Error) -> String {
    let code = error.raw_os_error().map_or("none".to_owned(), |code| code.to_string());
    format!("start-error {:?} {code}: {}", error.kind(), chain(error))
}

/// An error's text with the texts of its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace('\n', " / ")
}
