//! Each call to the operating system fails once while a shared object is made, opened, sent, received, used or dropped: an
//! error that says what was being done, and to which object if that has a name, or success; nothing is leaked, nothing is half
//! made, and the next time it works, under the same name too.

use crate::{CODES, EINTR, LIMIT, METHODS};
use multiprocess_tests::{program, watched};

/// Objects that are made or opened, used and dropped, in one process.
#[test]
fn call_of_the_maker_fails() {
    let locks = ["lock", "lock-create", "lock-open", "lock-either"];
    let others = [
        "semaphore",
        "semaphore-create",
        "semaphore-group",
        "group",
        "memory",
        "memory-create",
        "memory-open",
        "channel",
        "queue",
    ];
    mishaps(&[&locks[..], &others[..]].concat(), &["fork-server"]);
}

/// A pool that is made, has a task, and is dropped; the calls of its supervisor are among those that fail.
#[test]
fn call_of_the_pool_fails() {
    mishaps(&["pool"], &["fork-server"]);
}

/// Objects as arguments of a child: each call of the sender, the start's included.
#[test]
fn call_of_the_sender_fails() {
    mishaps(&["pass"], &METHODS);
}

/// Objects as arguments and results of a child: each call of the receiver while it unpacks them.
#[test]
fn call_of_the_receiver_fails() {
    mishaps(&["arrive", "return"], &METHODS);
}

/// A wait for many things at once.
#[test]
fn call_of_the_waiter_fails() {
    mishaps(&["wait"], &["fork-server"]);
}

/// Pipes with everything that can go through them, and listeners.
#[test]
fn call_of_who_talks_fails() {
    mishaps(&["pipe", "listener"], &["fork-server"]);
}

fn mishaps(cases: &[&str], methods: &[&str]) {
    watched("programs in which calls about shared objects fail", LIMIT, || {
        let mut wrong = Vec::new();
        for (case, method) in cases.iter().flat_map(|case| methods.iter().map(move |method| (case, method))) {
            for code in CODES {
                let finished = program!("mishaps", case, method, code.to_string()).run();
                let what = format!("{case}, {method}, code {code}");
                if !finished.status.success() {
                    wrong.push(format!("{what}: the program failed: {}\n{}", finished.status, finished.stderr));
                }
                let lines = finished.stdout.lines();
                wrong.extend(lines.filter_map(|line| line.strip_prefix("complaint\t")).map(str::to_owned));
                let struck = finished.stdout.lines().find_map(|line| line.strip_prefix("struck\t")).unwrap_or("0\t0");
                let (struck, refused) = struck.split_once('\t').expect("two numbers");
                println!("{what}: {struck} calls failed, {refused} times with an error");
                if struck == "0" || refused == "0" && code != EINTR {
                    wrong.push(format!("{what}: the plan is not heard"));
                }
            }
        }
        assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
    });
}
