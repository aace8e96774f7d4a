//! A program that is careless with shared objects: the suite looks at what it leaves behind.

use multiprocess::{Event, Lock, SharedMemory};
use multiprocess_tests::methods;

/// Makes named and anonymous objects, here and in a child, and forgets them all, one lock while it is held. Arguments: the
/// start method, and what the names begin with.
pub fn forget(arguments: &[String]) {
    let [method, prefix] = arguments else { panic!("two arguments are needed") };
    forget_objects(format!("{prefix}-parent"));
    let child = methods::start(methods::named(method), forget_objects, (format!("{prefix}-child"),));
    child.join().expect("the child returns");
    println!("both processes have forgotten theirs");
}

fn forget_objects(name: String) {
    let lock = Lock::create(&name).expect("a lock can be made");
    std::mem::forget(lock.lock().expect("nobody died"));
    std::mem::forget(lock);
    std::mem::forget(Event::new().expect("an event can be made"));
    std::mem::forget(SharedMemory::new(4096).expect("shared memory can be made"));
}
