//! What went wrong in trials of starting a child, each as a test with real programs and processes.
//!
//! Most of it concerns a whole process: its user, its signals, its descriptors, its death. So a test runs a scenario
//! of the test program and reads what that prints.

mod aborts;
mod constructors;
mod deaths;
mod fixture;
mod forks;
mod namespaces;
mod privilege;
mod reaping;
mod refusals;
mod rights;
mod spares;

/// The first line that begins with `key` and a space, without them.
///
/// # Panics
///
/// When there is none; the message holds all that was printed.
#[track_caller]
fn line<'a>(printed: &'a str, key: &str) -> &'a str {
    let found = printed.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no line begins with {key:?} in:\n{printed}"))
}
