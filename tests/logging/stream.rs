//! What a child's events say when they come out, and in which order.

use crate::subscriber::{messages, take, take_of};
use multiprocess::{Process, StartMethod, current, flush_logs};
use multiprocess_tests::pause;
use std::thread;
use std::time::Duration;
use tracing::Level;

crate::logged_by_each_method![
    child_of_a_child_speaks_here,
    enable_logging,
    event_comes_whole,
    events_come_out_before_join_returns,
    spans_are_named,
];

crate::logged![flush_waits_for_a_child_that_runs_on, long_text_is_cut, many_threads_speak];

fn started<F, A>(method: StartMethod, name: &str, function: F, arguments: A) -> multiprocess::Child<F::Output>
where
    F: multiprocess::Function<A>,
    A: multiprocess::Message,
    F::Output: multiprocess::Message,
{
    Process::new(function, arguments).name(name).start_method(method).start().expect("the child starts")
}

/// `_TestLogging.test_enable_logging`: what happens to children is told to whoever subscribes.
fn enable_logging(method: StartMethod) {
    let child = started(method, "told", || (), ());
    let pid = child.pid().to_string();
    child.join().expect("the child returns");
    let seen = take();
    let own: Vec<_> = seen.iter().filter(|seen| seen.target == "multiprocess::process").collect();
    let told: Vec<_> = own.iter().filter(|seen| seen.field("child.pid") == pid).map(|seen| seen.message()).collect();
    assert_eq!(told, ["child started", "child ended"]);
    assert!(own.iter().all(|seen| seen.level == Level::DEBUG && seen.field("child.name") == "told"), "{own:?}");
}

fn speak() -> (u32, u32) {
    let line = line!() + 1;
    tracing::warn!(target: "a::target", number = -7, big = u64::MAX, real = 1.5, is_so = true, text = "te\"xt", shown = ?Some(1), "said {}", 42);
    (std::process::id(), line)
}

fn event_comes_whole(method: StartMethod) {
    let (pid, line) = started(method, "speaker", speak, ()).join().expect("the child returns");
    let seen = take_of("speaker");
    let [event] = seen.as_slice() else { panic!("one event: {seen:?}") };
    assert_eq!((event.level, event.target.as_str(), event.pid()), (Level::WARN, "a::target", pid));
    assert_eq!((event.file.as_deref(), event.line), (Some(file!()), Some(line)));
    let fields: Vec<_> =
        ["message", "number", "big", "real", "is_so", "text", "shown"].map(|name| event.field(name)).into();
    assert_eq!(fields, ["said 42", "-7", "18446744073709551615", "1.5", "true", "te\"xt", "Some(1)"]);
    assert_eq!(event.fields.len(), 9, "{event:?}");
}

/// Whatever lies between the event and the end of the process: `join` is enough.
fn events_come_out_before_join_returns(method: StartMethod) {
    for round in 0..20u32 {
        let count = |n: u32| (0..n).for_each(|number| tracing::info!(number, "counted"));
        started(method, "counter", count, (round,)).join().expect("the child returns");
        let numbers: Vec<_> = take_of("counter").iter().map(|seen| seen.field("number").to_owned()).collect();
        assert_eq!(numbers, (0..round).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

fn outer(method: String) -> u32 {
    tracing::info!("outer");
    let method = multiprocess_tests::methods::named(&method);
    let inner = || {
        tracing::info!(parent_pid = multiprocess::parent().map(|parent| parent.pid()), "inner");
        current().pid()
    };
    let pid = started(method, "inner", inner, ()).join().expect("the inner child returns");
    tracing::info!("outer again");
    pid
}

/// Straight to the process with the subscriber, and in the order of what happened.
fn child_of_a_child_speaks_here(method: StartMethod) {
    let word = multiprocess_tests::methods::name(method).to_owned();
    let pid = started(method, "outer", outer, (word,)).join().expect("the outer child returns");
    let seen: Vec<_> = take().into_iter().filter(|seen| !seen.target.starts_with("multiprocess")).collect();
    assert_eq!(messages(&seen), ["outer", "inner", "outer again"]);
    let names: Vec<_> = seen.iter().map(|seen| seen.field("process.name")).collect();
    assert_eq!(names, ["outer", "inner", "outer"]);
    assert_eq!(seen[1].pid(), pid);
    assert_eq!(seen[1].field("parent_pid"), seen[0].pid().to_string());
}

fn spanned() {
    let outer = tracing::info_span!("outer", a = 1, b = tracing::field::Empty);
    let entered = outer.enter();
    outer.record("b", "two");
    let inner = tracing::info_span!("inner");
    inner.in_scope(|| tracing::info!("deep"));
    tracing::info!(parent: None, "alone");
    let other = thread::spawn(|| tracing::info!("elsewhere"));
    other.join().expect("the thread returns");
    let same = tracing::Span::current();
    assert!(same.metadata().is_some_and(|metadata| metadata.name() == "outer"));
    drop(entered);
    drop(outer);
    tracing::info!(parent: &same, "behind");
    drop((same, inner));
    tracing::info!("at last");
}

fn spans_are_named(method: StartMethod) {
    started(method, "spanned", spanned, ()).join().expect("the child returns");
    let seen = take_of("spanned");
    let spans: Vec<_> = seen.iter().map(|seen| (seen.message(), seen.field("process.spans"))).collect();
    let expected = [
        ("deep", "outer{a=1 b=\"two\"}:inner"),
        ("alone", ""),
        ("elsewhere", ""),
        ("behind", "outer{a=1 b=\"two\"}"),
        ("at last", ""),
    ];
    assert_eq!(spans, expected);
}

fn long_text_is_cut() {
    let child =
        started(StartMethod::ForkServer, "long", || tracing::info!(tail = "lost", "{}", "é".repeat(50_000)), ());
    child.join().expect("the child returns");
    let seen = take_of("long");
    let [event] = seen.as_slice() else { panic!("one event: {seen:?}") };
    assert_eq!(event.field("process.truncated"), "true");
    assert!(event.message().chars().all(|c| c == 'é') && event.message().len() > 4000);
    assert_eq!(event.field("tail"), "", "there is no room for it");
}

const THREADS: usize = 8;
const EACH: usize = 200;

fn crowd() {
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || (0..EACH).for_each(|number| tracing::info!(thread, number, "one of many")));
        }
    });
}

/// Each thread's events come in their order. On a machine that is busy with other things, some may find no room.
fn many_threads_speak() {
    started(StartMethod::ForkServer, "crowd", crowd, ()).join().expect("the child returns");
    let seen = take_of("crowd");
    let lost: usize = seen.iter().filter_map(|seen| seen.field("lost").parse::<usize>().ok()).sum();
    println!("{lost} of {} lost", THREADS * EACH);
    let events: Vec<_> = seen.iter().filter(|seen| seen.message() == "one of many").collect();
    assert!(!events.is_empty() && events.len() + lost <= THREADS * EACH, "{} came, {lost} were lost", events.len());
    for thread in 0..THREADS {
        let of_thread = events.iter().filter(|seen| seen.field("thread") == thread.to_string());
        let numbers: Vec<usize> = of_thread.map(|seen| seen.field("number").parse().expect("a number")).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "thread {thread}: {numbers:?}");
    }
}

fn say_and_wait(said: multiprocess::Event) {
    tracing::info!("here I am");
    said.set();
    pause::for_ever();
}

fn flush_waits_for_a_child_that_runs_on() {
    let said = multiprocess::Event::new().expect("an event can be made");
    let child = started(StartMethod::ForkServer, "waiter", say_and_wait, (said.clone(),));
    assert!(said.wait_timeout(Duration::from_secs(30)));
    flush_logs();
    assert_eq!(messages(&take_of("waiter")), ["here I am"]);
    child.kill().expect("the child can be killed");
    child.wait().expect("the child has a status");
}
