//! `Child::join_async`: joining without blocking the thread, on a runtime with one thread, so that whatever blocks is seen.

use multiprocess::{Child, JoinError, StartMethod, active_children};
use multiprocess_tests::gate::{Gate, pass};
use multiprocess_tests::{methods, pause, processes};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

multiprocess_tests::for_each_start_method![
    value_arrives,
    panic_arrives,
    killed_child_is_told,
    thread_is_free_while_children_run,
    many_are_joined_at_once,
    dropped_future_leaves_the_child_running,
    child_that_has_ended_is_joined_at_once,
];

/// Runs a future on a runtime of this thread alone.
fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    runtime.expect("a runtime can be made").block_on(future)
}

/// Whether a future is ready at its first poll.
async fn is_ready<F: Future>(future: &mut std::pin::Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

fn value_arrives(method: StartMethod) {
    let child = methods::start(method, |a: u64, text: String| (a + 1, text.len()), (41, "x".repeat(100_000)));
    assert_eq!(run(child.join_async()).expect("the child returns"), (42, 100_000));
}

fn panic_arrives(method: StartMethod) {
    let child: Child<()> = methods::start(method, || panic!("out of luck"), ());
    let error = run(child.join_async()).expect_err("the child panics");
    assert_eq!(error.panic_message(), Some("out of luck"), "{error:?}");
}

fn killed_child_is_told(method: StartMethod) {
    let child = methods::start(method, || pause::for_ever(), ());
    let pid = child.pid();
    let error = run(async {
        let mut joined = pin!(child.join_async());
        assert!(!is_ready(&mut joined).await, "the child has ended by itself");
        processes::signal(pid, processes::Signal::KILL);
        joined.await.map(|never: ()| never).expect_err("the child is killed")
    });
    assert!(matches!(error, JoinError::Exited(_)) && error.signal() == Some(9), "{error:?}");
}

/// Children end in the opposite order to that in which they are awaited first.
fn thread_is_free_while_children_run(method: StartMethod) {
    let (first_gate, first_closed) = Gate::new();
    let (second_gate, second_closed) = Gate::new();
    let first = methods::start(method, pass, (first_closed,));
    let second = methods::start(method, pass, (second_closed,));
    run(async {
        let mut first = pin!(first.join_async());
        assert!(!is_ready(&mut first).await, "a child has passed a closed gate");
        second_gate.open();
        second.join_async().await.expect("the second child returns");
        assert!(!is_ready(&mut first).await, "a child has passed a closed gate");
        first_gate.open();
        first.await.expect("the first child returns");
    });
}

fn many_are_joined_at_once(method: StartMethod) {
    let children: Vec<_> = (0..24).map(|number| methods::start(method, |n: u64| n * n, (number,))).collect();
    let sum = run(async {
        let tasks: Vec<_> = children.into_iter().map(|child| tokio::spawn(child.join_async())).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("no task panics").expect("the child returns");
        }
        sum
    });
    assert_eq!(sum, (0..24).map(|number| number * number).sum::<u64>());
}

fn dropped_future_leaves_the_child_running(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let child = methods::start(method, pass, (closed,));
    let pid = child.pid();
    run(async {
        let mut joined = pin!(child.join_async());
        assert!(!is_ready(&mut joined).await, "the child has passed a closed gate");
    });
    let child = active_children().into_iter().find(|active| active.pid() == pid).expect("the child runs on");
    assert_eq!(child.wait_timeout(Duration::ZERO).expect("the child can be asked"), None);
    gate.open();
    let status = child.wait_timeout(Duration::from_secs(30)).expect("the child can be waited for");
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}

fn child_that_has_ended_is_joined_at_once(method: StartMethod) {
    let child = methods::start(method, || 42, ());
    child.wait().expect("the child can be waited for");
    assert_eq!(run(child.join_async()).expect("the child returns"), 42);
}
