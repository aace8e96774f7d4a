//! What came before the end of a child comes out, however it ended.

use crate::subscriber::{messages, take_of};
use multiprocess::{Process, StartMethod};
use tracing::Level;

crate::logged_by_each_method![
    exit_loses_nothing,
    killed_child_has_spoken,
    panic_is_an_event,
    panic_of_a_thread_is_an_event
];

fn killed_child_has_spoken(method: StartMethod) {
    let speak = || {
        (0..10).for_each(|number| tracing::info!(number, "before"));
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
            .expect("it can be killed");
        tracing::info!("never");
    };
    let child = Process::new(speak, ()).name("victim").start_method(method).start().expect("the child starts");
    assert!(child.join().is_err());
    assert_eq!(messages(&take_of("victim")), ["before"; 10]);
}

fn leave() {
    tracing::info!("the last word");
    std::process::exit(3);
}

fn exit_loses_nothing(method: StartMethod) {
    let child = Process::new(leave, ()).name("leaver").start_method(method).start().expect("the child starts");
    assert_eq!(child.wait().expect("the child has a status").code(), Some(3));
    assert_eq!(messages(&take_of("leaver")), ["the last word"]);
}

const LINE: u32 = line!() + 3;

fn fail() {
    panic!("no luck with {}", 7);
}

fn panic_is_an_event(method: StartMethod) {
    let child = Process::new(fail, ()).name("unlucky").start_method(method).start().expect("the child starts");
    let pid = child.pid();
    let error = child.join().expect_err("it panics");
    assert_eq!(error.panic_message(), Some("no luck with 7"));
    let seen = take_of("unlucky");
    let [event] = seen.as_slice() else { panic!("one event: {seen:?}") };
    assert_eq!((event.level, event.target.as_str()), (Level::ERROR, "multiprocess::panic"));
    assert_eq!((event.message(), event.pid()), ("panicked: no luck with 7", pid));
    assert_eq!((event.file.as_deref(), event.line), (Some(file!()), Some(LINE)));
}

fn panic_of_a_thread_is_an_event(method: StartMethod) {
    let tear = || {
        let thread = std::thread::Builder::new().name("seam".into()).spawn(|| panic!("torn")).expect("a thread starts");
        thread.join().is_err()
    };
    let child = Process::new(tear, ()).name("torn").start_method(method).start().expect("the child starts");
    assert!(child.join().expect("the child returns"));
    let seen = take_of("torn");
    assert_eq!(messages(&seen), ["panicked: torn"]);
    assert_eq!(seen[0].field("thread"), "seam");
}
