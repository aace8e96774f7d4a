//! `Barrier`: all pass together, or it breaks for all.

use multiprocess::{Barrier, Child, Fd, Function, Lock, Message, StartMethod, Value};
use multiprocess_tests::methods::start;
use multiprocess_tests::pause;
use std::io::{PipeWriter, Read as _, Write as _};
use std::time::Duration;

multiprocess_tests::for_each_start_method![
    abort,
    abort_and_reset,
    action,
    barrier,
    barrier_10,
    default_timeout,
    reset,
    single_thread,
    thousand,
    timeout,
    wait_return,
];

/// How many processes meet at a barrier here.
const PARTIES: u32 = 5;

/// The one of them that does something else.
const ODD: u32 = PARTIES / 2;

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(30);

fn new_barrier() -> Barrier {
    Barrier::new(PARTIES).expect("a barrier can be made")
}

/// Runs `party` in as many processes as the barrier has parties, and returns what each of them returned.
fn in_each<F, A>(method: StartMethod, party: F, arguments: A) -> Vec<F::Output>
where
    F: Function<A>,
    A: Message + Clone,
    F::Output: Message,
{
    let children: Vec<Child<F::Output>> = (0..PARTIES).map(|_| start(method, party, arguments.clone())).collect();
    children.into_iter().map(|child| child.join().expect("the child returns")).collect()
}

/// `_TestBarrier.test_barrier`: nobody is ahead of the others.
fn barrier(method: StartMethod) {
    in_lockstep(method, 1);
}

/// `_TestBarrier.test_barrier_10`.
fn barrier_10(method: StartMethod) {
    in_lockstep(method, 10);
}

fn in_lockstep(method: StartMethod, passes: u64) {
    let barrier = new_barrier();
    let counter = || Value::new(0_u64).expect("a value can be made");
    let counters = [counter(), counter()];
    in_each(method, pass_in_lockstep, (barrier.clone(), counters.clone(), passes));
    assert_eq!(counters.map(|counter| counter.get()), [passes * u64::from(PARTIES); 2]);
    assert!(!barrier.is_broken());
    assert_eq!((barrier.waiting(), barrier.parties()), (0, PARTIES));
}

/// Between two passes one counter grows and the other rests, so each process can check what the others have done.
fn pass_in_lockstep(barrier: Barrier, [first, second]: [Value<u64>; 2], passes: u64) {
    let parties = u64::from(barrier.parties());
    for pass in 0..passes {
        first.update(|count| *count += 1);
        assert_eq!(second.get(), pass * parties);
        barrier.wait().expect("nobody breaks it");
        second.update(|count| *count += 1);
        assert_eq!(first.get(), (pass + 1) * parties);
        barrier.wait().expect("nobody breaks it");
    }
}

/// `_TestBarrier.test_wait_return`: each party gets a number of its own, from zero; one of them leads.
fn wait_return(method: StartMethod) {
    let mut results = in_each(method, arrive, (new_barrier(),));
    results.sort_unstable();
    assert_eq!(results.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(results.iter().filter(|(_, leads)| *leads).count(), 1);
}

fn arrive(barrier: Barrier) -> (u32, bool) {
    let result = barrier.wait().expect("nobody breaks it");
    (result.index(), result.is_leader())
}

/// `_TestBarrier.test_action`, adapted: there a function given to the barrier runs once in each pass, in one of the parties.
/// Here the leader runs it, and a second pass holds the others until it has.
fn action(method: StartMethod) {
    let runs = Value::new(0_u32).expect("a value can be made");
    in_each(method, act, (new_barrier(), runs.clone()));
    assert_eq!(runs.get(), 3);
}

fn act(barrier: Barrier, runs: Value<u32>) {
    for pass in 1..=3 {
        if barrier.wait().expect("nobody breaks it").is_leader() {
            runs.update(|count| *count += 1);
        }
        barrier.wait().expect("nobody breaks it");
        assert_eq!(runs.get(), pass);
        barrier.wait().expect("nobody breaks it");
    }
}

/// `_TestBarrier.test_abort`: those who wait and those who come later are told, and it stays broken.
fn abort(method: StartMethod) {
    let barrier = new_barrier();
    let broken = in_each(method, wait_or_abort, (barrier.clone(),));
    assert_eq!(broken.into_iter().filter(|broken| *broken).count() as u32, PARTIES - 1);
    assert!(barrier.is_broken());
    barrier.wait().expect_err("it stays broken");
    barrier.wait_timeout(LONG).expect_err("it stays broken");
}

/// One party aborts instead of waiting; the others learn that it is broken.
fn wait_or_abort(barrier: Barrier) -> bool {
    let index = barrier.wait().expect("nobody breaks the first pass").index();
    if index == ODD {
        barrier.abort();
        return false;
    }
    barrier.wait().expect_err("one party aborts");
    true
}

/// `_TestBarrier.test_reset`: those who wait are told, and the barrier is as new.
fn reset(method: StartMethod) {
    let barrier = new_barrier();
    let broken = in_each(method, wait_or_reset, (barrier.clone(),));
    assert_eq!(broken.into_iter().filter(|broken| *broken).count() as u32, PARTIES - 1);
    assert!(!barrier.is_broken());
}

fn wait_or_reset(barrier: Barrier) -> bool {
    let index = barrier.wait().expect("nobody breaks the first pass").index();
    let broken = if index == ODD {
        pause::until("all others to wait", LONG, || barrier.waiting() == PARTIES - 1);
        barrier.reset();
        false
    } else {
        barrier.wait().is_err()
    };
    barrier.wait().expect("it is as new");
    broken
}

/// `_TestBarrier.test_abort_and_reset`: a broken barrier is as new after a reset.
fn abort_and_reset(method: StartMethod) {
    let barriers = [new_barrier(), new_barrier()];
    in_each(method, break_and_mend, (barriers.clone(),));
    assert!(barriers.iter().all(|barrier| !barrier.is_broken() && barrier.waiting() == 0));
}

fn break_and_mend([barrier, other]: [Barrier; 2]) {
    wait_or_abort(barrier.clone());
    if other.wait().expect("nobody breaks this one").index() == ODD {
        barrier.reset();
    }
    other.wait().expect("nobody breaks this one");
    barrier.wait().expect("it is as new");
}

/// `_TestBarrier.test_timeout`: one party is late, so that the others' time runs out: all are told, the late one too.
fn timeout(method: StartMethod) {
    let barrier = new_barrier();
    let patience = Duration::from_millis(100);
    let broken = in_each(method, wait_or_be_late, (barrier.clone(), patience));
    assert_eq!(broken, [true; PARTIES as usize]);
    assert!(barrier.is_broken());
}

fn wait_or_be_late(barrier: Barrier, patience: Duration) -> bool {
    if barrier.wait().expect("nobody breaks the first pass").index() == ODD {
        // Late is who comes when the others have given up. CPython's late party sleeps.
        pause::until("the others to give up", LONG, || barrier.is_broken());
    }
    barrier.wait_timeout(patience).is_err()
}

/// `_TestBarrier.test_default_timeout`, adapted: there a barrier can have a time of its own for calls that name none. Here
/// every timed call names its time; parties with different ones break it for all when the first has run out.
fn default_timeout(method: StartMethod) {
    let barrier = new_barrier();
    let broken = in_each(method, wait_with_own_patience, (barrier.clone(),));
    assert_eq!(broken, [true; PARTIES as usize]);
    assert!(barrier.is_broken());
}

fn wait_with_own_patience(barrier: Barrier) -> bool {
    match barrier.wait().expect("nobody breaks the first pass").index() {
        0 => barrier.wait_timeout(Duration::from_millis(100)).is_err(),
        ODD => {
            pause::until("the others to give up", LONG, || barrier.is_broken());
            barrier.wait_timeout(LONG).is_err()
        }
        1 => barrier.wait_timeout(LONG).is_err(),
        _ => barrier.wait().is_err(),
    }
}

/// `_TestBarrier.test_single_thread`: one party alone never waits.
fn single_thread(method: StartMethod) {
    let barrier = Barrier::new(1).expect("a barrier can be made");
    for _ in 0..2 {
        assert_eq!(arrive(barrier.clone()), (0, true));
        assert_eq!(start(method, arrive, (barrier.clone(),)).join().expect("the child returns"), (0, true));
    }
}

/// `_TestBarrier.test_thousand`: a thousand passes; what the parties write between them comes out in strict order.
fn thousand(method: StartMethod) {
    const PASSES: u32 = 1000;
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let (barrier, lock) = (new_barrier(), Lock::new().expect("a lock can be made"));
    let children: Vec<_> = (0..PARTIES)
        .map(|_| {
            let writer = Fd(writer.try_clone().expect("a descriptor can be copied"));
            start(method, write_numbers, (barrier.clone(), PASSES, writer, lock.clone()))
        })
        .collect();
    drop(writer);
    let mut number = [0; 4];
    for pass in 0..PASSES {
        for _ in 0..PARTIES {
            reader.read_exact(&mut number).expect("the children write");
            assert_eq!(u32::from_le_bytes(number), pass);
        }
    }
    children.into_iter().for_each(|child| child.join().expect("the child returns"));
}

fn write_numbers(barrier: Barrier, passes: u32, mut writer: Fd<PipeWriter>, lock: Lock) {
    for pass in 0..passes {
        barrier.wait().expect("nobody breaks it");
        let _guard = lock.lock().expect("nobody died");
        writer.write_all(&pass.to_le_bytes()).expect("the parent reads");
    }
}
