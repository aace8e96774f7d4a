//! A gate that a child waits at until its parent opens it: a pipe of which the child holds the reading end.
//!
//! A gate whose owner dies is open. So a child that waits at one cannot outlive its test.

use multiprocess::Fd;
use std::io::{PipeReader, PipeWriter, Read};

/// The parent's end: open once it is dropped.
#[derive(Debug)]
pub struct Gate(#[expect(dead_code, reason = "held, so that the pipe stays open")] PipeWriter);

/// The child's end, to pass as an argument.
pub type Closed = Fd<PipeReader>;

impl Gate {
    /// A closed gate and the end to pass to the child.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_tests::gate::{Gate, pass};
    ///
    /// let (gate, closed) = Gate::new();
    /// gate.open();
    /// pass(closed);
    /// ```
    ///
    /// # Panics
    ///
    /// When there is no descriptor left.
    pub fn new() -> (Gate, Closed) {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        (Gate(writer), Fd(reader))
    }

    /// Opens it.
    pub fn open(self) {}
}

/// Waits until the gate is open.
///
/// # Panics
///
/// When the gate is not the end of a pipe.
pub fn pass(mut gate: Closed) {
    let mut nothing = [0; 1];
    let count = gate.read(&mut nothing).expect("the gate can be read");
    assert_eq!(count, 0, "nobody writes to a gate");
}
