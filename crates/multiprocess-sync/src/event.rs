//! An event: a flag for which any number of processes waits.

use crate::group::Group;
use crate::object::{Body, Object, Parameters, Payload, handle, kind};
use multiprocess_core::atomics::AtomicU64;
use multiprocess_core::event::Event as RawEvent;
use multiprocess_shm::Patience;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::waitable::{Source, WaitWord, Waitable};
use std::fmt;
use std::time::{Duration, Instant};

/// A flag that is set or clear, and for which any number of processes waits.
///
/// Whoever waits when [`set`](Event::set) is called returns, even if [`clear`](Event::clear) follows before it runs. What a
/// process wrote before it set the event is seen by those who return from a wait after it, and by who clears it.
///
/// A handle is cheap to clone, and travels to other processes in arguments and messages.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::Event;
///
/// let ready = Event::new()?;
/// let other = ready.clone(); // or pass it to a process
/// let thread = std::thread::spawn(move || other.set());
/// ready.wait();
/// assert!(ready.is_set());
/// # thread.join().unwrap();
/// # Ok::<(), multiprocess_sync::Error>(())
/// ```
///
/// # Crash
///
/// Nobody holds an event: a process that is killed while it waits, sets or clears disturbs nobody. Its set or clear happened or
/// not; if it was killed before it woke the others, they wake by themselves within 100 ms.
///
/// # Persistence
///
/// It goes with its last handle, and its name with the last process that has it open.
pub struct Event(Object<RawEvent>);

handle!(Event, |_| Ok(()));

// SAFETY: the struct is `#[repr(C)]`, made of one atomic, and any number in it is handled.
unsafe impl Body for RawEvent {
    const KIND: u32 = kind::EVENT;

    fn payload(parameters: &Parameters) -> Option<Payload> {
        (parameters.0 == [0; 4]).then_some(Payload::whole(0))
    }
}

impl Event {
    /// A clear event without a name.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = multiprocess_sync::Event::new()?;
    /// assert!(!event.is_set());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Out of descriptors or memory.
    pub fn new() -> Result<Event, Error> {
        Object::new(Parameters::default(), |_| ()).map(Event)
    }

    /// A clear event with a name that nothing else has.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{ErrorKind, Event};
    ///
    /// let event = Event::create("doc-event-create")?;
    /// assert_eq!(Event::create("doc-event-create").unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// # drop(event);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](multiprocess_sys::ErrorKind::AlreadyExists) while a process has something of that name open; a name
    /// that cannot be; out of descriptors or memory.
    ///
    /// # Crash
    ///
    /// Either nothing has the name or the event does, until others find nobody alive who has it open.
    pub fn create(name: &str) -> Result<Event, Error> {
        Object::create(name, Parameters::default(), |_| ()).map(Event)
    }

    /// The event of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{ErrorKind, Event};
    ///
    /// assert_eq!(Event::open("doc-event-nowhere").unwrap_err().kind(), ErrorKind::NotFound);
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](multiprocess_sys::ErrorKind::NotFound); something else has the name, or is damaged.
    ///
    /// # Crash
    ///
    /// Nothing has changed for others.
    pub fn open(name: &str) -> Result<Event, Error> {
        Object::open(name, |_| Ok(())).map(Event)
    }

    /// The event of that name, or else a new, clear one.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Event;
    ///
    /// let first = Event::open_or_create("doc-event-either")?;
    /// let second = Event::open_or_create("doc-event-either")?;
    /// first.set();
    /// assert!(second.is_set());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Event::open) and [`create`](Event::create), but that the name may be new or not.
    ///
    /// # Crash
    ///
    /// As for [`create`](Event::create).
    pub fn open_or_create(name: &str) -> Result<Event, Error> {
        Object::open_or_create(name, Parameters::default(), |_| (), |_| Ok(())).map(Event)
    }

    pub(crate) fn in_group(group: &Group) -> Result<Event, Error> {
        Object::in_group(group, Parameters::default(), |_| ()).map(Event)
    }

    /// Sets it. Everybody who waits returns, and so does everybody who comes, until somebody clears it.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = multiprocess_sync::Event::new()?;
    /// event.set();
    /// event.wait(); // returns at once
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// The event is set or not; if it is, everybody returns within 100 ms.
    #[inline]
    pub fn set(&self) {
        self.0.body().set(self.0.segment());
    }

    /// Clears it. Whoever waited while it was set still returns.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = multiprocess_sync::Event::new()?;
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// The event is clear or not.
    #[inline]
    pub fn clear(&self) {
        self.0.body().clear();
    }

    /// Whether it is set now.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = multiprocess_sync::Event::new()?;
    /// assert!(!event.is_set());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// Nothing has changed for others.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.0.body().is_set()
    }

    /// Waits until it is set.
    ///
    /// # Examples
    ///
    /// ```
    /// let event = multiprocess_sync::Event::new()?;
    /// let setter = event.clone();
    /// let thread = std::thread::spawn(move || setter.set());
    /// event.wait();
    /// # thread.join().unwrap();
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// Nothing has changed for others; the next `set` may look in vain for who waited.
    #[inline]
    pub fn wait(&self) {
        while !self.wait_with(Patience::forever()) {}
    }

    /// Waits until it is set, at most for `timeout`; whether it was set. The time is that of a clock that nobody sets.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let event = multiprocess_sync::Event::new()?;
    /// assert!(!event.wait_timeout(Duration::from_millis(10)));
    /// event.set();
    /// assert!(event.wait_timeout(Duration::ZERO));
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// As for [`wait`](Event::wait).
    #[must_use = "false means that the time ran out"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_with(Patience::until(Deadline::after(timeout)))
    }

    /// Waits until it is set, at most until `deadline`; whether it was set.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let (first, second) = (multiprocess_sync::Event::new()?, multiprocess_sync::Event::new()?);
    /// let deadline = Instant::now() + Duration::from_millis(10);
    /// assert!(!first.wait_deadline(deadline) && !second.wait_deadline(deadline), "both in 10 ms");
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// As for [`wait`](Event::wait).
    #[must_use = "false means that the time ran out"]
    pub fn wait_deadline(&self, deadline: Instant) -> bool {
        self.wait_with(Patience::until(Deadline::at(deadline)))
    }

    #[inline]
    fn wait_with(&self, mut patience: Patience) -> bool {
        self.0.body().wait(&mut patience)
    }
}

/// Ready once it is set; one that is cleared again while somebody waits for it is ready for them nevertheless.
impl Waitable for Event {
    fn source(&self) -> Result<Source<'_>, Error> {
        Ok(Source::Word(self))
    }
}

impl WaitWord for Event {
    fn note(&self) -> u64 {
        self.0.body().note()
    }

    fn is_ready(&self, noted: u64) -> bool {
        self.0.body().has_come(noted)
    }

    fn announce(&self, noted: u64) -> Option<(&AtomicU64, u32)> {
        self.0.body().announce(noted).map(|(word, announced)| (word, announced as u32))
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Event");
        shown.field("name", &self.0.name()).field("is_set", &self.is_set()).finish()
    }
}
