//! `channel::wait`: one that is killed while it waits disturbs nobody, and who waits finds what a killed one has done.

use super::case::{AFTER, Case, EARLY, Hands, PATIENCE, RELEASE, Reply, SETUP, Stage};
use super::forever;
use multiprocess::channel::{Receiver, Sender, bounded, wait};
use multiprocess::{Error, Event};
use std::time::Duration;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[set, send, events, kinds, receiver];

type Found = Result<Vec<usize>, Error>;

fn event() -> &'static Event {
    forever(Event::new().expect("an event can be made"))
}

fn pipe() -> &'static std::io::PipeReader {
    let (reader, _) = forever(std::io::pipe().expect("a pipe can be made"));
    reader
}

fn channel() -> (&'static Sender<u64>, &'static Receiver<u64>) {
    let (sender, receiver) = forever(bounded(4).expect("a channel can be made"));
    (sender, receiver)
}

/// Whoever waits waits for a pipe too, so a thread helps.
fn set() -> Case {
    let (event, reader) = (event(), pipe());
    Case::new("Event::set", "one in channel::wait", move |stage| {
        event.clear();
        stage.begin();
        event.set();
        stage.end();
    })
    .part(EARLY, finds(1, move || wait(&[reader, event], Some(PATIENCE))))
    .part(AFTER, move |_, _| {
        event.set();
        Ok(Reply::Recovered)
    })
    .checked_by(use_event(event))
}

fn send() -> Case {
    let ((sender, receiver), reader) = (channel(), pipe());
    Case::new("Sender::send", "one in channel::wait", move |stage| {
        stage.begin();
        let _ = sender.send(1);
        stage.end();
    })
    .part(EARLY, finds(1, move || wait(&[reader, receiver], Some(PATIENCE))))
    .part(AFTER, move |_, _| {
        sender.send(2).map_err(|error| error.to_string())?;
        Ok(Reply::Recovered)
    })
    .checked_by(use_channel(sender, receiver))
}

fn events() -> Case {
    let (event, never) = (event(), event());
    blocked("two events, another waits", event, move || wait(&[never, event], Some(PATIENCE)))
}

/// A thread helps the one that is killed.
fn kinds() -> Case {
    let (event, reader) = (event(), pipe());
    blocked("an event and a pipe, another waits", event, move || wait(&[reader, event], Some(PATIENCE)))
}

fn blocked(condition: &'static str, event: &'static Event, victim: impl Fn() -> Found + 'static) -> Case {
    Case::new("channel::wait", condition, move |stage| {
        let _ = event.is_set();
        stage.begin();
        let _ = victim();
        stage.end();
    })
    .part(SETUP, move |_, _| {
        event.clear();
        Ok(Reply::Fine)
    })
    .part(EARLY, finds(0, move || wait(&[event], Some(PATIENCE))))
    // Set and cleared at once: whoever waited returns all the same.
    .part(RELEASE, move |_, _| {
        event.set();
        event.clear();
        Ok(Reply::Fine)
    })
    .checked_by(use_event(event))
}

/// There is one message: whoever looks for it and is killed may get the wake-up that the other one needs.
fn receiver() -> Case {
    let (sender, receiver) = channel();
    Case::new("channel::wait", "a receiver, another receives", move |stage| {
        let _ = receiver.is_empty();
        stage.begin();
        // The message may be the other's. Then its time runs out, after some sleeps.
        let _ = wait(&[receiver], Some(Duration::from_millis(300)));
        stage.end();
    })
    .part(EARLY, move |_, _| {
        receiver.recv_timeout(PATIENCE).map(|_| Reply::Fine).map_err(|error| format!("receiving: {error}"))
    })
    .part(RELEASE, move |_, _| {
        sender.send(1).map_err(|error| error.to_string())?;
        Ok(Reply::Fine)
    })
    .checked_by(use_channel(sender, receiver))
}

/// A part that waits, and must find that the one of `index` is ready.
fn finds(
    index: usize,
    wait: impl Fn() -> Found + 'static,
) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    move |_, _| match wait() {
        Ok(ready) if ready == [index] => Ok(Reply::Fine),
        other => Err(format!("what is ready: {other:?}")),
    }
}

fn use_event(event: &'static Event) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    let look = move || wait(&[event], Some(Duration::ZERO)).map_err(|error| error.to_string());
    move |_, _| {
        event.set();
        let set = look()?;
        event.clear();
        let clear = look()?;
        if set == [0] && clear.is_empty() { Ok(Reply::Fine) } else { Err(format!("set: {set:?}, cleared: {clear:?}")) }
    }
}

fn use_channel(
    sender: &'static Sender<u64>,
    receiver: &'static Receiver<u64>,
) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    let look = move || wait(&[receiver], Some(Duration::ZERO)).map_err(|error| error.to_string());
    move |_, _| {
        while receiver.try_recv().is_ok() {}
        let empty = look()?;
        sender.send(3).map_err(|error| error.to_string())?;
        let full = look()?;
        let received = receiver.try_recv().map_err(|error| error.to_string())?;
        let right = empty.is_empty() && full == [0] && received == 3;
        if right { Ok(Reply::Fine) } else { Err(format!("empty: {empty:?}, with a message {received}: {full:?}")) }
    }
}
