//! The process that is killed: forked for one round, or made by a survivor; brought to one point of its operation, and ended there.
//!
//! A point is named by the calls to the operating system before it and the instructions since the last of them. So a
//! victim runs at full speed as far as that call, and the work for an operation with many calls stays bearable.

use super::case::{Case, Stage};
use multiprocess_fixture_native::{Side, fork};
use multiprocess_tests::trace::{Stop, Traced, consent};
use rustix::process::Pid;
use rustix::thread::{sched_getaffinity, sched_setaffinity, sched_yield};
use std::time::{Duration, Instant};

/// A victim that sleeps for longer than this, though it has been released, hangs.
const HANGS: Duration = Duration::from_secs(20);

/// Where a victim is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// How many calls to the operating system lie before it.
    pub calls: usize,
    /// How many instructions it has run since the last of those.
    pub instructions: usize,
    /// Whether it is inside the last of those calls, asleep.
    pub asleep: bool,
}

/// The instructions between two calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stretch {
    /// How many there are.
    pub length: usize,
    /// Whether the victim slept in the call before them.
    pub slept: bool,
}

/// A victim that is being traced.
pub struct Victim {
    traced: Traced,
    stage: Stage,
    /// Whether its operation may be its end.
    may_end: bool,
}

impl Victim {
    /// Forks it, or finds the one that has offered itself, and lets it run to where its operation begins.
    pub fn start(case: &Case, stage: Stage) -> Result<Victim, String> {
        let Some(victim) = &case.victim else { return Victim::found(stage) };
        match fork().expect("a victim can be forked") {
            Side::Child => {
                assert!(consent(), "a process may let its parent trace it");
                victim(stage);
                unreachable!("a victim does not come back from its end");
            }
            Side::Parent(pid) => {
                stage.set_victim(pid);
                let traced = Traced::adopt(pid).ok_or("the victim ended before its operation")?;
                let mut victim = Victim { traced, stage, may_end: false };
                victim.begin()?;
                Ok(victim)
            }
        }
    }

    /// Takes the process that has offered itself.
    fn found(stage: Stage) -> Result<Victim, String> {
        let end = Instant::now() + HANGS;
        while stage.victim() == 0 {
            if Instant::now() >= end {
                return Err("nobody offers itself as the victim".to_owned());
            }
            sched_yield();
        }
        let pid = u32::try_from(stage.victim()).expect("a victim has a number");
        let mut traced = Traced::seize(pid).ok_or("the victim cannot be traced")?;
        share_processor_with(pid);
        stage.take();
        if traced.wait() == Stop::Ended {
            return Err("the victim ended before its operation".to_owned());
        }
        let mut victim = Victim { traced, stage, may_end: true };
        victim.begin()?;
        Ok(victim)
    }

    /// Steps out of the call in which it stopped itself.
    fn begin(&mut self) -> Result<(), String> {
        while !self.stage.has_begun() {
            match self.traced.step() {
                Stop::Step => {}
                other => return Err(format!("the victim came to {other:?} before its operation")),
            }
        }
        Ok(())
    }

    /// Brings it to `point`. `false` if its operation was over before.
    pub fn go_to(&mut self, point: Point, release: &mut dyn FnMut() -> Result<(), String>) -> Result<bool, String> {
        for call in 1..=point.calls {
            self.traced.to_call();
            let stop = self.traced.settle();
            self.arrive(stop, release)?;
            if self.stage.has_ended() {
                return Ok(false);
            }
            self.traced.to_call();
            let stop = self.traced.settle();
            if point.asleep && call == point.calls && stop == Stop::Asleep {
                return Ok(true);
            }
            self.arrive(stop, release)?;
            if self.stage.has_ended() {
                return Ok(false);
            }
        }
        for _ in 0..point.instructions {
            let stop = self.traced.step();
            self.arrive(stop, release)?;
            if self.stage.has_ended() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Steps through the whole operation and counts its instructions.
    pub fn survey(&mut self, release: &mut dyn FnMut() -> Result<(), String>) -> Result<Vec<Stretch>, String> {
        let (mut stretches, mut last) = (Vec::new(), Stretch::default());
        while !self.stage.has_ended() {
            let calls = self.traced.is_before_call();
            let stop = self.traced.step();
            let slept = self.arrive(stop, release)?;
            if calls {
                stretches.push(last);
                last = Stretch { length: 0, slept };
            } else {
                last.length += 1;
            }
        }
        stretches.push(last);
        Ok(stretches)
    }

    /// Sees that what it was told to run comes to its end: calls `release` if it sleeps. Returns whether it slept.
    fn arrive(&mut self, mut stop: Stop, release: &mut dyn FnMut() -> Result<(), String>) -> Result<bool, String> {
        let slept = stop == Stop::Asleep;
        if slept {
            release()?;
            let end = Instant::now() + HANGS;
            while stop == Stop::Asleep && Instant::now() < end {
                stop = self.traced.settle();
            }
        }
        match stop {
            Stop::Step | Stop::Call => Ok(slept),
            Stop::Signal if self.stage.has_ended() => Ok(slept),
            Stop::Ended if self.may_end => {
                self.stage.has_left();
                Ok(slept)
            }
            Stop::Asleep => Err("the victim hangs".to_owned()),
            other => Err(format!("the victim came to {other:?} in its operation")),
        }
    }

    /// Kills it; it is gone when this returns.
    pub fn kill(self) {
        self.stage.victim_killed();
        self.traced.kill();
    }
}

/// A step is two changes between tracer and victim, which are faster on one processor.
fn share_processor_with(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Ok(own) = sched_getaffinity(None) {
        // Where it is refused, everything takes longer.
        let _ = sched_setaffinity(pid, &own);
    }
}
