//! One start, from the builder's wishes to a child: checks, request, spare child or clone or exec.

use crate::current::current;
use crate::function::ChildEntry;
use crate::process::StartMethod;
use crate::protocol::{Environment, MARKER, REQUEST, Request, Role, WELCOME, marker};
use crate::registry::{Kept, Life};
use crate::runtime::{self, Newborn, Runtime};
use crate::server_link::{Birth, Server};
use crate::stdio::{Stdio, Wish};
use multiprocess_parcel::Parcel;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use multiprocess_sys::rights::{self, Rights};
use multiprocess_sys::settings::{self, Settings};
use multiprocess_sys::thread::{self, Stream};
use multiprocess_sys::transport::Socket;
use multiprocess_sys::{Error, ErrorKind, process};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// What a builder has collected.
pub(crate) struct Plan {
    pub(crate) entry: &'static ChildEntry,
    pub(crate) arguments: Parcel,
    pub(crate) name: String,
    pub(crate) lineage: String,
    pub(crate) daemon: bool,
    pub(crate) method: StartMethod,
    pub(crate) clear_environment: bool,
    pub(crate) variables: Vec<(OsString, Option<OsString>)>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) streams: [Stdio; 3],
    /// Other settings than those of the calling thread.
    pub(crate) settings: Option<Settings>,
    #[cfg(feature = "tracing")]
    pub(crate) forwards_logs: bool,
}

/// A child that was started.
pub(crate) struct Started {
    pub(crate) life: Arc<Life>,
    pub(crate) socket: Kept<Socket>,
    /// The program's ends of the streams that are pipes.
    pub(crate) pipes: [Option<OwnedHandle>; 3],
}

/// How often a server may die under a start before the start gives up.
const TRIES: usize = 4;

impl Plan {
    pub(crate) fn start(self) -> Result<Started, Error> {
        let function = self.entry.offset()?;
        let runtime = runtime::get()?;
        let (rights, own) = settings::capture()?;
        let settings = self.settings.as_ref().unwrap_or(&own);
        let mut streams = Streams::prepare(&self.streams)?;
        let directory = thread::directory(self.directory.as_deref().unwrap_or(".".as_ref()))?;
        let lifeline = if self.daemon { Some(runtime.lifeline()?) } else { None };
        #[cfg(feature = "tracing")]
        let offer = self.forwards_logs.then(|| crate::logs::offer(runtime)).flatten();
        #[cfg(feature = "tracing")]
        let logs = offer.as_ref().and_then(crate::logs::Offer::slot);
        #[cfg(not(feature = "tracing"))]
        let logs: Option<(BorrowedHandle<'_>, u8)> = None;
        let mut handles: Vec<BorrowedHandle<'_>> = streams.handles();
        handles.push(directory.as_fd());
        handles.extend(lifeline.iter().map(AsHandle::as_fd));
        handles.extend(logs.map(|(slot, _)| slot));
        handles.extend(self.arguments.handles.iter().map(AsHandle::as_fd));
        let request = Request {
            function,
            name: self.name.clone(),
            lineage: self.lineage.clone(),
            daemon: self.daemon,
            parent_name: current().name().to_owned(),
            parent: process::id(),
            streams: streams.present(),
            lifeline: lifeline.is_some(),
            logs: logs.map_or(0, |(_, level)| level),
            settings: settings.words().to_vec(),
            rights: None,
            environment: None,
        };
        let errand = Errand { runtime, rights, environment: self.environment(), request, handles };
        let newborn = errand.run(self.method, &self.arguments.bytes)?;
        let Newborn { pid, process, socket } = newborn;
        let life = Arc::new(Life::new(pid, self.name, self.daemon, process));
        runtime.registry().add(Arc::clone(&life));
        #[cfg(feature = "tracing")]
        crate::events::started(&life);
        Ok(Started { life, socket, pipes: std::mem::take(&mut streams.pipes) })
    }

    fn environment(&self) -> Environment {
        let mut environment = if self.clear_environment { Environment(vec![]) } else { Environment::of_this_process() };
        for (key, value) in &self.variables {
            environment.set(key.clone(), value.clone());
        }
        environment
    }
}

/// Everything about one start that does not depend on how the process is made.
struct Errand<'a> {
    runtime: &'static Runtime,
    rights: Rights,
    environment: Environment,
    request: Request,
    handles: Vec<BorrowedHandle<'a>>,
}

impl Errand<'_> {
    fn run(mut self, method: StartMethod, arguments: &[u8]) -> Result<Newborn, Error> {
        if rights::children_live_elsewhere(&self.rights)? {
            let text = "starting a process: refused, because this thread's children live in a process namespace that it is not \
                        in itself, where the first of them would take all others with it";
            return Err(Error::new(ErrorKind::Other, text));
        }
        if method == StartMethod::ForkServer {
            for attempt in 0..TRIES {
                let Some(server) = self.runtime.server_for(&self.rights, attempt > 0)? else { break };
                match self.clone_child(&server, arguments)? {
                    Birth::Born(newborn) => return Ok(newborn),
                    Birth::ServerGone => {}
                    Birth::NotAlone => {
                        self.runtime.set_needs_exec();
                        break;
                    }
                }
            }
        }
        self.exec(arguments)
    }

    fn clone_child(&mut self, server: &Server, arguments: &[u8]) -> Result<Birth, Error> {
        // Most children have the environment that the server has, and then it does not travel.
        let same = *server.environment() == self.environment;
        self.request.environment = (!same).then(|| self.environment.clone());
        let request = self.request.encode()?;
        let parts = [request.as_slice(), arguments];
        match server.start_spare(&parts, &self.handles)? {
            Some(birth) => Ok(birth),
            None => server.start_child(&parts, &self.handles),
        }
    }

    /// By an exec, from this very thread, so that the child has this thread's rights.
    fn exec(mut self, arguments: &[u8]) -> Result<Newborn, Error> {
        let cookie = process::random()?;
        self.environment.set(MARKER.into(), Some(marker(Role::Child, cookie).into()));
        self.request.rights = Some(crate::protocol::Bytes(self.rights.encode()));
        self.request.environment = None;
        let (ours, theirs) = Socket::pair()?;
        ours.send(WELCOME, &[&cookie.to_ne_bytes()], &[])?;
        ours.send(REQUEST, &[&self.request.encode()?, arguments], &self.handles)?;
        let (pid, process) = runtime::exec(&self.environment, &theirs)?;
        Ok(Newborn { pid, process: Kept::new(process, self.runtime), socket: Kept::new(ours, self.runtime) })
    }
}

/// The child's standard streams: handles to send, and the program's ends of pipes.
struct Streams<'a> {
    sent: [Sent<'a>; 3],
    pipes: [Option<OwnedHandle>; 3],
}

enum Sent<'a> {
    /// It stays `/dev/null`.
    Nothing,
    Borrowed(BorrowedHandle<'a>),
    Owned(OwnedHandle),
}

impl<'a> Streams<'a> {
    fn prepare(wishes: &'a [Stdio; 3]) -> Result<Streams<'a>, Error> {
        let mut streams = Streams { sent: [Sent::Nothing, Sent::Nothing, Sent::Nothing], pipes: [None, None, None] };
        for (at, (wish, stream)) in wishes.iter().zip(Stream::ALL).enumerate() {
            streams.sent[at] = match &wish.0 {
                Wish::Null => Sent::Nothing,
                Wish::Handle(handle) => Sent::Borrowed(handle.as_fd()),
                // One that this process has closed is as good as none.
                Wish::Inherit => stream.borrow().map_or(Sent::Nothing, Sent::Borrowed),
                Wish::Piped => {
                    let (reader, writer) = multiprocess_sys::handle::pipe()?;
                    let (child, program) = if stream == Stream::Input { (reader, writer) } else { (writer, reader) };
                    streams.pipes[at] = Some(program);
                    Sent::Owned(child)
                }
            };
        }
        Ok(streams)
    }

    fn present(&self) -> [bool; 3] {
        [0, 1, 2].map(|at| !matches!(self.sent[at], Sent::Nothing))
    }

    fn handles(&self) -> Vec<BorrowedHandle<'_>> {
        let handle = |sent| match sent {
            &Sent::Nothing => None,
            &Sent::Borrowed(handle) => Some(handle),
            Sent::Owned(handle) => Some(handle.as_fd()),
        };
        self.sent.iter().filter_map(handle).collect()
    }
}
