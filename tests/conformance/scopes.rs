//! Scopes: all children that were started in one are over when it is.

use multiprocess::{Fd, JoinError, Process, StartMethod, Stdio, scope};
use multiprocess_tests::gate::{Closed, Gate, pass};
use std::io::{PipeWriter, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

multiprocess_tests::for_each_start_method![
    children_are_waited_for,
    failure_is_the_error,
    failure_joined_by_hand_is_not_the_error,
    first_failure_wins,
    panic_terminates_the_children,
    streams_of_children,
    value_of_the_scope,
    values_of_children,
];

/// `Scope::spawn` takes the usual method; this takes the one that is tested.
fn made<F, A>(method: StartMethod, function: F, arguments: A) -> Process<F::Output>
where
    F: multiprocess::Function<A>,
    A: multiprocess::Message,
    F::Output: multiprocess::Message,
{
    Process::new(function, arguments).start_method(method)
}

fn value_of_the_scope(_method: StartMethod) {
    assert_eq!(scope(|_| 5).expect("an empty scope cannot fail"), 5);
}

fn values_of_children(method: StartMethod) {
    let sum = scope(|scope| {
        let doubled = scope.spawn(|n: u8| n * 2, (4,)).expect("the child starts");
        let tripled = scope.start(made(method, |n: u8| n * 3, (4,))).expect("the child starts");
        assert!(doubled.pid() != tripled.pid());
        doubled.join().expect("the child returns") + tripled.join().expect("the child returns")
    });
    assert_eq!(sum.expect("no child failed"), 20);
}

/// Nobody joins them by hand, and yet all they do is done when the scope is over.
fn children_are_waited_for(method: StartMethod) {
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let (gate, closed) = Gate::new();
    let write = |closed: Closed, mut writer: Fd<PipeWriter>| {
        pass(closed);
        writer.write_all(b"x").expect("the parent listens");
    };
    let started = scope(|scope| {
        for _ in 0..5 {
            let closed = Fd(closed.try_clone().expect("a descriptor can be copied"));
            let writer = Fd(writer.try_clone().expect("a descriptor can be copied"));
            scope.start(made(method, write, (closed, writer))).expect("the child starts");
        }
        gate.open();
        5
    });
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("the pipe can be read");
    assert_eq!(text.len(), started.expect("no child failed"));
    assert!(multiprocess::active_children().is_empty());
}

fn failure_is_the_error(method: StartMethod) {
    let result = scope(|scope| {
        scope.start(made(method, || -> u8 { panic!("on purpose") }, ())).expect("the child starts");
        scope.start(made(method, || 1_u8, ())).expect("the child starts");
    });
    let error = result.expect_err("a child failed");
    assert_eq!(error.panic_message(), Some("on purpose"));
}

fn failure_joined_by_hand_is_not_the_error(method: StartMethod) {
    let result = scope(|scope| {
        let child = scope.start(made(method, || -> u8 { panic!("on purpose") }, ())).expect("the child starts");
        child.join().expect_err("a panic is no value").panic_message().map(str::to_owned)
    });
    assert_eq!(result.expect("the failure was taken"), Some("on purpose".to_owned()));
}

/// The error is that of the child that was started first among those that failed.
fn first_failure_wins(method: StartMethod) {
    let leave = |code: i32| -> u8 { std::process::exit(code) };
    let result = scope(|scope| {
        for code in 1..4 {
            scope.start(made(method, leave, (code,))).expect("the child starts");
        }
    });
    let error = result.expect_err("children failed");
    assert!(matches!(error, JoinError::Exited(status) if status.code() == Some(1)), "{error:?}");
}

/// The parent's ends of a child's streams are in its handle, as outside of a scope.
fn streams_of_children(method: StartMethod) {
    let shout = || {
        let text = std::io::read_to_string(std::io::stdin()).expect("the parent writes");
        print!("{}", text.to_uppercase());
    };
    let heard = scope(|scope| {
        let process = made(method, shout, ()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = scope.start(process).expect("the child starts");
        child.stdin.take().expect("it is a pipe").write_all(b"hello").expect("the child reads");
        std::io::read_to_string(child.stdout.take().expect("it is a pipe")).expect("the child writes")
    });
    assert_eq!(heard.expect("no child failed"), "HELLO");
}

/// The panic goes on when the children are gone: they would have waited for ever.
fn panic_terminates_the_children(method: StartMethod) {
    let (gate, closed) = Gate::new();
    let (mut reader, writer) = std::io::pipe().expect("a pipe can be made");
    let hold = |closed: Closed, writer: Fd<PipeWriter>| {
        pass(closed);
        drop(writer);
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _ = scope(|scope| {
            scope.start(made(method, hold, (closed, Fd(writer)))).expect("the child starts");
            panic!("out of the scope");
        });
    }));
    let reason = outcome.expect_err("the panic goes on");
    assert_eq!(reason.downcast_ref::<&str>(), Some(&"out of the scope"));
    let mut nothing = Vec::new();
    reader.read_to_end(&mut nothing).expect("the child has let go of the pipe");
    assert!(multiprocess::active_children().is_empty());
    gate.open();
}
