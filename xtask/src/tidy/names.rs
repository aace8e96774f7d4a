//! Names: a file says in its first line what it is, and neither files nor modules are drawers.

use super::Tree;
use super::finding::Report;
use super::source::{Source, line_of, words};

/// Words that say nothing about what is inside.
const DRAWERS: [&str; 6] = ["util", "utils", "common", "misc", "helper", "helpers"];

/// Words that describe the language and not the library.
const LANGUAGE: [&str; 4] = ["enum", "impl", "trait", "type"];

/// A Rust file starts with a line of documentation.
pub fn first_line(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report { seen: 1, ..Report::default() };
    let first = text.lines().next().unwrap_or_default();
    if first.strip_prefix("//!").is_none_or(|rest| rest.trim().is_empty()) {
        report.add(path, 1, "the first line does not say what the file is", "a first line that starts with `//!`");
    }
    report
}

/// No part of a path is a drawer, and no Rust file is named for a part of the language.
pub fn check(_: &Tree, path: &str, _: &str) -> Report {
    let mut report = Report { seen: 1, ..Report::default() };
    for part in path.split('/') {
        let stem = part.split('.').next().unwrap_or_default();
        if let Some(word) = drawer(stem) {
            report.add(
                path,
                1,
                format!("`{word}` in `{part}` does not say what is inside"),
                "the noun for what it holds",
            );
        }
        if LANGUAGE.contains(&stem) && path.ends_with(".rs") {
            report.add(path, 1, format!("`{part}` is named for the language"), "the noun for what it holds");
        }
    }
    report
}

/// No module that is written inside a file is a drawer.
pub fn modules(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report::default();
    let code = Source::new(text).code;
    let mut after_mod = false;
    for (at, word) in words(&code) {
        if after_mod {
            report.seen += 1;
            if let Some(drawer) = drawer(word) {
                let message = format!("`{drawer}` in the module `{word}` does not say what is inside");
                report.add(path, line_of(&code, at), message, "the noun for what it holds");
            }
        }
        after_mod = word == "mod";
    }
    report
}

/// The word of a name that makes it a drawer.
fn drawer(name: &str) -> Option<&str> {
    name.split(['_', '-']).find(|word| DRAWERS.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_the_file_is() {
        let lines = |text: &str| first_line(&Tree::default(), "a.rs", text).lines();
        assert_eq!(lines("//! A lock.\nfn a() {}\n"), [0; 0]);
        for text in ["", "//!\n", "\n//! Late.\n", "// A lock.\n", "/// A lock.\n", "use std::fmt;\n"] {
            assert_eq!(lines(text), [1], "{text:?}");
        }
    }

    #[test]
    fn drawers_are_refused_wherever_they_stand() {
        let count = |path: &str| check(&Tree::default(), path, "").findings.len();
        for path in
            ["a/util.rs", "tests/common/mod.rs", "a/test_helpers.rs", "misc-notes.md", "a/enum.rs", "a/impl/b.rs"]
        {
            assert_eq!(count(path), 1, "{path}");
        }
        for path in ["a/utility.rs", "a/commons.rs", "a/types.rs", "docs/type.md", ".gitignore"] {
            assert_eq!(count(path), 0, "{path}");
        }
    }

    #[test]
    fn a_module_inside_a_file_is_no_drawer_either() {
        let report = modules(&Tree::default(), "a.rs", "//! mod util\nmod lock;\npub mod utils {}\n");
        assert_eq!((report.seen, report.lines()), (2, vec![3]));
    }
}
