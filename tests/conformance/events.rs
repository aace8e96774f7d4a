//! `Event`: set in one process, seen in all.

use multiprocess::{Event, StartMethod};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::start;
use std::time::{Duration, Instant};

multiprocess_tests::for_each_start_method![event, repr];

/// How long an event is waited for that does not come.
const IN_VAIN: Duration = Duration::from_millis(100);

/// More than an event that comes takes.
const LONG: Duration = Duration::from_secs(30);

/// `_TestEvent.test_event`.
fn event(method: StartMethod) {
    let event = Event::new().expect("an event can be made");
    assert!(!event.is_set());

    // A wait of no length, and one that ends in vain.
    assert!(!event.wait_timeout(Duration::ZERO));
    let begin = Instant::now();
    assert!(!event.wait_timeout(IN_VAIN));
    assert!(begin.elapsed() >= IN_VAIN);
    assert!(!event.wait_deadline(begin));

    // Set, every wait returns at once, whatever its time; once cleared, none does. A child sees the same.
    event.set();
    assert!(event.is_set());
    event.wait();
    assert!(event.wait_timeout(Duration::ZERO));
    assert!(event.wait_timeout(LONG));
    assert!(event.wait_deadline(begin));
    assert!(start(method, |event: Event| event.is_set(), (event.clone(),)).join().expect("the child returns"));
    event.clear();
    assert!(!event.is_set());
    let there = start(method, |event: Event| event.wait_timeout(IN_VAIN), (event.clone(),));
    assert!(!there.join().expect("the child returns"));

    // Set from another process while this one waits.
    let (gate, closed) = Gate::new();
    let child = start(method, set_later, (event.clone(), closed));
    gate.open();
    assert!(event.wait_timeout(LONG));
    event.wait();
    child.join().expect("the child returns");
    assert!(event.is_set());
}

fn set_later(event: Event, gate: Closed) {
    pass(gate);
    event.set();
}

/// `_TestEvent.test_repr`, adapted: the text tells whether it is set, in this process and in another.
fn repr(method: StartMethod) {
    let event = Event::new().expect("an event can be made");
    let clear = format!("{event:?}");
    event.set();
    let set = format!("{event:?}");
    assert!(clear.starts_with("Event") && set.starts_with("Event"), "{clear} {set}");
    assert_ne!(clear, set);
    let there = start(method, |event: Event| format!("{event:?}"), (event.clone(),));
    assert_eq!(there.join().expect("the child returns"), set);
    event.clear();
    assert_ne!(format!("{event:?}"), set);
}
