//! The fork server: a process that has run nothing of the program's `main` and does nothing but clone itself.
//!
//! It is the program's executable, started again; [`take_over`] keeps it from running `main`. Each child is a clone of it that
//! has the *program* as its parent (`CLONE_PARENT`). It keeps nothing of the program: its standard streams are `/dev/null`, its
//! directory is `/`, and it has one socket, whose end tells it that the program has ended.
//!
//! # Crash
//!
//! Its children do not notice its death; the program makes another one at its next start.

use crate::birth::{self, NOT_BORN, Origin};
use crate::protocol::{self, CLONE, MARKER, NOT_ALONE, READY, REFILL, REFUSED, Role, WELCOME, parse_marker};
use multiprocess_sys::image::{self, Image};
use multiprocess_sys::process::{self, Cloner, Schedule};
use multiprocess_sys::rights::Rights;
use multiprocess_sys::settings;
use multiprocess_sys::transport::{Message, Received, Socket};
use multiprocess_sys::{Error, ErrorKind, lifeline, seam, thread};

multiprocess_sys::before_main!(MARKER, take_over);

/// Runs before `main` in a process that has the marker and a socket where [`launch`](process::launch) puts it. Returns
/// only `false`, and only if the marker is not one of this version of the library: then `main` runs.
fn take_over(marker: String) -> bool {
    let Some((role, cookie)) = parse_marker(&marker) else { return false };
    let Some(socket) = process::launched_socket() else { refuse("its socket was not made by its parent") };
    let welcome = match socket.receive() {
        Ok(Received::Message(message)) if message.kind == WELCOME => message,
        Ok(Received::End) => process::end_now(0), // the program ended before it could say anything
        _ => refuse("it was not welcomed"),
    };
    let Some((said, rights)) = protocol::welcome(&welcome.body) else { refuse("it was not welcomed") };
    if said != cookie {
        refuse("its cookie is wrong");
    }
    match role {
        Role::Child => birth::live(socket, Origin::Executable),
        Role::Server => match serve(socket, rights) {
            Ok((socket, origin)) => birth::live(socket, origin),
            Err(error) => refuse(&error.to_string()),
        },
    }
}

/// This process is none of ours, or cannot be: it ends, because `main` must not run a second time by surprise.
fn refuse(why: &str) -> ! {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "multiprocess: {MARKER} is set, but this process cannot be started so: {why}");
    process::end_now(NOT_BORN);
}

/// Serves until the program ends; returns in each child, with its socket and what it has inherited.
fn serve(control: Socket, rights: &[u8]) -> Result<(Socket, Origin), Error> {
    seam::adopt_role("server");
    process::set_title("mp-server");
    let parent = process::parent_id();
    if !lifeline::end_with_parent(parent)? {
        process::end_now(0);
    }
    // All signals stay blocked, as they were for the exec: nothing that a terminal sends to the whole program reaches this
    // process, and what is sent to a newborn child waits until that has taken on its parent's handling of signals.
    thread::enter(&thread::directory("/".as_ref())?)?;
    Rights::give_up_beyond(&Rights::decode(rights)?)?;
    let cloner = Cloner::new()?;
    Image::of_program(); // found once, for all children
    image::keep_code();
    let schedule = Schedule::wait_for_turn()?;
    let (rights, settings) = settings::capture()?;
    control.send(READY, &[&rights.encode()], &[])?;
    let mut server = Server { control, cloner };
    loop {
        match server.control.receive_small() {
            Ok(Received::Message(message)) => {
                let spare = message.kind == REFILL;
                if let Some(socket) = server.answer(message) {
                    return Ok((socket, Origin::Clone { settings, schedule, spare }));
                }
            }
            Ok(Received::End | Received::Nothing) => process::end_now(0),
            // One bad message costs one start, whose socket was closed with it; the next is as good as any.
            Err(error) if error.kind() == ErrorKind::Damaged => {}
            Err(_) => process::end_now(NOT_BORN),
        }
    }
}

struct Server {
    control: Socket,
    cloner: Option<Cloner>,
}

impl Server {
    /// Does what a message asks for; in a new child, returns its socket.
    fn answer(&mut self, mut message: Message) -> Option<Socket> {
        match message.kind {
            CLONE | REFILL if message.handles.len() == 1 => {
                let socket = Socket::from_handle(message.handles.remove(0));
                self.clone_child(socket)
            }
            _ => None,
        }
    }

    fn clone_child(&mut self, socket: Socket) -> Option<Socket> {
        let refusal = match self.cloner {
            // A library's constructor has started a thread: its locks would be copied in whatever state they are in.
            Some(_) if !process::is_alone() => NOT_ALONE,
            None => NOT_ALONE,
            Some(cloner) => {
                // SAFETY: this process has one thread, as the line above has just seen.
                match unsafe { cloner.clone_sibling() } {
                    Ok(None) => return Some(socket),
                    Ok(Some(_)) => return None,
                    Err(error) => error.raw_os_error().unwrap_or(0),
                }
            }
        };
        // If the program has gone, nobody wants to know.
        let _ = socket.send(REFUSED, &[&refusal.to_ne_bytes()], &[]);
        None
    }
}
