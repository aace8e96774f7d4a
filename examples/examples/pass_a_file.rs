//! Open files, sockets and locks go through a pipe: the other process gets a handle of its own to the same thing.

use std::error::Error;
use std::io::{PipeWriter, Read, Write};
use std::net::{TcpListener, TcpStream};

use multiprocess::channel::{self, Connection};
use multiprocess::{Fd, Mutex, spawn};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
enum Task {
    /// Anything with a descriptor travels in an `Fd`.
    Write(Fd<PipeWriter>, String),
    Answer(Fd<TcpListener>),
    /// Objects of this library travel as they are.
    Count(Mutex<u64>),
}

fn work(tasks: Connection<(), Task>) {
    while let Ok(task) = tasks.recv() {
        match task {
            Task::Write(mut file, text) => file.write_all(text.as_bytes()).expect("the file can be written"),
            Task::Answer(listener) => {
                let (mut stream, _) = listener.accept().expect("somebody connects");
                stream.write_all(b"hello from the child").expect("the stream can be written");
            }
            Task::Count(counter) => *counter.lock().expect("nobody died") += 1,
        }
        tasks.send(()).expect("the parent listens");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (tasks, end_of_child) = channel::pipe::<Task, ()>()?;
    let child = spawn(work, (end_of_child,))?;
    let mut text = String::new();

    let (mut reader, writer) = std::io::pipe()?;
    tasks.send(Task::Write(Fd(writer), "written by the child".to_owned()))?;
    reader.read_to_string(&mut text)?; // ends, because nobody has the writer any more
    println!("file: {text}");
    tasks.recv()?;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    tasks.send(Task::Answer(Fd(listener)))?;
    text.clear();
    TcpStream::connect(address)?.read_to_string(&mut text)?;
    println!("socket: {text}");
    tasks.recv()?;

    let counter = Mutex::new(41)?;
    tasks.send(Task::Count(counter.clone()))?;
    tasks.recv()?;
    println!("counter: {}", *counter.lock()?);

    drop(tasks);
    child.join()?;
    Ok(())
}
