//! Many objects: a group of them takes one descriptor, here and on its way.

use multiprocess::{Condition, Event, Group, Lock, Mutex, Semaphore, StartMethod};
use multiprocess_tests::leaks;
use multiprocess_tests::methods::{self, start};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs::File;

multiprocess_tests::for_each_start_method![
    group_takes_one_descriptor,
    group_travels,
    member_in_a_hole_is_refused,
    thousand_locks_travel_in_one_message
];

/// Ten thousand locks, and each is one of its own.
fn group_takes_one_descriptor(method: StartMethod) {
    let before = memory_descriptors();
    let group = Group::new().expect("a group can be made");
    let locks: Vec<Lock> = (0..10_000).map(|_| group.lock().expect("a lock can be made")).collect();
    assert_eq!(memory_descriptors(), before + 1);
    let held = [0, 1, 5_000, 9_999];
    let guards = held.map(|number| locks[number].lock().expect("nobody died"));
    let locked = locks.iter().enumerate().filter(|(_, lock)| lock.is_locked()).map(|(number, _)| number);
    assert!(locked.eq(held));
    let child = start(method, locked_in, (vec![locks[0].clone(), locks[2].clone(), locks[9_999].clone()],));
    assert_eq!(child.join().expect("the child returns"), [true, false, true]);
    drop(guards);
    drop((group, locks));
    assert_eq!(memory_descriptors(), before);
}

/// How many descriptors of memory without a name this process has.
fn memory_descriptors() -> usize {
    leaks::descriptors().values().filter(|target| target.starts_with("/memfd:")).count()
}

fn locked_in(locks: Vec<Lock>) -> Vec<bool> {
    locks.iter().map(Lock::is_locked).collect()
}

/// A member whose memory its sender has given back is no lock for whoever gets it.
fn member_in_a_hole_is_refused(method: StartMethod) {
    let (whole, hole) = (start(method, last_of, (100, false)), start(method, last_of, (100, true)));
    assert!(!whole.join().expect("the child returns").is_locked());
    assert!(hole.join().is_err(), "a lock arrived that is not there");
}

/// Makes a group of so many locks and returns the last one, where it still is or where it was.
fn last_of(locks: usize, with_a_hole: bool) -> Lock {
    let before: Vec<_> = leaks::descriptors().into_keys().collect();
    let group = Group::new().expect("a group can be made");
    let mut made: Vec<Lock> = (0..locks).map(|_| group.lock().expect("a lock can be made")).collect();
    if with_a_hole {
        let memory = leaks::descriptors().into_iter();
        let memory = memory.filter(|(number, target)| target.starts_with("/memfd:") && !before.contains(number));
        for (number, _) in memory {
            let memory = File::options().write(true).open(format!("/proc/self/fd/{number}")).expect("it is ours");
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&memory, hole, 3 * 4096, 1 << 20).expect("a hole can be made");
        }
    }
    made.pop().expect("there are some")
}

/// A thousand locks of a group are one message with one descriptor, so that a process that may have few sends and takes them.
/// The limit is set in a process of its own, which its children get it from.
fn thousand_locks_travel_in_one_message(method: StartMethod) {
    let child = start(method, send_thousand, (methods::name(method).to_owned(),));
    let (held, descriptors, limit) = child.join().expect("the child returns");
    assert_eq!(held, [0, 500, 999]);
    assert!(descriptors <= 1, "{descriptors} descriptors for one group");
    assert_eq!(limit, Some(1024), "the limit is the grandchild's too");
}

/// Sends a thousand locks, three of them held, and returns what the child found.
fn send_thousand(method: String) -> Counted {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(1024);
    setrlimit(Resource::Nofile, limit).expect("a soft limit may sink");
    let group = Group::new().expect("a group can be made");
    let locks: Vec<Lock> = (0..1_000).map(|_| group.lock().expect("a lock can be made")).collect();
    let _guards = [0, 500, 999].map(|number| locks[number].lock().expect("nobody died"));
    let child = start(methods::named(&method), count, (locks.clone(),));
    child.join().expect("the grandchild returns")
}

type Counted = (Vec<usize>, usize, Option<u64>);

/// Which of the locks are held, how many descriptors of memory this process has, and how many of all it may have.
fn count(locks: Vec<Lock>) -> Counted {
    let held = locks.iter().enumerate().filter(|(_, lock)| lock.is_locked()).map(|(number, _)| number).collect();
    (held, memory_descriptors(), getrlimit(Resource::Nofile).current)
}

type Members = (Lock, Mutex<u64>, Event, Semaphore, Condition);

/// The group itself travels too, and what its receiver makes in it the sender's objects know nothing of.
fn group_travels(method: StartMethod) {
    let group = Group::new().expect("a group can be made");
    let made: Members = (
        group.lock().expect("a lock can be made"),
        group.mutex(7_u64).expect("a mutex can be made"),
        group.event().expect("an event can be made"),
        group.semaphore(3).expect("a semaphore can be made"),
        group.condition().expect("a condition can be made"),
    );
    let (lock, event) = start(method, use_members, (group, made.clone())).join().expect("the child returns");
    assert_eq!(*made.1.lock().expect("nobody died"), 8);
    assert_eq!((made.2.is_set(), made.3.available()), (true, 2));
    assert!(!event.is_set());
    let guard = lock.lock().expect("nobody died");
    assert!(!made.0.is_locked());
    drop(guard);
}

fn use_members(group: Group, (lock, number, event, semaphore, condition): Members) -> (Lock, Event) {
    let made = (group.lock().expect("a lock can be made"), group.event().expect("an event can be made"));
    let _guard = lock.lock().expect("nobody died");
    assert!(!made.0.is_locked());
    *number.lock().expect("nobody died") += 1;
    event.set();
    semaphore.acquire().forget();
    condition.notify_all();
    made
}
