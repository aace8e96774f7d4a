//! A process that stands still at each call to the operating system of an open or a close: others open the same name meanwhile.

use super::case::{Case, Stage};
use super::victim::{Point, Victim};
use multiprocess::{ErrorKind, Mutex};
use multiprocess_tests::names;
use std::time::{Duration, Instant};

/// Prints, for each operation, at how many of its calls the process was stopped, how often the name could not be opened meanwhile, and
/// the longest time that this took in milliseconds.
pub fn run(_arguments: &[String]) {
    for (title, is_used, stride, operation) in OPERATIONS {
        let name: &'static str = names::unique("stopped").leak();
        let _user = is_used.then(|| Mutex::<u64>::create(name, 7).expect("the name is new"));
        let case = Case::new(title, "", move |stage| operation(name, stage));
        let (stage, mut calls, mut tried, mut refused, mut worst) = (Stage::new(), 0, 0, 0, Duration::ZERO);
        loop {
            stage.clear();
            let mut stopped = Victim::start(&case, stage).expect("the process that is stopped starts");
            let point = Point { calls, instructions: 1, asleep: false };
            if !stopped.go_to(point, &mut || Ok(())).expect("it comes so far") {
                break;
            }
            let start = Instant::now();
            match Mutex::<u64>::open_or_create(name, 7) {
                Ok(mutex) => assert_eq!(*mutex.lock().expect("nobody died with it"), 7, "a whole object"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                    refused += 1;
                }
            }
            worst = worst.max(start.elapsed());
            stopped.kill();
            (calls, tried) = (calls + stride, tried + 1);
        }
        println!("{title}: {tried} calls, {refused} refused, {}", worst.as_millis());
    }
}

/// What the process that is stopped does.
type Operation = fn(&'static str, Stage);

/// Their names, whether somebody else has the object all the time, each how many calls one is tried, and what they do. Where
/// whoever opens the name waits for its full patience, a few tries must do.
const OPERATIONS: [(&str, bool, usize, Operation); 3] = [
    ("create", false, 1, |name, stage| {
        stage.begin();
        let _mutex = Mutex::<u64>::open_or_create(name, 7);
        stage.end();
    }),
    ("open", true, 18, |name, stage| {
        stage.begin();
        let _mutex = Mutex::<u64>::open(name);
        stage.end();
    }),
    ("close", false, 6, |name, stage| {
        let mutex = Mutex::<u64>::open_or_create(name, 7);
        stage.begin();
        drop(mutex);
        stage.end();
    }),
];
