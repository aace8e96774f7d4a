//! Messages that say one thing and hold another: an object of one type arrives where another is expected.

use multiprocess::{
    Array, Barrier, Condition, Error, Event, Group, JoinError, Lock, Mutex, RLock, RwLock, Semaphore, SharedMemory,
    StartMethod, Value,
};
use multiprocess_tests::gate::Closed;
use multiprocess_tests::methods::start;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::Debug;

multiprocess_tests::for_each_start_method![
    bytes_are_no_object,
    descriptor_is_no_object,
    object_of_another_kind_is_refused,
    object_of_another_size_is_refused,
];

/// Travels as an `A`, and is read as a `B`.
enum Disguised<A, B> {
    Sent(A),
    Read(B),
}

impl<A: Serialize, B> Serialize for Disguised<A, B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Disguised::Sent(sent) => sent.serialize(serializer),
            Disguised::Read(_) => Err(serde::ser::Error::custom("it has arrived")),
        }
    }
}

impl<'de, A, B: Deserialize<'de>> Deserialize<'de> for Disguised<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        B::deserialize(deserializer).map(Disguised::Read)
    }
}

/// Sends `sent` to a child that expects a `B`, and returns how the child's refusal is told.
#[track_caller]
fn refusal<A, B>(method: StartMethod, sent: Result<A, Error>) -> JoinError
where
    A: Serialize + 'static,
    B: DeserializeOwned + Debug + 'static,
{
    let sent = Disguised::<A, B>::Sent(sent.expect("the object can be made"));
    let child = start(method, arrives::<A, B>, (sent,));
    let error = child.join().expect_err("nothing of that kind was sent");
    assert_eq!(error.signal(), None, "the child was ended: {error}");
    error
}

fn arrives<A, B: Debug>(disguised: Disguised<A, B>) -> String {
    match disguised {
        Disguised::Sent(_) => "what was sent".to_owned(),
        Disguised::Read(read) => format!("{read:?}"),
    }
}

/// Each pair below is one that shares something: the size of what is shared, the word that is locked, the shape.
fn object_of_another_kind_is_refused(method: StartMethod) {
    refusal::<Lock, Event>(method, Lock::new());
    refusal::<Event, Lock>(method, Event::new());
    refusal::<Lock, RLock>(method, Lock::new());
    refusal::<RLock, Mutex<u64>>(method, RLock::new());
    refusal::<Mutex<u64>, RwLock<u64>>(method, Mutex::new(1));
    refusal::<RwLock<u64>, Value<u64>>(method, RwLock::new(1));
    refusal::<Semaphore, Barrier>(method, Semaphore::new(3));
    refusal::<Barrier, Semaphore>(method, Barrier::new(3));
    refusal::<Condition, Event>(method, Condition::new());
    refusal::<Array<u64>, SharedMemory>(method, Array::new(&[1; 10]));
    refusal::<SharedMemory, Array<u64>>(method, SharedMemory::new(80));
    refusal::<Group, Lock>(method, Group::new());
    refusal::<Lock, Group>(method, Lock::new());
    let group = Group::new().expect("a group can be made");
    refusal::<Lock, Event>(method, group.lock());
    refusal::<Semaphore, Condition>(method, group.semaphore(3));
}

/// The value behind a lock has the size that both ends agree on, or it is not opened.
fn object_of_another_size_is_refused(method: StartMethod) {
    refusal::<Mutex<u64>, Mutex<u32>>(method, Mutex::new(1));
    refusal::<Mutex<u32>, Mutex<u64>>(method, Mutex::new(1));
    refusal::<Mutex<u64>, Lock>(method, Mutex::new(1));
    refusal::<Lock, Mutex<u64>>(method, Lock::new());
    refusal::<Value<[u8; 3]>, Value<[u8; 4000]>>(method, Value::new([1; 3]));
    refusal::<RwLock<u8>, RwLock<u16>>(method, RwLock::new(1));
    refusal::<Array<u8>, Array<u64>>(method, Array::new(&[1; 3]));
}

/// A descriptor that is no object at all: a pipe.
fn descriptor_is_no_object(method: StartMethod) {
    for _ in 0..2 {
        let (_gate, closed) = multiprocess_tests::gate::Gate::new();
        refusal::<Closed, Lock>(method, Ok(closed));
        let (_gate, closed) = multiprocess_tests::gate::Gate::new();
        refusal::<Closed, Array<u64>>(method, Ok(closed));
    }
}

/// Plain bytes where a handle should be.
fn bytes_are_no_object(method: StartMethod) {
    refusal::<Vec<u8>, Lock>(method, Ok(Vec::new()));
    refusal::<Vec<u8>, Lock>(method, Ok(vec![0; 100]));
    refusal::<Vec<u8>, Semaphore>(method, Ok(vec![0xFF; 100]));
    refusal::<u64, Event>(method, Ok(u64::MAX));
    refusal::<String, Group>(method, Ok("jobs".to_owned()));
    refusal::<(), SharedMemory>(method, Ok(()));
}
