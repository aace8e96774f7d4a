//! Helpers for one sleep: threads that sleep where the caller cannot, since no call waits for both descriptors and words, and
//! none for more than 128 words.
//!
//! | Who | Sleeps on | Stops when |
//! | --- | --- | --- |
//! | the caller | its share of the words, and `bell` | one is ready, the bell was rung, or its time is over |
//! | a thread for the handles, if there are any | poll of all of them and an alarm | one is ready, or `stop` is set |
//! | a thread for each further share of the words | those, and `stop` | one is ready, or `stop` is set |
//!
//! | Word | 0 | 1 |
//! | --- | --- | --- |
//! | `bell` | nobody has found anything | a helper has ended: it has found something, or failed |
//! | `stop` | the caller sleeps | the caller has woken up: all shall end |
//!
//! The words go from 0 to 1 only, and each is slept on while it is 0, so no wake-up comes too early. Who sets one wakes its
//! sleepers after that; who polls is woken by the alarm, which is rung after `stop` is set, and stays. Should the program have
//! closed the alarm, the thread finds `stop` at the end of its slice. The caller returns when all helpers have ended. They live in
//! the caller's process, so they die with it.

use super::{Asked, Look, Many, sleep_on};
use multiprocess_core::{Step, Wait};
use multiprocess_shm::Patience;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::poll::{Alarm, Readiness, poll};
use multiprocess_sys::{Error, park, thread};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// How many words a thread takes beside its bell.
const SHARE: usize = park::WORDS_MAX - 1;

/// After which time a thread that polls looks whether it shall end, should it not hear the alarm.
const SLICE: Duration = Duration::from_millis(100);

struct Crew<'a> {
    many: &'a Many<'a>,
    /// Rung by helpers, for the caller. Relaxed, as `stop`: the system compares it again before it lets anybody sleep, and who
    /// is woken looks at the objects for itself.
    bell: AtomicU64,
    stop: AtomicU64,
    alarm: Option<Alarm>,
}

/// Sleeps until something may be ready or the time is over; how to look then.
pub(super) fn sleep(many: &Many<'_>, patience: &mut Patience) -> Result<Look, Error> {
    let alarm = if many.handles.is_empty() { None } else { Some(Alarm::new()?) };
    let crew = Crew { many, bell: AtomicU64::new(0), stop: AtomicU64::new(0), alarm };
    let (own, others) = many.asked.split_at(many.asked.len().min(SHARE));
    std::thread::scope(|scope| {
        // Lets the scope end, whatever comes.
        let stop = Stop(&crew);
        let mut helpers = Vec::new();
        if let Some(alarm) = &crew.alarm {
            helpers.push(thread::start_in(scope, "mp-wait", || crew.help(|| crew.poll(alarm)))?);
        }
        for share in others.chunks(SHARE) {
            let crew = &crew;
            helpers.push(thread::start_in(scope, "mp-wait", move || crew.help(|| crew.sleep(share)))?);
        }
        let look = crew.lead(own, patience);
        drop(stop);
        let ends: Result<Vec<()>, Error> = helpers.into_iter().map(end_of).collect();
        ends.and(look)
    })
}

fn end_of(helper: ScopedJoinHandle<'_, Result<(), Error>>) -> Result<(), Error> {
    helper.join().unwrap_or_else(|panic| resume_unwind(panic))
}

impl Crew<'_> {
    /// What the caller does.
    fn lead(&self, own: &[Asked<'_>], patience: &mut Patience) -> Result<Look, Error> {
        loop {
            sleep_on(own, Some(&self.bell), patience.next_slice())?;
            if self.bell.load(Relaxed) != 0 {
                // What a helper has found by a probe is found by a probe only.
                return Ok(if own.len() == self.many.asked.len() { Look::Glance } else { Look::Probe });
            }
            if own.iter().any(Asked::is_ready) {
                return Ok(Look::Glance);
            }
            match patience.step() {
                Step::Probe if own.iter().any(Asked::probe) => return Ok(Look::Probe),
                Step::TimedOut => return Ok(Look::Glance),
                Step::Probe | Step::Sleep | Step::Retry => {}
            }
        }
    }

    /// What a helper does.
    fn help(&self, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let done = work();
        self.bell.store(1, Relaxed);
        park::wake(&self.bell, 1);
        done
    }

    fn poll(&self, alarm: &Alarm) -> Result<(), Error> {
        let count = self.many.handles.len();
        let mut handles = self.many.handles.clone();
        while self.stop.load(Relaxed) == 0 {
            handles.truncate(count);
            handles.extend(alarm.handle());
            let found = poll(&handles, Deadline::after(SLICE))?;
            if found[..count].iter().any(|readiness| *readiness != Readiness::Waiting) {
                break;
            }
        }
        Ok(())
    }

    fn sleep(&self, share: &[Asked<'_>]) -> Result<(), Error> {
        let mut patience = Patience::forever();
        while self.stop.load(Relaxed) == 0 && !share.iter().any(Asked::probe) {
            sleep_on(share, Some(&self.stop), patience.next_slice())?;
        }
        Ok(())
    }
}

/// Ends the helpers when it is dropped.
struct Stop<'a>(&'a Crew<'a>);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(1, Relaxed);
        park::wake(&self.0.stop, u32::MAX);
        if let Some(alarm) = &self.0.alarm {
            alarm.ring();
        }
    }
}
