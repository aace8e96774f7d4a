//! The program's side of its fork server, and the spare child.
//!
//! # The spare child's states
//!
//! The state is the program's knowledge; it changes only under the lock, when a start or the end of one looks. Starts that find
//! the lock held do without the spare child.
//!
//! | state | the program has | the spare child | becomes |
//! | --- | --- | --- | --- |
//! | Absent | nothing | does not exist, or is dying | Asked, when a start has ended: [`REFILL`] is sent with the other end of a new socket |
//! | Asked | its socket | is being made, or has said hello and sleeps in a receive | Ready, when a look finds its [`HELLO`]; Absent, when it finds [`REFUSED`], the socket's end or damage, or when a start takes it: the [`REQUEST`] goes into its socket, and the start waits for its hello as for a child of its own |
//! | Ready | its socket, number and pidfd | sleeps in a receive | Absent: a start sends it the [`REQUEST`], and from then on it is an ordinary child |
//!
//! A start that finds Asked takes it, because the server serves in order: a child of the start's own would be born after this one. From
//! there on it is like any child that was asked for with its request (`protocol.rs`). The state says nothing of who lives; what
//! a death means in each is the same whenever it is noticed:
//!
//! | state | the program dies | the server dies | the spare child dies |
//! | --- | --- | --- | --- |
//! | Absent | nothing is left | the next start makes another server | (there is none) |
//! | Asked | the child finds its socket's end, in its hello or its receive, and ends; a server that has not cloned yet ends first | before the clone, the other end dies with the message, and a look finds the end of the socket; after it, nothing: it serves one more start. A start that waits for the hello is made again with another server | a look finds the end of the socket, or sending the request fails: nothing ran, and the start asks for another; a start that waits for the hello fails, as with any child that dies before it |
//! | Ready | the child finds its socket's end and ends | nothing: it serves one more start | before the request, sending that fails; after it, the socket's end answers, as for every child: the request was given once, so the start is not made again |
//!
//! # Who reaps it
//!
//! From Asked until a start takes it, its socket is in the set of handles that the permanent thread waits for
//! (`keeper.rs`), so one that is killed while nobody looks is reaped at once. Whoever finds it dead in a look closes the
//! socket, which takes that out of the set, perhaps before the thread was told: so the thread is told again, by a message. A server
//! that is replaced drops its spare child: Ready is reaped by its number, Asked by the same message.

use crate::protocol::{
    CLONE, Environment, HELLO, MARKER, NOT_ALONE, READY, REFILL, REFUSED, REQUEST, Role, WELCOME, marker,
};
use crate::registry::{Kept, lock};
use crate::runtime::{Newborn, Runtime};
use multiprocess_parcel::pack_data;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle, readable};
use multiprocess_sys::process::{self, Process, Signal};
use multiprocess_sys::rights::Rights;
use multiprocess_sys::transport::{Message, Received, Socket};
use multiprocess_sys::{Error, ErrorKind};
use std::sync::Mutex;
use std::time::Duration;

/// How long a server may take for what it does in microseconds, before it is taken for stuck (stopped, or starved).
const PATIENCE: Duration = Duration::from_secs(20);

/// A fork server.
#[derive(Debug)]
pub(crate) struct Server {
    control: Kept<Socket>,
    process: Kept<Process>,
    rights: Rights,
    environment: Environment,
    spare: Mutex<Spare>,
}

/// The child cloned in advance.
#[derive(Debug)]
enum Spare {
    /// There is none.
    Absent,
    /// The server was asked for one, whose socket this is.
    Asked(Kept<Socket>),
    /// It has said hello and waits.
    Ready(Newborn),
}

/// What came of asking for a child.
pub(crate) enum Birth {
    /// It lives, and has its request.
    Born(Newborn),
    /// The server died first, so nothing ran: ask another.
    ServerGone,
    /// The server cannot be cloned.
    NotAlone,
}

impl Server {
    /// Starts one, from the permanent thread; it gives up what `rights` do not have.
    pub(crate) fn start(runtime: &'static Runtime, rights: &Rights) -> Result<Server, Error> {
        // The spare child of the last server has ended with it, perhaps before anybody knew its number.
        runtime.sweep()?;
        let environment = Environment::of_this_process();
        let cookie = process::random()?;
        let mut with_marker = environment.clone();
        with_marker.set(MARKER.into(), Some(marker(Role::Server, cookie).into()));
        let (control, theirs) = Socket::pair()?;
        let (_, process) = runtime.launch_server(&pack_data(&with_marker, "an environment")?, theirs.as_fd())?;
        drop(theirs);
        // Closing the socket, which every way out of here does, ends a server that is not ready.
        control.send(WELCOME, &[&cookie.to_ne_bytes(), &rights.encode()], &[])?;
        let message = wait_for_server(&control, &process)?;
        if message.kind != READY {
            return Err(Error::new(ErrorKind::Damaged, "starting the fork server: it does not answer as one"));
        }
        let rights = Rights::decode(&message.body)?;
        let (control, process) = (Kept::new(control, runtime), Kept::new(process, runtime));
        Ok(Server { control, process, rights, environment, spare: Mutex::new(Spare::Absent) })
    }

    pub(crate) fn rights(&self) -> &Rights {
        &self.rights
    }

    /// The environment that its children have.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.process.get().and_then(Process::has_ended).unwrap_or(true)
    }

    /// Gives a request to the spare child, if there is one or one is being made: that one comes sooner than any that is asked for
    /// now. `None` where there is none, or it turns out to be dead: nothing ran.
    pub(crate) fn start_spare(&self, parts: &[&[u8]], handles: &[BorrowedHandle<'_>]) -> Result<Option<Birth>, Error> {
        // Another thread is about to take it: then this start does without.
        let Ok(mut spare) = self.spare.try_lock() else { return Ok(None) };
        self.advance(&mut spare);
        let taken = std::mem::replace(&mut *spare, Spare::Absent);
        drop(spare);
        match taken {
            Spare::Absent => Ok(None),
            Spare::Asked(socket) => self.start_asked(socket, parts, handles),
            Spare::Ready(newborn) => Ok(start_ready(newborn, parts, handles)),
        }
    }

    /// The request lies in the socket before the child has said hello, as for a child that is asked for with its request.
    fn start_asked(
        &self,
        socket: Kept<Socket>,
        parts: &[&[u8]],
        handles: &[BorrowedHandle<'_>],
    ) -> Result<Option<Birth>, Error> {
        let runtime = self.control.runtime();
        runtime.spare_is_taken(socket.handle());
        if socket.handle().send(REQUEST, parts, handles).is_err() {
            drop(socket);
            runtime.mourn();
            return Ok(None);
        }
        self.await_hello(socket).map(Some).inspect_err(|_| runtime.mourn())
    }

    /// Asks for a child of its own for `request`.
    pub(crate) fn start_child(&self, parts: &[&[u8]], handles: &[BorrowedHandle<'_>]) -> Result<Birth, Error> {
        let (ours, theirs) = Socket::pair()?;
        // The request lies in the socket before the child is born, so that it never waits for it.
        ours.send(REQUEST, parts, handles)?;
        match self.control.get()?.send(CLONE, &[], &[theirs.as_fd()]) {
            Err(error) if error.kind() == ErrorKind::Disconnected => return Ok(Birth::ServerGone),
            sent => sent?,
        }
        drop(theirs);
        // A child that nobody has heard of finds its socket closed, and ends.
        let runtime = self.control.runtime();
        self.await_hello(Kept::new(ours, runtime)).inspect_err(|_| runtime.mourn())
    }

    fn await_hello(&self, kept: Kept<Socket>) -> Result<Birth, Error> {
        let socket = kept.handle();
        if !readable([socket.as_fd()], Deadline::after(PATIENCE))?[0] {
            // Killing it closes its copies of the socket, so the hello or the end of the socket comes now.
            self.process.get()?.signal(Signal::Kill)?;
            if !readable([socket.as_fd()], Deadline::after(PATIENCE))?[0] {
                return Err(Error::new(ErrorKind::TimedOut, "starting a process: the new process does nothing"));
            }
        }
        // A failure may pass, and a child whose hello is lost would run unknown.
        match socket.receive().or_else(|_| socket.receive())? {
            Received::Message(message) if message.kind == HELLO => self.newborn(message, kept).map(Birth::Born),
            Received::Message(message) if message.kind == REFUSED => refused(&message),
            Received::Message(_) => {
                Err(Error::new(ErrorKind::Damaged, "starting a process: the first message is no hello"))
            }
            _ => self.stillborn(),
        }
    }

    fn newborn(&self, message: Message, socket: Kept<Socket>) -> Result<Newborn, Error> {
        let (pid, process) = hello(message)?;
        Ok(Newborn { pid, process: Kept::new(process, self.control.runtime()), socket })
    }

    /// The child's socket has ended without a hello: the child has died, or the server has before it made one. The kernel closes a
    /// dying process's sockets a moment before it says that the process is dead.
    fn stillborn(&self) -> Result<Birth, Error> {
        let deadline = Deadline::after(Duration::from_secs(1));
        let error = || Error::new(ErrorKind::Child, "starting a process: it ended before it had read what to run");
        loop {
            if self.is_gone() {
                return Ok(Birth::ServerGone);
            }
            // One that ended well is no stillborn child: a spare child that its server's death has left alone.
            if let Some(status) = self.control.runtime().sweep()?.filter(|status| !status.success()) {
                return Err(error().with_source(status.to_string()));
            }
            if deadline.has_passed() {
                return Err(error());
            }
            std::thread::yield_now();
        }
    }

    /// Asks for a spare child unless there is one. Never waits for the server.
    pub(crate) fn refill(&self) {
        if let Ok(mut spare) = self.spare.try_lock()
            && let Spare::Absent = *spare
            && let Ok(socket) = self.ask_for_spare()
        {
            *spare = Spare::Asked(socket);
        }
    }

    fn ask_for_spare(&self) -> Result<Kept<Socket>, Error> {
        let control = self.control.get()?;
        let (ours, theirs) = Socket::pair()?;
        control.send(REFILL, &[], &[theirs.as_fd()])?;
        let runtime = self.control.runtime();
        runtime.spare_is_born(&ours);
        Ok(Kept::new(ours, runtime))
    }

    pub(crate) fn spare_ready(&self) -> bool {
        let mut spare = lock(&self.spare);
        self.advance(&mut spare);
        matches!(*spare, Spare::Ready(_))
    }

    /// Takes what has come of the spare child. Never waits.
    fn advance(&self, spare: &mut Spare) {
        let Spare::Asked(socket) = &*spare else { return };
        let message = match socket.handle().try_receive() {
            Ok(Received::Nothing) => return,
            Ok(Received::Message(message)) => Some(message),
            Ok(Received::End) | Err(_) => None,
        };
        let refused = message.as_ref().is_some_and(|message| message.kind == REFUSED);
        let child = message.filter(|message| message.kind == HELLO).and_then(|message| hello(message).ok());
        let Spare::Asked(socket) = std::mem::replace(spare, Spare::Absent) else { return };
        match child {
            Some((pid, process)) => {
                let process = Kept::new(process, socket.runtime());
                *spare = Spare::Ready(Newborn { pid, process, socket });
            }
            None if refused => {}
            None => {
                drop(socket);
                self.control.runtime().mourn();
            }
        }
    }
}

impl Drop for Server {
    /// A spare child finds its socket closed and ends; the permanent thread reaps it.
    fn drop(&mut self) {
        if self.control.get().is_err() {
            return; // the program has closed all of its descriptors, the spare child's among them
        }
        let mut spare = std::mem::replace(&mut *lock(&self.spare), Spare::Absent);
        self.advance(&mut spare);
        let runtime = self.control.runtime();
        match spare {
            Spare::Absent => {}
            Spare::Asked(socket) => {
                drop(socket);
                runtime.mourn();
            }
            Spare::Ready(newborn) => {
                if let Ok(process) = newborn.process.get() {
                    runtime.watch(newborn.pid, process);
                }
            }
        }
    }
}

/// Gives a request to a spare child that has said hello; `None` if it turns out to be dead, and has run nothing.
fn start_ready(newborn: Newborn, parts: &[&[u8]], handles: &[BorrowedHandle<'_>]) -> Option<Birth> {
    let runtime = newborn.process.runtime();
    runtime.spare_is_taken(newborn.socket.handle());
    // The start has just seen that the runtime is intact, so the descriptor is ours.
    if newborn.socket.handle().send(REQUEST, parts, handles).is_ok() {
        return Some(Birth::Born(newborn));
    }
    if let Ok(process) = newborn.process.get() {
        runtime.watch(newborn.pid, process);
    }
    None
}

/// The first message of a new server; its death ends the wait too.
fn wait_for_server(control: &Socket, process: &Process) -> Result<Message, Error> {
    let [spoke, ended] = readable([control.as_fd(), process.as_fd()], Deadline::after(PATIENCE))?;
    match spoke.then(|| control.receive()) {
        Some(Ok(Received::Message(message))) => Ok(message),
        Some(Err(error)) => Err(error),
        _ if spoke || ended => {
            Err(Error::new(ErrorKind::Child, "starting the fork server: it ended before it was ready"))
        }
        _ => {
            process.signal(Signal::Kill)?;
            Err(Error::new(ErrorKind::TimedOut, "starting the fork server: it does not get ready"))
        }
    }
}

/// The child that says [`HELLO`].
pub(crate) fn hello(message: Message) -> Result<(u32, Process), Error> {
    let damaged = || Error::new(ErrorKind::Damaged, "starting a process: its hello is damaged");
    let pid = message.body.try_into().map(u32::from_ne_bytes).map_err(|_| damaged())?;
    let handle = message.handles.into_iter().next().ok_or_else(damaged)?;
    Ok((pid, Process::from_handle(handle)))
}

/// Why there is no child.
pub(crate) fn refused(message: &Message) -> Result<Birth, Error> {
    match message.body.as_slice().try_into().map(i32::from_ne_bytes) {
        Ok(NOT_ALONE) => Ok(Birth::NotAlone),
        Ok(code) if code > 0 => Err(Error::os("starting a process", std::io::Error::from_raw_os_error(code))),
        _ => Err(Error::new(ErrorKind::Os, "starting a process: the fork server cannot be cloned")),
    }
}
