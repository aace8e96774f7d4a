//! Holders that go, or seem to go, in other ways than by a signal: by an exec, with their descriptors closed, as a copy of
//! themselves, in favour of a newcomer, in another namespace.

use crate::waiters::{PATIENCE, TOO_LONG, keep, kill, soon, start, start_blocked};
use multiprocess::{Group, Lock, Mutex, Process, Semaphore};
use multiprocess_fixture_native::{Side, close_from, fork};
use multiprocess_tests::gate::{self, Closed, Gate};
use multiprocess_tests::processes::{self, Signal};
use multiprocess_tests::ready::{self, Ready, Sayer, say};
use multiprocess_tests::{checked, names, pause, privilege, program, watched};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Long enough for everybody to look several times whether the holder lives.
const LOOK: Duration = Duration::from_millis(300);

/// Waits for the lock; whose death it was told of, if any.
fn wait_for(lock: Lock, mut sayer: Sayer) -> Option<u32> {
    say(&mut sayer);
    let died = lock.lock().err().map(|died| died.owner_pid());
    if died.is_some() {
        drop(lock.recover());
    }
    died
}

/// Fails unless the lock is held by somebody who lives.
#[track_caller]
fn assert_held(lock: &Lock, why: &str) {
    let attempt = lock.lock_timeout(LOOK);
    assert!(attempt.is_ok_and(|guard| guard.is_none()), "{why}");
}

#[test]
fn exec() {
    checked("a holder that becomes another program", || {
        let lock = Lock::new().expect("a lock can be made");
        let (go, closed) = Gate::new();
        let (end, input) = Gate::new();
        let (mut ready, sayer) = Ready::new();
        let holder = |lock: Lock, mut sayer: Sayer, closed: Closed, input: Closed| {
            let _guard = lock.lock().expect("nobody died");
            say(&mut sayer);
            gate::pass(closed);
            let failure = Command::new("cat").stdin(Stdio::from(input.0)).stdout(Stdio::null()).exec();
            panic!("becoming another program: {failure}");
        };
        let arguments = (lock.clone(), sayer, closed, input);
        let holder = Process::<()>::new(holder, arguments).daemon(true).start().expect("a child can be started");
        ready.wait();
        let waiter = start_blocked(wait_for, lock.clone());
        go.open();
        pause::until("the holder to be another program", PATIENCE, || {
            processes::find(holder.pid()).is_some_and(|process| process.name == "cat")
        });
        assert_eq!(soon("exec", Instant::now(), waiter), Some(holder.pid()));
        assert!(holder.is_alive(), "the process itself lives on");
        end.open();
        holder.wait().expect("the other program ends");
    });
}

#[test]
fn closed_descriptors() {
    checked("a holder that closes all its descriptors", || {
        let lock = Lock::new().expect("a lock can be made");
        let hold = |lock: Lock, sayer: Sayer| {
            let guard = lock.lock().expect("nobody died");
            let sayer = keep_only_output(sayer);
            keep(guard, sayer);
        };
        let holder = start(hold, lock.clone());
        assert_held(&lock, "the holder lives, whatever it closed");
        let waiter = start_blocked(wait_for, lock.clone());
        let pid = holder.pid();
        kill(&holder);
        assert_eq!(soon("close_range", Instant::now(), waiter), Some(pid));
    });
}

/// Closes everything from 3 up; what it has to say goes over a number below.
fn keep_only_output(sayer: Sayer) -> Sayer {
    rustix::stdio::dup2_stdin(&sayer.0).expect("a descriptor can have another number");
    std::mem::forget(sayer);
    close_from(3).expect("the kernel closes all descriptors");
    let input = std::io::stdin();
    let copy = rustix::io::dup(&input).expect("a descriptor can be copied");
    multiprocess::Fd(copy.into())
}

#[test]
fn objects_work_without_descriptors() {
    checked("objects of a process that closed all descriptors", || {
        let mutex = Mutex::new(1_u64).expect("a mutex can be made");
        let add = |mutex: Mutex<u64>| {
            *mutex.lock().expect("nobody died") += 1;
            close_from(3).expect("the kernel closes all descriptors");
            *mutex.lock().expect("nobody died") += 1;
            // Its result has no way back.
            std::process::exit(0);
        };
        let child = Process::<()>::new(add, (mutex.clone(),)).start().expect("a child can be started");
        assert!(child.wait().expect("it ends").success());
        assert_eq!(*mutex.lock().expect("nobody died"), 3);
    });
}

#[test]
fn copy_of_a_holder_dies() {
    checked("a forked copy of a holder that dies", || {
        let lock = Lock::new().expect("a lock can be made");
        let (gate, closed) = Gate::new();
        let (mut ready, sayer) = Ready::new();
        let holder = |lock: Lock, mut sayer: Sayer, closed: Closed| {
            let guard = lock.lock().expect("nobody died");
            if fork().expect("a process can be forked") == Side::Child {
                // It has the guard too, and goes without dropping it. Whether it may take the lock is its own question.
                let own = lock.try_lock();
                std::process::exit(i32::from(own.is_ok_and(|own| own.is_some())));
            }
            let status = rustix::process::wait(rustix::process::WaitOptions::empty());
            let status = status.expect("a copy can be waited for").and_then(|(_, status)| status.exit_status());
            assert_eq!(status, Some(0), "a copy of the holder is not the holder");
            say(&mut sayer);
            gate::pass(closed);
            drop(guard);
        };
        let holder = Process::new(holder, (lock.clone(), sayer, closed)).start().expect("a child can be started");
        ready.wait();
        assert_held(&lock, "the holder lives, only a copy of it has died");
        let waiter = start_blocked(wait_for, lock.clone());
        gate.open();
        assert_eq!(soon("the copy's death", Instant::now(), waiter), None);
        holder.join().expect("the holder returns");
    });
}

#[test]
fn copy_of_a_dead_holder_lives() {
    checked("a forked copy that outlives the holder", || {
        let lock = Lock::new().expect("a lock can be made");
        let (gate, closed) = Gate::new();
        let (mut ready, sayer) = Ready::new();
        let holder = |lock: Lock, mut sayer: Sayer, closed: Closed| {
            let guard = lock.lock().expect("nobody died");
            match fork().expect("a process can be forked") {
                Side::Child => {
                    // Lives on with copies of everything; then uses the lock as anybody would.
                    gate::pass(closed);
                    let works = lock.lock_timeout(PATIENCE).is_ok_and(|guard| guard.is_some());
                    if works {
                        say(&mut sayer);
                    }
                    std::process::exit(0);
                }
                Side::Parent(_) => keep(guard, sayer),
            }
        };
        let holder = Process::new(holder, (lock.clone(), sayer, closed)).start().expect("a child can be started");
        ready.wait();
        let waiter = start_blocked(wait_for, lock.clone());
        let pid = holder.pid();
        kill(&holder);
        assert_eq!(soon("the holder's death", Instant::now(), waiter), Some(pid), "a copy keeps no lock");
        gate.open();
        ready.wait();
    });
}

#[test]
fn newcomer_in_the_place_of_the_dead() {
    checked("a newcomer in the place of a dead holder", || {
        let group = Group::new().expect("a group can be made");
        let lock = group.lock().expect("a lock can be made");
        let semaphore = group.semaphore(1).expect("a semaphore can be made");
        for _ in 0..20 {
            let holder = start(|lock: Lock, sayer| keep(lock.lock(), sayer), lock.clone());
            let pid = holder.pid();
            kill(&holder);
            // Nobody has looked at the lock yet. The newcomer is known to the same segment, most likely as the same number.
            let hold = |semaphore: Semaphore, sayer| keep(semaphore.acquire(), sayer);
            let newcomer = start(hold, semaphore.clone());
            let died = lock.lock().expect_err("the holder died, whoever came after it");
            assert!([pid, 0].contains(&died.owner_pid()), "{} is said to have died, it was {pid}", died.owner_pid());
            assert!(semaphore.try_acquire().is_none(), "the newcomer lives and has the only permit");
            drop(lock.recover());
            kill(&newcomer);
        }
        assert!(semaphore.acquire_timeout(TOO_LONG).is_some(), "the last newcomer's permit comes back");
    });
}

#[test]
fn other_namespace() {
    let test = "a holder in another namespace of process numbers";
    if !privilege::needs_namespaces(test) {
        return;
    }
    watched(test, Duration::from_secs(60), || {
        let name = names::unique("namespace");
        let lock = Lock::create(&name).expect("a lock can be made");
        // This process is known to the object under a number that means somebody else, or nobody, in there.
        drop(lock.lock().expect("nobody died"));
        let mut inside = Command::new("unshare");
        inside.args(["--pid", "--fork", "--kill-child"]).arg(env!("CARGO_BIN_EXE_multiprocess-test-program"));
        inside.args(["holds-a-lock", &name]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut outer = inside.spawn().expect("a namespace can be made");
        let mut line = String::new();
        let output = outer.stdout.take().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("it says that it holds the lock");
        assert_eq!(line, "holds it, process 1\n");
        assert_held(&lock, "the holder lives, though nobody here knows it by the number 1");
        let waiter = start_blocked(wait_for, lock.clone());
        let holder = processes::descendants(outer.id()).pop().expect("the holder is a child of the outer process");
        processes::signal(holder.pid, Signal::KILL);
        outer.wait().expect("the outer process ends");
        assert!(soon("namespace", Instant::now(), waiter).is_some(), "the death in there is told here");
        drop(lock);
    });
}

#[test]
fn lock_made_by_a_child_of_a_child() {
    checked("a holder that nobody here is a parent of", || {
        let lock = Lock::new().expect("a lock can be made");
        let (mut ready, sayer) = Ready::new();
        let middle = |lock: Lock, sayer: Sayer| {
            let (mut below, said) = Ready::new();
            let holder = Process::new(|lock: Lock, said| keep(lock.lock(), said), (lock, said));
            let holder = holder.daemon(true).start().expect("a grandchild can be started");
            below.wait();
            let mut sayer = sayer;
            ready::say(&mut sayer);
            holder.pid()
            // The grandchild ends with this process, which is its parent.
        };
        let middle = Process::new(middle, (lock.clone(), sayer)).start().expect("a child can be started");
        ready.wait();
        let grandchild = middle.join().expect("the child returns");
        let start = Instant::now();
        let died = lock.lock().expect_err("the holder died");
        assert_eq!(died.owner_pid(), grandchild);
        assert!(start.elapsed() < TOO_LONG, "{:?}", start.elapsed());
        drop(lock.recover());
    });
}

#[test]
fn program_that_drives_the_namespace_test_runs() {
    watched("the scenario outside a namespace", Duration::from_secs(60), || {
        let name = names::unique("plain");
        let mut holder = program!("holds-a-lock", &name).start();
        let mut line = String::new();
        let output = holder.stdout.take().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("it says that it holds the lock");
        assert_eq!(line, format!("holds it, process {}\n", holder.id()));
        let lock = Lock::open(&name).expect("the lock is there");
        assert_held(&lock, "the holder lives");
        holder.kill().expect("the holder can be killed");
        holder.wait().expect("the holder ends");
        assert_eq!(lock.lock().expect_err("the holder died").owner_pid(), holder.id());
    });
}
