//! Another program than the server's, which knows the server's path and key. The server is `listener_server`.

use std::env;
use std::error::Error;

use multiprocess::channel::{Client, ErrorKind};

fn main() -> Result<(), Box<dyn Error>> {
    let Some(path) = env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        println!("client: give me the path that listener_server listens at");
        return Ok(());
    };
    let client = Client::new(path);

    let error = client.clone().key("a guess").connect::<Vec<i64>, i64>().expect_err("the key is wrong");
    println!("client: refused: {}", error.kind() == ErrorKind::Authentication);

    // The server has proved that it knows the key, too.
    let connection = client.key("what only these two programs know").connect::<Vec<i64>, i64>()?;
    for numbers in [vec![1, 2, 39], vec![]] {
        connection.send(numbers)?;
        println!("client: the sum is {}", connection.recv()?);
    }
    Ok(())
}
