//! A program that closes every descriptor above 2 while children run, then lets its own files take the free numbers.
//!
//! The library's numbers then mean somebody else's files, which it must neither close nor write to. The children are
//! released through named pipes in the folder that is the first argument, since no descriptor to them survives; the
//! second is the start method.

use crate::outcome;
use multiprocess::channel::wait;
use multiprocess::{Process, StartMethod};
use multiprocess_tests::{methods, pause};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a child may take to come to its gate, or to leave its trace behind it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Prints one line for each thing that the suite wants to know.
pub fn run(arguments: &[String]) {
    let [folder, method] = arguments else { panic!("two arguments are needed") };
    let (folder, method) = (PathBuf::from(folder), methods::named(method));
    let waiting = |name: &str, daemon: bool| {
        let process = Process::new(wait_at, (folder.clone(), name.to_owned())).name(name).daemon(daemon);
        let child = process.start_method(method).start().expect("a child that waits can be started");
        pause::until("a child to come to its gate", PATIENCE, || folder.join(format!("{name}.waits")).exists());
        child
    };
    let (plain, daemon, dropped) = (waiting("plain", false), waiting("daemon", true), waiting("dropped", false));
    let quick = || Process::new(|x: u64| x, (9,)).start_method(method).start().expect("a child can be started");
    let (ended, later) = (quick(), quick());
    ended.wait().expect("the child has ended");
    later.wait().expect("the child has ended");

    multiprocess_fixture_native::close_from(3).expect("the kernel can close a range of descriptors");
    println!("ended {}", outcome::value(ended.join()));
    let markers = Markers::new(&folder);
    println!("next {}", outcome::joined(Process::new(|x: u64| x, (11,)).start_method(method).start()));
    println!("waiting for ended {:?}", wait(&[&later], Some(Duration::ZERO)).map_err(|error| outcome::refusal(&error)));
    println!("waiting for plain {:?}", wait(&[&later, &plain], None).map_err(|error| outcome::refusal(&error)));
    println!("later {}", outcome::value(later.join()));
    println!("dropping {}", dropped.name());
    drop(dropped);

    for name in ["plain", "daemon", "dropped"] {
        println!("{name} {}", released(&folder, name));
    }
    println!("plain join {}", outcome::value(plain.join()));
    println!("daemon join {}", outcome::value(daemon.join()));
    println!("again {}", outcome::joined(start_again(method)));
    println!("markers {}", markers.verdict());
}

fn start_again(method: StartMethod) -> Result<multiprocess::Child<u64>, multiprocess::Error> {
    Process::new(|x: u64| x, (12,)).daemon(true).start_method(method).start()
}

/// What a child does: says that it waits, waits for the named pipe's writer, and says that it went on.
fn wait_at(folder: PathBuf, name: String) -> u64 {
    fs::write(folder.join(format!("{name}.waits")), "").expect("the folder can be written");
    let mut gate = File::open(folder.join(format!("{name}.gate"))).expect("the gate can be opened");
    gate.read_to_end(&mut Vec::new()).expect("the gate can be read");
    fs::write(folder.join(format!("{name}.went")), "").expect("the folder can be written");
    7
}

/// Opens the gate of a child; `undisturbed` if it goes on, `gone` if nobody waits there any more.
fn released(folder: &Path, name: &str) -> &'static str {
    // Without blocking: where no child waits any more, an ordinary open would wait for ever.
    let no_wait = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let gate = folder.join(format!("{name}.gate"));
    // The child may be on its way from its note to its gate.
    let opened = pause::holds_within(PATIENCE, || rustix::fs::open(&gate, no_wait, rustix::fs::Mode::empty()).is_ok());
    let went = opened && pause::holds_within(PATIENCE, || folder.join(format!("{name}.went")).exists());
    if went { "undisturbed" } else { "gone" }
}

/// Files and sockets of the program's own, on the numbers that the library's descriptors had.
struct Markers {
    files: Vec<(File, u64)>,
    sockets: Vec<(UnixDatagram, UnixDatagram)>,
}

/// What each file holds.
const TEXT: &[u8] = b"this belongs to the program";

impl Markers {
    fn new(folder: &Path) -> Markers {
        let file = |number: usize| {
            let path = folder.join(format!("marker-{number}"));
            let mut file =
                OpenOptions::new().read(true).write(true).create_new(true).open(path).expect("a marker can be made");
            file.write_all(TEXT).expect("a marker can be written");
            let inode = file.metadata().expect("a marker can be looked at").ino();
            (file, inode)
        };
        let pair = |_| {
            let pair = UnixDatagram::pair().expect("two sockets can be made");
            pair.0.set_nonblocking(true).expect("a socket need not block");
            pair.1.set_nonblocking(true).expect("a socket need not block");
            pair
        };
        // Files and sockets by turns, so that each of the library's old numbers may be either.
        let (mut files, mut sockets) = (Vec::new(), Vec::new());
        for number in 0..20 {
            files.push(file(number));
            sockets.push(pair(number));
        }
        Markers { files, sockets }
    }

    /// `intact`, or what happened to which.
    fn verdict(&self) -> String {
        let mut harm = Vec::new();
        for (number, (file, inode)) in self.files.iter().enumerate() {
            let mut text = [0; TEXT.len() + 1];
            let metadata = file.metadata();
            let same = metadata.as_ref().is_ok_and(|now| now.ino() == *inode && now.len() == TEXT.len() as u64);
            if !same || file.read_at(&mut text, 0).ok() != Some(TEXT.len()) || &text[..TEXT.len()] != TEXT {
                harm.push(format!("file {number}: {metadata:?}"));
            }
        }
        for (number, (a, b)) in self.sockets.iter().enumerate() {
            for side in [a, b] {
                match side.recv(&mut [0; 64]) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    other => harm.push(format!("socket {number}: {other:?}")),
                }
            }
            if a.send(b"whole").is_err() || b.recv(&mut [0; 64]).ok() != Some(5) {
                harm.push(format!("socket {number} is no longer a pair"));
            }
        }
        if harm.is_empty() { "intact".to_owned() } else { harm.join("; ") }
    }
}
