//! A barrier: a fixed number of parties that wait for each other.

use crate::object::{Body, Object, Parameters, Payload, handle, kind};
use multiprocess_core::barrier::{Barrier as RawBarrier, Broken, MAX_PARTIES};
use multiprocess_shm::Patience;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::{Error, ErrorKind};
use std::fmt;
use std::time::Duration;

/// Parties in any processes wait until all have come, again and again.
///
/// When the last party calls [`wait`](Barrier::wait), all go on, and the barrier is ready for the next time. If a party dies
/// while it waits, or runs out of time, the barrier *breaks*: everybody who waits gets [`BrokenBarrier`], and so does everybody
/// who comes, until somebody calls [`reset`](Barrier::reset). What a party did before it waited, all see when they go on.
///
/// # Examples
///
/// ```
/// use multiprocess_sync::Barrier;
///
/// let barrier = Barrier::new(2)?;
/// let other = barrier.clone(); // or pass it to a process
/// let thread = std::thread::spawn(move || other.wait().unwrap().index());
/// let index = barrier.wait()?.index();
/// assert_eq!(index + thread.join().unwrap(), 1); // 0 and 1, in any order
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// A party that is killed before it waits is awaited: give a time limit. One that is killed while it waits breaks the barrier
/// for the others, within 200 ms. One that is killed after the last party has come breaks nothing.
pub struct Barrier(Object<RawBarrier>);

handle!(Barrier, |_| Ok(()));

// SAFETY: the struct is `#[repr(C)]`, made of one atomic, and any number in it is handled.
unsafe impl Body for RawBarrier {
    const KIND: u32 = kind::BARRIER;

    fn payload(parameters: &Parameters) -> Option<Payload> {
        let [parties, 0, 0, 0] = parameters.0 else { return None };
        let possible = (1..=u64::from(MAX_PARTIES)).contains(&parties);
        possible.then(|| Payload::whole(parties as usize * size_of::<u64>()))
    }
}

fn parameters(parties: u32) -> Result<Parameters, Error> {
    match parties {
        0 => Err(Error::new(ErrorKind::Other, "making a barrier without parties")),
        1..=MAX_PARTIES => Ok(Parameters([u64::from(parties), 0, 0, 0])),
        _ => {
            let operation = format!("making a barrier for {parties} parties, which is more than {MAX_PARTIES}");
            Err(Error::new(ErrorKind::TooLarge, operation))
        }
    }
}

impl Barrier {
    /// A barrier without a name for so many parties: 1 to 16,383.
    ///
    /// # Examples
    ///
    /// ```
    /// let alone = multiprocess_sync::Barrier::new(1)?;
    /// assert!(alone.wait()?.is_leader());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Another number of parties; out of descriptors or memory.
    pub fn new(parties: u32) -> Result<Barrier, Error> {
        Object::new(parameters(parties)?, |_| ()).map(Barrier)
    }

    /// A barrier with a name that nothing else has.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Barrier;
    ///
    /// let barrier = Barrier::create("doc-barrier-create", 2)?;
    /// assert_eq!(Barrier::open("doc-barrier-create")?.parties(), 2);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) while a process has something of that name open; a name or a number of
    /// parties that cannot be; out of descriptors or memory.
    pub fn create(name: &str, parties: u32) -> Result<Barrier, Error> {
        Object::create(name, parameters(parties)?, |_| ()).map(Barrier)
    }

    /// The barrier of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::{Barrier, ErrorKind};
    ///
    /// let error = Barrier::open("doc-barrier-nowhere").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound); something else has the name, or is damaged.
    pub fn open(name: &str) -> Result<Barrier, Error> {
        Object::open(name, |_| Ok(())).map(Barrier)
    }

    /// The barrier of that name, or else a new one.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Barrier;
    ///
    /// let first = Barrier::open_or_create("doc-barrier-either", 2)?;
    /// let second = Barrier::open_or_create("doc-barrier-either", 2)?;
    /// first.abort();
    /// assert!(second.is_broken());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Barrier::open) and [`create`](Barrier::create); [`WrongKind`](ErrorKind::WrongKind) if there is one for
    /// another number of parties.
    pub fn open_or_create(name: &str, parties: u32) -> Result<Barrier, Error> {
        let wanted = parameters(parties)?;
        let check = |found: &Parameters| {
            if *found == wanted {
                return Ok(());
            }
            let operation = format!("opening a barrier for {parties} parties that is one for {}", found.0[0]);
            Err(Error::new(ErrorKind::WrongKind, operation))
        };
        Object::open_or_create(name, wanted, |_| (), check).map(Barrier)
    }

    /// Waits for all other parties.
    ///
    /// Whoever comes while as many as there are parties are just going on waits for the next time.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Barrier;
    ///
    /// let barrier = Barrier::new(3)?;
    /// let leaders: usize = std::thread::scope(|scope| {
    ///     let parties = [(); 3].map(|()| scope.spawn(|| barrier.wait().unwrap().is_leader()));
    ///     parties.into_iter().map(|party| usize::from(party.join().unwrap())).sum()
    /// });
    /// assert_eq!(leaders, 1);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BrokenBarrier`] if a party died or ran out of time, or somebody called [`abort`](Barrier::abort) or
    /// [`reset`](Barrier::reset).
    ///
    /// # Crash
    ///
    /// If the caller dies in here before the last party has come, the others get [`BrokenBarrier`].
    pub fn wait(&self) -> Result<BarrierWaitResult, BrokenBarrier> {
        self.wait_with(Patience::forever())
    }

    /// The same for at most that long. If the time runs out the barrier breaks, for all.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sync::Barrier;
    /// use std::time::Duration;
    ///
    /// let barrier = Barrier::new(2)?;
    /// assert!(barrier.wait_timeout(Duration::from_millis(10)).is_err());
    /// assert!(barrier.is_broken());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BrokenBarrier`], as [`wait`](Barrier::wait), and if the time ran out.
    ///
    /// # Crash
    ///
    /// As [`wait`](Barrier::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BrokenBarrier> {
        self.wait_with(Patience::until(Deadline::after(timeout)))
    }

    fn wait_with(&self, mut patience: Patience) -> Result<BarrierWaitResult, BrokenBarrier> {
        match self.0.body().wait(self.0.words(), self.0.segment(), &mut patience) {
            Ok(index) => Ok(BarrierWaitResult(index)),
            Err(Broken) => Err(BrokenBarrier(())),
        }
    }

    /// Breaks the barrier: who waits and who comes gets [`BrokenBarrier`], until a [`reset`](Barrier::reset).
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = multiprocess_sync::Barrier::new(2)?;
    /// barrier.abort();
    /// assert!(barrier.wait().is_err());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// If the caller dies in here the barrier is broken or untouched; who sleeps notices within 100 ms.
    pub fn abort(&self) {
        self.0.body().abort(self.0.segment());
    }

    /// Makes the barrier as new. Who waits gets [`BrokenBarrier`]; who comes afterwards waits for all parties.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = multiprocess_sync::Barrier::new(1)?;
    /// barrier.abort();
    /// barrier.reset();
    /// assert!(barrier.wait().is_ok());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    ///
    /// # Crash
    ///
    /// If the caller dies in here the barrier is as new or untouched; who sleeps notices within 100 ms.
    pub fn reset(&self) {
        self.0.body().reset(self.0.segment());
    }

    /// How many parties there are.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(multiprocess_sync::Barrier::new(4)?.parties(), 4);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    pub fn parties(&self) -> u32 {
        self.0.words().len() as u32
    }

    /// How many parties have come and wait. It may be another number when the caller looks at it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(multiprocess_sync::Barrier::new(4)?.waiting(), 0);
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    #[doc(alias = "n_waiting")]
    pub fn waiting(&self) -> u32 {
        self.0.body().waiting().min(self.parties())
    }

    /// Whether the barrier is broken.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = multiprocess_sync::Barrier::new(4)?;
    /// barrier.abort();
    /// assert!(barrier.is_broken());
    /// # Ok::<(), multiprocess_sync::Error>(())
    /// ```
    #[doc(alias = "broken")]
    pub fn is_broken(&self) -> bool {
        self.0.body().is_broken()
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Barrier");
        debug.field("name", &self.0.name()).field("parties", &self.parties());
        debug.field("waiting", &self.waiting());
        debug.field("is_broken", &self.is_broken()).finish()
    }
}

/// What a party learns when all have come.
///
/// # Examples
///
/// ```
/// let barrier = multiprocess_sync::Barrier::new(1)?;
/// let result = barrier.wait()?;
/// assert_eq!((result.index(), result.is_leader()), (0, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BarrierWaitResult(u32);

impl BarrierWaitResult {
    /// Whether this is the one party that does what only one should do.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = multiprocess_sync::Barrier::new(1)?;
    /// if barrier.wait()?.is_leader() {
    ///     println!("all have come");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_leader(&self) -> bool {
        self.0 == 0
    }

    /// A number from 0 to one less than there are parties, another one for each party; that of the leader is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let barrier = multiprocess_sync::Barrier::new(1)?;
    /// assert_eq!(barrier.wait()?.index(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn index(&self) -> u32 {
        self.0
    }
}

/// The barrier is broken: a party died while it waited or ran out of time, or somebody called [`Barrier::abort`] or, while the
/// caller waited, [`Barrier::reset`].
///
/// # Examples
///
/// ```
/// use multiprocess_sync::{Barrier, BrokenBarrier};
///
/// let barrier = Barrier::new(2)?;
/// barrier.abort();
/// let broken: BrokenBarrier = barrier.wait().unwrap_err();
/// assert_eq!(broken.to_string(), "the barrier is broken");
/// # Ok::<(), multiprocess_sync::Error>(())
/// ```
#[doc(alias = "BrokenBarrierError")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenBarrier(());

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the barrier is broken")
    }
}

impl std::error::Error for BrokenBarrier {}

impl From<BrokenBarrier> for Error {
    fn from(broken: BrokenBarrier) -> Error {
        Error::new(ErrorKind::Other, "waiting at a barrier").with_source(broken)
    }
}
