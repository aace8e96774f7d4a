//! A short run of the soak, which `cargo xtask soak` makes longer: random operations, random kills and stops.

use multiprocess_tests::program::Program;
use multiprocess_tests::watched;
use std::time::Duration;

#[test]
fn five_seconds() {
    watched("five seconds of soak", Duration::from_secs(120), || {
        let soak = Program::new(env!("CARGO_BIN_EXE_multiprocess-soak"), "--seconds");
        let printed = soak.argument("5").argument("--seed").argument("20260101").succeed();
        println!("{printed}");
        let sums: Vec<_> = printed.lines().filter(|line| line.starts_with("seed") && line.contains("kills")).collect();
        assert_eq!(sums.len(), 3, "objects, messages and pools");
        for sum in sums {
            let kills = sum.split(' ').nth(2).and_then(|kills| kills.parse::<u32>().ok());
            assert!(kills.is_some_and(|kills| kills >= 20), "too few processes were killed: {sum}");
        }
    });
}
