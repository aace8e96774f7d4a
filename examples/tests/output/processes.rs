//! What the examples about processes must print.

use crate::running::{after, is_time, number};
use std::collections::HashSet;

pub fn check_hello(lines: &[&str]) {
    let place = |text: &str| {
        let found = lines.iter().position(|line| is_time(line.strip_prefix(text).unwrap_or_default()));
        found.unwrap_or_else(|| panic!("no line {text:?} with a time: {lines:?}"))
    };
    assert_eq!(lines.len(), 3, "three lines: {lines:?}");
    assert!(place("hello world------> ") < place("func ending------> "));
    assert!(place("ending------> ") < place("func ending------> "), "the parent waited for the child: {lines:?}");
}

pub fn check_inherit(lines: &[&str]) {
    assert_eq!(lines.len(), 4, "four lines: {lines:?}");
    for i in 0..3 {
        let hello = format!("{i} hello ------> ");
        let mut times = lines[..3].iter().filter_map(|line| line.strip_prefix(&hello));
        assert!(times.next().is_some_and(is_time), "process {i} said nothing: {lines:?}");
    }
    assert!(is_time(after(lines[3], "ending------> ")));
}

pub fn check_cpu_bound(lines: &[&str]) {
    assert_eq!(lines.len(), 5, "five lines: {lines:?}");
    assert_eq!(lines[0], "the sum is 4999999950000000; the product has 456569 digits and ends in 24994 zeros");
    let (sequential, _) =
        after(lines[1], "one after the other, cost time: ").split_once(" s (").expect("a time in seconds");
    assert_eq!(lines[2], "ending");
    let parallel = after(lines[3], "in two processes, cost time: ").strip_suffix(" s").expect("a time in seconds");
    let (speed_up, _) = after(lines[4], "speed-up: ").split_once(" on ").expect("a number of CPUs");
    // The ratio was rounded from unrounded times. How large it is depends on what else the machine does.
    let expected = number(sequential) / number(parallel);
    assert!((number(speed_up) - expected).abs() < 0.05, "{speed_up} is not {sequential} / {parallel}");
}

pub fn check_attributes(lines: &[&str]) {
    assert_eq!(lines.len(), 7, "seven lines: {lines:?}");
    assert_eq!(lines[0], "name: worker");
    assert!(number(after(lines[1], "pid: ")) > 1.0);
    assert_eq!(
        lines[2..],
        [
            "daemon: true",
            "is_alive: true",
            "ended after the timeout: false",
            "is_alive after terminate: false",
            "signal: 15"
        ]
    );
}

pub fn check_process_info(lines: &[&str]) {
    assert_eq!(lines.len(), 13, "three blocks of four lines, and one more: {lines:?}");
    let mut pids = Vec::new();
    for (block, name) in lines.chunks_exact(4).zip(["main process", "process1", "process2"]) {
        assert_eq!(after(block[0], "process name: "), name);
        let parent = number(after(block[1], "parent process: "));
        pids.push(number(after(block[2], "process: ")).to_string());
        assert_eq!(block[3], "---------");
        if name != "main process" {
            assert_eq!(parent.to_string(), pids[0], "the main process is not the parent of {name}");
        }
    }
    assert_eq!(pids.iter().collect::<HashSet<_>>().len(), 3, "three processes have three numbers: {pids:?}");
    assert_eq!(lines[12], "ending");
}

pub fn check_isolation(lines: &[&str]) {
    assert_eq!(
        lines,
        [
            "the main process writes 100",
            "the main process writes 200",
            "child 1 found 0, wrote 1, and reads 1",
            "child 2 found 0, wrote 2, and reads 2",
            "the main process reads 200",
            "a child writes 300; passed: 300, kept: 200, variable: 200",
        ]
    );
}

/// A line without what differs: the number of the process, which is that of the other lines of the same name.
fn without_number<'a>(line: &'a str, seen: &mut Vec<(&'a str, &'a str)>) -> String {
    let Some((text, rest)) = line.split_once(" process.pid=") else { return line.to_owned() };
    let (pid, spans) = rest.split_once(' ').unwrap_or((rest, ""));
    assert!(number(pid) > 0.0, "{line}");
    let name = text.split_once("process.name=\"").and_then(|(_, name)| name.strip_suffix('"')).expect("a name");
    seen.push((name, pid));
    // There are two helpers.
    let is_same = |(other, number): &(&str, &str)| (*other == name) == (*number == pid) || name == "helper";
    assert!(seen.iter().all(is_same), "{seen:?}");
    if spans.is_empty() { text.to_owned() } else { format!("{text} {spans}") }
}

pub fn check_logging(lines: &[&str]) {
    let mut seen = Vec::new();
    let lines: Vec<String> = lines.iter().map(|line| without_number(line, &mut seen)).collect();
    // Each line has its level in front, right-aligned, and ends with who said it.
    let courier = |name: &str| {
        let who = format!("process.name=\"{name}\" process.spans=delivery");
        vec![
            format!(" INFO logging: delivered {who}{{parcel=1}}"),
            format!(" WARN logging: the lift is out of order minutes=20 {who}{{parcel=2}}"),
            format!(" INFO logging: delivered {who}{{parcel=2}}"),
            " INFO logging: sweeping the van process.name=\"helper\"".to_owned(),
            " INFO logging: back at the office parcels=2".to_owned(),
        ]
    };
    let mut expected = vec![" INFO logging: the office opens".to_owned()];
    expected.extend(["anna", "ben"].into_iter().flat_map(courier));
    assert_eq!(lines.get(..11), Some(expected.as_slice()), "{lines:#?}");
    // Which worker weighs what, and when, is the pool's business.
    let weighed = lines[11..].iter().filter(|line| line.contains(" weighed by scale-"));
    assert_eq!(weighed.filter(|line| line.ends_with("process.name=\"scale-1\"") || line.ends_with("-2\"")).count(), 4);
    let last: Vec<_> = lines[15..].iter().map(|line| line.split(" thread=").next().unwrap_or_default()).collect();
    let expected = [
        " INFO logging: all parcels are on the scales grams=30",
        "ERROR multiprocess::panic: panicked: the tyre is flat process.name=\"carl\"",
        " WARN logging: carl will not come back today",
    ];
    assert_eq!(last, expected, "{lines:#?}");
}
