//! What can be waited for together with others, without this crate knowing what it is.
//!
//! There are two ways in which a thing can make a process wait, and the system has a call for each: a handle is waited for by
//! asking the system when it can be read; a word of shared memory is slept on. [`Waitable`] says which way a thing has, so that
//! whoever waits for many need not know the things.
//!
//! A thing with a word answers by [`WaitWord`]. Whoever waits for it goes through these steps, and each is repeated until the thing is
//! ready or the time is over:
//!
//! | Step | Call | What it prevents |
//! | --- | --- | --- |
//! | note | [`WaitWord::note`], once | a thing that was ready for a moment while we waited is not missed |
//! | look | [`WaitWord::is_ready`] | sleeping although there is no need |
//! | probe | [`WaitWord::probe`], before the first sleep, then once in each slice of time | waiting for a process that is dead |
//! | announce | [`WaitWord::announce`] | that who makes it ready sees no sleeper, and wakes nobody |
//! | look again | [`WaitWord::is_ready`] | that it became ready between the first look and the announcement |
//! | sleep | on the announced word, while its lower half has the announced value, for a slice | falling asleep after the wake-up |
//! | pass on | [`WaitWord::pass_on`], once, after a sleep | that a wake-up meant for one who takes something ends with one who only looks |
//!
//! Who makes the thing ready first changes what `is_ready` looks at, then (fence, or in the same exchange) the word, then wakes.
//! A process killed between any two of its steps leaves sleepers who find out at the end of their slice; one that waits and is
//! killed leaves its announcement, which costs one vain wake-up.

use crate::Error;
use crate::handle::BorrowedHandle;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What can be waited for together with others: a handle of the system that can be read (or whose other end is gone) when it
/// is ready, or an object in shared memory.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::waitable::Waitable;
///
/// let (reader, writer) = std::io::pipe()?;
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let many: [&dyn Waitable; 2] = [&reader, &listener];
/// # Ok::<(), std::io::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be waited for together with others",
    note = "receivers, connections, children, tasks, events, files and sockets can"
)]
pub trait Waitable {
    /// How to wait for it.
    ///
    /// # Errors
    ///
    /// It can no longer be waited for: the program closed its handle.
    #[doc(hidden)]
    fn source(&self) -> Result<Source<'_>, Error>;
}

/// How a thing is waited for.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// Not at all: it is ready, and stays so.
    Ready,
    /// It is ready when this can be read, its other end is gone, or there is an error to be had from it.
    Handle(BorrowedHandle<'a>),
    /// It is asked, and slept for on a word of memory.
    Word(&'a dyn WaitWord),
}

/// A thing that can be asked whether it is ready, and that has a word to sleep on (the table above says in which order the
/// calls are made). Several threads may do so at the same time.
#[doc(hidden)]
pub trait WaitWord: Sync {
    /// What is to be remembered of the moment in which waiting began, and handed to the other calls.
    fn note(&self) -> u64 {
        0
    }

    /// Whether it is ready: a call on it would not block, because it has what is wanted, or an error. A cheap look.
    fn is_ready(&self, noted: u64) -> bool;

    /// The same, but it also finds out whether a process has died for which one would wait in vain. May ask the system.
    fn probe(&self, noted: u64) -> bool {
        self.is_ready(noted)
    }

    /// Announces that the caller is about to sleep. The word, and which value of its lower half (the 32 bits of least value) it may
    /// sleep on; `None` if it must not, because something has changed meanwhile. An [`is_ready`](WaitWord::is_ready) that comes after
    /// this call in the same thread sees everything whose doer has not seen the announcement.
    fn announce(&self, noted: u64) -> Option<(&AtomicU64, u32)>;

    /// The caller has slept on the word and leaves. If wake-ups of this thing go to single sleepers, one may have come to the caller
    /// that was meant for somebody who takes something: this hands it on.
    fn pass_on(&self) {}
}

macro_rules! through {
    ($($pointer:ty),*) => { $(
        impl<T: Waitable + ?Sized> Waitable for $pointer {
            fn source(&self) -> Result<Source<'_>, Error> {
                (**self).source()
            }
        }
    )* };
}

through!(&T, &mut T, Box<T>, Arc<T>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_what_they_point_at() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let reader = Arc::new(Box::new(reader));
        let one: &dyn Waitable = &&reader;
        assert!(matches!(one.source(), Ok(Source::Handle(_))));
    }
}
