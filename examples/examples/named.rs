//! Two programs that are not parent and child of this library find each other by a name.
//!
//! This program starts a second copy of itself as any program starts another, and passes nothing to it but the name.

use std::env;
use std::error::Error;
use std::process::{self, Command};

use multiprocess::{ErrorKind, Event, Mutex};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip_while(|argument| argument != "--name").skip(1);
    match arguments.next() {
        None => first(),
        Some(name) => second(&name),
    }
}

/// Creates the objects. A name exists as long as somebody has it open.
fn first() -> Result<(), Box<dyn Error>> {
    let name = format!("example-{}", process::id());
    let number = Mutex::create(&name, 20_u64)?;
    let done = Event::create(&format!("{name}.done"))?;
    println!("first: the number is {}", *number.lock()?);

    let mut program = Command::new(env::current_exe()?).args(["--name", &name]).spawn()?;
    done.wait();
    println!("first: the number is {}", *number.lock()?);
    program.wait()?;

    // With its last user a name goes. There is nothing to remove, and a killed program cannot leave it behind.
    drop(number);
    let error = Mutex::<u64>::open(&name).expect_err("nobody has it open");
    println!("first: the name is free again: {}", error.kind() == ErrorKind::NotFound);
    Ok(())
}

/// Opens them. It knows nothing but the name, and what it expects to find there: a mutex with a `u64`.
fn second(name: &str) -> Result<(), Box<dyn Error>> {
    let number = Mutex::<u64>::open(name)?;
    *number.lock()? += 22;
    println!("second: has added 22");

    // Whoever expects something else is told so.
    let error = Event::open(name).expect_err("it is a mutex");
    println!("second: it is no event: {}", error.kind() == ErrorKind::WrongKind);
    Event::open(&format!("{name}.done"))?.set();
    Ok(())
}
