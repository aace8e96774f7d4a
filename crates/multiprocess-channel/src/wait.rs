//! Waiting for whichever of many things is ready first: receivers, connections, children, events, files, sockets.
//!
//! A thing is ready by a *handle*, for which the system is asked (poll(2)), or by a *word* of shared memory, on which one sleeps.
//! What a thing with a word must do is told where [`Waitable`] is; this file is the other side. No call of the system waits for both
//! kinds, so there are three ways to sleep:
//!
//! | Handles | Words | Who sleeps, and on what |
//! | :-: | :-: | --- |
//! | some | none | the caller, in one poll until the deadline |
//! | none | up to 128 different ones | the caller, on all words at once, in slices |
//! | any | else | the caller on its share of the words and on a *bell*; helpers (`wait/crew.rs`) on the rest, who ring it |
//!
//! **The steps of the caller.** (1) It notes the state of each word, and looks at everything. (2) It looks at the words again while it
//! spins and gives way, for some microseconds. (3) It probes, that is, it looks whether what could make a thing ready has died.
//! (4) It announces on each word that it sleeps. (5) It looks again. (6) It sleeps, while all words are as announced, for a slice of
//! 5 ms, doubling up to 100 ms. (7) It looks at everything, and begins at 3 if nothing is ready; a probe comes once in each slice's
//! time. (8) If it has slept, it hands on wake-ups that were meant for one who takes what there is. What it returns is what a
//! look at everything has found, never what woke it.
//!
//! **The races.** A thing that becomes ready before 4 is seen in 5: who makes it ready changes the thing, then the word, and
//! the announcement is on the same word. One that becomes ready after 4 finds the announcement, changes the word and wakes: before 6
//! the sleep does not begin, after it the sleep ends. One that is ready for a moment only between two looks differs from what was
//! noted in 1, if it is a thing for which that counts (an event). A handle stays ready until somebody reads from it; if somebody
//! else does, the look in 7 finds nothing, and the wait goes on.
//!
//! **Death.** Of the caller, anywhere: its announcements cost one vain wake-up each, its threads go with it, and a wake-up that chose
//! it and only it is missed by another sleeper until that one's slice ends. Of who makes a thing ready, between its
//! change and its wake-up: the caller finds out at the end of its slice. Of a peer without whom nothing will come: the probe tells.

mod crew;

use multiprocess_core::{Step, Wait};
use multiprocess_shm::Patience;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::BorrowedHandle;
use multiprocess_sys::poll::{Readiness, poll};
use multiprocess_sys::waitable::{Source, WaitWord, Waitable};
use multiprocess_sys::{Error, ErrorKind, park};
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Waits until at least one of `objects` is ready; the indexes of all that are, in order. None are if `timeout` has passed
/// first; without one it waits for ever, and with one of zero it looks and does not wait.
///
/// A receiver is ready when it has a message or has lost its last sender, a connection when there is something to receive or
/// its other end is gone, a child when it has ended, a task of a pool when it has a result or has failed, an event when it is set, a
/// file or socket when reading from it would not block. So the call for which one waited does not block, unless somebody else comes first.
///
/// The same object may be there twice. A process that waits uses no processor time worth mentioning.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::{Waitable, wait};
/// use multiprocess_process::spawn;
/// use multiprocess_sync::Event;
/// use std::time::Duration;
///
/// let event = Event::new()?;
/// let child = spawn(|event: Event| event.set(), (event.clone(),))?;
/// let mut waiting: Vec<&dyn Waitable> = vec![&event, &child];
/// while !waiting.is_empty() {
///     for index in wait(&waiting, Some(Duration::from_secs(60)))?.into_iter().rev() {
///         waiting.remove(index);
///     }
/// }
/// assert!(event.is_set());
/// child.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// An object's handle was closed by the program, which the error says with its index; out of memory, descriptors or threads;
/// no objects and no timeout. Then nothing is known of any object.
///
/// # Crash
///
/// Nothing has changed for others.
///
/// # Platform
///
/// Linux: poll(2) and futex_waitv(2). For objects of both sorts, or more than 128 events and receivers, the calling process
/// has a few threads more while it waits. Before Linux 5.16 those objects are looked at every two milliseconds.
pub fn wait(objects: &[&dyn Waitable], timeout: Option<Duration>) -> Result<Vec<usize>, Error> {
    let deadline = timeout.map_or(Deadline::NEVER, Deadline::after);
    if objects.is_empty() && timeout.is_none() {
        return Err(Error::new(ErrorKind::Other, "waiting for ever, and for nothing"));
    }
    let many = Many::of(objects)?;
    if many.asked.is_empty() {
        return many.poll(Vec::new(), deadline);
    }
    let mut has_slept = false;
    let ready = many.wait(deadline, &mut has_slept);
    if has_slept {
        many.asked.iter().for_each(|asked| asked.thing.pass_on());
    }
    ready
}

/// The objects, by how they are waited for.
struct Many<'a> {
    /// How many there are.
    count: usize,
    /// Which are ready and stay so.
    ready: Vec<usize>,
    handles: Vec<BorrowedHandle<'a>>,
    /// Which objects those are handles of.
    handle_places: Vec<usize>,
    asked: Vec<Asked<'a>>,
}

/// An object with a word.
struct Asked<'a> {
    place: usize,
    thing: &'a dyn WaitWord,
    noted: u64,
}

impl Asked<'_> {
    fn is_ready(&self) -> bool {
        self.thing.is_ready(self.noted)
    }

    fn probe(&self) -> bool {
        self.thing.probe(self.noted)
    }
}

/// How closely to look at objects with words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Glance,
    Probe,
}

impl<'a> Many<'a> {
    fn of(objects: &'a [&'a dyn Waitable]) -> Result<Many<'a>, Error> {
        let count = objects.len();
        let mut many =
            Many { count, ready: Vec::new(), handles: Vec::new(), handle_places: Vec::new(), asked: Vec::new() };
        for (place, object) in objects.iter().enumerate() {
            match object.source().map_err(|error| many.refusal(place, error.kind()).with_source(error))? {
                Source::Ready => many.ready.push(place),
                Source::Handle(handle) => {
                    many.handles.push(handle);
                    many.handle_places.push(place);
                }
                Source::Word(thing) => many.asked.push(Asked { place, thing, noted: thing.note() }),
            }
        }
        Ok(many)
    }

    fn refusal(&self, place: usize, kind: ErrorKind) -> Error {
        Error::new(kind, format!("waiting for many objects: that of index {place}, of {}", self.count))
    }

    /// The steps 1 to 7, where there are words.
    fn wait(&self, deadline: Deadline, has_slept: &mut bool) -> Result<Vec<usize>, Error> {
        let mut patience = if deadline.has_passed() { Patience::none() } else { Patience::until(deadline) };
        let mut ready = self.look(Look::Glance)?;
        while ready.is_empty() {
            let look = match patience.step() {
                Step::Retry if self.asked.iter().any(Asked::is_ready) => Look::Glance,
                Step::Retry => continue,
                Step::Probe => Look::Probe,
                Step::TimedOut => break,
                Step::Sleep => {
                    *has_slept = true;
                    self.sleep(&mut patience)?
                }
            };
            ready = self.look(look)?;
        }
        Ok(ready)
    }

    /// Sleeps until something may be ready, for a slice or longer; how to look then.
    fn sleep(&self, patience: &mut Patience) -> Result<Look, Error> {
        if self.handles.is_empty() && sleep_on(&self.asked, None, patience.next_slice())? {
            return Ok(Look::Glance);
        }
        crew::sleep(self, patience)
    }

    /// Which are ready at this moment.
    fn look(&self, look: Look) -> Result<Vec<usize>, Error> {
        let is_ready = |asked: &&Asked<'_>| if look == Look::Probe { asked.probe() } else { asked.is_ready() };
        let found = self.asked.iter().filter(is_ready).map(|asked| asked.place).collect();
        if self.handles.is_empty() && self.ready.is_empty() {
            return Ok(found);
        }
        self.poll(found, Deadline::now())
    }

    /// Adds those with handles to what was `found`, and those that are always ready; waits for them if there is nothing else.
    fn poll(&self, mut found: Vec<usize>, deadline: Deadline) -> Result<Vec<usize>, Error> {
        found.extend_from_slice(&self.ready);
        let deadline = if found.is_empty() { deadline } else { Deadline::now() };
        for (readiness, &place) in poll(&self.handles, deadline)?.into_iter().zip(&self.handle_places) {
            match readiness {
                Readiness::Waiting => {}
                Readiness::Ready => found.push(place),
                Readiness::Closed => {
                    let closed = Error::new(ErrorKind::Closed, "its handle is closed");
                    return Err(self.refusal(place, ErrorKind::Closed).with_source(closed));
                }
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// The steps 4 to 6 for these objects: returns when one may be ready, when `bell` is not zero, or after a slice. `false`, at once, if
/// they have more words than one can sleep on.
fn sleep_on(asked: &[Asked<'_>], bell: Option<&AtomicU64>, slice: Duration) -> Result<bool, Error> {
    let mut words = Vec::with_capacity(asked.len() + 1);
    // First, because that is the one on which a system sleeps that cannot sleep on many.
    words.extend(bell.map(|bell| (bell, 0)));
    for Asked { thing, noted, .. } in asked {
        match thing.announce(*noted) {
            // Neighbours may share one, as all tasks of a pool do. If it has changed meanwhile, the sleep on its old value ends at once.
            Some((word, _)) if words.last().is_some_and(|(last, _)| ptr::eq(*last, word)) => {}
            Some(word) => words.push(word),
            None => return Ok(true),
        }
        if words.len() > park::WORDS_MAX {
            return Ok(false);
        }
    }
    if asked.iter().any(Asked::is_ready) {
        return Ok(true);
    }
    park::sleep_on_any(&words, slice).map(|()| true)
}
