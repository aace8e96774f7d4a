//! A semaphore passed to processes: at most so many work at the same time, as with the connections of a pool.

use std::error::Error;
use std::thread;
use std::time::Duration;

use multiprocess::{Mutex, Semaphore, spawn};
use multiprocess_examples::clock;

/// How many work now, and how many there were at most.
type Working = [u32; 2];

/// Works while it has a permit.
fn work(name: String, semaphore: Semaphore, working: Mutex<Working>, pause: Duration) {
    // The permit goes back when it is dropped, and also when its process is killed.
    let _permit = semaphore.acquire();
    println!("{name} acquires");
    change(&working, |[now, most]| [now + 1, most.max(now + 1)]);
    thread::sleep(pause);
    change(&working, |[now, most]| [now - 1, most]);
    println!("{name} releases");
}

fn change(working: &Mutex<Working>, to: impl Fn(Working) -> Working) {
    let mut guard = working.lock().expect("nobody dies while holding the lock");
    *guard = to(*guard);
}

/// Public, because the tutorial runs this program as one of its parts.
pub fn main() -> Result<(), Box<dyn Error>> {
    let pause = clock::pause(1);

    let semaphore = Semaphore::new(2)?;
    let working = Mutex::new([0, 0])?;
    let mut children = Vec::new();
    for i in 1..=5 {
        children.push(spawn(work, (format!("process{i}"), semaphore.clone(), working.clone(), pause))?);
    }
    for child in children {
        child.join()?;
    }

    let [now, most] = *working.lock()?;
    println!("at the same time: {most} at most, {now} now; permits: {}", semaphore.available());
    Ok(())
}
