//! What a child finds set as its parent had it at the time of the start: umask, signals, process group, CPUs, resource limits.
//!
//! Kept as words, because the two sides compare and copy more than they look inside:
//!
//! | word | meaning |
//! | --- | --- |
//! | 0 | umask |
//! | 1 | blocked signals, bit n - 1 is signal n |
//! | 2 | ignored signals, likewise |
//! | 3 | process group |
//! | 4 to 35 | soft and hard limit of resources 0 to 15 (getrlimit(2)) |
//! | 36 and on | CPUs that the thread may run on, 64 in a word |

use super::rights::Rights;
use super::signal;
use super::status::Status;
use crate::{Error, ErrorKind, seam};
use rustix::io::Errno;

/// The settings of the calling thread and its process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(Vec<u64>);

const LIMITS: usize = 16;
const FIRST_LIMIT: usize = 4;
const FIRST_CPU: usize = FIRST_LIMIT + 2 * LIMITS;
/// 8192 CPUs, the most that the kernel can be built for (sched_setaffinity(2) speaks of 1024 in the C library's set).
const CPU_WORDS: usize = 128;

/// What the calling thread may do, and its settings, read together.
///
/// # Errors
///
/// There is no `/proc`.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::settings::{Settings, capture};
///
/// let (_rights, settings) = capture()?;
/// let same = Settings::from_words(settings.words().to_vec())?;
/// same.apply(&settings)?; // nothing differs, so nothing is done
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
pub fn capture() -> Result<(Rights, Settings), Error> {
    let status = Status::of_this_thread()?;
    let mut words = Vec::with_capacity(FIRST_CPU + 4);
    words.extend([status.umask, status.blocked, status.ignored]);
    words.push(group());
    for resource in 0..LIMITS {
        let limit = limit(resource)?;
        words.extend([limit.rlim_cur, limit.rlim_max]);
    }
    let mut cpus = [0u64; CPU_WORDS];
    // SAFETY: the call writes at most the given number of bytes to the array.
    let bytes = unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&cpus), cpus.as_mut_ptr()) };
    words.extend_from_slice(&cpus[..usize::try_from(bytes).unwrap_or(0) / 8]);
    Ok((Rights::from_status(status)?, Settings(words)))
}

/// The process group, or 0 if its leader lives outside this process namespace (pid_namespaces(7)).
fn group() -> u64 {
    // SAFETY: getpgrp(2) takes nothing, writes nothing and cannot fail.
    u64::from(unsafe { libc::getpgrp() }.unsigned_abs())
}

fn limit(resource: usize) -> Result<libc::rlimit, Error> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let get = || {
        // SAFETY: a null pointer asks for no change; the old limit is written to a place for one.
        let result = unsafe { libc::prlimit(0, resource as _, std::ptr::null(), &raw mut limit) };
        if result == -1 { Err(last_errno()) } else { Ok(()) }
    };
    seam::call("prlimit", get).map_err(|e| Error::os("reading a resource limit", e))?;
    Ok(limit)
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

impl Settings {
    /// The words, for another process.
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    /// The same, but that an interrupt (Ctrl-C on a terminal) is ignored.
    #[must_use]
    pub fn ignoring_interrupt(mut self) -> Settings {
        self.0[2] |= 1 << (libc::SIGINT - 1);
        self
    }

    /// Words of another process.
    ///
    /// # Errors
    ///
    /// Too few or too many for settings.
    pub fn from_words(words: Vec<u64>) -> Result<Settings, Error> {
        if !(FIRST_CPU..=FIRST_CPU + CPU_WORDS).contains(&words.len()) {
            return Err(Error::new(ErrorKind::Damaged, "reading the settings of another process"));
        }
        Ok(Settings(words))
    }

    /// Gives this process these settings, where they differ from `now`, which it has.
    ///
    /// # Errors
    ///
    /// A limit above what this process may have, or CPUs that it may not use.
    pub fn apply(&self, now: &Settings) -> Result<(), Error> {
        let (new, old) = (&self.0, &now.0);
        if new[0] != old[0] {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(new[0] as u32));
        }
        self.apply_signals(now);
        if new[3] != old[3]
            && let group @ Some(_) = rustix::process::Pid::from_raw(new[3] as i32)
        {
            // A group of another session cannot be joined; then the child stays in the one that it has. The same holds for one
            // that has no number here.
            let _ = seam::call("setpgid", || rustix::process::setpgid(None, group));
        }
        for resource in 0..LIMITS {
            let at = FIRST_LIMIT + 2 * resource;
            if new[at..at + 2] != old[at..at + 2] {
                set_limit(resource, libc::rlimit { rlim_cur: new[at], rlim_max: new[at + 1] })?;
            }
        }
        let cpus = &new[FIRST_CPU..];
        if cpus != &old[FIRST_CPU..] {
            let set = || {
                // SAFETY: the call reads the given number of bytes from the slice.
                let result = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(cpus), cpus.as_ptr()) };
                if result == -1 { Err(last_errno()) } else { Ok(()) }
            };
            seam::call("sched_setaffinity", set).map_err(|e| Error::os("choosing the CPUs of a child", e))?;
        }
        Ok(())
    }

    /// SIGPIPE is ignored in any case, as in every Rust program. The mask comes last: signals that were sent meanwhile find what
    /// they should.
    fn apply_signals(&self, now: &Settings) {
        let pipe = 1 << (libc::SIGPIPE - 1);
        let (wanted, have) = (self.0[2] | pipe, now.0[2]);
        // Numbers 32 and 33 belong to the C library, SIGKILL and SIGSTOP to nobody.
        for number in (1..=64).filter(|number| (wanted ^ have) >> (number - 1) & 1 == 1 && ![32, 33].contains(number)) {
            signal::set_ignored(number, wanted >> (number - 1) & 1 == 1);
        }
        if self.0[1] != now.0[1] {
            signal::exchange_mask(libc::SIG_SETMASK, self.0[1]);
        }
    }
}

fn set_limit(resource: usize, limit: libc::rlimit) -> Result<(), Error> {
    let set = || {
        // SAFETY: reads one limit; a null pointer asks not to write the old one.
        let result = unsafe { libc::prlimit(0, resource as _, &raw const limit, std::ptr::null_mut()) };
        if result == -1 { Err(last_errno()) } else { Ok(()) }
    };
    seam::call("prlimit", set).map_err(|e| Error::os("setting a child's resource limit", e))
}
