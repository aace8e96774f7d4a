//! Request and reply over a pipe: the child answers until the other end is closed.

use std::error::Error;
use std::time::Duration;

use multiprocess::channel::{self, Connection};
use multiprocess::spawn;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Add(i64, i64),
    Reverse(String),
}

/// Each end sends one type and receives another one; the compiler knows which.
fn serve(requests: Connection<String, Request>) {
    while let Ok(request) = requests.recv() {
        let response = match request {
            Request::Add(a, b) => format!("{a} + {b} = {}", a + b),
            Request::Reverse(text) => text.chars().rev().collect(),
        };
        requests.send(response).expect("the parent listens");
    }
    println!("child: the other end is closed");
}

fn main() -> Result<(), Box<dyn Error>> {
    let (pipe, end_of_child) = channel::pipe::<Request, String>()?;
    let child = spawn(serve, (end_of_child,))?;

    pipe.send(Request::Add(20, 22))?;
    println!("parent: {}", pipe.recv()?);
    pipe.send(Request::Reverse("pipe".to_owned()))?;
    println!("parent: {}", pipe.recv_timeout(Duration::from_secs(10))?);
    println!("parent: more to receive: {}", pipe.poll(Some(Duration::ZERO))?);

    drop(pipe);
    child.join()?;
    Ok(())
}
