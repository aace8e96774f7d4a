//! The calling thread's lines of `/proc/thread-self/status` (proc_pid_status(5)): one read instead of a dozen calls.
//!
//! The file stays open for the thread that asked last, which saves half of the time. The text names the thread that it is
//! about, so a number that means another file by now (the program closed it, or this process is a forked copy) is noticed.

use super::handle::{Identity, OwnedHandle};
use crate::{Error, ErrorKind, seam};
use rustix::fs::{Mode, OFlags};
use rustix::thread::Pid;
use std::sync::Mutex;

/// What the lines say.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// `Uid`, `Gid`, `Groups`, `NoNewPrivs`, `Seccomp` and `Seccomp_filters`, each with its newline.
    pub(super) identity: String,
    /// Inheritable, permitted, effective, bounding, ambient.
    pub(super) capabilities: [u64; 5],
    pub(super) umask: u64,
    pub(super) blocked: u64,
    pub(super) ignored: u64,
    thread: u64,
}

/// Enough for the lines that are read here; those after them (long masks of memory nodes) may be cut off.
const SIZE: usize = 4096;

struct Open {
    thread: Pid,
    file: OwnedHandle,
    identity: Option<Identity>,
    /// What the file calls the thread: its number where `/proc` was mounted.
    number: u64,
}

static OPEN: Mutex<Option<Open>> = Mutex::new(None);

impl Status {
    pub(super) fn of_this_thread() -> Result<Status, Error> {
        let thread = rustix::thread::gettid();
        // Whoever finds another thread reading opens the file for itself.
        let Ok(mut open) = OPEN.try_lock() else { return read(&open_file()?) };
        if let Some(known) = open.as_ref().filter(|known| known.thread == thread)
            && let Ok(status) = read(&known.file)
            && status.thread == known.number
        {
            return Ok(status);
        }
        if let Some(old) = open.take()
            && Identity::of(&old.file) != old.identity
        {
            std::mem::forget(old.file); // not ours any more, so not ours to close
        }
        let file = open_file()?;
        let status = read(&file)?;
        *open = Some(Open { thread, identity: Identity::of(&file), number: status.thread, file });
        Ok(status)
    }

    fn parse(text: &[u8]) -> Result<Status, Error> {
        let mut status = Status::default();
        let mut found = 0;
        for line in text.split(|&byte| byte == b'\n') {
            let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(":\t")) else {
                continue;
            };
            let number = |base| u64::from_str_radix(value, base).map_err(|_| unreadable(name));
            found += 1;
            match name {
                "Pid" => status.thread = number(10)?,
                "Umask" => status.umask = number(8)?,
                "Uid" | "Gid" | "Groups" | "NoNewPrivs" | "Seccomp" | "Seccomp_filters" => {
                    status.identity.push_str(value);
                    status.identity.push('\n');
                    found -= usize::from(name.starts_with('S') || name == "NoNewPrivs"); // newer lines, and optional ones
                }
                "SigBlk" => status.blocked = number(16)?,
                "SigIgn" => status.ignored = number(16)?,
                "CapInh" => status.capabilities[0] = number(16)?,
                "CapPrm" => status.capabilities[1] = number(16)?,
                "CapEff" => status.capabilities[2] = number(16)?,
                "CapBnd" => status.capabilities[3] = number(16)?,
                "CapAmb" => status.capabilities[4] = number(16)?,
                _ => found -= 1,
            }
        }
        if found == REQUIRED { Ok(status) } else { Err(unreadable("all that is needed")) }
    }
}

/// `Pid`, `Umask`, `Uid`, `Gid`, `Groups`, two of signals, five of capabilities.
const REQUIRED: usize = 12;

fn unreadable(what: &str) -> Error {
    Error::new(ErrorKind::Os, format!("reading what this thread may do: /proc does not tell {what}"))
}

fn open_file() -> Result<OwnedHandle, Error> {
    let open = || rustix::fs::open(c"/proc/thread-self/status", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    seam::retry("open", open).map_err(|e| Error::os("reading what this thread may do from /proc", e))
}

fn read(file: &OwnedHandle) -> Result<Status, Error> {
    let mut text = [0; SIZE];
    let length = seam::retry("pread", || rustix::io::pread(file, &mut text, 0));
    let length = length.map_err(|e| Error::os("reading what this thread may do from /proc", e))?;
    Status::parse(&text[..length])
}
