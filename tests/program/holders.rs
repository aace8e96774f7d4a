//! A program that holds named objects until it is killed.

use multiprocess::{Event, Lock, Mutex, Process, Semaphore};
use multiprocess_tests::pause;
use multiprocess_tests::ready::{Ready, Sayer, say};

/// Takes the lock of that name and says so. Argument: the name.
pub fn hold_a_lock(arguments: &[String]) {
    let [name] = arguments else { panic!("one argument is needed") };
    let lock = Lock::open_or_create(name).expect("the lock can be opened");
    let _guard = lock.lock().expect("nobody died with it");
    println!("holds it, process {}", std::process::id());
    pause::for_ever();
}

/// Has a mutex, a semaphore and an event, and two children that use them; says when all of them do. Argument: what the
/// names begin with.
pub fn hold_names(arguments: &[String]) {
    let [prefix] = arguments else { panic!("one argument is needed") };
    let mutex = Mutex::<u64>::create(&format!("{prefix}-mutex"), 0).expect("a mutex can be made");
    let semaphore = Semaphore::create(&format!("{prefix}-semaphore"), 1).expect("a semaphore can be made");
    let _event = Event::create(&format!("{prefix}-event")).expect("an event can be made");
    let _guard = mutex.lock().expect("nobody died with it");
    for _ in 0..2 {
        let (mut ready, sayer) = Ready::new();
        let child = Process::new(use_names, (prefix.clone(), semaphore.clone(), sayer)).daemon(true);
        std::mem::forget(child.start().expect("a child can be started"));
        ready.wait();
    }
    println!("ready");
    pause::for_ever();
}

/// Opens one by its name, has the other from its parent, and is blocked.
fn use_names(prefix: String, semaphore: Semaphore, mut sayer: Sayer) {
    let mutex = Mutex::<u64>::open(&format!("{prefix}-mutex")).expect("the mutex is there");
    let _permit = semaphore.try_acquire();
    say(&mut sayer);
    let _guard = mutex.lock();
    pause::for_ever();
}
