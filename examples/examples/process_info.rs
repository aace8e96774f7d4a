//! The list of processes: who am I, and who is my parent? Look for them in `ps` or `top` while they wait.

use std::error::Error;
use std::os::unix::process::parent_id;
use std::process;
use std::thread;
use std::time::Duration;

use multiprocess::spawn;
use multiprocess_examples::clock;

/// The numbers are those of the operating system, so that nobody needs to believe the library.
fn info(name: String, pause: Duration) {
    println!("process name: {name}");
    println!("parent process: {}", parent_id());
    println!("process: {}", process::id());
    println!("---------");
    thread::sleep(pause);
}

/// A function that runs in a child may of course call others.
fn foo(name: String, pause: Duration) {
    info(name, pause);
}

/// Public, because the tutorial runs this program as one of its parts.
pub fn main() -> Result<(), Box<dyn Error>> {
    let pause = clock::pause(10);
    info("main process".to_owned(), pause);

    // The main process is the parent of both, and of nobody else: there is no process in between.
    let p1 = spawn(info, ("process1".to_owned(), pause))?;
    p1.join()?;

    let p2 = spawn(foo, ("process2".to_owned(), pause))?;
    p2.join()?;

    println!("ending");
    Ok(())
}
