//! A function in another process, the shortest way: `spawn` it, go on, `join` it.

use std::error::Error;
use std::thread;
use std::time::Duration;

use multiprocess::spawn;
use multiprocess_examples::clock;

/// What the child does. It shares nothing with the parent: what it needs to know is in its arguments.
fn func(pause: Duration) {
    println!("hello world------> {}", clock::now());
    thread::sleep(pause);
    println!("func ending------> {}", clock::now());
}

/// Public, because the tutorial runs this program as one of its parts.
pub fn main() -> Result<(), Box<dyn Error>> {
    // Arguments are always a tuple: `(x,)` for one, `()` for none.
    let child = spawn(func, (clock::pause(2),))?;

    // The child runs by itself now, so this appears at once and not after the child's two seconds.
    println!("ending------> {}", clock::now());

    // Python joins its children silently when it ends. Here a program says whom it waits for.
    child.join()?;
    Ok(())
}
