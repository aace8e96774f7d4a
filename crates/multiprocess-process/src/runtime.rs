//! What a process needs to start others: a permanent thread, a fork server, a spare child, a list of children.
//!
//! Made by the first start, and made anew where the old one is another process's (after the program's own `fork`) or was lost
//! (the program closed all of its descriptors). The descriptor of the link to the permanent thread stands for all of them: a
//! look at it before each use tells whether they are still ours.

use crate::keeper;
use crate::protocol::Environment;
use crate::registry::{Kept, Registry, lock};
use crate::server_link::Server;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle, Identity, OwnedHandle};
use multiprocess_sys::process::{self, ForkGuard, Process};
use multiprocess_sys::rights::Rights;
use multiprocess_sys::transport::{Message, Received, Socket};
use multiprocess_sys::watch::Watch;
use multiprocess_sys::{Error, ErrorKind, image, lifeline};
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub(crate) struct Runtime {
    link: Socket,
    /// What the permanent thread waits for, to add a spare child.
    watch: Watch,
    identity: Option<Identity>,
    guard: ForkGuard,
    lifeline: OwnedHandle,
    registry: Arc<Registry>,
    server: Mutex<Option<Arc<Server>>>,
    /// Rights of threads that even a new server of the permanent thread does not fit.
    strangers: Mutex<Vec<Rights>>,
    /// The server has more than one thread, or this C library cannot be cloned: every start is an exec.
    needs_exec: AtomicBool,
    #[cfg(feature = "tracing")]
    logs: crate::logs::Place,
}

static RUNTIME: AtomicPtr<Runtime> = AtomicPtr::new(ptr::null_mut());

/// This process's runtime.
///
/// # Errors
///
/// The program was started with more rights than its starter has, or is not the file that `/proc/self/exe` is; or the process
/// has no room for a thread.
pub(crate) fn get() -> Result<&'static Runtime, Error> {
    // Acquire: pairs with the exchange below, and makes the runtime's contents visible.
    let old = RUNTIME.load(Ordering::Acquire);
    // SAFETY: null, or a pointer that `install` has leaked, so it is valid for ever.
    let old_runtime = unsafe { old.as_ref() };
    match old_runtime {
        Some(runtime) if runtime.is_intact() => Ok(runtime),
        _ => install(old, old_runtime),
    }
}

#[cold]
fn install(old: *mut Runtime, old_runtime: Option<&'static Runtime>) -> Result<&'static Runtime, Error> {
    check_program()?;
    let same_process = old_runtime.filter(|old| old.guard.is_same_process());
    let new = Box::into_raw(Box::new(Runtime::new(same_process)?));
    // Two threads may both have come here, and one of them wins: no lock, which a forked copy might find locked for ever.
    // AcqRel: pairs with the load above.
    match RUNTIME.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            // SAFETY: just made, and never freed from here on.
            Ok(unsafe { &*new })
        }
        Err(winner) => {
            // SAFETY: made above and published nowhere. Its thread has no children and sleeps from now on.
            drop(unsafe { Box::from_raw(new) });
            // SAFETY: what is in the word was leaked by its winner.
            Ok(unsafe { &*winner })
        }
    }
}

fn check_program() -> Result<(), Error> {
    if image::is_privileged_start() {
        let text = "starting a process: refused, because this program was started with more rights than its starter has \
                    (set-user-id, set-group-id or file capabilities)";
        return Err(Error::new(ErrorKind::Other, text));
    }
    if !image::Image::of_program().is_started_directly() {
        let text = "starting a process: refused, because this program was started through the dynamic loader, so the file \
                    that /proc/self/exe names is not the program";
        return Err(Error::new(ErrorKind::OutsideExecutable, text));
    }
    Ok(())
}

impl Runtime {
    fn new(old: Option<&Runtime>) -> Result<Runtime, Error> {
        let registry = old.map(|old| Arc::clone(&old.registry)).unwrap_or_default();
        let (held, kept) = lifeline::pair()?;
        let (link, watch) = keeper::start(kept, Arc::clone(&registry))?;
        for life in registry.all() {
            // Their descriptors are lost; the new thread looks them up by number, which is theirs until they are reaped.
            link.send(keeper::WATCH, &[&life.pid.to_ne_bytes()], &[])?;
        }
        Ok(Runtime {
            identity: Identity::of(&link),
            link,
            watch,
            guard: ForkGuard::new()?,
            lifeline: held,
            registry,
            server: Mutex::new(None),
            strangers: Mutex::default(),
            needs_exec: AtomicBool::new(false),
            #[cfg(feature = "tracing")]
            logs: crate::logs::Place::default(),
        })
    }

    /// Whether its descriptors are still what they were, in the process that opened them.
    pub(crate) fn is_intact(&self) -> bool {
        self.guard.is_same_process() && Identity::of(&self.link) == self.identity
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Where the events of children arrive.
    #[cfg(feature = "tracing")]
    pub(crate) fn logs(&self) -> &crate::logs::Place {
        &self.logs
    }

    /// A lifeline's end for one more daemon.
    pub(crate) fn lifeline(&self) -> Result<OwnedHandle, Error> {
        lifeline::again(&self.lifeline)
    }

    /// Has a child reaped when it ends, now that its last handle is dropped.
    pub(crate) fn watch(&self, pid: u32, process: &Process) {
        // Without room for a message the child stays a zombie until the program ends; nothing else can be done here.
        let _ = self.link.send(keeper::WATCH, &[&pid.to_ne_bytes()], &[process.as_fd()]);
    }

    /// Has a spare child reaped if it dies before [`spare_is_taken`](Runtime::spare_is_taken).
    pub(crate) fn spare_is_born(&self, socket: &Socket) {
        // Without it the zombie of a spare child that is killed stays until the next start.
        let _ = self.watch.add_end(socket, keeper::SPARE);
    }

    pub(crate) fn spare_is_taken(&self, socket: &Socket) {
        // It was not added, or its other end is closed: then it is not watched any more.
        let _ = self.watch.remove(socket);
    }

    /// Has a child reaped whose number is not known, and that has died already or dies now that its socket is closed.
    pub(crate) fn mourn(&self) {
        // Without room for a message it stays a zombie until somebody else's death.
        let _ = self.link.send(keeper::MOURN, &[], &[]);
    }

    /// Reaps what has ended, and tells how one that nobody knew has ended.
    pub(crate) fn sweep(&self) -> Result<Option<ExitStatus>, Error> {
        let answer = self.ask(keeper::SWEEP, &[], None)?;
        Ok(keeper::swept(&answer).into_iter().next())
    }

    pub(crate) fn launch_server(
        &self,
        environment: &[u8],
        socket: BorrowedHandle<'_>,
    ) -> Result<(u32, Process), Error> {
        keeper::launched(self.ask(keeper::LAUNCH, environment, Some(socket))?)
    }

    fn ask(&self, kind: u32, body: &[u8], handle: Option<BorrowedHandle<'_>>) -> Result<Message, Error> {
        let (reply, theirs) = Socket::pair()?;
        let handles: Vec<_> = handle.into_iter().chain([theirs.as_fd()]).collect();
        self.link.send(kind, &[body], &handles)?;
        drop(theirs);
        match reply.receive()? {
            Received::Message(message) => Ok(message),
            _ => {
                let error = Error::new(ErrorKind::Other, "asking this library's permanent thread: it gave no answer");
                Err(match self.trouble() {
                    Some(trouble) => error.with_source(trouble),
                    None => error,
                })
            }
        }
    }

    /// Why there was no answer. The socket for an answer may be closed a moment before the reason is noted.
    fn trouble(&self) -> Option<Error> {
        let deadline = Deadline::after(Duration::from_millis(100));
        loop {
            match self.registry.take_trouble() {
                None if !deadline.has_passed() => std::thread::yield_now(),
                trouble => return trouble,
            }
        }
    }

    pub(crate) fn needs_exec(&self) -> bool {
        self.needs_exec.load(Ordering::Relaxed) // Relaxed: whoever reads the old value finds out by itself
    }

    pub(crate) fn set_needs_exec(&self) {
        self.needs_exec.store(true, Ordering::Relaxed);
    }

    /// A fork server whose children may do no more than a thread with `rights`; `None` where there can be none, and the start
    /// must be an exec by that thread itself.
    /// `again` after the last one turned out to be gone: otherwise that is found out by using it.
    pub(crate) fn server_for(&'static self, rights: &Rights, again: bool) -> Result<Option<Arc<Server>>, Error> {
        if self.needs_exec() {
            return Ok(None);
        }
        let mut slot = lock(&self.server);
        if let Some(server) = slot.as_ref().filter(|server| !again || !server.is_gone()) {
            if rights.cover(server.rights()) {
                return Ok(Some(Arc::clone(server)));
            }
            if lock(&self.strangers).contains(rights) {
                return Ok(None);
            }
        }
        let server = Arc::new(Server::start(self, rights)?);
        *slot = Some(Arc::clone(&server));
        if rights.cover(server.rights()) {
            return Ok(Some(server));
        }
        let mut strangers = lock(&self.strangers);
        if strangers.len() == STRANGERS_MAX {
            strangers.remove(0);
        }
        strangers.push(rights.clone());
        Ok(None)
    }

    /// Asks for a spare child, if there is a server and it has none. Never waits.
    pub(crate) fn refill(&self) {
        if let Ok(slot) = self.server.try_lock()
            && let Some(server) = slot.as_ref()
        {
            server.refill();
        }
    }

    /// Whether a spare child is waiting for its request.
    pub(crate) fn spare_ready(&self) -> bool {
        lock(&self.server).as_ref().is_some_and(|server| server.spare_ready())
    }
}

/// How many odd threads are remembered; one too many costs the making of a server.
const STRANGERS_MAX: usize = 16;

/// The runtime, if this process has one by now.
#[cfg(feature = "tracing")]
pub(crate) fn existing() -> Option<&'static Runtime> {
    // SAFETY: null, or a pointer that `install` has leaked, so it is valid for ever. Acquire: as in `get`.
    let runtime = unsafe { RUNTIME.load(Ordering::Acquire).as_ref() };
    runtime.filter(|runtime| runtime.is_intact())
}

/// Whether the next start finds a spare child waiting: for benchmarks, which time both cases.
#[doc(hidden)]
pub fn spare_ready() -> bool {
    get().is_ok_and(Runtime::spare_ready)
}

/// A child that has said hello and waits for its request, or was started by an exec and has it.
#[derive(Debug)]
pub(crate) struct Newborn {
    pub(crate) pid: u32,
    pub(crate) process: Kept<Process>,
    pub(crate) socket: Kept<Socket>,
}

/// Starts the program's executable again from this thread, with `socket` and `environment`.
pub(crate) fn exec(environment: &Environment, socket: &Socket) -> Result<(u32, Process), Error> {
    process::launch(std::env::args_os(), environment.variables(), socket.as_fd())
}
