//! The whole tutorial in order. Its parts are programs of their own too, in the files named below.
//!
//! With `--quick` the pauses, which leave time to look at the list of processes, are fifty times shorter.

mod condition;
mod cpu_bound;
mod event;
mod hello;
mod inherit;
mod isolation;
mod lock;
mod process_info;
mod semaphore;

use std::error::Error;
use std::thread;

use multiprocess::Process;
use multiprocess_examples::clock;

fn main() -> Result<(), Box<dyn Error>> {
    heading("1.1 A process from a function");
    hello::main()?;

    heading("1.2 Processes from a struct, as by inheritance");
    inherit::main()?;

    heading("2. Two jobs: one after the other, then in two processes");
    cpu_bound::main()?;

    heading("3. For and against");
    println!("for: several CPUs work at the same time, each on its own task");
    println!("against: a process costs more than a thread, and must be sent what threads simply share");

    heading("4.1 What a process knows about itself, and what can be done with it");
    attributes()?;

    heading("4.2 The list of processes");
    process_info::main()?;

    heading("5. Every process has its own memory");
    isolation::main()?;

    heading("6.1 Lock: one at a time");
    lock::main()?;

    heading("6.2 Event: wait until it is time");
    event::main()?;

    heading("6.3 Semaphore: so many at a time");
    semaphore::main()?;

    heading("6.4 Condition: wait until a shared value is right");
    condition::main()
}

fn heading(title: &str) {
    println!("\n== {title}");
}

fn wait_for_ever() {
    loop {
        thread::park();
    }
}

/// The attributes and the methods of a process, one after the other on one child.
fn attributes() -> Result<(), Box<dyn Error>> {
    let child = Process::new(wait_for_ever, ()).name("worker").daemon(true).start()?;
    println!("name: {}", child.name());
    println!("pid: {}", child.pid());
    println!("daemon: {}", child.is_daemon());
    println!("is_alive: {}", child.is_alive());

    // Python's `join(timeout)`: `None` says that the time ran out.
    let status = child.wait_timeout(clock::pause(1))?;
    println!("ended after the timeout: {}", status.is_some());

    child.terminate()?;
    child.wait()?;
    println!("is_alive after terminate: {}", child.is_alive());

    // There is no value, and the error says why.
    let error = child.join().expect_err("the child was terminated");
    println!("signal: {}", error.signal().unwrap_or_default());
    Ok(())
}
