//! Being found by other programs, and accepting their connections.
//!
//! A listener without a key hands out whoever has connected. With one, a client has to prove first that it knows the key, and one
//! that is slow, silent, stopped or hostile must not keep the others waiting. So all those are **applicants**, and are
//! listened to together with the socket:
//!
//! | Event | What `accept` does |
//! | --- | --- |
//! | somebody connects | checks the user; challenges it; it is an applicant, with a deadline |
//! | an applicant says something | reads it; hands out the connection, refuses, or waits on |
//! | an applicant ends, or its deadline passes | drops it, and waits on |
//! | there are [`APPLICANTS_MAX`] of them | the socket is not looked at until there are fewer, the others wait in the kernel; a timer for the first deadline is watched in its place |
//!
//! Applicants outlive a call of `accept`: the next call, of whichever thread, goes on with them. The set of what is watched has a handle of
//! its own, which is what the listener's `AsFd` gives, so that whoever polls it hears of applicants too.

use crate::handshake::{self, Applicant, Key, Progress};
use crate::{Address, Connection};
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::AsHandle;
use multiprocess_sys::transport::Socket;
use multiprocess_sys::waitable::{Source, Waitable};
use multiprocess_sys::watch::{Timer, Watch};
use multiprocess_sys::{Error, listener as sys};
use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a client may take to prove that it knows the key, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many may be about to prove it at a time.
const APPLICANTS_MAX: usize = 256;

/// The socket's number in the set of what is watched, and that of what is there in its place; applicants have the numbers after it.
const DOOR: u64 = 0;

/// Accepts connections from other programs, as [`Client`](crate::Client)s make them.
///
/// Who may connect:
///
/// * processes of the same user, and of the superuser, unless [`any_user`](Listener::any_user) says otherwise. The kernel
///   tells who they are; others are turned away, and [`accept`](Listener::accept) does not return for them;
/// * with a [key](Listener::key), those that prove to know it, and to whom this side has proved the same.
///
/// Values of a type are received from whoever was let in, and handles with them; a peer that sends garbage causes errors and no
/// more. Connections do not reach other machines: handles could not travel there.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::{Client, Listener};
///
/// let path = std::env::temp_dir().join(format!("example-listener-{}", std::process::id()));
/// let listener = Listener::bind(&path)?;
/// let near = Client::new(&path).connect::<String, ()>()?;
/// near.send("hello".to_owned())?;
/// let far = listener.accept::<(), String>()?;
/// assert_eq!(far.recv()?, "hello");
/// assert_eq!(far.peer()?.process(), std::process::id());
/// drop(listener);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Crash
///
/// If the process dies, clients that were not accepted are disconnected. A path is left behind; the next listener there replaces
/// it.
///
/// # Persistence
///
/// The address lives as long as the listener. One that is a path is removed when the listener is dropped by the process that made it.
pub struct Listener {
    door: sys::Listener,
    watch: Watch,
    address: Address,
    key: Option<Key>,
    any_user: bool,
    patience: Duration,
    lobby: Mutex<Lobby>,
}

/// Those who have not proved yet that they know the key.
#[derive(Debug)]
struct Lobby {
    applicants: BTreeMap<u64, Applicant>,
    /// The number of the next one.
    next: u64,
    /// Whether the socket is watched.
    is_open: bool,
    /// What is watched in its place, if applicants have deadlines.
    timer: Option<Timer>,
}

impl Listener {
    /// Listens at `address`; what waits there already is accepted in its order.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::{Address, ErrorKind, Listener};
    ///
    /// let listener = Listener::bind(Address::unique()?)?;
    /// let error = Listener::bind(listener.address()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Somebody listens there, or there is a file of another kind ([`ErrorKind::AlreadyExists`](crate::ErrorKind)); the address is too
    /// long, or of a kind that this system does not have ([`ErrorKind::InvalidName`](crate::ErrorKind)); the folder does not exist
    /// or cannot be written.
    pub fn bind(address: impl Into<Address>) -> Result<Listener, Error> {
        let address = address.into();
        let door = sys::Listener::bind(address.place()?).map_err(|error| error.with_object(address.to_string()))?;
        let watch = Watch::new()?;
        watch.add(&door, DOOR)?;
        let lobby = Lobby { applicants: BTreeMap::new(), next: DOOR + 1, is_open: true, timer: None };
        let (key, any_user, patience) = (None, false, PATIENCE);
        Ok(Listener { door, watch, address, key, any_user, patience, lobby: Mutex::new(lobby) })
    }

    /// Accepts only clients that have this key too: any bytes. Against somebody who tries keys only a long random one helps.
    ///
    /// # Examples
    ///
    /// See [`Client`](crate::Client).
    #[doc(alias = "authkey")]
    #[must_use]
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Listener {
        self.key = Some(Key::new(key.as_ref()));
        self
    }

    /// Accepts clients of every user. The file of a path lets only its owner connect; others need an abstract name.
    #[must_use]
    pub fn any_user(mut self) -> Listener {
        self.any_user = true;
        self
    }

    /// How long a client may take to prove that it knows the key: five seconds, unless said otherwise. It keeps nobody else
    /// waiting meanwhile.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Listener {
        self.patience = patience;
        self
    }

    /// Where it is to be found.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::Listener;
    ///
    /// let listener = Listener::bind(format!("\0example-{}", std::process::id()))?;
    /// assert!(listener.address().to_string().starts_with("@example"));
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits for the next client. Many threads may wait.
    ///
    /// Clients that end, or say nothing in time, before they are accepted are dropped, and the wait goes on. So it does when a user is
    /// turned away.
    ///
    /// # Examples
    ///
    /// See [`Listener`].
    ///
    /// # Errors
    ///
    /// A client has not the key, or does not speak this protocol ([`ErrorKind::Authentication`](crate::ErrorKind::Authentication)):
    /// it was told so, and the listener goes on with the next call. Or there is no free descriptor; then the client waits on.
    pub fn accept<S, R>(&self) -> Result<Connection<S, R>, Error> {
        loop {
            if let Some(socket) = self.next(Deadline::NEVER)? {
                return Ok(Connection::over(socket));
            }
        }
    }

    /// As [`accept`](Listener::accept), but waits no longer than `timeout`; `None` if nobody came.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::{Address, Listener};
    /// use std::time::Duration;
    ///
    /// let listener = Listener::bind(Address::unique()?)?;
    /// assert!(listener.accept_timeout::<(), ()>(Duration::from_millis(1))?.is_none());
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`accept`](Listener::accept).
    pub fn accept_timeout<S, R>(&self, timeout: Duration) -> Result<Option<Connection<S, R>>, Error> {
        self.next(Deadline::after(timeout)).map(|socket| socket.map(Connection::over))
    }

    fn next(&self, deadline: Deadline) -> Result<Option<Socket>, Error> {
        loop {
            let (found, patience) = {
                let mut lobby = self.lobby.lock().unwrap_or_else(PoisonError::into_inner);
                let found = self.look(&mut lobby).map_err(|error| error.with_object(self.address.to_string()))?;
                (found, lobby.patience())
            };
            if found.is_some() || deadline.has_passed() {
                return Ok(found);
            }
            // Whichever comes first; a time that is over already is no wait.
            match [deadline.remaining(), patience].into_iter().flatten().min() {
                Some(left) => self.watch.wait_timeout(left)?,
                None => self.watch.wait()?,
            };
        }
    }

    /// One round, after which the set has whoever is to be heard of: also when somebody was found, since the caller may wait for
    /// the set alone.
    fn look(&self, lobby: &mut Lobby) -> Result<Option<Socket>, Error> {
        let found = self.round(lobby);
        let watched = self.open_or_shut(lobby);
        // What was found is not lost for an error that the next round has again.
        match found {
            Ok(None) => watched.map(|()| None),
            found => found,
        }
    }

    /// What applicants have said, and who has connected.
    fn round(&self, lobby: &mut Lobby) -> Result<Option<Socket>, Error> {
        if let Some(key) = &self.key {
            let numbers: Vec<u64> = lobby.applicants.keys().copied().collect();
            for number in numbers {
                if let Some(socket) = self.listen_to(lobby, number, key)? {
                    return Ok(Some(socket));
                }
            }
        }
        // No more in a round than there may be, so that those who are turned away do not keep the others waiting.
        for _ in lobby.applicants.len()..APPLICANTS_MAX {
            let Some(socket) = self.door.accept()? else { break };
            if !self.any_user && !socket.peer()?.is_own_or_root() {
                handshake::refuse(&socket);
                continue;
            }
            if self.key.is_none() {
                return Ok(Some(socket));
            }
            let applicant = Applicant::challenge(socket, Deadline::after(self.patience))?;
            self.watch.add(&applicant, lobby.next)?;
            lobby.applicants.insert(lobby.next, applicant);
            lobby.next += 1;
        }
        Ok(None)
    }

    fn listen_to(&self, lobby: &mut Lobby, number: u64, key: &Key) -> Result<Option<Socket>, Error> {
        let Some(applicant) = lobby.applicants.get_mut(&number) else { return Ok(None) };
        let is_late = applicant.deadline.has_passed();
        let progress = applicant.proceed(key);
        if matches!(progress, Progress::Waits) && !is_late {
            return Ok(None);
        }
        // Out of the set before it is closed, or is somebody's connection.
        let removed = self.watch.remove(applicant);
        let applicant = lobby.applicants.remove(&number).filter(|_| removed.is_ok());
        match progress {
            Progress::Waits | Progress::Gone => removed.map(|()| None),
            Progress::Proved => removed.map(|()| applicant.map(Socket::from)),
            Progress::Refused(error) => Err(error),
        }
    }

    /// Watches the socket if there is room for one more, and otherwise until when there may be.
    fn open_or_shut(&self, lobby: &mut Lobby) -> Result<(), Error> {
        let has_room = lobby.applicants.len() < APPLICANTS_MAX;
        if lobby.is_open && !has_room {
            self.watch.remove(&self.door)?;
            lobby.is_open = false;
        }
        if !has_room && lobby.timer.is_none() {
            let timer = lobby.patience().map(Timer::after).transpose()?;
            timer.iter().try_for_each(|timer| self.watch.add(timer, DOOR))?;
            lobby.timer = timer;
        }
        if has_room && !lobby.is_open {
            lobby.timer.as_ref().map_or(Ok(()), |timer| self.watch.remove(timer))?;
            lobby.timer = None;
            self.watch.add(&self.door, DOOR)?;
            lobby.is_open = true;
        }
        Ok(())
    }
}

impl Lobby {
    /// How long the first deadline of an applicant is away; `None` without applicants, or if they have none.
    fn patience(&self) -> Option<Duration> {
        self.applicants.values().filter_map(|applicant| applicant.deadline.remaining()).min()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Listener");
        shown.field("address", &self.address).field("key", &self.key).field("any_user", &self.any_user);
        shown.finish_non_exhaustive()
    }
}

/// Can be read when [`accept_timeout`](Listener::accept_timeout) with no time has something to do; it may still find nobody.
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.watch.as_fd().as_raw_fd()
    }
}

/// Ready as its descriptor is.
impl Waitable for Listener {
    fn source(&self) -> Result<Source<'_>, Error> {
        Ok(Source::Handle(self.watch.as_fd()))
    }
}
