//! A process is watched, signalled and reaped through its pidfd (pidfd_open(2)): a number alone may mean another process later.

use super::handle::{AsHandle, BorrowedHandle, OwnedHandle, readable};
use crate::clock::Deadline;
use crate::{Error, seam};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use super::clone::{Cloner, is_alone};
pub use super::fork_guard::ForkGuard;
pub use super::launch::{is_launched, launch, launched_socket};
pub use super::schedule::Schedule;

/// A process, whether it still runs or not.
#[derive(Debug)]
pub struct Process(OwnedHandle);

/// What [`Process::reap`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// It has not ended.
    Running,
    /// It ended so, and is gone now.
    Ended(ExitStatus),
    /// It ended and somebody else has reaped it: the program waits for any child, or ignores `SIGCHLD`. Its status, if the
    /// kernel still knows it (`PIDFD_GET_INFO`, Linux 6.15).
    Elsewhere(Option<ExitStatus>),
}

/// What a process is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// What Ctrl-C sends.
    Interrupt,
    /// Please end.
    Terminate,
    /// End now.
    Kill,
}

/// The number of this process.
pub fn id() -> u32 {
    std::process::id()
}

/// The number of this process's parent as it is now; 0 where the parent lives in another namespace.
pub fn parent_id() -> u32 {
    rustix::process::getppid().map_or(0, number)
}

/// Shows `title` (its first 15 bytes) as this process's name in lists of processes.
pub fn set_title(title: &str) {
    let mut bytes: Vec<u8> = title.bytes().filter(|&byte| byte != 0).take(15).collect();
    bytes.push(0);
    if let Ok(title) = std::ffi::CString::from_vec_with_nul(bytes) {
        // A title is a courtesy: without it the process works the same.
        let set = || seam::call("prctl(PR_SET_NAME)", || rustix::thread::set_name(&title));
        let _ = set().or_else(|_| set());
    }
}

/// A number that nobody can guess.
///
/// # Errors
///
/// The kernel has none to give.
pub fn random() -> Result<u128, Error> {
    let mut bytes = [0; 16];
    let flags = rustix::rand::GetRandomFlags::empty();
    seam::retry("getrandom", || rustix::rand::getrandom(&mut bytes, flags))
        .map_err(|e| Error::os("drawing a number", e))?;
    Ok(u128::from_ne_bytes(bytes))
}

/// Ends this process at once: nothing of the program runs any more, nothing is flushed.
pub fn end_now(code: i32) -> ! {
    // SAFETY: the call takes a number and does not return.
    unsafe { libc::_exit(code) }
}

impl Process {
    /// The process of that number. Only for one that cannot be reaped meanwhile: oneself, or a parent (checked afterwards).
    ///
    /// # Errors
    ///
    /// There is none, or the process has no free descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::process::{self, Process};
    ///
    /// assert!(!Process::open(process::id())?.has_ended()?);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn open(id: u32) -> Result<Process, Error> {
        let pid = i32::try_from(id)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| Error::os("opening a process", Errno::SRCH))?;
        seam::call("pidfd_open", || rustix::process::pidfd_open(pid, PidfdFlags::empty()))
            .map(Process)
            .map_err(|e| Error::os("opening a process", e))
    }

    /// The process behind a handle that travelled here.
    pub fn from_handle(handle: OwnedHandle) -> Process {
        Process(handle)
    }

    /// Sends a signal; `false` if the process has ended.
    ///
    /// # Errors
    ///
    /// This process may not signal that one.
    pub fn signal(&self, signal: Signal) -> Result<bool, Error> {
        let number = match signal {
            Signal::Interrupt => rustix::process::Signal::INT,
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        match seam::retry("pidfd_send_signal", || rustix::process::pidfd_send_signal(&self.0, number)) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(e) => Err(Error::os("signalling a process", e)),
        }
    }

    /// Whether the process has ended, reaped or not.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub fn has_ended(&self) -> Result<bool, Error> {
        self.wait(Deadline::now())
    }

    /// Waits for its end, reaping nothing; `false` when the time was over first.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub fn wait(&self, deadline: Deadline) -> Result<bool, Error> {
        let ended = readable([self.0.as_fd()], deadline)?[0];
        if ended {
            end_seen();
        }
        Ok(ended)
    }

    /// Takes the status of a child that has ended, without waiting.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub fn reap(&self) -> Result<Reaped, Error> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match seam::retry("waitid", || rustix::process::waitid(WaitId::PidFd(self.0.as_fd()), options)) {
            Ok(Some(status)) => {
                end_seen();
                Ok(Reaped::Ended(exit_status(&status)))
            }
            Ok(None) => Ok(Reaped::Running),
            Err(Errno::CHILD) if !self.has_ended()? => Ok(Reaped::Running),
            Err(Errno::CHILD) => Ok(Reaped::Elsewhere(self.last_status())),
            Err(e) => Err(Error::os("waiting for a child process", e)),
        }
    }

    /// The status of a process that somebody else has reaped.
    fn last_status(&self) -> Option<ExitStatus> {
        let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
        // SAFETY: the request's number says that it reads and writes 64 bytes at the address, which is what `info` has.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
        (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then(|| ExitStatus::from_raw(info.exit_code))
    }
}

impl AsHandle for Process {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.0.as_fd()
    }
}

impl From<Process> for OwnedHandle {
    fn from(process: Process) -> OwnedHandle {
        process.0
    }
}

/// `struct pidfd_info` of `linux/pidfd.h`, its first version.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}
const _: () = assert!(size_of::<PidfdInfo>() == 64);
const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xff, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::Ioctl = 0xc040_ff0b_u32 as libc::Ioctl;

/// See [`ends_seen`].
static ENDS_SEEN: AtomicU64 = AtomicU64::new(0);

fn end_seen() {
    ENDS_SEEN.fetch_add(1, Relaxed);
}

/// A number that grows when this process has seen that another one has ended. Who knows that much, because it has waited for
/// it, sees that it has grown.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::process::ends_seen;
///
/// assert!(ends_seen() <= ends_seen());
/// ```
#[inline]
pub fn ends_seen() -> u64 {
    ENDS_SEEN.load(Relaxed)
}

fn exit_status(status: &WaitIdStatus) -> ExitStatus {
    let code = status.exit_status().map(|code| (code & 0xff) << 8);
    let signal = status.terminating_signal().map(|signal| signal | if status.dumped() { 0x80 } else { 0 });
    ExitStatus::from_raw(code.or(signal).unwrap_or(0))
}

/// Reaps one child of the calling *thread* that has ended, if there is one.
///
/// # Errors
///
/// The operating system refused.
pub fn reap_any() -> Result<Option<(u32, ExitStatus)>, Error> {
    const THREAD_ONLY: WaitOptions = WaitOptions::from_bits_retain(0x2000_0000); // __WNOTHREAD of waitpid(2)
    match seam::retry("wait4", || rustix::process::wait(WaitOptions::NOHANG | THREAD_ONLY)) {
        Ok(Some((pid, status))) => {
            end_seen();
            Ok(Some((number(pid), ExitStatus::from_raw(status.as_raw()))))
        }
        Ok(None) | Err(Errno::CHILD) => Ok(None),
        Err(e) => Err(Error::os("reaping children", e)),
    }
}

/// Reaps the child of that number if it has ended; `None` if it runs, or is no child of ours (any more).
///
/// # Errors
///
/// The operating system refused.
pub fn reap_number(id: u32) -> Result<Option<ExitStatus>, Error> {
    let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return Ok(None) };
    match seam::retry("wait4", || rustix::process::waitpid(Some(pid), WaitOptions::NOHANG)) {
        Ok(Some((_, status))) => {
            end_seen();
            Ok(Some(ExitStatus::from_raw(status.as_raw())))
        }
        Ok(None) | Err(Errno::CHILD) => Ok(None),
        Err(e) => Err(Error::os("reaping a child", e)),
    }
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_signalled_awaited_and_reaped() {
        #[expect(clippy::zombie_processes, reason = "it is reaped through its pidfd")]
        let child = std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let process = Process::open(child.id()).unwrap();
        assert_eq!(process.reap().unwrap(), Reaped::Running);
        assert!(process.signal(Signal::Kill).unwrap());
        assert!(process.wait(Deadline::NEVER).unwrap());
        let Reaped::Ended(status) = process.reap().unwrap() else { panic!() };
        assert_eq!(status.signal(), Some(9));
        assert!(!process.signal(Signal::Kill).unwrap());
        match process.reap().unwrap() {
            Reaped::Elsewhere(Some(status)) => assert_eq!(status.signal(), Some(9)),
            Reaped::Elsewhere(None) => {} // an older kernel
            other => panic!("{other:?}"),
        }
    }
}
