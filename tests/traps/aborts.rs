//! A program whose panics abort: what a child's panic said arrives all the same.

use crate::fixture::{self, LIMIT, Profile};
use multiprocess_tests::watched;

#[test]
fn panic_that_aborts_is_reported() {
    watched("a program whose panics abort", LIMIT, || {
        let printed = fixture::run("multiprocess-fixture-aborting", Profile::Abort);
        for method in ["ForkServer", "Spawn"] {
            let long = "x".repeat(30);
            for expected in [
                format!("{method} main Some(6) on the main thread 18"),
                format!("{method} other Some(6) on another thread 17"),
                format!("{method} long Some(6) {long} 100000"),
                format!("{method} value 42"),
            ] {
                assert!(printed.lines().any(|line| line == expected), "no {expected:?} in\n{printed}");
            }
        }
    });
}
