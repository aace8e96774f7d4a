//! Waiting until there is something to receive, without receiving it: together with other things, or in a future.
//!
//! A look is the ring's `is_empty` and the flags of the peers; the announcement is the ring's, and whoever sends, leaves or closes
//! wakes it. A wake-up for a message goes to one sleeper: who was woken and takes nothing hands it on.

use crate::attention::finds_nobody;
use crate::end::End;
use crate::{JoinableQueue, Queue, Receiver};
use multiprocess_core::peers::Side;
use multiprocess_sys::Error;
use multiprocess_sys::waitable::{Source, WaitWord, Waitable};
use std::sync::atomic::AtomicU64;

impl WaitWord for End {
    fn is_ready(&self, _: u64) -> bool {
        !self.channel().ring().is_empty() || finds_nobody(self, Side::Receivers, false)
    }

    fn probe(&self, _: u64) -> bool {
        self.channel().ring().probe(self.channel().segment());
        !self.channel().ring().is_empty() || finds_nobody(self, Side::Receivers, true)
    }

    fn announce(&self, _: u64) -> Option<(&AtomicU64, u32)> {
        let (word, announced) = self.channel().ring().announce_receiver();
        Some((word, announced as u32))
    }

    fn pass_on(&self) {
        self.channel().ring().pass_on(self.channel().segment());
    }
}

/// Ready when there is a message, or none will come.
impl<T> Waitable for Receiver<T> {
    fn source(&self) -> Result<Source<'_>, Error> {
        Ok(Source::Word(&*self.end))
    }
}

/// Ready when there is a message, or it is closed and empty.
impl<T> Waitable for Queue<T> {
    fn source(&self) -> Result<Source<'_>, Error> {
        Ok(Source::Word(&*self.end))
    }
}

/// As its [`Queue`].
impl<T> Waitable for JoinableQueue<T> {
    fn source(&self) -> Result<Source<'_>, Error> {
        (**self).source()
    }
}

#[cfg(feature = "tokio")]
pub(crate) use future::ready;

/// Waiting in a future.
#[cfg(feature = "tokio")]
mod future {
    use super::*;
    use multiprocess_core::{Step, Wait};
    use multiprocess_shm::Patience;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

    /// A wait in a thread of tokio's pool, which ends when the future that asked for it is dropped.
    struct Errand {
        end: Arc<End>,
        is_over: Arc<AtomicBool>,
    }

    impl Drop for Errand {
        fn drop(&mut self) {
            if !self.is_over.swap(true, Release) {
                self.end.wake_all();
            }
            // The thread may have got a wake-up that another receiver should have.
            self.end.pass_on();
        }
    }

    /// Waits until there is something to receive. Takes nothing, so it may be dropped at any time.
    pub(crate) async fn ready(end: &Arc<End>) {
        let errand = Errand { end: Arc::clone(end), is_over: Arc::new(AtomicBool::new(false)) };
        let (end, is_over) = (Arc::clone(end), Arc::clone(&errand.is_over));
        // An error is a runtime that ends: then this future is not polled again.
        let _ = tokio::task::spawn_blocking(move || wait(&end, &is_over)).await;
        drop(errand);
    }

    fn wait(end: &End, is_over: &AtomicBool) {
        let mut patience = Patience::forever();
        while !is_over.load(Acquire) && !end.is_ready(0) {
            match patience.step() {
                Step::Retry => {}
                Step::Probe if end.probe(0) => break,
                Step::Probe => {}
                Step::TimedOut => break,
                Step::Sleep => {
                    let (word, announced) = end.channel().ring().announce_receiver();
                    if !is_over.load(Acquire) && !end.is_ready(0) {
                        patience.sleep(word, announced);
                    }
                }
            }
        }
        is_over.store(true, Release);
    }
}
