//! What Python does by inheriting from `Process`: a struct holds the arguments, and `Run` says what to do with them.

use std::error::Error;
use std::thread;
use std::time::Duration;

use multiprocess::Run;
use multiprocess_examples::clock;
use serde::{Deserialize, Serialize};

/// The struct travels to the child, hence the two derives.
#[derive(Serialize, Deserialize)]
struct MyProcess {
    i: u32,
    pause: Duration,
}

impl Run for MyProcess {
    type Output = ();

    fn run(self) {
        println!("{} hello ------> {}", self.i, clock::now());
        thread::sleep(self.pause);
    }
}

/// Public, because the tutorial runs this program as one of its parts.
pub fn main() -> Result<(), Box<dyn Error>> {
    let pause = clock::pause(2);

    let mut children = Vec::new();
    for i in 0..3 {
        children.push(MyProcess { i, pause }.start()?);
    }

    // All three run at the same time, so this takes two seconds, not six, and their lines come in any order.
    for child in children {
        child.join()?;
    }

    println!("ending------> {}", clock::now());
    Ok(())
}
