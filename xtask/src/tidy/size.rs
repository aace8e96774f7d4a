//! Sizes: a function fits a screen, and a file is one idea.

use super::Tree;
use super::finding::Report;
use super::source::{Source, closing, line_of, words};

/// The most lines of a function, from its `fn` to its closing brace.
const FUNCTION: usize = 70;

/// The most lines of a file, with its documentation and tests.
const FILE: usize = 500;

/// This file, which holds the exceptions.
const HERE: &str = "xtask/src/tidy/size.rs";

/// Something that may be larger: its file, its function (empty: the file itself), and why no seam is to be found in it.
type Exception = (&'static str, &'static str, &'static str);

/// What may be larger. An entry that is no longer needed is a finding.
const EXCEPTIONS: &[Exception] = &[];

/// The rule is for the crates and for this tool.
pub fn applies(_: &Tree, path: &str) -> bool {
    path.ends_with(".rs") && (path.starts_with("xtask/src/") || (path.starts_with("crates/") && path.contains("/src/")))
}

/// Measures a file and its functions.
pub fn check(tree: &Tree, path: &str, text: &str) -> Report {
    let mut report = measure(path, text, EXCEPTIONS);
    if path == HERE {
        for (missing, ..) in EXCEPTIONS.iter().filter(|(path, ..)| !tree.has(path)) {
            report.add(HERE, 1, format!("`{missing}` is excepted but does not exist"), "a list without it");
        }
    }
    report
}

/// Measures with the exceptions given.
fn measure(path: &str, text: &str, exceptions: &[Exception]) -> Report {
    let mut report = Report::default();
    let mut needed = Vec::new();
    let excepted = |name: &str| exceptions.iter().any(|(file, function, _)| (*file, *function) == (path, name));
    let lines = text.lines().count();
    if lines > FILE && excepted("") {
        needed.push("");
    } else if lines > FILE {
        report.add(
            path,
            1,
            format!("{lines} lines; a file is one idea of at most {FILE}"),
            "two files, split where the idea splits",
        );
    }
    let code = Source::new(text).code;
    for (line, name, length) in functions(&code) {
        report.seen += 1;
        if length > FUNCTION && excepted(name) {
            needed.push(name);
        } else if length > FUNCTION {
            let message = format!("`{name}` has {length} lines; a function fits a screen of {FUNCTION}");
            report.add(path, line, message, "functions for its parts");
        }
    }
    for (_, name, _) in exceptions.iter().filter(|(file, name, _)| *file == path && !needed.contains(name)) {
        report.add(path, 1, format!("the exception for `{name}` in {HERE} is no longer needed"), "a list without it");
    }
    report
}

/// The functions of a file that have a body: first line, name, and number of lines.
fn functions(code: &str) -> Vec<(usize, &str, usize)> {
    let mut found = Vec::new();
    for (at, _) in words(code).filter(|(_, word)| *word == "fn") {
        let rest = &code[at + "fn".len()..];
        // A type such as `fn(u64) -> u64` has no name.
        let Some((start, name)) = words(rest).next().filter(|(start, _)| rest[..*start].trim().is_empty()) else {
            continue;
        };
        let Some(open) = body(code, at + "fn".len() + start) else { continue };
        let line = line_of(code, at);
        found.push((line, name, line_of(code, closing(code, open)) - line + 1));
    }
    found
}

/// Where the body of the function whose signature starts at `at` opens, unless it has none.
fn body(code: &str, mut at: usize) -> Option<usize> {
    while let Some(next) = code[at..].find(['(', '[', '{', ';']) {
        at += next;
        match code.as_bytes()[at] {
            b'{' => return Some(at),
            b';' => return None,
            _ => at = (closing(code, at) + 1).min(code.len()),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function of `length` lines.
    fn function(length: usize) -> String {
        format!("fn long(a: [u8; 4]) -> u64 {{\n{}}}\n", "    a();\n".repeat(length - 2))
    }

    #[test]
    fn a_function_that_fits_a_screen_is_accepted() {
        let report = measure("a.rs", &function(70), &[]);
        assert_eq!((report.seen, report.lines()), (1, vec![]));
    }

    #[test]
    fn a_longer_function_is_refused_where_it_starts() {
        let report = measure("a.rs", &format!("//! A file.\n\n{}", function(71)), &[]);
        assert_eq!(report.lines(), [3]);
        assert!(report.text().contains("`long` has 71 lines"), "{}", report.text());
    }

    #[test]
    fn braces_in_text_do_not_count() {
        let text = format!("fn a() {{\n    f('{{', \"{{\"); // {{\n}}\n{}", "\n".repeat(100));
        assert_eq!(measure("a.rs", &text, &[]).lines(), [0; 0]);
    }

    #[test]
    fn types_and_declarations_have_no_body() {
        assert_eq!(
            functions("type F = fn(u64) -> u64;\ntrait A {\n    fn a(&self, b: [u8; 2]);\n    fn b(&self) {}\n}\n"),
            [(4, "b", 1)]
        );
    }

    #[test]
    fn a_file_is_one_idea() {
        assert_eq!(measure("a.rs", &"// A line.\n".repeat(500), &[]).lines(), [0; 0]);
        assert_eq!(measure("a.rs", &"// A line.\n".repeat(501), &[]).lines(), [1]);
    }

    #[test]
    fn an_exception_holds_while_it_is_needed() {
        let exceptions = [("a.rs", "long", "one table"), ("a.rs", "", "one protocol")];
        let text = format!("{}{}", function(71), "// A line.\n".repeat(500));
        assert_eq!(measure("a.rs", &text, &exceptions).lines(), [0; 0]);
        assert_eq!(measure("a.rs", &function(20), &exceptions).lines(), [1, 1]);
        assert_eq!(measure("b.rs", &function(71), &exceptions).lines(), [1]);
    }

    #[test]
    fn the_rule_is_for_crates_and_for_this_tool() {
        let applies = |path: &str| applies(&Tree::default(), path);
        assert!(applies("crates/a/src/b/c.rs") && applies(HERE));
        assert!(!applies("tests/crash.rs") && !applies("crates/a/README.md"));
    }
}
