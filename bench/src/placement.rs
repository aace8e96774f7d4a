//! On which CPUs the measuring thread, the library's own process and the children run.

use std::fmt;
use std::io;
use std::str::FromStr;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::contenders::noop;

/// Where things run. The README has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    Same,
    Split,
    Free,
}

impl Placement {
    pub(crate) const ALL: [Placement; 3] = [Placement::Same, Placement::Split, Placement::Free];

    /// Pins this process; false if the machine has too few CPUs. To be called before anything is started.
    pub(crate) fn enter(self) -> io::Result<bool> {
        let cpus = allowed_cpus()?;
        match (self, cpus.as_slice()) {
            (Placement::Free, _) => {}
            (Placement::Same, [first, ..]) => pin(*first)?,
            (Placement::Split, [first, second, ..]) => {
                // The first start makes the library's process and thread, which stay where they are made.
                pin(*second)?;
                multiprocess::spawn(noop, ())?.join().map_err(io::Error::other)?;
                pin(*first)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Placement::Same => "same",
            Placement::Split => "split",
            Placement::Free => "free",
        })
    }
}

impl FromStr for Placement {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Placement::ALL.into_iter().find(|placement| placement.to_string() == name);
        found.ok_or(format!("unknown placement {name:?}: same, split or free"))
    }
}

/// Returns the CPUs on which this thread may run.
pub(crate) fn allowed_cpus() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Puts the partner of a measurement where its placement says: with split on the second CPU.
pub(crate) fn pin_partner(placement: Placement) {
    if placement == Placement::Split {
        pin(1).expect("the second CPU");
    }
}

/// Runs `start` where the library's children are, so that what it starts is there too.
pub(crate) fn there<R>(placement: Placement, start: impl FnOnce() -> R) -> io::Result<R> {
    if placement != Placement::Split {
        return Ok(start());
    }
    pin(1)?;
    let started = start();
    pin(0)?;
    Ok(started)
}

fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}
