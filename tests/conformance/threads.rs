//! Starts from many threads at once.

use multiprocess::StartMethod;
use multiprocess_tests::methods::{self, start};
use std::sync::Barrier;
use std::thread;

multiprocess_tests::for_each_start_method![
    child_is_joined_on_another_thread,
    child_starts_from_its_own_threads,
    sixteen_threads_start_twenty_each,
];

fn sixteen_threads_start_twenty_each(method: StartMethod) {
    assert_eq!(start_from_threads(method, 16, 20), 16 * 20);
}

/// In a child as well.
fn child_starts_from_its_own_threads(method: StartMethod) {
    let from_child = |method: String| start_from_threads(methods::named(&method), 4, 5);
    let child = start(method, from_child, (methods::name(method).to_owned(),));
    assert_eq!(child.join().expect("the child returns"), 20);
}

/// All begin together; counts the children whose value was right.
fn start_from_threads(method: StartMethod, threads: u32, each: u32) -> usize {
    let together = Barrier::new(threads as usize);
    let work = &|thread: u32| {
        together.wait();
        let children: Vec<_> = (0..each).map(|n| start(method, |a: u32, b: u32| (a, b), (thread, n))).collect();
        let values = children.into_iter().map(|child| child.join().expect("the child returns"));
        values.zip(0..each).filter(|(value, n)| *value == (thread, *n)).count()
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        handles.into_iter().map(|handle| handle.join().expect("the thread ends well")).sum()
    })
}

fn child_is_joined_on_another_thread(method: StartMethod) {
    let child = thread::spawn(move || start(method, || 5, ())).join().expect("the thread ends well");
    assert_eq!(
        thread::spawn(move || child.join()).join().expect("the thread ends well").expect("the child returns"),
        5
    );
}
