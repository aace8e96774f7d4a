//! A condition passed to processes: two of them wait until a third has brought a shared value to where they need it.

use std::error::Error;
use std::thread;
use std::time::Duration;

use multiprocess::{Condition, Mutex, spawn};
use multiprocess_examples::clock;

/// Prepares what the others need, then tells all of them.
fn stage_1(prepared: Mutex<u32>, condition: Condition, pause: Duration) {
    println!("stage 1: starting");
    thread::sleep(pause);
    let mut guard = prepared.lock().expect("nobody dies while holding the lock");
    *guard = 42;
    println!("stage 1: done and ready for stage 2");
    condition.notify_all();
}

/// Begins when stage 1 is done. The wait releases the mutex and has it again when it returns; it looks at the value first,
/// so it makes no difference who comes earlier.
fn stage_2(name: String, prepared: Mutex<u32>, condition: Condition) {
    println!("{name}: starting");
    let guard = prepared.lock().expect("nobody dies while holding the lock");
    let guard = condition.wait_while(guard, |value| *value == 0).expect("nobody dies while holding the lock");
    println!("{name}: running with {}", *guard);
}

/// Public, because the tutorial runs this program as one of its parts.
pub fn main() -> Result<(), Box<dyn Error>> {
    let prepared = Mutex::new(0)?;
    let condition = Condition::new()?;

    let mut children = Vec::new();
    for name in ["stage 2 (1)", "stage 2 (2)"] {
        children.push(spawn(stage_2, (name.to_owned(), prepared.clone(), condition.clone()))?);
    }
    children.push(spawn(stage_1, (prepared, condition, clock::pause(1)))?);
    for child in children {
        child.join()?;
    }
    Ok(())
}
