//! How the scheduler treats a process that works for others.

use crate::{Error, seam};
use rustix::io::Errno;

/// The scheduling policy that a process had.
#[derive(Debug, Clone, Copy)]
pub struct Schedule(i32);

impl Schedule {
    /// Has the calling thread wait for its turn when it is woken, instead of interrupting who woke it (`SCHED_BATCH`, sched(7)):
    /// whoever asks a server for something and goes on should not be held up by the server's work. Only a thread with the normal
    /// policy is changed.
    ///
    /// # Errors
    ///
    /// The kernel refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::process::Schedule;
    ///
    /// let before = Schedule::wait_for_turn()?;
    /// before.restore()?;
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn wait_for_turn() -> Result<Schedule, Error> {
        // musl's functions of these names only refuse, so the kernel is asked itself.
        // SAFETY: asks for a number.
        let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) } as i32;
        let schedule = Schedule(policy);
        if policy == libc::SCHED_OTHER {
            set(libc::SCHED_BATCH)?;
        }
        Ok(schedule)
    }

    /// Gives the calling thread that policy again.
    ///
    /// # Errors
    ///
    /// The kernel refused.
    pub fn restore(self) -> Result<(), Error> {
        if self.0 == libc::SCHED_OTHER { set(libc::SCHED_OTHER) } else { Ok(()) }
    }
}

fn set(policy: i32) -> Result<(), Error> {
    // Priority 0 is the only one that these two policies have; the nice value stays. For the kernel there is nothing else in a
    // `sched_param`, whatever the C library adds.
    let priority: libc::c_int = 0;
    let set = || {
        // SAFETY: reads the priority.
        match unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) } {
            -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
            _ => Ok(()),
        }
    };
    seam::call("sched_setscheduler", set).map_err(|e| Error::os("choosing a scheduling policy", e))
}
