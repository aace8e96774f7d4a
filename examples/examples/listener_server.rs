//! A server that any program of the same user can connect to, if it knows the key. The client is `listener_client`.
//!
//! Give it a path to listen at, and the client the same. Without one it chooses one, and starts the client itself (which must
//! have been built).

use std::env;
use std::error::Error;
use std::process::{self, Command};

use multiprocess::channel::{ErrorKind, Listener};

fn main() -> Result<(), Box<dyn Error>> {
    let given = env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let path = match &given {
        Some(path) => path.into(),
        None => env::temp_dir().join(format!("multiprocess-example-{}", process::id())),
    };
    let listener = Listener::bind(&path)?.key("what only these two programs know");
    println!("server: listening");
    let client = match given {
        Some(_) => None,
        None => Some(Command::new(env::current_exe()?.with_file_name("listener_client")).arg(&path).spawn()?),
    };

    // A client that does not know the key is an error of this one call.
    let error = listener.accept::<i64, Vec<i64>>().expect_err("the client tries a wrong key first");
    println!("server: refused a client: {}", error.kind() == ErrorKind::Authentication);

    let connection = listener.accept::<i64, Vec<i64>>()?;
    println!("server: accepted a client");
    while let Ok(numbers) = connection.recv() {
        println!("server: adding {} numbers", numbers.len());
        connection.send(numbers.iter().sum())?;
    }
    println!("server: the client has ended");

    client.map(|mut client| client.wait()).transpose()?;
    drop(listener);
    println!("server: the path is free again: {}", !path.exists());
    Ok(())
}
