//! Each process has its own memory: three processes alive at the same time, one global variable, three values. What is
//! passed to a process is shared with it, and nothing else is.

use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use multiprocess::{Process, Stdio, Value, spawn};

/// Threads would share this. Processes do not, although it is the same variable of the same program.
static GLOBAL: AtomicU32 = AtomicU32::new(0);

/// Changes the variable, waits until everybody else has changed theirs, and returns what it found before and after.
fn change(to: u32) -> (u32, u32) {
    let found = GLOBAL.swap(to, Relaxed);
    println!("changed");
    // The parent closes our standard input when it is time to look again.
    io::stdin().lines().for_each(drop);
    (found, GLOBAL.load(Relaxed))
}

/// Changes the variable, which is this process's own, and the value, which it was passed.
fn change_both(passed: Value<u32>) {
    GLOBAL.store(300, Relaxed);
    passed.set(300);
}

/// Public, because the tutorial runs this program as one of its parts.
pub fn main() -> Result<(), Box<dyn Error>> {
    GLOBAL.store(100, Relaxed);
    println!("the main process writes 100");

    let mut children = Vec::new();
    for value in [1, 2] {
        let child = Process::new(change, (value,)).stdin(Stdio::piped()).stdout(Stdio::piped());
        children.push(child.start()?);
    }
    for child in &mut children {
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line)?;
        assert_eq!(line, "changed\n");
    }

    // All three hold a value of their own now. The parent changes its value once more while the children wait.
    GLOBAL.store(200, Relaxed);
    println!("the main process writes 200");

    for (i, mut child) in children.into_iter().enumerate() {
        drop(child.stdin.take());
        let (found, left) = child.join()?;
        println!("child {} found {found}, wrote {}, and reads {left}", i + 1, i + 1);
    }
    println!("the main process reads {}", GLOBAL.load(Relaxed));

    // The other half: a child shares the one value that it is passed, and neither the other one nor the variable.
    let passed = Value::new(200)?;
    let kept = Value::new(200)?;
    spawn(change_both, (passed.clone(),))?.join()?;
    println!("a child writes 300; passed: {}, kept: {}, variable: {}", passed.get(), kept.get(), GLOBAL.load(Relaxed));
    Ok(())
}
