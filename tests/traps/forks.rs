//! The user's own fork: starts work on both sides, before and after the library has been used.

use multiprocess_tests::{program, watched};
use std::time::Duration;

#[test]
fn starts_work_on_both_sides_of_a_fork() {
    watched("a program that forks itself", Duration::from_secs(60), || {
        for method in ["fork-server", "spawn"] {
            let printed = program!("forks", method).succeed();
            for name in ["fresh", "used", "heir"] {
                let forked = section(&printed, &format!("-- {name} forked"));
                let original = section(&printed, &format!("-- {name} original, after Some(0)"));
                for side in [forked, original] {
                    for (number, value) in [(0, 0), (1, 2), (2, 4)] {
                        let expected = format!("start {number} value {value}");
                        assert!(
                            side.contains(&expected.as_str()),
                            "{method}, {name}: no {expected:?} in {side:?}\n{printed}"
                        );
                    }
                }
            }
            assert!(printed.contains("running child value ()"), "{method}: {printed}");

            // The forked side is not the parent: it has no children, and does not get what is the other side's.
            let heir = section(&printed, "-- heir forked");
            assert!(heir.contains(&"children 0"), "{method}: the forked side has inherited children: {heir:?}");
            let inherited = heir.iter().find(|line| line.starts_with("inherited ")).expect("the forked side has asked");
            assert!(inherited.starts_with("inherited join-error "), "{method}: {inherited}");
            let original = section(&printed, "-- heir original, after Some(0)");
            assert!(original.contains(&"children 1"), "{method}: {original:?}");
            assert!(original.contains(&"inherited value ()"), "{method}: the fork took a child's value: {original:?}");
        }
    });
}

/// The lines between a heading and the next.
fn section<'a>(printed: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = printed.lines().skip_while(|line| *line != heading).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("-- ")).collect();
    assert!(!lines.is_empty(), "nothing follows {heading:?} in:\n{printed}");
    lines
}
