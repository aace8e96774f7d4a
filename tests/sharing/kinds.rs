//! Every kind of object that can have a name, as a table that the tests go through.

use multiprocess::{
    Array, Barrier, Condition, Error, ErrorKind, Event, Lock, Mutex, RLock, RwLock, Semaphore, SharedMemory, Value,
};
use multiprocess_tests::checked;
use multiprocess_tests::gate::{Closed, pass};
use multiprocess_tests::methods::start;
use multiprocess_tests::names::unique;
use multiprocess_tests::ready::{Sayer, say};
use std::any::Any;

/// An object that is open, of whichever kind.
pub type Open = Box<dyn Any>;

/// One kind of object.
pub struct Kind {
    pub what: &'static str,
    pub create: fn(&str) -> Result<Open, Error>,
    pub open: fn(&str) -> Result<Open, Error>,
    pub open_or_create: fn(&str) -> Result<Open, Error>,
}

macro_rules! kind {
    ($what:literal, $type:ty $(, $argument:expr)*) => {
        Kind {
            what: $what,
            create: |name| Ok(Box::new(<$type>::create(name $(, $argument)*)?)),
            open: |name| Ok(Box::new(<$type>::open(name)?)),
            open_or_create: |name| Ok(Box::new(<$type>::open_or_create(name $(, $argument)*)?)),
        }
    };
}

/// All of them. The two that hold a value hold ones of different sizes here.
pub const KINDS: [Kind; 12] = [
    kind!("lock", Lock),
    kind!("mutex of 8 bytes", Mutex<u64>, 1),
    kind!("mutex of 2 bytes", Mutex<u16>, 1),
    kind!("recursive lock", RLock),
    kind!("read-write lock", RwLock<u64>, 1),
    kind!("event", Event),
    kind!("semaphore", Semaphore, 3),
    kind!("condition", Condition),
    kind!("barrier", Barrier, 3),
    kind!("value of 4 bytes", Value<u32>, 1),
    kind!("array", Array<u64>, &[1; 100]),
    kind!("shared memory", SharedMemory, 10_000),
];

/// What a child does that owns an object of the kind with this number: creates it, says so, and keeps it until the gate
/// opens.
pub fn own(kind: usize, name: String, mut sayer: Sayer, gate: Closed) {
    let _object = (KINDS[kind].create)(&name).expect("the object can be made");
    say(&mut sayer);
    pass(gate);
}

/// An object of one kind is not opened as another, in the process that made it or elsewhere; what is there stays as it is.
#[test]
fn object_of_another_kind_is_refused() {
    checked("opening each kind as each other", || {
        for (made_number, made) in KINDS.iter().enumerate() {
            let name = unique("kind");
            let object = (made.create)(&name).expect("the object can be made");
            refuse_others(made_number, name.clone());
            let child = start(multiprocess::StartMethod::ForkServer, refuse_others, (made_number, name.clone()));
            child.join().expect("the child returns");
            drop((made.open)(&name).expect("it is still there"));
            drop(object);
        }
    });
}

fn refuse_others(made: usize, name: String) {
    for (number, kind) in KINDS.iter().enumerate().filter(|(number, _)| *number != made) {
        for call in [kind.open, kind.open_or_create] {
            let case = format!("a {} as a {} (number {number})", KINDS[made].what, kind.what);
            let Err(error) = call(&name) else { panic!("{case} was opened") };
            assert_eq!((error.kind(), error.object()), (ErrorKind::WrongKind, Some(name.as_str())), "{case}: {error}");
        }
        let Err(error) = (kind.create)(&name) else { panic!("the name of a {} was free", KINDS[made].what) };
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    }
    drop((KINDS[made].open)(&name).expect("it opens as what it is"));
}
