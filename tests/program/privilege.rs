//! A program that starts one child, and says what it is itself: the suite runs it set-uid and with forged markers.

use crate::outcome;

/// Prints the users it runs as, that it is the program's `main`, and what came of a start.
pub fn run(_arguments: &[String]) {
    println!("main {} {}", rustix::process::getuid().as_raw(), rustix::process::geteuid().as_raw());
    println!("outcome {}", outcome::joined(multiprocess::spawn(marker_of_child, ())));
}

/// What a child's environment still holds of the marker that started it: nothing, or a grandchild could be told lies.
fn marker_of_child() -> Option<String> {
    std::env::var("MULTIPROCESS_START").ok()
}
