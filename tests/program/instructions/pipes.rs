//! `Connection`: a value is sent whole or not at all, and one that is received is in somebody's hands or still in the pipe; whoever
//! else has the two ends goes on.

use super::case::{AFTER, Case, EARLY, Hands, PATIENCE, Reply, SETUP, Stage};
use super::forever;
use multiprocess::Fd;
use multiprocess::channel::{Connection, RecvTimeoutError, TryRecvError, pipe};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[
    || send("in one piece", bytes::<1_000>()),
    || send("in memory", bytes::<200_000>()),
    || send("with handles", handles()),
    || receive("in one piece", bytes::<1_000>()),
    || receive("with handles", handles()),
];

/// How many handles one value has. Single steps through hundreds would take minutes.
const HANDLES: usize = 3;

/// A pipe of which everybody here has both ends, and what goes through it.
struct Line<T: 'static> {
    near: Connection<T, ()>,
    far: Connection<(), T>,
    make: fn() -> T,
    is_whole: fn(&T) -> bool,
}

fn bytes<const LENGTH: usize>() -> &'static Line<Vec<u8>> {
    let (near, far) = pipe().expect("a pipe can be made");
    let is_whole = |value: &Vec<u8>| *value == [7; LENGTH];
    forever(Line { near, far, make: || vec![7; LENGTH], is_whole })
}

fn handles() -> &'static Line<Vec<Fd<File>>> {
    let (near, far) = pipe().expect("a pipe can be made");
    let make = || {
        let null = File::open("/dev/null").expect("a file can be opened");
        (0..HANDLES).map(|_| Fd(null.try_clone().expect("a file can be duplicated"))).collect()
    };
    forever(Line { near, far, make, is_whole: |value: &Vec<Fd<File>>| value.len() == HANDLES })
}

fn send<T: Serialize + DeserializeOwned>(condition: &'static str, line: &'static Line<T>) -> Case {
    Case::new("Connection::send", condition, move |stage| {
        let value = (line.make)();
        stage.begin();
        let sent = line.near.send(value);
        stage.end();
        drop(sent);
    })
    .part(EARLY, move |_, _| match line.far.recv_timeout(PATIENCE) {
        Ok(value) if (line.is_whole)(&value) => Ok(Reply::Fine),
        Ok(_) => Err("half a value came".to_owned()),
        Err(RecvTimeoutError::Timeout) => Err("nothing came".to_owned()),
        Err(error) => Err(error.to_string()),
    })
    // The victim has sent nothing.
    .part(AFTER, move |_, _| match line.near.send((line.make)()) {
        Ok(()) => Ok(Reply::Recovered),
        Err(error) => Err(error.to_string()),
    })
    // A survivor that was slow to take the value of the victim finds one more.
    .part(super::case::CHECK, use_it(line, 0, 1))
    .part(super::case::FINISH, use_it(line, 0, 0))
}

fn receive<T: Serialize + DeserializeOwned>(condition: &'static str, line: &'static Line<T>) -> Case {
    Case::new("Connection::recv", condition, move |stage| {
        stage.begin();
        let value = line.far.recv();
        stage.end();
        drop(value);
    })
    .part(SETUP, move |_, _| {
        let sent = (0..2).try_for_each(|_| line.near.send((line.make)()));
        sent.map(|()| Reply::Fine).map_err(|error| error.to_string())
    })
    // One is in the hands of the victim, or none is.
    .part(super::case::CHECK, use_it(line, 1, 2))
    .part(super::case::FINISH, use_it(line, 0, 0))
}

/// Takes what is there, between `least` and `most` values, each of them whole; then sends one and receives it.
fn use_it<T: Serialize + DeserializeOwned>(
    line: &'static Line<T>,
    least: usize,
    most: usize,
) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |_, _| {
        let mut count = 0;
        loop {
            match line.far.try_recv() {
                Ok(value) if (line.is_whole)(&value) => count += 1,
                Ok(_) => return Err("half a value came".to_owned()),
                Err(TryRecvError::Empty) => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        if !(least..=most).contains(&count) {
            return Err(format!("{count} values are there, not {least} to {most}"));
        }
        line.near.try_send((line.make)()).map_err(|error| error.to_string())?;
        let value = line.far.try_recv().map_err(|error| error.to_string())?;
        if (line.is_whole)(&value) { Ok(Reply::Fine) } else { Err("half a value came".to_owned()) }
    }
}
