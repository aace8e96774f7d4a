//! The states of the parent in which starts are measured: empty, with much memory, with many children.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, PipeWriter};

use multiprocess::{Child, Process};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A state of the parent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Empty,
    /// So many MiB, each page of them written to.
    Memory(usize),
    /// So many children that wait.
    Siblings(usize),
}

/// What keeps the parent in its state until it is dropped.
pub(crate) enum Hold {
    Nothing,
    Memory { _pages: Vec<u8> },
    Siblings { _siblings: Siblings },
}

impl Stage {
    pub(crate) fn enter(self) -> Result<Hold, Box<dyn Error>> {
        Ok(match self {
            Stage::Empty => Hold::Nothing,
            // The black box keeps the compiler from leaving out memory that nobody reads.
            Stage::Memory(mebibytes) => Hold::Memory { _pages: black_box(vec![1; mebibytes << 20]) },
            Stage::Siblings(count) => Hold::Siblings { _siblings: Siblings::start(count)? },
        })
    }

    /// What a line says after the subject's name.
    pub(crate) fn label(self) -> String {
        match self {
            Stage::Empty => String::new(),
            Stage::Memory(mebibytes) => format!(", {mebibytes} MiB"),
            Stage::Siblings(1) => ", 1 sibling".to_owned(),
            Stage::Siblings(count) => format!(", {count} siblings"),
        }
    }
}

/// Children that all wait for the end of one pipe.
pub(crate) struct Siblings {
    gate: Option<PipeWriter>,
    children: Vec<Child<()>>,
}

impl Siblings {
    fn start(count: usize) -> Result<Siblings, Box<dyn Error>> {
        let (reader, gate) = io::pipe()?;
        let mut siblings = Siblings { gate: Some(gate), children: Vec::with_capacity(count) };
        for _ in 0..count {
            let child = Process::new(wait_for_the_end, ()).stdin(reader.try_clone()?).start()?;
            siblings.children.push(child);
        }
        Ok(siblings)
    }
}

impl Drop for Siblings {
    fn drop(&mut self) {
        drop(self.gate.take());
        for child in self.children.drain(..) {
            child.join().expect("a sibling ends when its input does");
        }
    }
}

fn wait_for_the_end() {
    io::stdin().lines().for_each(drop);
}

/// Allows as many descriptors as the system lets us have: each sibling takes a few.
pub(crate) fn allow_many_descriptors() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
