//! A lock passed to processes: what takes several steps is done by one of them at a time.

use std::error::Error;
use std::thread;
use std::time::Duration;

use multiprocess::{Lock, spawn};
use multiprocess_examples::clock;

/// Says three lines. Without the lock the lines of several processes would be mixed.
fn speak(name: String, lock: Lock, pause: Duration) {
    // The lock is held as long as the guard lives: until the end of this function, however it ends.
    let _guard = lock.lock().expect("nobody dies while holding the lock");
    println!("{name} has the lock");
    thread::sleep(pause);
    println!("{name} still has it");
    thread::sleep(pause);
    println!("{name} releases it");
}

/// Public, because the tutorial runs this program as one of its parts.
pub fn main() -> Result<(), Box<dyn Error>> {
    let pause = clock::pause(1);

    // A lock has no name and no file. Its clones are handles of the same lock, and travel to children as arguments do.
    let lock = Lock::new()?;
    let mut children = Vec::new();
    for name in ["process1", "process2", "process3"] {
        children.push(spawn(speak, (name.to_owned(), lock.clone(), pause))?);
    }
    for child in children {
        child.join()?;
    }
    println!("is_locked: {}", lock.is_locked());
    Ok(())
}
