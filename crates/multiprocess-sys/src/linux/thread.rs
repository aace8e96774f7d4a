//! A thread for the life of the program, out of the way of everything that the program does to itself.
//!
//! All signals are blocked in it. It has a table of descriptors of its own (`CLONE_FILES` of unshare(2)): what the program
//! closes does not close there, and it holds nothing of the program's open.

use super::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use super::signal::Blocked;
use crate::{Error, ErrorKind, seam};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::sync::mpsc;
use std::thread::{Scope, ScopedJoinHandle};

/// For threads that do little.
const SMALL_STACK: usize = 256 << 10;

/// Starts such a thread. It gets copies of `handles` of its own; the caller's are closed.
///
/// # Errors
///
/// The process has no room for another thread.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::thread;
/// use std::io::{PipeWriter, Read, Write};
///
/// let (mut reader, writer) = std::io::pipe()?;
/// thread::start("example", vec![writer.into()], |mut handles| {
///     PipeWriter::from(handles.remove(0)).write_all(b"from there").unwrap();
/// })?;
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "from there");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn start(
    name: &str,
    handles: Vec<OwnedHandle>,
    body: impl FnOnce(Vec<OwnedHandle>) + Send + 'static,
) -> Result<(), Error> {
    seam::call("pthread_create", || Ok(())).map_err(|e| Error::os("starting a thread", e))?;
    let numbers: Vec<RawFd> = handles.iter().map(AsRawFd::as_raw_fd).collect();
    let (separated, is_separate) = mpsc::sync_channel(1);
    let blocked = Blocked::all();
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let separate = separate(&numbers);
        if separate.is_ok() && separated.send(separate).is_ok() {
            // SAFETY: in a table of its own these are this thread's copies.
            body(numbers.iter().map(|&number| unsafe { OwnedHandle::from_raw_fd(number) }).collect());
        } else {
            let _ = separated.send(separate);
        }
    });
    drop(blocked);
    started.map_err(|e| Error::os("starting a thread", e))?;
    match is_separate.recv() {
        Ok(Ok(())) => drop(handles),
        Ok(Err(e)) => return Err(Error::os("giving a thread descriptors of its own", e)),
        Err(_) => return Err(Error::new(ErrorKind::Other, "starting a thread: it ended at once")),
    }
    Ok(())
}

/// Starts a thread that helps the calling one and ends before `scope` does. All signals are blocked in it, so no handler of the
/// program's runs there.
///
/// # Errors
///
/// The process has no room for another thread.
///
/// # Examples
///
/// ```
/// let mut sum = 0;
/// std::thread::scope(|scope| {
///     multiprocess_sys::thread::start_in(scope, "example", || sum = 1 + 2).map(drop)
/// })?;
/// assert_eq!(sum, 3);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub fn start_in<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Error> {
    seam::call("pthread_create", || Ok(())).map_err(|e| Error::os("starting a thread", e))?;
    let blocked = Blocked::all();
    let started = std::thread::Builder::new().name(name.to_owned()).stack_size(SMALL_STACK).spawn_scoped(scope, body);
    drop(blocked);
    started.map_err(|e| Error::os("starting a thread", e))
}

/// Gives the calling thread a table of descriptors of its own with nothing but `keep` in it, and `/dev/null` at 0, 1 and 2.
fn separate(keep: &[RawFd]) -> Result<(), Errno> {
    let mut keep = keep.to_vec();
    keep.sort_unstable();
    let above = keep.last().map_or(3, |highest| highest + 1);
    // By way of close_range(2), because filters of containers often refuse unshare(2).
    seam::call("close_range(CLOSE_RANGE_UNSHARE)", || {
        // SAFETY: gives this thread a copy of the table, and closes in it numbers that the thread does not use.
        match unsafe { libc::syscall(libc::SYS_close_range, above, u32::MAX, libc::CLOSE_RANGE_UNSHARE) } {
            -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
            _ => Ok(()),
        }
    })?;
    let mut next = 3;
    for number in keep.iter().copied().chain([RawFd::MAX]) {
        if next < number {
            // SAFETY: closes numbers of this thread's own table, none of which it uses.
            unsafe { libc::syscall(libc::SYS_close_range, next, number - 1, 0) };
        }
        next = number.saturating_add(1);
    }
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC, 0.into())?;
    for number in (0..3).filter(|number| !keep.contains(number)) {
        // SAFETY: the standard streams of this thread's own table are nobody else's.
        unsafe { libc::dup2(null.as_raw_fd(), number) };
    }
    Ok(())
}

/// A standard stream of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard input.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

impl Stream {
    /// All three, in the order of their numbers.
    pub const ALL: [Stream; 3] = [Stream::Input, Stream::Output, Stream::Error];

    /// This process's own; `None` if it is closed.
    pub fn borrow(self) -> Option<BorrowedHandle<'static>> {
        // SAFETY: the three standard streams are open for the life of a Rust program, and one that was closed on purpose is
        // found out by the next call.
        let stream = unsafe { BorrowedHandle::borrow_raw(self as RawFd) };
        rustix::io::fcntl_getfd(stream).is_ok().then_some(stream)
    }

    /// Puts `handle` in its place.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub fn replace(self, handle: &impl AsHandle) -> Result<(), Error> {
        let place = || match self {
            Stream::Input => rustix::stdio::dup2_stdin(handle),
            Stream::Output => rustix::stdio::dup2_stdout(handle),
            Stream::Error => rustix::stdio::dup2_stderr(handle),
        };
        seam::retry("dup2", place).map_err(|e| Error::os("placing a standard stream", e))
    }
}

/// The current directory as a handle, or that at `path`.
///
/// # Errors
///
/// There is no such directory, or it may not be entered.
pub fn directory(path: &std::path::Path) -> Result<OwnedHandle, Error> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = seam::retry("open", || rustix::fs::open(path, flags, Mode::empty()));
    opened.map_err(|e| Error::os("opening a child's directory", e).with_object(path.to_string_lossy()))
}

/// Makes `directory` the current one.
///
/// # Errors
///
/// It may not be entered.
pub fn enter(directory: &impl AsHandle) -> Result<(), Error> {
    seam::retry("fchdir", || rustix::process::fchdir(directory))
        .map_err(|e| Error::os("entering a child's directory", e))
}
