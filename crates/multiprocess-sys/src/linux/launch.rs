//! Starting the program's own executable again: `/proc/self/exe` is that file even if its name is gone or means another.
//!
//! Done as posix_spawn does: the new process shares the memory of the caller, which stands still until the new one has a
//! memory of its own (`CLONE_VM|CLONE_VFORK`), so the size of the program does not matter. In that short time the new process
//! only makes system calls. All signals are blocked meanwhile, so that no handler of the program runs there; they stay
//! blocked until the new process unblocks them itself.

use super::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use super::process::Process;
use super::signal::Blocked;
use crate::{Error, ErrorKind, seam};
use rustix::io::Errno;
use std::ffi::{CString, OsString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;

/// Where the new process finds its socket.
pub(crate) const SOCKET: RawFd = 3;

/// Starts the program's executable again with `socket` as its only descriptor beside 0, 1 and 2, which are `/dev/null`.
///
/// # Errors
///
/// No more processes, no memory, or the file may not be executed.
///
/// # Crash
///
/// If the caller is killed between the clone and the exec, the new process goes on to its exec and finds its socket closed.
pub fn launch(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    socket: BorrowedHandle<'_>,
) -> Result<(u32, Process), Error> {
    let failed = |e| Error::os("starting the program's executable again", e);
    if would_be_privileged() {
        let text = "starting the program's executable again: refused, because a process whose real and effective user or group \
                    differ starts programs with more rights than their starter has";
        return Err(Error::new(ErrorKind::Other, text));
    }
    let open_null = || rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC, 0.into());
    let null = seam::retry("open", open_null).map_err(failed)?;
    // High numbers, so that none of them is overwritten while 0 to 3 are set up.
    let high = |handle| seam::call("fcntl(F_DUPFD_CLOEXEC)", || rustix::io::fcntl_dupfd_cloexec(handle, 10));
    let (null, socket) = (high(null.as_fd()).map_err(failed)?, high(socket).map_err(failed)?);

    let arguments = strings(arguments)?;
    let environment = strings(environment.into_iter().map(|(mut key, value)| {
        key.push("=");
        key.push(value);
        key
    }))?;
    let (argument_pointers, environment_pointers) = (pointers(&arguments), pointers(&environment));
    let plan = Plan {
        null: null.as_raw_fd(),
        socket: socket.as_raw_fd(),
        arguments: argument_pointers.as_ptr(),
        environment: environment_pointers.as_ptr(),
        failure: 0,
    };
    let (pid, process, failure) = start(plan).map_err(failed)?;
    if failure != 0 {
        // It has ended, or is about to: nobody else knows of it, so it is reaped here.
        process.wait(crate::clock::Deadline::NEVER)?;
        process.reap()?;
        return Err(failed(Errno::from_raw_os_error(failure)));
    }
    Ok((pid, process))
}

/// Whether the kernel would call the new program privileged (`AT_SECURE`, getauxval(3)): then it would run its `main`.
fn would_be_privileged() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

/// What the new process needs before its exec, all of it prepared by its maker.
struct Plan {
    null: RawFd,
    socket: RawFd,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    failure: c_int,
}

fn start(mut plan: Plan) -> Result<(u32, Process, c_int), Errno> {
    let mut stack = vec![0u128; 4096];
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let blocked = Blocked::all();
    let mut pidfd: c_int = -1;
    let pid = seam::call("clone(CLONE_VFORK)", || {
        let argument = (&raw mut plan).cast::<c_void>();
        // SAFETY: `become_program` gets a pointer to the plan, which lives on while this thread stands still; the stack is
        // big enough for its few frames and outlives its use, which ends with the exec or exit that this call waits for.
        let pid = unsafe { libc::clone(become_program, top.cast(), flags, argument, &raw mut pidfd) };
        if pid == -1 {
            Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::AGAIN))
        } else {
            Ok(pid)
        }
    });
    drop(blocked);
    let pid = pid?;
    // SAFETY: the call succeeded, so it has put a new descriptor there, which nobody else knows.
    let process = Process::from_handle(unsafe { OwnedHandle::from_raw_fd(pidfd) });
    Ok((pid.unsigned_abs(), process, plan.failure))
}

/// Runs in the new process, in the memory of the old one: system calls only.
extern "C" fn become_program(plan: *mut c_void) -> c_int {
    // SAFETY: the maker passes a pointer to its plan and stands still until this process has left its memory.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    let places = [(plan.null, 0), (plan.null, 1), (plan.null, 2), (plan.socket, SOCKET)];
    for (from, to) in places {
        // SAFETY: changes this process's own table of descriptors only.
        if unsafe { libc::dup2(from, to) } == -1 {
            plan.failure = errno();
            return 127;
        }
    }
    // SAFETY: changes this process's own table only; what could not be closed here has close-on-exec set, or is closed by the new program.
    unsafe { libc::syscall(libc::SYS_close_range, SOCKET + 1, u32::MAX, 0) };
    // SAFETY: the path is a string that ends with a zero, the two lists end with a null pointer.
    unsafe { libc::execve(c"/proc/self/exe".as_ptr(), plan.arguments, plan.environment) };
    plan.failure = errno();
    127
}

fn errno() -> c_int {
    // SAFETY: the call takes nothing and returns the address of the calling thread's error number.
    let address = unsafe { libc::__errno_location() };
    // SAFETY: that address is valid as long as the thread lives.
    unsafe { address.read() }
}

fn strings(parts: impl IntoIterator<Item = OsString>) -> Result<Vec<CString>, Error> {
    let nul = |e| Error::new(ErrorKind::Other, "starting the program's executable again").with_source(e);
    parts.into_iter().map(|part| CString::new(part.into_vec()).map_err(nul)).collect()
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Whether this process looks as [`launch`] makes it: a message socket lies where it belongs. One that looks so never runs
/// the program's `main`, also if its maker is gone by now.
pub fn is_launched() -> bool {
    // SAFETY: only looked at, and closed by nobody before `main`.
    let socket = unsafe { BorrowedHandle::borrow_raw(SOCKET) };
    super::transport::is_message_socket(socket)
}

/// Takes the socket of a process that [`launch`] made, once; `None` if it was not made by this process's parent.
pub fn launched_socket() -> Option<super::transport::Socket> {
    static TAKEN: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    // Relaxed: this runs before `main`, on the only thread that could ask.
    if TAKEN.swap(true, std::sync::atomic::Ordering::Relaxed) || !is_launched() {
        return None;
    }
    // SAFETY: it is open, `launch` put it there for this purpose, and it is taken once.
    let socket = unsafe { OwnedHandle::from_raw_fd(SOCKET) };
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC).ok()?;
    super::transport::is_from_parent(socket.as_fd()).then(|| super::transport::Socket::from_handle(socket))
}
