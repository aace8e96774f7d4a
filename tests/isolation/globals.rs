//! Globals, thread-locals and the heap: parent, child and sibling each have their own.

use multiprocess::{Fd, StartMethod};
use multiprocess_tests::gate::{Closed, Gate, pass};
use multiprocess_tests::methods::{self, start};
use std::cell::Cell;
use std::io::{PipeWriter, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

multiprocess_tests::for_each_start_method![
    child_begins_with_initial_values,
    child_changes_are_not_seen_by_its_child,
    child_changes_are_not_seen_by_its_parent,
    child_changes_are_not_seen_by_its_sibling,
    heap_is_not_shared,
    parent_changes_are_not_seen_by_a_running_child,
    parent_locks_are_not_held_in_the_child,
];

static NUMBER: AtomicU64 = AtomicU64::new(7);
static LIST: Mutex<Vec<u64>> = Mutex::new(Vec::new());
static ONCE: OnceLock<u64> = OnceLock::new();

thread_local! {
    static LOCAL: Cell<u64> = const { Cell::new(7) };
}

type Seen = (u64, Vec<u64>, Option<u64>, u64);

/// What every process begins with.
fn initial() -> Seen {
    (7, Vec::new(), None, 7)
}

/// What this process (and this thread) has.
fn seen() -> Seen {
    let list = LIST.lock().expect("nobody panics while holding it").clone();
    (NUMBER.load(Ordering::SeqCst), list, ONCE.get().copied(), LOCAL.get())
}

/// Changes them all, and returns what this process then has.
fn change(to: u64) -> Seen {
    NUMBER.store(to, Ordering::SeqCst);
    LIST.lock().expect("nobody panics while holding it").push(to);
    LOCAL.set(to);
    ONCE.get_or_init(|| to);
    seen()
}

/// Whatever the parent has made of them before the start, the child has what the program's text says.
fn child_begins_with_initial_values(method: StartMethod) {
    let here = change(100);
    assert_eq!(start(method, seen, ()).join().expect("the child returns"), initial());
    assert_eq!(seen(), here);
}

fn child_changes_are_not_seen_by_its_parent(method: StartMethod) {
    let here = seen();
    let there = start(method, change, (55,)).join().expect("the child returns");
    assert_eq!(there, (55, vec![55], Some(55), 55));
    assert_eq!(seen(), here);
}

fn child_changes_are_not_seen_by_its_sibling(method: StartMethod) {
    // One sibling runs all the while, one comes later.
    let (gate, closed) = Gate::new();
    let earlier = start(method, look_after, (closed,));
    start(method, change, (56,)).join().expect("the child returns");
    gate.open();
    assert_eq!(earlier.join().expect("the child returns"), initial());
    assert_eq!(start(method, seen, ()).join().expect("the child returns"), initial());
}

fn look_after(closed: Closed) -> Seen {
    pass(closed);
    seen()
}

fn parent_changes_are_not_seen_by_a_running_child(method: StartMethod) {
    let (mut ready, writer) = std::io::pipe().expect("a pipe can be made");
    let (gate, closed) = Gate::new();
    let child = start(method, look_before_and_after, (Fd(writer), closed));
    std::io::Read::read_exact(&mut ready, &mut [0]).expect("the child has looked");
    change(57);
    gate.open();
    assert_eq!(child.join().expect("the child returns"), (initial(), initial()));
}

fn look_before_and_after(mut ready: Fd<PipeWriter>, closed: Closed) -> (Seen, Seen) {
    let before = seen();
    ready.write_all(b"r").expect("the parent listens");
    pass(closed);
    (before, seen())
}

fn child_changes_are_not_seen_by_its_child(method: StartMethod) {
    let child = start(method, change_and_ask_child, (methods::name(method).to_owned(),));
    assert_eq!(child.join().expect("the child returns"), initial());
}

fn change_and_ask_child(method: String) -> Seen {
    change(58);
    start(methods::named(&method), seen, ()).join().expect("the grandchild returns")
}

/// The well-known trap of `fork`: a lock that some thread holds at that moment is held in the child for ever.
fn parent_locks_are_not_held_in_the_child(method: StartMethod) {
    let held = LIST.lock().expect("nobody panics while holding it");
    assert_eq!(start(method, seen, ()).join().expect("the child returns"), initial());
    drop(held);
}

/// An argument is a copy: what the child does to it stays there, and a copy comes back.
fn heap_is_not_shared(method: StartMethod) {
    let here: Box<Vec<u64>> = Box::new(vec![1, 2, 3]);
    let push = |mut list: Box<Vec<u64>>| {
        list.push(4);
        list
    };
    let back = start(method, push, (here.clone(),)).join().expect("the child returns");
    assert_eq!(*here, [1, 2, 3]);
    assert_eq!(*back, [1, 2, 3, 4]);
}
