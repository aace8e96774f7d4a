//! The spare child, killed while it is idle: nobody waits for it, and yet no zombie stays.

use multiprocess_tests::{program, watched};
use std::time::Duration;

#[test]
fn spare_child_that_is_killed_leaves_no_zombie() {
    watched("the zombies of killed spare children", Duration::from_secs(240), || {
        let printed = program!("killed-spares").succeed();
        let (gone, outcomes): (Vec<_>, Vec<_>) = printed.lines().partition(|line| *line == "gone");
        assert_eq!((gone.len(), outcomes.len()), (10, 11), "{printed}");
        assert!(outcomes.iter().all(|outcome| *outcome == "outcome value 42"), "{printed}");
    });
}
