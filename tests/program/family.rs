//! A program with children that is killed, interrupted, or ends by itself: the suite looks at who survives.

use crate::outcome;
use multiprocess::Process;
use multiprocess_tests::{pause, processes, signals};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// How long a child may take to note that it runs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts three daemon children and one plain child, prints who is there, and ends when its standard input does.
/// Arguments: the folder in which the plain child waits at the named pipe `gate`, and the way to end: `return`,
/// `exit`, `panic` or `abort`; `fork` returns too, but leaves a forked copy of the program behind that holds whatever
/// the program held.
pub fn together(arguments: &[String]) {
    let [folder, end] = arguments else { panic!("two arguments are needed") };
    let mut family: Vec<multiprocess::Child<()>> = Vec::new();
    for number in 0..3 {
        let daemon = Process::new(wait_for_signal, ()).name(format!("daemon-{number}")).daemon(true);
        family.push(daemon.start().expect("a daemon child can be started"));
    }
    let folder = PathBuf::from(folder);
    let plain =
        Process::new(wait_at_gate, (folder.clone(),)).name("plain").start().expect("a plain child can be started");
    pause::until("the plain child to run", PATIENCE, || folder.join("waits").exists());
    if end == "fork" {
        let side = multiprocess_fixture_native::fork().expect("the program can be forked");
        match side {
            multiprocess_fixture_native::Side::Child => pause::for_ever(),
            multiprocess_fixture_native::Side::Parent(pid) => println!("copy {pid}"),
        }
    }

    for daemon in &family {
        println!("daemon {}", daemon.pid());
    }
    println!("plain {}", plain.pid());
    print_helpers();
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("the end of the input comes");
    match end.as_str() {
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        "panic" => panic!("this program ends by a panic"),
        _ => {}
    }
}

/// What a child does that only a signal ends.
fn wait_for_signal() {
    pause::for_ever()
}

/// Prints the library's own processes of this program.
fn print_helpers() {
    for helper in processes::children().iter().filter(|process| process.is_own_helper()) {
        let role = if helper.name == processes::FORK_SERVER { "server" } else { "spare" };
        println!("{role} {}", helper.pid);
    }
}

/// What the plain child does: it outlives the program, and shows it by an answer when its gate is opened.
fn wait_at_gate(folder: PathBuf) {
    std::fs::write(folder.join("waits"), "").expect("the folder can be written");
    let mut gate = std::fs::File::open(folder.join("gate")).expect("the gate can be opened");
    gate.read_to_end(&mut Vec::new()).expect("the gate can be read");
    std::fs::write(folder.join("went"), "").expect("the folder can be written");
}

/// Starts daemon children from four threads without end, and prints a line for each. The suite kills the program
/// meanwhile.
pub fn storm(_arguments: &[String]) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let daemon =
                        Process::new(wait_for_signal, ()).daemon(true).start().expect("a daemon can be started");
                    // One write for the line, so that the suite can count lines whenever it kills.
                    std::io::stdout()
                        .write_all(format!("started {}\n", daemon.pid()).as_bytes())
                        .expect("the suite reads");
                }
            });
        }
    });
}

/// Counts interrupts instead of dying of them, has two children that do die, and starts another afterwards. The suite
/// interrupts the whole process group once it reads `ready`.
pub fn interrupted(_arguments: &[String]) {
    signals::count(processes::Signal::INT);
    let children: Vec<multiprocess::Child<()>> =
        (0..2).map(|_| multiprocess::spawn(wait_for_signal, ()).expect("a child can be started")).collect();
    let server = processes::fork_server().map(|server| server.pid);
    println!("ready");
    for child in children {
        println!("child {}", ended(child.wait()));
    }
    pause::until("the program's own interrupt", PATIENCE, || signals::arrived() == 1);
    println!("next {}", outcome::joined(multiprocess::spawn(|x: u64| x + 1, (41,))));
    let same = server.is_some() && processes::fork_server().map(|server| server.pid) == server;
    println!("server {}", if same { "lives" } else { "was replaced" });
}

fn ended(waited: Result<ExitStatus, multiprocess::Error>) -> String {
    waited.map_or_else(|error| outcome::refusal(&error), |status| status.to_string())
}

/// The first start is made by a thread that then ends; its daemon child and the fork server must outlive that thread.
pub fn orphaned_by_thread(_arguments: &[String]) {
    let first = std::thread::spawn(|| {
        Process::new(wait_for_signal, ()).daemon(true).start().expect("a daemon child can be started")
    });
    let daemon = first.join().expect("the thread that started it ends");
    let server = processes::fork_server().map(|server| server.pid);
    for number in 0..20_u64 {
        let child = multiprocess::spawn(|x: u64| x, (number,)).expect("a child can be started");
        assert_eq!(child.join().expect("it returns"), number);
    }
    println!("daemon {}", if daemon.is_alive() { "lives" } else { "is gone" });
    let same = server.is_some() && processes::fork_server().map(|server| server.pid) == server;
    println!("server {}", if same { "lives" } else { "was replaced" });
}
