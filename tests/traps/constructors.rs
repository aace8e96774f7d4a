//! Constructors of other crates and of C libraries: they have run before the user's function, once, wherever the
//! linker put them.

use crate::fixture::{self, LIMIT, Profile};
use crate::line;
use multiprocess_tests::watched;

#[test]
fn constructors_have_run_once_in_every_child() {
    watched("a program with constructors", LIMIT, || constructors_have_run(Profile::Dev));
}

#[test]
fn constructors_have_run_once_with_fat_link_time_optimisation() {
    watched("a program with constructors, optimised as a whole", LIMIT, || constructors_have_run(Profile::Fat));
}

fn constructors_have_run(profile: Profile) {
    let printed = fixture::run("multiprocess-fixture-constructors", profile);
    for place in ["program", "ForkServer", "Spawn"] {
        assert_eq!(line(&printed, place), "(1, 1)", "runs of the Rust and the C constructor, {place}, {profile:?}");
    }
}

#[test]
fn constructor_that_starts_a_thread_does_not_hang_starts() {
    watched("a program with a thread from a constructor", LIMIT, || {
        for profile in [Profile::Dev, Profile::Fat] {
            let printed = fixture::run("multiprocess-fixture-threaded", profile);
            assert_eq!(printed.trim(), "50 of 50 children returned", "{profile:?}");
        }
    });
}
