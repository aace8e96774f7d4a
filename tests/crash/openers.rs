//! Those who open and close names, stopped or killed in the middle: the names stay usable.

use crate::waiters::{PATIENCE, keep, kill, start};
use multiprocess::{ErrorKind, Event, Mutex, Process, Semaphore};
use multiprocess_tests::processes::{self, Signal};
use multiprocess_tests::ready::{Sayer, say};
use multiprocess_tests::{checked, names, pause, privilege, program, watched};
use std::fs;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

/// Nobody waits longer than this for somebody who does not run.
const BOUND: Duration = Duration::from_secs(10);

/// How long the openers are stopped again and again: each one that is stopped where it keeps others away costs them five seconds.
const ENOUGH: Duration = Duration::from_secs(30);

/// The files that begin with, or hold, `name`.
fn files(name: &str) -> Vec<String> {
    let entries = fs::read_dir("/dev/shm").expect("the folder of shared memory can be read");
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|file| file.contains(name)).collect()
}

/// Opens and closes the name without end.
fn open_and_close(name: String, mut sayer: Sayer) {
    say(&mut sayer);
    loop {
        // While somebody else is stopped in the middle this may take its time, and fail.
        drop(Mutex::<u64>::open_or_create(&name, 7));
    }
}

#[test]
fn stopped_opener_blocks_nobody_for_ever() {
    checked("an opener that is stopped in the middle", || {
        let name = names::unique("stopped");
        let opener = start(open_and_close, name.clone());
        let (mut worst, mut opened, mut rounds) = (Duration::ZERO, 0, 0);
        let begin = Instant::now();
        while rounds < 60 && begin.elapsed() < ENOUGH {
            rounds += 1;
            processes::signal(opener.pid(), Signal::STOP);
            pause::until("the opener to stand still", PATIENCE, || processes::state(opener.pid()) == Some('T'));
            let start = Instant::now();
            match Mutex::<u64>::open_or_create(&name, 7) {
                Ok(mutex) => {
                    opened += 1;
                    assert_eq!(*mutex.lock().expect("nobody died"), 7);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}"),
            }
            worst = worst.max(start.elapsed());
            processes::signal(opener.pid(), Signal::CONT);
        }
        println!("stopped opener: {opened} of {rounds} opened, the longest took {:.1} ms", worst.as_secs_f64() * 1e3);
        assert!(worst < BOUND, "{worst:?}");
        assert!(opened > 0, "every single open failed");
        kill(&opener);
        drop(Mutex::<u64>::create(&name, 7).expect("the name is free"));
        assert_eq!(files(&name), [""; 0]);
    });
}

#[test]
fn opener_that_stands_still_at_any_call_blocks_nobody_for_ever() {
    let test = "openers that stand still at each of their calls";
    if !privilege::needs_tracing(test) {
        return;
    }
    watched(test, Duration::from_secs(280), || {
        let printed = program!("stopped-openers").succeed();
        println!("{printed}");
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.len(), 3, "a create, an open and a close");
        for line in lines {
            let numbers: Vec<u64> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
            let [calls, refused, longest] = numbers[..] else { panic!("not a report: {line}") };
            assert!(
                calls > 1 && refused < calls,
                "an operation on a name does not lock the name from its first call to its last: {line}"
            );
            assert!(longest < BOUND.as_millis() as u64, "{line}");
        }
    });
}

#[test]
fn killed_users_leave_a_usable_name() {
    checked("openers that are killed", || {
        let name = names::unique("killed");
        for _ in 0..40 {
            let openers = [start(open_and_close, name.clone()), start(open_and_close, name.clone())];
            openers.iter().for_each(kill);
            let mutex = Mutex::<u64>::open_or_create(&name, 7).expect("the name can be used");
            assert!(!files(&name).is_empty(), "an object with a name has a file");
            assert!(mutex.lock().is_ok_and(|value| *value == 7), "a fresh object");
        }
        assert_eq!(files(&name), [""; 0]);
    });
}

#[test]
fn object_lives_while_one_user_does() {
    checked("a maker of a name that is killed", || {
        let name = names::unique("outlives");
        let make = |name: String, sayer| keep(Semaphore::create(&name, 3), sayer);
        let maker = start(make, name.clone());
        let semaphore = Semaphore::open(&name).expect("it is there");
        let permit = semaphore.acquire();
        kill(&maker);
        assert_eq!(Semaphore::create(&name, 1).expect_err("it is still in use").kind(), ErrorKind::AlreadyExists);
        let other =
            Process::new(|name: String| Semaphore::open(&name).map_or(0, |found| found.available()), (name.clone(),));
        assert_eq!(other.start().expect("a child can be started").join().expect("it returns"), 2);
        drop(permit);
        drop(semaphore);
        assert_eq!(Semaphore::open(&name).expect_err("nobody has it any more").kind(), ErrorKind::NotFound);
        assert_eq!(files(&name), [""; 0]);
    });
}

#[test]
fn everything_killed_at_once() {
    watched("a program that is killed with all its children", Duration::from_secs(60), || {
        let prefix = names::unique("all");
        let mut program = program!("holds-names", &prefix).start();
        let output = program.stdout.take().expect("its output is a pipe");
        let line = BufReader::new(output).lines().next().expect("it says a line").expect("the line can be read");
        assert_eq!(line, "ready");
        let names = ["mutex", "semaphore", "event"].map(|kind| format!("{prefix}-{kind}"));
        let taken = Mutex::<u64>::create(&names[0], 0).expect_err("the name is in use");
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);

        let mut family = processes::descendants(program.id());
        assert!(family.len() >= 2, "it has children: {family:?}");
        processes::signal(program.id(), Signal::KILL);
        family.iter().for_each(|process| processes::signal(process.pid, Signal::KILL));
        program.wait().expect("the program ends");
        let gone = |pid| processes::find(pid).is_none_or(|process| process.is_zombie());
        pause::until("all of them to be gone", PATIENCE, || {
            family.retain(|process| !gone(process.pid));
            family.is_empty()
        });

        // Whichever way a name is used next: the dead do not have it.
        let mutex = Mutex::<u64>::create(&names[0], 1).expect("the name is free");
        assert_eq!(*mutex.lock().expect("nobody died with the new one"), 1);
        assert_eq!(Event::open(&names[2]).expect_err("nobody has it").kind(), ErrorKind::NotFound);
        let semaphore = Semaphore::open_or_create(&names[1], 5).expect("the name is free");
        assert_eq!(semaphore.available(), 5, "a new one, not the one that the dead had");
        drop((mutex, semaphore));
        assert_eq!(files(&prefix), [""; 0]);
    });
}
