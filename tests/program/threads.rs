//! Scenarios about threads: the first start is made by one that then ends, and one that waits in vain.

use multiprocess::{Child, Fd, Process, StartMethod};
use multiprocess_tests::{methods, pause, processes, watched};
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::thread;
use std::time::Duration;

/// A child that sends back every byte that it is sent.
struct Echo {
    child: Child<()>,
    ask: PipeWriter,
    hear: PipeReader,
}

/// Starts a daemon and another child from a thread, lets the thread end, and talks with both.
pub fn start_from_a_thread(arguments: &[String]) {
    let method = methods::named(&arguments[0]);
    let starter = thread::spawn(move || {
        let thread = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
        (thread, [false, true].map(|daemon| start_echo(method, daemon)))
    });
    let (thread, echoes) = starter.join().expect("the thread ends well");
    // Joining a thread returns a moment before the kernel has forgotten it, and the signal to its children comes then.
    pause::until("the thread to be gone", Duration::from_secs(20), || {
        processes::own_threads().iter().all(|running| running.pid != thread)
    });
    for mut echo in echoes {
        for byte in [b'a', b'b'] {
            echo.ask.write_all(&[byte]).expect("the child listens");
            let mut heard = [0];
            echo.hear.read_exact(&mut heard).expect("the child answers");
            assert_eq!(heard, [byte]);
        }
        drop(echo.ask);
        echo.child.join().expect("the child returns");
    }
    println!("both children answer");
}

/// Waits, under the watchdog, for a child that never ends.
pub fn hang(arguments: &[String]) {
    let method = methods::named(&arguments[0]);
    watched("for the child that never ends", Duration::from_millis(300), || {
        let child = methods::start(method, || -> u8 { pause::for_ever() }, ());
        println!("{}", child.pid());
        child.join().expect("it never ends");
    });
}

fn start_echo(method: StartMethod, daemon: bool) -> Echo {
    let (hearing, ask) = std::io::pipe().expect("a pipe can be made");
    let (hear, answering) = std::io::pipe().expect("a pipe can be made");
    let process = Process::new(echo, (Fd(hearing), Fd(answering))).daemon(daemon).start_method(method);
    Echo { child: process.start().expect("the child starts"), ask, hear }
}

fn echo(mut hearing: Fd<PipeReader>, mut answering: Fd<PipeWriter>) {
    let mut byte = [0];
    while hearing.read(&mut byte).expect("the pipe can be read") == 1 {
        answering.write_all(&byte).expect("the parent listens");
    }
}
