//! The README leads with a program: its first screen shows what the library does.

use super::Tree;
use super::finding::Report;

/// The line before which the program starts.
const SCREEN: usize = 40;

/// Looks for a Rust block on the first screen.
pub fn check(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report { seen: 1, ..Report::default() };
    if !text.lines().take(SCREEN - 1).any(|line| line.trim_end().starts_with("```rust")) {
        report.add(path, 1, format!("no Rust program before line {SCREEN}"), "a complete program on the first screen");
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_on_the_first_screen_is_required() {
        let lines = |text: &str| check(&Tree::default(), "README.md", text).lines();
        assert_eq!(lines("# multiprocess\n\n```rust\nfn main() {}\n```\n"), [0; 0]);
        assert_eq!(lines(&format!("{}```rust\n", "\n".repeat(38))), [0; 0]);
        assert_eq!(lines(&format!("{}```rust\n", "\n".repeat(39))), [1]);
        assert_eq!(lines("# multiprocess\n\n```sh\ncargo run\n```\n"), [1]);
    }
}
