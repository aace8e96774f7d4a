//! A program that gave up some of its rights: its children have no more than it has at the time of the start.
//!
//! The fork server was made earlier and may have more; so each change is made before the first start and between two,
//! in the whole process and in one thread of it, and with both start methods.

use crate::line;
use multiprocess_tests::privilege::needs_root;
use multiprocess_tests::scratch::Scratch;
use multiprocess_tests::{program, watched};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Runs one change in all ways; `may_refuse` where a clear refusal is as good as a child.
fn compare(change: &str, may_refuse: bool) {
    compare_at(change, &["before", "between"], &["process", "thread"], may_refuse);
}

fn compare_at(change: &str, moments: &[&str], places: &[&str], may_refuse: bool) {
    let test = format!("a program that gives up: {change}");
    if !needs_root(&test) {
        return;
    }
    watched(&test, LIMIT, || {
        let mut wrong = Vec::new();
        for moment in moments {
            for place in places {
                for method in ["fork-server", "spawn"] {
                    let folder = Scratch::new();
                    let printed = program!("rights", change, moment, place, method, folder.path()).succeed();
                    let verdict = line(&printed, "verdict");
                    let refused =
                        verdict.starts_with("start-error ") && verdict.len() > "start-error Os none: ".len() + 10;
                    let good = verdict == "equal" || verdict.starts_with("less: ") || (may_refuse && refused);
                    if !good {
                        wrong.push(format!("{change}, {moment} starts, in a {place}, {method}: {verdict}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn process_that_became_another_user() {
    compare("user", false);
}

#[test]
fn thread_that_became_another_user() {
    compare("thread-user", false);
}

#[test]
fn thread_that_acts_as_another_user() {
    // The kernel treats what such a thread executes as privileged, as it does a set-uid program: a refusal is right
    // too.
    compare("effective-user", true);
}

#[test]
fn no_new_privileges() {
    compare("no-new-privs", false);
}

#[test]
fn dropped_capability() {
    compare("capability", false);
}

#[test]
fn smaller_bounding_set() {
    compare("bounding", false);
}

#[test]
fn own_host_name() {
    compare("uts", false);
}

#[test]
fn own_ipc_namespace() {
    compare("ipc", false);
}

#[test]
fn own_network() {
    compare("net", false);
}

#[test]
fn own_mounts() {
    compare("mount", false);
}

#[test]
fn own_process_namespace() {
    // The first process of such a namespace is its init, which cannot be a fork server's sibling: a refusal is right too.
    compare("processes", true);
}

#[test]
fn own_users() {
    // Only a process that has one thread can do that; the identity of such a process is no longer that of a user outside.
    compare_at("user-namespace", &["before"], &["process"], true);
}

#[test]
fn other_root_with_the_same_files() {
    compare("root", false);
}

#[test]
fn bare_root_is_refused_or_kept() {
    let test = "a program in a root without a loader";
    if !needs_root(test) {
        return;
    }
    watched(test, LIMIT, || {
        for moment in ["before", "between"] {
            for method in ["fork-server", "spawn"] {
                let folder = Scratch::new();
                std::fs::write(folder.join("only-file"), "").expect("the new root can be written");
                let printed = program!("bare-root", folder.path(), moment, method).succeed();
                let (own, outcome) = (line(&printed, "own"), line(&printed, "outcome"));
                let kept = outcome == format!("value {own}");
                let refused = outcome.starts_with("start-error ") && outcome.len() > "start-error Os none: ".len() + 10;
                assert!(kept || refused, "{moment} starts, {method}: the program sees {own}, its child: {outcome}");
            }
        }
    });
}
