//! Banned words: what is unfinished, left over from debugging, skipped, or waits by sleeping.

use super::Tree;
use super::finding::Report;
use super::source::{Source, line_of, words};

/// Macros that have no place in finished code, and what has.
const MACROS: [(&str, &str); 3] =
    [("todo", "an error, or finished code"), ("unimplemented", "an error, or finished code"), ("dbg", "a test")];

/// The one file below `tests/` that may sleep.
const PAUSE: &str = "tests/kit/pause.rs";

/// Looks through a Rust file.
pub fn check(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report::default();
    let source = Source::new(text);
    let code = source.code.as_str();
    for (at, word) in words(code) {
        let rest = &code[at + word.len()..];
        let line = line_of(code, at);
        if rest.starts_with('!') && !rest.starts_with("!=") {
            report.seen += 1;
            if let Some((_, instead)) = MACROS.iter().find(|(name, _)| *name == word) {
                report.add(path, line, format!("`{word}!` in finished code"), *instead);
            }
        }
        if word == "ignore" && is_attribute(code, at) {
            report.add(path, line, "a test that never runs", "a test that runs, or none");
        }
        let sleeps = word.ends_with("sleep") || word.starts_with("sleep_");
        if sleeps && rest.starts_with('(') && path.starts_with("tests/") && path != PAUSE {
            report.add(
                path,
                line,
                "sleeping is not synchronising",
                format!("an event, a pipe, or what {PAUSE} offers"),
            );
        }
    }
    for (index, line) in source.comments.lines().enumerate() {
        let block = line.trim_start().trim_start_matches(['/', '!', ' ']).strip_prefix("```");
        if block.is_some_and(|language| language.split(',').any(|word| word.trim().starts_with("ignore"))) {
            report.add(path, index + 1, "an example that is never compiled", "one that compiles, or `text`");
        }
    }
    blanks(&mut report, path, text);
    report
}

/// Blanks at the ends of lines, and tabs.
fn blanks(report: &mut Report, path: &str, text: &str) {
    for (index, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t']) {
            report.add(path, index + 1, "a blank at the end of the line", "none");
        }
        if line.contains('\t') {
            report.add(path, index + 1, "a tab", "four blanks, or `\\t` in a string");
        }
    }
}

/// Whether a place lies in an attribute: its line starts one.
fn is_attribute(code: &str, at: usize) -> bool {
    let start = code[..at].rfind('\n').map_or(0, |end| end + 1);
    code[start..at].contains("#[")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of findings in a file.
    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::default(), path, text).lines()
    }

    #[test]
    fn unfinished_code_is_refused() {
        assert_eq!(
            lines(
                "a.rs",
                "fn a() {\n    todo!()\n}\nfn b() {\n    unimplemented!(\"b\")\n}\nfn c() {\n    dbg!(1);\n}\n"
            ),
            [2, 5, 8]
        );
    }

    #[test]
    fn words_in_comments_and_strings_are_free() {
        assert_eq!(lines("a.rs", "// No todo! here, no #[ignore].\nlet a = \"dbg!(1)\";\nif todo != 1 {}\n"), [0; 0]);
    }

    #[test]
    fn a_test_that_never_runs_is_refused() {
        assert_eq!(lines("a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n"), [2]);
        assert_eq!(lines("a.rs", "#[cfg_attr(miri, ignore)]\nfn a() {}\nlet ignore = 1;\n"), [1]);
        assert_eq!(lines("a.rs", "/// ```ignore\n/// a()\n/// ```\n//! ```rust,ignore\n/// ```no_run\n"), [1, 4]);
    }

    #[test]
    fn tests_sleep_in_one_file_only() {
        let text = "std::thread::sleep(pause);\n";
        assert_eq!(lines("tests/kit/watchdog.rs", text), [1]);
        assert_eq!(lines("tests/crash.rs", "nanosleep(&time);\nthread::sleep_ms(3);\n"), [1, 2]);
        assert_eq!(lines(PAUSE, text), [0; 0]);
        assert_eq!(lines("examples/examples/tutorial.rs", text), [0; 0]);
    }

    #[test]
    fn blanks_at_line_ends_and_tabs_are_refused() {
        assert_eq!(lines("a.rs", "fn a() {} \n\tfn b() {}\nfn c() {}\n"), [1, 2]);
    }

    #[test]
    fn macros_are_what_the_rule_must_see() {
        assert_eq!(check(&Tree::default(), "a.rs", "println!(\"a\");\nassert!(a != b);\n").seen, 2);
    }
}
