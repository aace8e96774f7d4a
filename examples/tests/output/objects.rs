//! What the examples about shared objects must print.

use crate::running::{after, number};

/// The place of a line that must be there, once.
fn place(lines: &[&str], line: &str) -> usize {
    assert_eq!(lines.iter().filter(|found| **found == line).count(), 1, "once {line:?}: {lines:?}");
    lines.iter().position(|found| *found == line).expect("it is there")
}

/// The lines of one process stand together, in any order of the processes.
pub fn check_lock(lines: &[&str]) {
    assert_eq!(lines.len(), 10, "three lines of three processes, and one more: {lines:?}");
    for i in 1..=3 {
        let first = place(lines, &format!("process{i} has the lock"));
        assert_eq!(first % 3, 0, "the lines are mixed: {lines:?}");
        assert_eq!(lines[first + 1], format!("process{i} still has it"));
        assert_eq!(lines[first + 2], format!("process{i} releases it"));
    }
    assert_eq!(lines[9], "is_locked: false");
}

pub fn check_event(lines: &[&str]) {
    assert_eq!(lines.len(), 5, "five lines: {lines:?}");
    let patient = place(lines, "wait_for_event: starting");
    let hurried = place(lines, "wait_for_event_timeout: starting");
    let gives_up = place(lines, "wait_for_event_timeout: came in time: false, is_set: false");
    let set = place(lines, "main: setting the event");
    let woken = place(lines, "wait_for_event: is_set: true");
    assert!(hurried < gives_up && gives_up < set && set < woken && patient < woken, "{lines:?}");
}

pub fn check_semaphore(lines: &[&str]) {
    assert_eq!(lines.len(), 11, "two lines of five processes, and one more: {lines:?}");
    for i in 1..=5 {
        assert!(place(lines, &format!("process{i} acquires")) < place(lines, &format!("process{i} releases")));
    }
    // With a permit free they wait for nobody, but a busy machine may run them one after the other.
    let most = after(lines[10], "at the same time: ").strip_suffix(" at most, 0 now; permits: 2");
    assert!(matches!(most, Some("1" | "2")), "{lines:?}");
}

pub fn check_condition(lines: &[&str]) {
    assert_eq!(lines.len(), 6, "two lines of three processes: {lines:?}");
    let ready = place(lines, "stage 1: done and ready for stage 2");
    assert!(place(lines, "stage 1: starting") < ready);
    for name in ["stage 2 (1)", "stage 2 (2)"] {
        let running = place(lines, &format!("{name}: running with 42"));
        assert!(place(lines, &format!("{name}: starting")) < running && ready < running, "{lines:?}");
    }
}

pub fn check_barrier(lines: &[&str]) {
    assert_eq!(lines.len(), 7, "two lines of three processes, and one more: {lines:?}");
    for i in 0..3 {
        assert!(place(lines, &format!("process {i} has written its part")) < 3, "{lines:?}");
        assert!(place(lines, &format!("process {i} goes on")) >= 3, "{lines:?}");
    }
    assert!(place(lines, "the leader's sum: 44850") >= 3);
}

pub fn check_value_and_array(lines: &[&str]) {
    assert_eq!(lines, ["3.141592653589793", "[0, -1, -2, -3, -4, -5, -6, -7, -8, -9]", "20000"]);
}

pub fn check_named(lines: &[&str]) {
    assert_eq!(
        lines,
        [
            "first: the number is 20",
            "second: has added 22",
            "second: it is no event: true",
            "first: the number is 42",
            "first: the name is free again: true",
        ]
    );
}

pub fn check_crash_recovery(lines: &[&str]) {
    assert_eq!(lines.len(), 6, "six lines: {lines:?}");
    let killed = number(after(lines[0], "main: killing process "));
    assert_eq!(number(after(lines[1], "audit: the owner died: process ")), killed);
    assert_eq!(
        lines[2..],
        ["audit: found 70 and 0", "audit: leaves 70 and 30", "main: the total is 100", "main: reads 70 and 30"]
    );
}
