//! The ways in which a child ends, and what its parent learns: a value, a panic, an exit code, a signal, an error.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process;
use std::thread;

use multiprocess::{JoinError, RemoteError, spawn};

fn add(a: u64, b: u64) -> u64 {
    a + b
}

fn divide(a: u64, b: u64) -> u64 {
    assert!(b != 0, "cannot divide {a} by zero");
    a / b
}

fn leave(code: i32) {
    process::exit(code);
}

fn wait_for_ever() {
    loop {
        thread::park();
    }
}

/// An `io::Error` cannot travel, because its causes may be of any type; a `RemoteError` carries their words.
fn size(path: PathBuf) -> Result<u64, RemoteError> {
    let metadata = fs::metadata(path).map_err(RemoteError::new)?;
    Ok(metadata.len())
}

/// Says in one line why there is no value.
fn describe(error: &JoinError) -> String {
    match error {
        JoinError::Panicked(report) => {
            let place = report.location().unwrap_or("an unknown place");
            format!("a panic at {place}: {}", report.message())
        }
        JoinError::Exited(status) => match error.signal() {
            Some(signal) => format!("signal {signal}"),
            None => format!("exit code {}", status.code().unwrap_or_default()),
        },
        // What could not be carried over, and whatever later versions of the library add.
        other => other.to_string(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // A value, and the exit code of every process that did its work.
    let child = spawn(add, (40, 2))?;
    let code = child.wait()?.code();
    println!("add: {}, exit code {}", child.join()?, code.unwrap_or_default());

    // A panic is printed by the child, and its message and place come back. The exit code is 101, as for any program.
    let error = spawn(divide, (1, 0))?.join().expect_err("this child panics");
    println!("divide: {}", describe(&error));
    println!("divide: exit code {}", error.exit_status().and_then(|status| status.code()).unwrap_or_default());

    // A child may leave early, but then there is no value.
    let error = spawn(leave, (3,))?.join().expect_err("this child leaves");
    println!("leave: {}", describe(&error));

    // Somebody may kill it.
    let child = spawn(wait_for_ever, ())?;
    child.kill()?;
    let error = child.join().expect_err("this child is killed");
    println!("wait_for_ever: {}", describe(&error));

    // An error that the function returns is a value: `join` succeeds, and its result is the function's.
    let result = spawn(size, (PathBuf::from("/no/such/file"),))?.join()?;
    println!("size: {}", result.expect_err("there is no such file"));
    Ok(())
}
