//! Nothing can be received where a pipe only sends: the other direction's type has no values.
//~ `recv`
//~ Infallible

use multiprocess::channel::pipe;
use std::convert::Infallible;

fn main() {
    let (sender, receiver) = pipe::<u32, Infallible>().unwrap();
    sender.send(7).unwrap();
    println!("{}", receiver.recv().unwrap());
    sender.recv().unwrap();
}
