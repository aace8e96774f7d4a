//! A process that runs one instruction, or up to one call to the operating system, at a time.
//!
//! A forked process calls [`consent`] and stops itself with [`stop`]; the tracer [adopts](Traced::adopt) it. A process that is no child
//! of the tracer is [seized](Traced::seize); then it may stop itself too. The tracer alternates between letting
//! it run ([`Traced::step`], [`Traced::to_call`]) and asking what came of it ([`Traced::settle`]). A process that sleeps in a call
//! is told apart from one that has not finished its step by its state in the process list. If the tracer dies, the kernel kills
//! the traced one.

use crate::processes;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, waitpid};
use rustix::thread::sched_yield;
use std::ffi::{c_int, c_long};
use std::ptr;

const TRACE_ME: c_int = 0;
const READ_WORD: c_int = 1;
const SINGLE_STEP: c_int = 9;
const TO_CALL: c_int = 24;
const SET_OPTIONS: c_int = 0x4200;
const READ_REGISTERS: c_int = 0x4204;
const SEIZE: c_int = 0x4206;

/// The kernel's number for the set of registers that holds the place of the next instruction.
const GENERAL: usize = 1;

/// Stops at calls are told apart from other traps, and the traced process dies with its tracer.
const OPTIONS: usize = 0x1 | 0x10_0000;

/// What a stop at a call adds to the number of the signal.
const AT_CALL: i32 = 0x80;

/// How often a process is asked for before its state is looked at: most steps take less.
const GLANCES: u32 = 60;

/// Which of the general registers that is, and the instruction that calls the operating system with the bits that tell it.
#[cfg(target_arch = "x86_64")]
const MACHINE: (usize, u64, u64) = (16, 0x050f, 0xffff);
/// The same on the other machine that is supported.
#[cfg(target_arch = "aarch64")]
const MACHINE: (usize, u64, u64) = (32, 0xd400_0001, 0xffff_ffff);

/// Where the kernel is to put registers.
#[repr(C)]
struct Buffer {
    start: *mut usize,
    length: usize,
}

unsafe extern "C" {
    fn ptrace(request: c_int, ...) -> c_long;
}

/// Lets the parent trace this process. Returns whether the system allows it.
pub fn consent() -> bool {
    // SAFETY: the request has no further arguments that the kernel would look at.
    unsafe { ptrace(TRACE_ME, 0_i32, ptr::null_mut::<u8>(), ptr::null_mut::<u8>()) == 0 }
}

/// Stops this process until its tracer lets it go on.
///
/// # Panics
///
/// When a process may not send itself a signal.
pub fn stop() {
    kill_process(getpid(), Signal::STOP).expect("a process may stop itself");
}

/// Why a traced process does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It has run its step.
    Step,
    /// It is about to enter a call, or has just left one.
    Call,
    /// It was stopped, by itself or by somebody else.
    Signal,
    /// It sleeps in a call: nothing is to be heard from it until somebody wakes it.
    Asleep,
    /// It has ended.
    Ended,
}

/// A process that this thread traces; killed when this is dropped.
#[derive(Debug)]
pub struct Traced {
    pid: Pid,
    alive: bool,
}

impl Traced {
    /// Takes the child `pid`, which has consented, once it has stopped itself. `None` if it ended instead.
    ///
    /// # Panics
    ///
    /// When `pid` is no child of this process.
    pub fn adopt(pid: u32) -> Option<Traced> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id is positive");
        let mut traced = Traced { pid, alive: true };
        if traced.wait() == Stop::Ended {
            return None;
        }
        traced.request(SET_OPTIONS, OPTIONS);
        Some(traced)
    }

    /// Takes the process `pid`, whoever its parent is, while it runs. Its parent hears of its end after this thread has. `None` if
    /// the system does not allow it.
    ///
    /// # Panics
    ///
    /// When `pid` is no number of a process.
    pub fn seize(pid: u32) -> Option<Traced> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id is positive");
        let nothing = ptr::null_mut::<u8>();
        // SAFETY: the request takes no address, and the options as data.
        let seized = unsafe { ptrace(SEIZE, pid.as_raw_nonzero().get(), nothing, OPTIONS) } == 0;
        seized.then_some(Traced { pid, alive: true })
    }

    /// Lets it run one instruction; a call to the operating system is one, and ends when that returns. Only that can sleep.
    pub fn step(&mut self) -> Stop {
        let may_sleep = self.is_before_call();
        self.request(SINGLE_STEP, 0);
        if may_sleep { self.settle() } else { self.wait() }
    }

    /// Lets it run until it enters or leaves a call.
    pub fn to_call(&self) {
        self.request(TO_CALL, 0);
    }

    /// What it came to, without waiting for somebody else: a process that sleeps is reported as such.
    pub fn settle(&mut self) -> Stop {
        loop {
            if let Some(stop) = self.heard_within(GLANCES) {
                return stop;
            }
            // Its state may be from before it stopped, so it is asked for once more.
            let asleep = is_blocked(self.pid());
            match self.heard_within(1) {
                Some(stop) => return stop,
                None if asleep => return Stop::Asleep,
                None => {}
            }
        }
    }

    /// Waits until it stops or ends.
    ///
    /// # Panics
    ///
    /// When it is not traced.
    pub fn wait(&mut self) -> Stop {
        let (_, status) = waitpid(Some(self.pid), WaitOptions::UNTRACED)
            .expect("who is traced can be waited for")
            .expect("a wait that may block returns somebody");
        self.told(status)
    }

    /// Whether the next instruction is a call to the operating system.
    pub fn is_before_call(&self) -> bool {
        let (place, call, mask) = MACHINE;
        let mut registers = [0_usize; 64];
        let mut buffer = Buffer { start: registers.as_mut_ptr(), length: size_of_val(&registers) };
        // SAFETY: the kernel writes at most as many bytes as the buffer says, which are the array's.
        unsafe { ptrace(READ_REGISTERS, self.number(), GENERAL, &raw mut buffer) };
        // SAFETY: the request reads from the other process; where nothing is mapped it fails, and gives no call.
        let word = unsafe { ptrace(READ_WORD, self.number(), registers[place], ptr::null_mut::<u8>()) };
        word as u64 & mask == call
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.number().unsigned_abs()
    }

    fn number(&self) -> c_int {
        self.pid.as_raw_nonzero().get()
    }

    /// Kills it and waits until it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.alive {
            // It may have ended meanwhile, which is what is wanted.
            let _ = kill_process(self.pid, Signal::KILL);
            while self.wait() != Stop::Ended {}
        }
    }

    fn heard_within(&mut self, glances: u32) -> Option<Stop> {
        for _ in 0..glances {
            let options = WaitOptions::UNTRACED | WaitOptions::NOHANG;
            if let Some((_, status)) = waitpid(Some(self.pid), options).expect("who is traced can be waited for") {
                return Some(self.told(status));
            }
            sched_yield();
        }
        None
    }

    fn told(&mut self, status: WaitStatus) -> Stop {
        match status.stopping_signal() {
            Some(signal) if signal == Signal::TRAP.as_raw() => Stop::Step,
            Some(signal) if signal == Signal::TRAP.as_raw() | AT_CALL => Stop::Call,
            Some(_) => Stop::Signal,
            None => {
                self.alive = false;
                Stop::Ended
            }
        }
    }

    fn request(&self, request: c_int, data: usize) {
        let nothing = ptr::null_mut::<u8>();
        // SAFETY: the requests made here take no address, and a number or nothing as data.
        unsafe { ptrace(request, self.number(), nothing, data) };
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether `pid` sleeps in a call from which a signal could wake it.
pub fn is_blocked(pid: u32) -> bool {
    processes::state(pid) == Some('S')
}
