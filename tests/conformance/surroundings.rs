//! What a child has from its parent at the time of the call, and how its program's own start and end matter.
//!
//! Here the process itself is changed, so that each test is a scenario of the test program.

use multiprocess::StartMethod;
use multiprocess_tests::methods;
use multiprocess_tests::program;

multiprocess_tests::for_each_start_method![first_start_by_a_thread_that_ends, surroundings_at_the_time_of_the_call];

/// Environment, directory, umask, resource limits, processors and blocked signals: the child's are the parent's now, not
/// those of the first start.
fn surroundings_at_the_time_of_the_call(method: StartMethod) {
    assert_eq!(program!("changes-its-surroundings", methods::name(method)).succeed(), "three rounds agree\n");
}

/// The thread that made the first start is gone; the server and its children, a daemon too, are not.
fn first_start_by_a_thread_that_ends(method: StartMethod) {
    assert_eq!(program!("starts-from-a-thread", methods::name(method)).succeed(), "both children answer\n");
}
