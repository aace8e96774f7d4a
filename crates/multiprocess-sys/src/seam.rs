//! The seam that every call to the operating system passes, where a test can fail the n-th one.
//!
//! Without the `faults` feature the seam is the call itself. With it, a process counts its calls, and the one whose turn
//! it is fails with a given code, once or from then on. A program arms itself with `arm`; the fork server and the children,
//! which a test cannot reach, read their plan from the environment (`MULTIPROCESS_FAULTS=role:n:code[:always]`, where the
//! role is `server` or `child`). The code -9 kills the process at that call with SIGKILL.

use rustix::io::Errno;

/// Repeats a call that a signal handler interrupted.
pub(crate) fn retry<T>(name: &'static str, mut f: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match interruptible(name, &mut f) {
            Err(Errno::INTR) => continue,
            result => return result,
        }
    }
}

/// Makes one call to the operating system, unless a test wants this one to fail.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn call<T>(_name: &'static str, f: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    f()
}

#[cfg(not(feature = "faults"))]
pub(crate) use call as interruptible;

/// Takes the plan that a test has for processes of that role: none, outside of tests.
#[cfg(not(feature = "faults"))]
pub fn adopt_role(_role: &str) {}

#[cfg(feature = "faults")]
pub use faults::{Plan, adopt_role, arm, calls, disarm, failed};
#[cfg(feature = "faults")]
pub(crate) use faults::{call, interruptible};

/// The counting half, only in test builds.
#[cfg(feature = "faults")]
mod faults {
    use super::Errno;
    use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::Relaxed};

    /// Which call fails, and how.
    #[derive(Debug, Clone, Copy)]
    pub struct Plan {
        /// The call that fails, counted from 1.
        pub nth: u32,
        /// The operating system's code that it fails with.
        pub code: i32,
        /// Whether all later calls fail too.
        pub always: bool,
    }

    /// The code that means: this process is killed at that call, instead of the call failing.
    const KILL: i32 = -9;

    // Relaxed everywhere: the words are independent, and a test arms them before the calls that it counts.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static NTH: AtomicU32 = AtomicU32::new(0);
    static CODE: AtomicI32 = AtomicI32::new(0);
    static ALWAYS: AtomicBool = AtomicBool::new(false);
    static FAILED: AtomicU32 = AtomicU32::new(0);

    /// Counts from now on and fails as planned.
    pub fn arm(plan: Plan) {
        COUNT.store(0, Relaxed);
        FAILED.store(0, Relaxed);
        CODE.store(plan.code, Relaxed);
        ALWAYS.store(plan.always, Relaxed);
        NTH.store(plan.nth, Relaxed);
    }

    /// Lets every call through again.
    pub fn disarm() {
        NTH.store(0, Relaxed);
    }

    /// How many calls were made since [`arm`].
    pub fn calls() -> u32 {
        COUNT.load(Relaxed)
    }

    /// How many calls failed on purpose since [`arm`].
    pub fn failed() -> u32 {
        FAILED.load(Relaxed)
    }

    /// Takes the plan that the environment holds for `role`, if it does; counts from zero otherwise.
    pub fn adopt_role(role: &str) {
        disarm();
        COUNT.store(0, Relaxed);
        let Ok(plan) = std::env::var("MULTIPROCESS_FAULTS") else { return };
        let mut parts = plan.split(':');
        if parts.next() != Some(role) {
            return;
        }
        let mut number = || parts.next().and_then(|part| part.parse::<i32>().ok());
        if let (Some(nth), Some(code)) = (number(), number()) {
            arm(Plan { nth: nth as u32, code, always: parts.next() == Some("always") });
        }
    }

    /// A call that no signal interrupts: planned interruptions pass it by.
    pub(crate) fn call<T>(_name: &'static str, f: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        if CODE.load(Relaxed) == Errno::INTR.raw_os_error() { f() } else { interruptible(_name, f) }
    }

    /// A call that a signal handler may interrupt.
    pub(crate) fn interruptible<T>(_name: &'static str, f: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let nth = NTH.load(Relaxed);
        let count = COUNT.fetch_add(1, Relaxed) + 1;
        if nth != 0 && (count == nth || (count > nth && ALWAYS.load(Relaxed))) {
            FAILED.fetch_add(1, Relaxed);
            let code = CODE.load(Relaxed);
            if code == KILL {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            }
            return Err(Errno::from_raw_os_error(code));
        }
        f()
    }
}
