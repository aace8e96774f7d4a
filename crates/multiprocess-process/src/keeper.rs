//! The permanent thread of the program: parent of the fork server and of all its children, reaper of those that nobody waits for.
//!
//! The kernel ties a process to the *thread* that made it: a parent-death signal fires when that thread ends (prctl(2)). So the
//! fork server is made by a thread that never ends, and since its children are clones with its parent, they belong to it
//! too. It holds the end of the lifeline whose closing kills the daemons. It has a table of descriptors of its own, so a program
//! that closes all of its descriptors kills none of its daemons.
//!
//! It is asked over a message socket, the *link*:
//!
//! | message | carries | answer |
//! | --- | --- | --- |
//! | [`LAUNCH`] | an environment; the server's socket, a socket for the answer | [`LAUNCHED`] with number and pidfd, or the error's code |
//! | [`WATCH`] | a child's number and pidfd (none: it is to be opened) | none: the child is reaped when it ends |
//! | [`SWEEP`] | a socket for the answer | [`SWEPT`] with the statuses of reaped children that nobody knew |
//! | [`MOURN`] | nothing | none: a child whose number is not known is dead or about to be, and is reaped |
//!
//! The program adds the socket of its spare child to the set that this thread waits for, and takes it out when the child gets its
//! request: so a spare child that is killed is noticed here, and a start costs this thread no turn. The kernel closes a dying
//! process's sockets a moment before the process can be reaped, and nobody may have read its number: the thread looks for
//! dead strangers again and again, each time after twice the time, for about a second.

use crate::protocol::Environment;
use crate::registry::{Ending, Registry};
use multiprocess_parcel::unpack_data;
use multiprocess_sys::handle::{AsHandle, OwnedHandle, duplicate};
use multiprocess_sys::process::{self, Process, Reaped};
use multiprocess_sys::transport::{Message, Received, Socket};
use multiprocess_sys::watch::Watch;
use multiprocess_sys::{Error, ErrorKind, thread};
use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

pub(crate) const LAUNCH: u32 = 1;
pub(crate) const LAUNCHED: u32 = 2;
pub(crate) const WATCH: u32 = 3;
pub(crate) const SWEEP: u32 = 4;
pub(crate) const SWEPT: u32 = 5;
pub(crate) const MOURN: u32 = 6;

/// The key of the link among the numbers of processes.
const LINK: u64 = u64::MAX;

/// The key of a spare child's socket.
pub(crate) const SPARE: u64 = u64::MAX - 1;

/// How long to wait for a death between the first two looks, and at most between two looks.
const PATIENCE: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(512)];

/// Starts the thread; returns the program's end of its link, and its set of watched handles.
pub(crate) fn start(lifeline: OwnedHandle, registry: Arc<Registry>) -> Result<(Socket, Watch), Error> {
    let (ours, theirs) = Socket::pair()?;
    let watch = Watch::new()?;
    let same_watch = duplicate(watch.as_fd())?;
    let (told, ready) = mpsc::channel();
    thread::start("mp-keeper", vec![theirs.into(), same_watch, lifeline], move |handles| {
        let mut handles = handles.into_iter();
        let Some(link) = handles.next().map(Socket::from_handle) else { return };
        let Some(watch) = handles.next().map(Watch::from_handle) else { return };
        match Keeper::new(link, watch, registry) {
            Ok(mut keeper) => {
                let _lifeline = handles.next();
                // Whoever started it waits for this word.
                let _ = told.send(Ok(()));
                keeper.keep();
            }
            Err(error) => drop(told.send(Err(error))),
        }
    })?;
    let ended = |_| Err(Error::new(ErrorKind::Other, "starting this library's permanent thread: it ended at once"));
    ready.recv().unwrap_or_else(ended).map(|()| (ours, watch))
}

struct Keeper {
    /// `None` once the program has closed its end.
    link: Option<Socket>,
    watch: Watch,
    registry: Arc<Registry>,
    watched: HashMap<u32, Process>,
    /// Raw statuses of reaped children that nobody knew, and when that was, until somebody asks.
    strangers: Vec<(Instant, i32)>,
    /// How long to wait before the next look for strangers that are dying.
    mourning: Option<Duration>,
}

/// Nobody asks for more: those who miss one give up.
const STRANGERS_MAX: usize = 64;

/// Those who miss one ask for it within a second: an older one is not theirs.
const FRESH: Duration = Duration::from_secs(2);

impl Keeper {
    fn new(link: Socket, watch: Watch, registry: Arc<Registry>) -> Result<Keeper, Error> {
        watch.add(&link, LINK)?;
        Ok(Keeper { link: Some(link), watch, registry, watched: HashMap::new(), strangers: Vec::new(), mourning: None })
    }

    /// Never returns: the end of this thread would kill the children that it has made, and close the lifeline of all daemons,
    /// and the link may be closed only because the program closed all of its descriptors.
    fn keep(&mut self) -> ! {
        while self.link.is_some() || !self.watched.is_empty() {
            let ready = self.mourning.map_or_else(|| self.watch.wait(), |pause| self.watch.wait_timeout(pause));
            for key in ready.unwrap_or_default() {
                match key {
                    LINK => self.listen(),
                    SPARE => self.mourning = Some(PATIENCE[0]),
                    key => u32::try_from(key).into_iter().for_each(|pid| self.reap(pid)),
                }
            }
            self.mourn();
        }
        loop {
            std::thread::park();
        }
    }

    /// Takes one message.
    fn listen(&mut self) {
        match self.link.as_ref().map(Socket::try_receive) {
            Some(Ok(Received::Message(message))) => self.answer(message),
            Some(Ok(Received::End)) => {
                if let Some(link) = self.link.take() {
                    let _ = self.watch.remove(&link);
                }
            }
            Some(Err(error)) => self.registry.note_trouble(error),
            _ => {}
        }
    }

    /// Does what a message asks for.
    fn answer(&mut self, message: Message) {
        match message.kind {
            LAUNCH => {
                let mut handles = message.handles.into_iter();
                let (Some(socket), Some(reply)) = (handles.next(), handles.next()) else { return };
                self.launch(&message.body, &Socket::from_handle(socket), &Socket::from_handle(reply));
            }
            WATCH => {
                if let Ok(pid) = message.body.try_into().map(u32::from_ne_bytes) {
                    self.adopt(pid, message.handles.into_iter().next().map(Process::from_handle));
                }
            }
            SWEEP => {
                if let Some(reply) = message.handles.into_iter().next() {
                    self.sweep(&Socket::from_handle(reply));
                }
            }
            MOURN => self.mourning = Some(PATIENCE[0]),
            _ => {}
        }
    }

    fn launch(&mut self, environment: &[u8], socket: &Socket, reply: &Socket) {
        let launched = unpack_data::<Environment>(environment)
            .and_then(|environment| process::launch(std::env::args_os(), environment.variables(), socket.as_fd()));
        // If the answer cannot be sent, the server finds its socket closed and ends.
        let told = match launched {
            Ok((pid, process)) => {
                let told = reply.send(LAUNCHED, &[&pid.to_ne_bytes(), &0i32.to_ne_bytes()], &[process.as_fd()]);
                self.adopt(pid, Some(process));
                told
            }
            Err(error) => {
                let code = error.raw_os_error().unwrap_or(-1);
                reply.send(LAUNCHED, &[&0u32.to_ne_bytes(), &code.to_ne_bytes()], &[])
            }
        };
        told.unwrap_or_else(|error| self.registry.note_trouble(error));
    }

    /// Watches a child until it ends. Without a handle its number is looked up: it is still the child's, as nobody has reaped it
    /// (or it is gone, and then it is nothing to us).
    fn adopt(&mut self, pid: u32, process: Option<Process>) {
        let process = match process {
            Some(process) => process,
            None => match process::reap_number(pid) {
                Ok(Some(status)) => {
                    self.registry.reaped(pid, Ending::Known(status));
                    return;
                }
                _ => match Process::open(pid) {
                    Ok(process) => process,
                    Err(_) => return,
                },
            },
        };
        if !self.watched.contains_key(&pid) && self.watch.add(&process, u64::from(pid)).is_ok() {
            self.watched.insert(pid, process);
        }
    }

    fn reap(&mut self, pid: u32) {
        let Some(process) = self.watched.get(&pid) else { return };
        let ending = match process.reap() {
            Ok(Reaped::Running) => return,
            Ok(Reaped::Ended(status)) => Ending::Known(status),
            Ok(Reaped::Elsewhere(status)) => status.map_or(Ending::Unknown, Ending::Known),
            Err(_) => Ending::Unknown,
        };
        let was_known = self.registry.reaped(pid, ending);
        self.forget(pid);
        if !was_known {
            // A server's end may be the end of a child that it had just made.
            self.mourning = Some(PATIENCE[0]);
        }
    }

    /// Watches it no longer; whether it was watched.
    fn forget(&mut self, pid: u32) -> bool {
        let process = self.watched.remove(&pid);
        // The program has a handle to the same process, so closing this one would not take it out of the set.
        process.inspect(|process| drop(self.watch.remove(process))).is_some()
    }

    /// Reaps all that have ended: among them may be one that died before it could say its number.
    fn reap_strangers(&mut self) {
        while let Some((pid, status, known)) = self.registry.reap_any() {
            let was_server = self.forget(pid);
            if !known && !was_server && self.strangers.len() < STRANGERS_MAX {
                self.strangers.push((Instant::now(), status.into_raw()));
            }
        }
    }

    /// Looks for strangers that are dying, and says how long to wait before the next look.
    fn mourn(&mut self) {
        let Some(pause) = self.mourning else { return };
        self.reap_strangers();
        self.mourning = (pause < PATIENCE[1]).then_some(pause * 2);
    }

    fn sweep(&mut self, reply: &Socket) {
        self.reap_strangers();
        let fresh = self.strangers.drain(..).filter(|(time, _)| time.elapsed() < FRESH);
        let strangers: Vec<u8> = fresh.flat_map(|(_, status)| status.to_ne_bytes()).collect();
        reply.send(SWEPT, &[&strangers], &[]).unwrap_or_else(|error| self.registry.note_trouble(error));
    }
}

/// What a [`LAUNCHED`] message says.
pub(crate) fn launched(message: Message) -> Result<(u32, Process), Error> {
    let what = "starting the fork server";
    let damaged = || Error::new(ErrorKind::Damaged, what);
    let (pid, code) = message.body.split_first_chunk::<4>().ok_or_else(damaged)?;
    let code = code.try_into().map(i32::from_ne_bytes).map_err(|_| damaged())?;
    match message.handles.into_iter().next() {
        Some(process) => Ok((u32::from_ne_bytes(*pid), Process::from_handle(process))),
        None if code > 0 => Err(Error::os(what, std::io::Error::from_raw_os_error(code))),
        None => Err(Error::new(ErrorKind::Os, what)),
    }
}

/// The statuses in a [`SWEPT`] message.
pub(crate) fn swept(message: &Message) -> Vec<ExitStatus> {
    let (statuses, _) = message.body.as_chunks::<4>();
    statuses.iter().map(|status| ExitStatus::from_raw(i32::from_ne_bytes(*status))).collect()
}
