//! A daemon child ends with the program that started it, even if that program is killed and can clean up nothing.
//!
//! Three processes: this one, a program that is going to be killed, and the daemon of that program.

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::process;
use std::thread;
use std::time::Instant;

use multiprocess::{Process, Stdio};

/// The program: it starts a daemon, and would wait for ever.
fn program() {
    let _daemon = Process::new(daemon, ()).daemon(true).start().expect("the daemon starts");
    wait_for_ever();
}

/// The daemon: it says that it is there, and would wait for ever too.
fn daemon() {
    println!("{}", process::id());
    wait_for_ever();
}

fn wait_for_ever() {
    loop {
        thread::park();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // The program writes into a pipe, and so does its daemon, which inherits the standard streams.
    let mut child = Process::new(program, ()).stdout(Stdio::piped()).start()?;
    let mut pipe = BufReader::new(child.stdout.take().expect("stdout is piped"));

    let mut line = String::new();
    pipe.read_line(&mut line)?;
    println!("the program is process {}, its daemon is process {}", child.pid(), line.trim());

    // SIGKILL: no destructor, no handler, nothing of the program runs any more.
    let start = Instant::now();
    child.kill()?;
    let error = child.join().expect_err("the program was killed");
    println!("the program was ended by signal {}", error.signal().unwrap_or_default());

    // A pipe ends when the last process that could write into it has ended. The daemon was the last.
    pipe.read_to_string(&mut line)?;
    println!("the daemon has ended too, {:.1} ms after the kill", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
