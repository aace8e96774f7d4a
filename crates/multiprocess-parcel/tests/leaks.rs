//! Whatever goes wrong, no descriptor stays open. One test alone in its process, so that no other one disturbs the count.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use multiprocess_parcel::{Fd, Parcel, pack, pack_data, unpack};
use multiprocess_sys::handle::OwnedHandle;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many descriptors this process has open, where the system tells.
fn descriptors() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}

fn handle() -> Fd {
    Fd(std::io::pipe().unwrap().0.into())
}

#[track_caller]
fn leaves_nothing(what: &str, run: impl FnOnce()) {
    let before = descriptors();
    run();
    assert_eq!(descriptors(), before, "{what} leaves descriptors open");
}

struct Failing;

impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("failing"))
    }
}

struct Panicking;

impl Serialize for Panicking {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        resume_unwind(Box::new("panicking"))
    }
}

impl<'de> Deserialize<'de> for Panicking {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Panicking, D::Error> {
        resume_unwind(Box::new("panicking"))
    }
}

fn three() -> Parcel {
    pack(&[handle(), handle(), handle()]).unwrap()
}

#[test]
fn every_failure_closes_its_handles() {
    leaves_nothing("a round trip", || drop(unpack::<[Fd; 3]>(three()).unwrap()));
    leaves_nothing("a parcel that is dropped", || drop(three()));
    leaves_nothing("a failing Serialize", || assert!(pack(&(handle(), [handle(), handle()], Failing)).is_err()));
    leaves_nothing("a panicking Serialize", || {
        assert!(catch_unwind(AssertUnwindSafe(|| pack(&(handle(), Panicking)))).is_err());
    });
    leaves_nothing("a carrier without handles", || assert!(pack_data(&handle(), "a test").is_err()));
    leaves_nothing("another serializer", || {
        assert!(serde_json::to_string(&handle()).is_err());
        assert!(serde_json::from_str::<Fd>("0").is_err());
    });
    leaves_nothing("too few handles", || {
        let mut parcel = three();
        parcel.handles.truncate(2);
        assert!(unpack::<[Fd; 3]>(parcel).is_err());
    });
    leaves_nothing("too many handles", || assert!(unpack::<[Fd; 2]>(pack(&(handle(), handle())).unwrap()).is_ok()));
    leaves_nothing("too many handles", || {
        let mut parcel = three();
        parcel.bytes.pop();
        assert!(unpack::<[Fd; 2]>(parcel).is_err());
    });
    leaves_nothing("another type", || assert!(unpack::<String>(three()).is_err()));
    leaves_nothing("leftover bytes", || {
        let mut parcel = three();
        parcel.bytes.push(1);
        assert!(unpack::<[Fd; 3]>(parcel).is_err());
    });
    leaves_nothing("a panicking Deserialize", || {
        assert!(catch_unwind(|| unpack::<(Fd, Panicking)>(three())).is_err());
    });
    leaves_nothing("truncation", || {
        let len = three().bytes.len();
        for keep in 0..len {
            let mut parcel = three();
            parcel.bytes.truncate(keep);
            assert!(unpack::<[Fd; 3]>(parcel).is_err());
        }
    });
    leaves_nothing("a thousand handles", a_thousand_handles);
    leaves_nothing("a process without free descriptors", no_free_descriptor);
}

fn a_thousand_handles() {
    let one = handle();
    let parcel = pack(&vec![&one; 1000]).unwrap();
    assert_eq!(parcel.handles.len(), 1000);
    assert_eq!(unpack::<Vec<Fd>>(parcel).unwrap().len(), 1000);
}

/// A limit above this is not reached by filling the table.
const DESCRIPTORS_MAX: usize = 1 << 20;

fn no_free_descriptor() {
    let one = handle();
    let mut fill: Vec<OwnedHandle> = Vec::new();
    while let Ok(copy) = one.try_clone() {
        fill.push(copy);
        if fill.len() == DESCRIPTORS_MAX {
            eprintln!("not tried: this process may have more than {DESCRIPTORS_MAX} open descriptors");
            return;
        }
    }
    fill.truncate(fill.len() - 10);
    let error = pack(&vec![&one; 100]).unwrap_err();
    let refused = one.try_clone().and_then(|_| pack(&1).map(|_| ()).map_err(Into::into));
    drop(fill);
    assert!(refused.is_ok(), "the handles of the failed parcel are still open: {refused:?}");
    assert!(error.raw_os_error().is_some(), "{error}");
    assert!(error.to_string().contains("Fd"), "{error}");
}
