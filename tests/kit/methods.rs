//! Start methods as words, so that they travel as arguments of processes and programs.

use multiprocess::{Child, Function, Message, Process, StartMethod};

/// The word for `method`.
///
/// # Examples
///
/// ```
/// use multiprocess::StartMethod;
/// use multiprocess_tests::methods;
///
/// assert_eq!(methods::named(methods::name(StartMethod::Spawn)), StartMethod::Spawn);
/// ```
///
/// # Panics
///
/// When there is a method that has no word here.
pub fn name(method: StartMethod) -> &'static str {
    match method {
        StartMethod::ForkServer => "fork-server",
        StartMethod::Spawn => "spawn",
        other => panic!("{other:?} has no word here"),
    }
}

/// The method that `word` stands for.
///
/// # Panics
///
/// When `word` stands for none.
pub fn named(word: &str) -> StartMethod {
    match word {
        "fork-server" => StartMethod::ForkServer,
        "spawn" => StartMethod::Spawn,
        other => panic!("{other:?} is not a start method"),
    }
}

/// The method that is not `method`.
pub fn other_than(method: StartMethod) -> StartMethod {
    if method == StartMethod::Spawn { StartMethod::ForkServer } else { StartMethod::Spawn }
}

/// Starts `function` by `method`.
///
/// # Panics
///
/// When it cannot be started.
#[track_caller]
pub fn start<F, A>(method: StartMethod, function: F, arguments: A) -> Child<F::Output>
where
    F: Function<A>,
    A: Message,
    F::Output: Message,
{
    Process::new(function, arguments).start_method(method).start().expect("the child starts")
}
