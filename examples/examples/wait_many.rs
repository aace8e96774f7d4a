//! One wait for whichever comes first: an event, a message in a queue, a line on a socket, the end of a child.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use multiprocess::channel::{self, Sender, Waitable};
use multiprocess::{Event, Fd, spawn};
use multiprocess_examples::clock;

/// Does four things that somebody may wait for.
fn work(go: Event, begun: Event, progress: Sender<String>, mut answer: Fd<UnixStream>) -> u32 {
    go.wait();
    begun.set();
    progress.send("a quarter of it is done".to_owned()).expect("somebody receives");
    answer.write_all(b"half of it is done\n").expect("somebody listens");
    42
}

fn main() -> Result<(), Box<dyn Error>> {
    let (go, begun) = (Event::new()?, Event::new()?);
    let (sender, progress) = channel::bounded(10)?;
    let (answer, theirs) = UnixStream::pair()?;
    let child = spawn(work, (go.clone(), begun.clone(), sender, Fd(theirs)))?;

    // Whatever can be waited for is `Waitable`, and any mixture of them goes into one call.
    let mut waiting: Vec<(&str, &dyn Waitable)> =
        vec![("event", &begun), ("receiver", &progress), ("socket", &answer), ("child", &child)];
    let ready = channel::wait(&[&begun, &progress, &answer, &child], Some(clock::pause(1)))?;
    println!("main: ready before it may begin: {ready:?}");

    go.set();
    while !waiting.is_empty() {
        let objects: Vec<&dyn Waitable> = waiting.iter().map(|&(_, object)| object).collect();
        // Without a timeout there is at least one. From behind, so that the other indexes stay right.
        let mut found: Vec<&str> = Vec::new();
        for index in channel::wait(&objects, None)?.into_iter().rev() {
            found.push(waiting.remove(index).0);
        }
        for name in found.into_iter().rev() {
            println!("main: the {name} is ready");
        }
    }

    println!("main: the receiver has: {}", progress.recv()?);
    let mut line = String::new();
    BufReader::new(answer).read_line(&mut line)?;
    println!("main: the socket says: {}", line.trim_end());
    println!("main: the child returns {}", child.join()?);
    Ok(())
}
