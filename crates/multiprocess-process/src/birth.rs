//! A child from its first instruction to its last: hello, the request, the function, what came of it.

use crate::current::{self, Parent};
use crate::function::{ChildEntry, Outcome};
use crate::protocol::{Environment, FAILED, HELLO, REQUEST, Request, VALUE};
use crate::report;
use multiprocess_parcel::{Parcel, RemoteError, pack_data};
use multiprocess_sys::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use multiprocess_sys::image;
use multiprocess_sys::process::{self, Process, Schedule};
use multiprocess_sys::rights::Rights;
use multiprocess_sys::settings::{self, Settings};
use multiprocess_sys::thread::{self, Stream};
use multiprocess_sys::transport::{Message, Received, Socket};
use multiprocess_sys::{Error, ErrorKind, lifeline, seam};
use std::collections::VecDeque;

/// The exit code of a process that was started as a server or child and cannot be one.
pub(crate) const NOT_BORN: i32 = 112;

/// The exit code of a function that panicked, as of a Rust program whose `main` did.
pub(crate) const PANICKED_CODE: i32 = 101;

/// How this process came to be.
pub(crate) enum Origin {
    /// Cloned by a fork server that had these settings.
    Clone {
        settings: Settings,
        schedule: Schedule,
        /// Nobody waits for it yet.
        spare: bool,
    },
    /// Started by an exec.
    Executable,
}

/// Lives the child's whole life.
pub(crate) fn live(socket: Socket, origin: Origin) -> ! {
    seam::adopt_role("child");
    let socket: &'static Socket = Box::leak(Box::new(socket)); // for the rest of this process's life
    report::install(socket);
    if let Origin::Clone { spare, schedule, .. } = origin {
        // The server's manners are not the child's; if it must keep them it only waits for its turn more often.
        let _ = schedule.restore();
        if spare {
            image::warm_up();
        }
        match hello(socket) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Disconnected => process::end_now(0), // the program has ended
            Err(_) => process::end_now(NOT_BORN),                                         // the start tells this code
        }
    }
    let request = match socket.receive() {
        Ok(Received::Message(message)) if message.kind == REQUEST => Ok(message),
        Ok(Received::End) => process::end_now(0), // a spare child that nobody needed
        Ok(_) => Err(Error::new(ErrorKind::Damaged, "reading what to run: the message is of another kind")),
        Err(error) => Err(error),
    };
    let outcome = match request.and_then(|message| prepare(message, origin)) {
        Ok((entry, arguments)) => entry.call(arguments),
        Err(error) => Outcome::Failed(RemoteError::new(error)),
    };
    let code = tell(socket, outcome);
    #[cfg(feature = "tracing")]
    crate::logs::end();
    std::process::exit(code);
}

/// Names this process as the kernel sees it: a handle of itself cannot mean another process, whatever happens to the number.
fn hello(socket: &Socket) -> Result<(), Error> {
    process::set_title("mp-spare");
    let id = process::id();
    let process = Process::open(id)?;
    socket.send(HELLO, &[&id.to_ne_bytes()], &[process.as_fd()])
}

/// Takes on everything that the request says; returns the function and its arguments.
fn prepare(message: Message, origin: Origin) -> Result<(&'static ChildEntry, Parcel), Error> {
    let parent = process::parent_id();
    let (request, arguments) = Request::decode(message.body)?;
    // The parent may have ended, and then the kernel names another one; from another namespace it names none.
    let said_parent = if parent == 0 { 0 } else { request.parent };
    let mut handles = VecDeque::from(message.handles);
    let mut next = || {
        handles.pop_front().ok_or_else(|| Error::new(ErrorKind::Damaged, "reading what to run: a handle is missing"))
    };
    for (stream, present) in Stream::ALL.into_iter().zip(request.streams) {
        if present {
            stream.replace(&next()?)?;
        }
    }
    thread::enter(&next()?)?;
    if request.lifeline {
        hold_on(next()?, parent, &origin)?;
    }
    let slot = if request.logs > 0 { Some(next()?) } else { None };
    let now = match origin {
        Origin::Clone { settings, .. } => settings,
        Origin::Executable => {
            if let Some(rights) = &request.rights {
                Rights::give_up_beyond(&Rights::decode(&rights.0)?)?;
            }
            settings::capture()?.1
        }
    };
    if let Some(environment) = &request.environment {
        take_environment(environment);
    }
    process::set_title(&request.name);
    current::become_child(request.name, request.lineage, request.daemon, Parent::new(request.parent_name, said_parent));
    #[cfg(feature = "tracing")]
    slot.into_iter().for_each(|slot| crate::logs::install(slot, request.logs));
    #[cfg(not(feature = "tracing"))]
    drop(slot);
    Settings::from_words(request.settings)?.apply(&now)?;
    Ok((ChildEntry::at(request.function)?, Parcel { bytes: arguments, handles: handles.into(), ..Parcel::default() }))
}

/// A daemon ends with the program, and at once if that has ended already.
fn hold_on(held: OwnedHandle, parent: u32, origin: &Origin) -> Result<(), Error> {
    // The parent's thread that the kernel watches is the permanent one for a clone; for an exec it is whichever thread made
    // the start, which may end before the program does.
    let has_parent = match origin {
        Origin::Clone { .. } => lifeline::end_with_parent(parent)?,
        Origin::Executable => true,
    };
    if !lifeline::hold(held.as_fd())? || !has_parent {
        process::end_now(0);
    }
    std::mem::forget(held); // for the rest of this process's life
    Ok(())
}

fn take_environment(environment: &Environment) {
    let old: Vec<_> = std::env::vars_os().map(|(key, _)| key).collect();
    for key in old {
        // SAFETY: a clone has one thread; in an executable that was started again nothing of the program runs yet, and a thread
        // of a library's constructor that reads the environment without a lock would break in any program that changes it.
        unsafe { std::env::remove_var(key) };
    }
    for (key, value) in environment.variables() {
        // SAFETY: nobody else reads the environment at this time, for the same reason.
        unsafe { std::env::set_var(key, value) };
    }
}

/// Says what came of it; returns the exit code. If the program has ended, or has dropped its handle, nobody listens.
fn tell(socket: &Socket, outcome: Outcome) -> i32 {
    let code = if let Outcome::Value(_) = outcome { 0 } else { PANICKED_CODE };
    let told = match outcome {
        Outcome::Value(parcel) => {
            let handles: Vec<BorrowedHandle<'_>> = parcel.handles.iter().map(AsHandle::as_fd).collect();
            socket.send(VALUE, &[&parcel.bytes], &handles)
        }
        Outcome::Panicked(payload) => {
            let report = report::of(&*payload);
            // Dropping what a user's panic carries may panic again.
            std::mem::forget(payload);
            report::send(socket, &report)
        }
        Outcome::Failed(error) => tell_failure(socket, &error),
    };
    match told {
        Ok(()) => code,
        Err(error) if error.kind() == ErrorKind::Disconnected => code,
        Err(error) => {
            let _ = tell_failure(socket, &RemoteError::new(error));
            PANICKED_CODE
        }
    }
}

fn tell_failure(socket: &Socket, error: &RemoteError) -> Result<(), Error> {
    pack_data(error, "a report").and_then(|bytes| socket.send(FAILED, &[&bytes], &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_its_handles_is_an_error() {
        let request = Request {
            function: 0,
            name: "n".into(),
            lineage: "1".into(),
            daemon: false,
            parent_name: "p".into(),
            parent: 1,
            streams: [false; 3],
            lifeline: false,
            logs: 0,
            settings: vec![],
            rights: None,
            environment: None,
        };
        let message = Message { kind: REQUEST, body: request.encode().unwrap(), handles: vec![] };
        let error = prepare(message, Origin::Executable).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert!(prepare(Message::default(), Origin::Executable).is_err());
    }
}
