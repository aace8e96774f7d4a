//! Objects in somebody else's format: a named one is its name, an anonymous one cannot be written.

use multiprocess::{
    Array, Barrier, Condition, Event, Group, Lock, Mutex, RLock, RwLock, Semaphore, SharedMemory, StartMethod, Value,
};
use multiprocess_tests::checked;
use multiprocess_tests::methods::start;
use multiprocess_tests::names::unique;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Written in one process and read in another, it is the same object.
#[test]
fn named_object_is_its_name() {
    checked("sending names as text", || {
        let name = unique("json");
        let event = Event::create(&name).expect("an event can be made");
        let text = serde_json::to_string(&event).expect("a name is text");
        assert_eq!(text, format!("\"{name}\""));
        let set = |text: String| serde_json::from_str::<Event>(&text).expect("it is there").set();
        start(StartMethod::ForkServer, set, (text,)).join().expect("the child returns");
        assert!(event.is_set());
    });
}

/// The same for every kind, there and back.
#[test]
fn every_kind_goes_both_ways() {
    checked("each kind as text", || {
        let name = unique("json");
        both_ways(&name, Lock::create(&name));
        both_ways(&name, Mutex::create(&name, 7_u64));
        both_ways(&name, RLock::create(&name));
        both_ways(&name, RwLock::create(&name, 7_u64));
        both_ways(&name, Event::create(&name));
        both_ways(&name, Semaphore::create(&name, 3));
        both_ways(&name, Condition::create(&name));
        both_ways(&name, Barrier::create(&name, 3));
        both_ways(&name, Value::create(&name, 7_u64));
        both_ways(&name, Array::create(&name, &[7_u64; 5]));
        both_ways(&name, SharedMemory::create(&name, 64));
    });
}

#[track_caller]
fn both_ways<T: Serialize + DeserializeOwned>(name: &str, made: Result<T, multiprocess::Error>) {
    let made = made.expect("the object can be made");
    let text = serde_json::to_string(&made).expect("a name is text");
    assert_eq!(text, format!("\"{name}\""));
    let back: T = serde_json::from_str(&text).expect("it is there");
    assert_eq!(serde_json::to_string(&back).expect("a name is text"), text);
    drop((made, back));
    let error = serde_json::from_str::<T>(&text).map(drop).expect_err("it is gone");
    assert!(error.to_string().contains(name), "{error}");
}

/// The text of the refusal says what is refused and what to do instead.
#[test]
fn anonymous_object_is_refused() {
    checked("anonymous objects as text", || {
        refused(Lock::new());
        refused(Mutex::new(7_u64));
        refused(RLock::new());
        refused(RwLock::new(7_u64));
        refused(Event::new());
        refused(Semaphore::new(3));
        refused(Condition::new());
        refused(Barrier::new(3));
        refused(Value::new(7_u64));
        refused(Array::new(&[7_u64; 5]));
        refused(SharedMemory::new(64));
        let group = Group::new().expect("a group can be made");
        refused(group.lock());
        refused(Ok(group));
    });
}

#[track_caller]
fn refused<T: Serialize>(made: Result<T, multiprocess::Error>) {
    let error = serde_json::to_string(&made.expect("the object can be made")).expect_err("it has no name");
    let text = error.to_string();
    assert!(text.contains("name") || text.contains("anonymous"), "{text}");
    assert!(text.len() > 20, "{text}");
}

/// Text that is no name, or the name of nothing, or of something else.
#[test]
fn bad_text_is_refused() {
    checked("reading bad text", || {
        let name = unique("json");
        let lock = Lock::create(&name).expect("a lock can be made");
        let name_in_quotes = format!("\"{name}\"");
        drop(serde_json::from_str::<Lock>(&name_in_quotes).expect("it is there"));
        let error = serde_json::from_str::<Event>(&name_in_quotes).map(drop).expect_err("it is a lock");
        assert!(error.to_string().contains(&name), "{error}");
        drop(lock);
        for text in ["", "1", "null", "[]", "{}", "\"\"", "\"/\"", "\"..\"", "\"a/b\"", "\"\\u0000\"", &name_in_quotes]
        {
            assert!(serde_json::from_str::<Lock>(text).is_err(), "{text}");
            assert!(serde_json::from_str::<Array<u64>>(text).is_err(), "{text}");
        }
    });
}
