//! What the subscriber does not want does not come, and a child that has a subscriber of its own is not heard here.

use crate::subscriber::{self, UNWANTED, messages, take_of};
use multiprocess::{Process, StartMethod};
use std::sync::Mutex;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_core::span::{Attributes, Id, Record};

crate::logged_by_each_method![level, own_subscriber_of_a_child, scoped_subscriber_of_a_child, target];

/// Says something at each level, and which of them this process takes the trouble to make.
fn all_levels() -> [bool; 5] {
    tracing::error!("error");
    tracing::warn!("warn");
    tracing::info!("info");
    tracing::debug!("debug");
    tracing::trace!("trace");
    [
        tracing::enabled!(Level::ERROR),
        tracing::enabled!(Level::WARN),
        tracing::enabled!(Level::INFO),
        tracing::enabled!(Level::DEBUG),
        tracing::enabled!(Level::TRACE),
    ]
}

/// `_TestLogging.test_level`: a level set in the parent is the child's, for every start method.
fn level(method: StartMethod) {
    let words = ["error", "warn", "info", "debug", "trace"];
    let levels = [
        LevelFilter::OFF,
        LevelFilter::ERROR,
        LevelFilter::WARN,
        LevelFilter::INFO,
        LevelFilter::DEBUG,
        LevelFilter::TRACE,
    ];
    for (count, level) in levels.into_iter().enumerate() {
        subscriber::set_level(level);
        let child = Process::new(all_levels, ()).name("leveled").start_method(method).start();
        let made = child.expect("the child starts").join().expect("the child returns");
        assert_eq!(made, [0, 1, 2, 3, 4].map(|at| at < count), "what costs nothing at {level}");
        assert_eq!(messages(&take_of("leveled")), words[..count], "what comes at {level}");
    }
}

/// What the level alone does not tell is asked here.
fn target(method: StartMethod) {
    let speak = || {
        tracing::info!(target: UNWANTED, "unwanted");
        tracing::info!(target: "wanted", "wanted");
    };
    let child = Process::new(speak, ()).name("chosen").start_method(method).start().expect("the child starts");
    child.join().expect("the child returns");
    assert_eq!(messages(&take_of("chosen")), ["wanted"]);
}

/// A subscriber that counts what this file says, in a child.
struct Counting;

static COUNTED: Mutex<u32> = Mutex::new(0);

impl Subscriber for Counting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == module_path!()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        *COUNTED.lock().expect("nobody panics") += 1;
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A child that sets a subscriber is started so that it can, and then its own children are heard there.
fn own_subscriber_of_a_child(method: StartMethod) {
    let own = |method: String| {
        tracing::subscriber::set_global_default(Counting).expect("this child has none");
        tracing::info!("one");
        let method = multiprocess_tests::methods::named(&method);
        let inner = Process::new(|| tracing::info!("two"), ()).name("inner").start_method(method).start();
        inner.expect("the inner child starts").join().expect("the inner child returns");
        *COUNTED.lock().expect("nobody panics")
    };
    let word = multiprocess_tests::methods::name(method).to_owned();
    let child = Process::new(own, (word,)).name("own").start_method(method).forward_logs(false).start();
    assert_eq!(child.expect("the child starts").join().expect("the child returns"), 2);
    assert!(take_of("own").is_empty());
    assert!(take_of("inner").is_empty());
}

/// Where a thread has a subscriber of its own for a while, that one hears.
fn scoped_subscriber_of_a_child(method: StartMethod) {
    let scoped = || {
        tracing::info!("before");
        tracing::subscriber::with_default(Counting, || tracing::info!("inside"));
        tracing::info!("after");
        tracing::subscriber::set_global_default(Counting).is_err()
    };
    let child = Process::new(scoped, ()).name("scoped").start_method(method).start().expect("the child starts");
    assert!(child.join().expect("the child returns"), "there is one already, which forwards");
    assert_eq!(messages(&take_of("scoped")), ["before", "after"]);
}
