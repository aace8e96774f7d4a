//! A process is killed while it holds a lock, in the middle of a change. The next one is told, repairs, and goes on.

use std::error::Error;
use std::thread;

use multiprocess::bytemuck::{Pod, Zeroable};
use multiprocess::{Event, Mutex, spawn};

/// Two accounts. Together they hold [`TOTAL`], except in the middle of a transfer.
#[derive(Clone, Copy, Pod, Zeroable)]
#[bytemuck(crate = "multiprocess::bytemuck")]
#[repr(C)]
struct Accounts {
    ours: u64,
    theirs: u64,
}

const TOTAL: u64 = 100;

impl Accounts {
    /// Ends a transfer that was broken off. The first account is written first, so it tells how far it came.
    fn repair(&mut self) {
        self.theirs = TOTAL - self.ours;
    }
}

/// Begins a transfer, and never comes to its end.
fn transfer(accounts: Mutex<Accounts>, halfway: Event) {
    let mut guard = accounts.lock().expect("nobody has died yet");
    guard.ours -= 30;
    halfway.set();
    loop {
        thread::park();
    }
}

/// Wants the lock, like any other process.
fn audit(accounts: Mutex<Accounts>) -> u64 {
    let guard = match accounts.lock() {
        Ok(guard) => guard,
        Err(died) => {
            println!("audit: the owner died: process {}", died.owner_pid());
            // Everybody is told so until somebody takes responsibility.
            let mut guard = accounts.recover();
            println!("audit: found {} and {}", guard.ours, guard.theirs);
            guard.repair();
            guard
        }
    };
    println!("audit: leaves {} and {}", guard.ours, guard.theirs);
    guard.ours + guard.theirs
}

fn main() -> Result<(), Box<dyn Error>> {
    let accounts = Mutex::new(Accounts { ours: TOTAL, theirs: 0 })?;
    let halfway = Event::new()?;

    let child = spawn(transfer, (accounts.clone(), halfway.clone()))?;
    halfway.wait();
    println!("main: killing process {}", child.pid());
    child.kill()?;
    child.wait()?;

    let total = spawn(audit, (accounts.clone(),))?.join()?;
    println!("main: the total is {total}");

    // It is a lock like any other again.
    let guard = accounts.lock()?;
    println!("main: reads {} and {}", guard.ours, guard.theirs);
    Ok(())
}
