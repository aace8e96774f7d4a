//! Channels and queues: whoever sends or receives goes on, whatever became of others; a killed receiver takes at most the message
//! in its hands with it, and a killed worker's tasks are given up.

use super::case::{AFTER, Case, EARLY, Hands, RELEASE, Reply, SETUP, Stage};
use super::forever;
use multiprocess::JoinableQueue;
use multiprocess::channel::{Receiver, Sender, bounded};
use std::time::Duration;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[send, send_large, send_to_full, receive, receive_large, receive_from_empty, task];

/// How long what must come may take. Whoever waits is measured by what is promised; this only ends a hang.
const PATIENCE: Duration = Duration::from_secs(10);

/// A message that takes memory of its own.
const LARGE: usize = 3000;

type Message = Vec<u8>;
type Ends = (Sender<Message>, Receiver<Message>);

fn channel(capacity: usize) -> &'static Ends {
    forever(bounded(capacity).expect("a channel can be made"))
}

fn drain((_, receiver): &Ends) {
    while receiver.try_recv().is_ok() {}
}

/// A part that takes one message, which must come.
fn takes(ends: &'static Ends) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    move |_, _| match ends.1.recv_timeout(PATIENCE) {
        Ok(message) if message.iter().all(|byte| *byte == 7) => Ok(Reply::Fine),
        Ok(message) => Err(format!("a torn message: {message:?}")),
        Err(error) => Err(format!("receiving: {error}")),
    }
}

/// A part that sends one message, for which there must be room in time.
fn puts(ends: &'static Ends, reply: Reply) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    move |_, _| match ends.0.send_timeout(vec![7; 10], PATIENCE) {
        Ok(()) => Ok(reply),
        Err(error) => Err(format!("sending: {error}")),
    }
}

fn empties(ends: &'static Ends, reply: Reply) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    move |_, _| {
        drain(ends);
        Ok(reply)
    }
}

/// Every operation, with small messages and large ones, until it has been full once.
fn use_it(ends: &'static Ends) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |_, _| {
        drain(ends);
        let (tx, rx) = ends;
        let capacity = tx.capacity().unwrap_or_default();
        for length in [0, 40, LARGE] {
            for _ in 0..capacity {
                tx.try_send(vec![7; length]).map_err(|error| format!("with room: {error}"))?;
            }
            let full = tx.try_send(Vec::new()).is_err_and(|error| error.is_full());
            let right = (0..capacity).all(|_| rx.try_recv().is_ok_and(|message| message == vec![7; length]));
            let empty = rx.try_recv().is_err_and(|error| error.is_empty());
            if !full || !right || !empty {
                return Err(format!("full: {full}, right: {right}, empty: {empty}"));
            }
        }
        Ok(Reply::Fine)
    }
}

fn send() -> Case {
    sends("a short message, one receives", 10)
}

fn send_large() -> Case {
    sends("a long message, one receives", LARGE)
}

fn sends(condition: &'static str, length: usize) -> Case {
    let ends = channel(3);
    Case::new("Sender::send", condition, move |stage| {
        let _ = ends.0.is_full();
        stage.begin();
        let _ = ends.0.send(vec![7; length]);
        stage.end();
    })
    .part(SETUP, empties(ends, Reply::Fine))
    .part(EARLY, takes(ends))
    .part(AFTER, puts(ends, Reply::Recovered))
    .checked_by(use_it(ends))
}

/// There comes room for one, which the killed one may get, or its wake-up.
fn send_to_full() -> Case {
    let ends = channel(1);
    Case::new("Sender::send", "full, another sends", move |stage| {
        let _ = ends.0.is_full();
        stage.begin();
        let _ = ends.0.send_timeout(vec![7; LARGE], PATIENCE);
        stage.end();
    })
    .part(SETUP, move |_, _| {
        drain(ends);
        ends.0.try_send(vec![7; 10]).map_err(|error| error.to_string())?;
        Ok(Reply::Fine)
    })
    .part(EARLY, puts(ends, Reply::Fine))
    .part(RELEASE, takes(ends))
    .part(AFTER, empties(ends, Reply::Recovered))
    .checked_by(use_it(ends))
}

fn receive() -> Case {
    receives("two short messages, another receives", 10)
}

fn receive_large() -> Case {
    receives("two long messages, another receives", LARGE)
}

/// Whoever is killed may take one with it; the other one stays, and nobody need send a third.
fn receives(condition: &'static str, length: usize) -> Case {
    let ends = channel(3);
    Case::new("Receiver::recv", condition, move |stage| {
        let _ = ends.1.is_empty();
        stage.begin();
        let _ = ends.1.recv();
        stage.end();
    })
    .part(SETUP, move |_, _| {
        drain(ends);
        for _ in 0..2 {
            ends.0.try_send(vec![7; length]).map_err(|error| error.to_string())?;
        }
        Ok(Reply::Fine)
    })
    .part(super::case::LATE, takes(ends))
    .checked_by(use_it(ends))
}

fn receive_from_empty() -> Case {
    let ends = channel(3);
    Case::new("Receiver::recv", "empty, another receives", move |stage| {
        let _ = ends.1.is_empty();
        stage.begin();
        let _ = ends.1.recv_timeout(PATIENCE);
        stage.end();
    })
    .part(SETUP, empties(ends, Reply::Fine))
    .part(EARLY, takes(ends))
    .part(RELEASE, puts(ends, Reply::Fine))
    .part(AFTER, puts(ends, Reply::Recovered))
    .checked_by(use_it(ends))
}

/// A worker takes a task and does it, while another process waits for all tasks.
fn task() -> Case {
    let queue: &'static JoinableQueue<Message> = forever(JoinableQueue::bounded(3).expect("a queue can be made"));
    let finish = move || {
        while queue.try_recv().is_ok() {
            queue.task_done().map_err(|error| error.to_string())?;
        }
        Ok::<_, String>(())
    };
    // What is lost is told once; a wait that ends is right, whatever it says.
    let join = move || match queue.join_timeout(PATIENCE) {
        Ok(true) => Ok(Reply::Fine),
        Ok(false) => Err("it waits for a task that nobody has".to_owned()),
        Err(_) => Ok(Reply::Recovered),
    };
    Case::new("JoinableQueue::task_done", "after recv, another joins", move |stage| {
        let _ = queue.is_empty();
        stage.begin();
        if queue.recv().is_ok() {
            let _ = queue.task_done();
        }
        stage.end();
    })
    .part(SETUP, move |_, _| {
        finish()?;
        join()?;
        queue.try_send(vec![7; LARGE]).map_err(|error| error.to_string())?;
        Ok(Reply::Fine)
    })
    .part(EARLY, move |_, _| join())
    .part(AFTER, move |_, _| finish().map(|()| Reply::Fine))
    .checked_by(move |_, _| {
        finish()?;
        join()?;
        queue.try_send(vec![7; 10]).map_err(|error| error.to_string())?;
        let is_waited_for = matches!(queue.join_timeout(Duration::ZERO), Ok(false));
        finish()?;
        let is_done = matches!(queue.join_timeout(PATIENCE), Ok(true));
        if is_waited_for && is_done { Ok(Reply::Fine) } else { Err(format!("{is_waited_for}, {is_done}")) }
    })
}
