//! `Event`: whoever waits wakes at the next `set`, whatever became of others that set, cleared or waited.

use super::case::{AFTER, Case, EARLY, Hands, PATIENCE, RELEASE, Reply, SETUP, Stage};
use super::forever;
use multiprocess::Event;
use std::time::Duration;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[set, clear, wait];

fn event() -> &'static Event {
    forever(Event::new().expect("an event can be made"))
}

fn set() -> Case {
    let event = event();
    Case::new("Event::set", "one blocked", move |stage| {
        event.clear();
        stage.begin();
        event.set();
        stage.end();
    })
    .part(EARLY, awaken(event))
    .part(AFTER, set_it(event))
    .checked_by(use_it(event))
}

fn clear() -> Case {
    let event = event();
    Case::new("Event::clear", "set", move |stage| {
        event.set();
        stage.begin();
        event.clear();
        stage.end();
    })
    .part(super::case::LATE, awaken(event))
    .part(AFTER, set_it(event))
    .checked_by(use_it(event))
}

fn wait() -> Case {
    let event = event();
    Case::new("Event::wait", "another blocked", move |stage| {
        let _ = event.is_set();
        stage.begin();
        let _ = event.wait_timeout(PATIENCE);
        stage.end();
    })
    .part(SETUP, move |_, _| {
        event.clear();
        Ok(Reply::Fine)
    })
    .part(EARLY, awaken(event))
    // Set and cleared at once: whoever waited returns all the same.
    .part(RELEASE, move |_, _| {
        event.set();
        event.clear();
        Ok(Reply::Fine)
    })
    .checked_by(use_it(event))
}

fn awaken(event: &'static Event) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    move |_, _| {
        if event.wait_timeout(PATIENCE) { Ok(Reply::Fine) } else { Err("nothing woke it".to_owned()) }
    }
}

fn set_it(event: &'static Event) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    move |_, _| {
        event.set();
        Ok(Reply::Recovered)
    }
}

/// Every operation once.
fn use_it(event: &'static Event) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |_, _| {
        event.set();
        let set = event.is_set() && event.wait_timeout(Duration::ZERO);
        event.clear();
        let clear = !event.is_set() && !event.wait_timeout(Duration::ZERO);
        if set && clear { Ok(Reply::Fine) } else { Err(format!("set: {set}, cleared: {clear}")) }
    }
}
