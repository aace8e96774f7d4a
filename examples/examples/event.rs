//! An event passed to processes: they wait until one of them says that it is time.

use std::error::Error;
use std::time::Duration;

use multiprocess::{Event, spawn};
use multiprocess_examples::clock;

/// Waits as long as it takes.
fn wait_for_event(event: Event) {
    println!("wait_for_event: starting");
    event.wait();
    println!("wait_for_event: is_set: {}", event.is_set());
}

/// Waits, but not for ever. `false` says that the time ran out.
fn wait_for_event_timeout(event: Event, timeout: Duration) {
    println!("wait_for_event_timeout: starting");
    let came = event.wait_timeout(timeout);
    println!("wait_for_event_timeout: came in time: {came}, is_set: {}", event.is_set());
}

/// Public, because the tutorial runs this program as one of its parts.
pub fn main() -> Result<(), Box<dyn Error>> {
    let event = Event::new()?;
    let patient = spawn(wait_for_event, (event.clone(),))?;
    let hurried = spawn(wait_for_event_timeout, (event.clone(), clock::pause(2)))?;

    // Only when the hurried one has given up is the event set. It stays set, so nobody can come too late for it.
    hurried.join()?;
    println!("main: setting the event");
    event.set();
    patient.join()?;
    Ok(())
}
