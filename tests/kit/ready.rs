//! A word from a child that it has come so far: a pipe of which the child holds the writing end.
//!
//! The counterpart of a [`gate`](crate::gate), at which the child waits.

use multiprocess::Fd;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};

/// The parent's end.
#[derive(Debug)]
pub struct Ready(PipeReader);

/// The child's end, to pass as an argument.
pub type Sayer = Fd<PipeWriter>;

impl Ready {
    /// Both ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_tests::ready::{Ready, say};
    ///
    /// let (mut ready, mut sayer) = Ready::new();
    /// say(&mut sayer);
    /// ready.wait();
    /// ```
    ///
    /// # Panics
    ///
    /// When there is no descriptor left.
    pub fn new() -> (Ready, Sayer) {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        (Ready(reader), Fd(writer))
    }

    /// Waits for one word.
    ///
    /// # Panics
    ///
    /// When the child ends without having said it.
    #[track_caller]
    pub fn wait(&mut self) {
        self.0.read_exact(&mut [0]).expect("the child gets so far");
    }
}

/// Says one word.
///
/// # Panics
///
/// When nobody listens any more.
pub fn say(sayer: &mut Sayer) {
    sayer.write_all(b"r").expect("the parent listens");
}

/// Another end that says words to the same parent, for another child.
///
/// # Panics
///
/// When there is no descriptor left.
pub fn another(sayer: &Sayer) -> Sayer {
    Fd(sayer.try_clone().expect("a descriptor can be copied"))
}
