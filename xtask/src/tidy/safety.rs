//! Safety comments give a reason: a phrase that stands in for one is refused. (That there is a comment, clippy checks.)

use super::Tree;
use super::finding::Report;
use super::source::Source;

/// Phrases that read like a reason and are none.
const PLACEHOLDERS: [&str; 4] = ["as above", "obviously", "untriaged", "behaves"];

/// Looks through every comment that starts with `SAFETY:`, to its end.
pub fn check(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report::default();
    let comments = Source::new(text).comments;
    let mut inside = false;
    for (index, line) in comments.lines().enumerate() {
        let start = line.contains("SAFETY:");
        report.seen += usize::from(start);
        inside = start || (inside && line.trim_start().starts_with("//"));
        let said = line.to_lowercase();
        let said = format!(" {} ", said.split(|next: char| !next.is_alphanumeric()).collect::<Vec<_>>().join(" "));
        let placeholder = PLACEHOLDERS.iter().find(|phrase| said.contains(&format!(" {phrase} ")));
        if let Some(phrase) = placeholder.filter(|_| inside) {
            let message = format!("`{phrase}` in a safety comment is no reason");
            report.add(path, index + 1, message, "the promise relied on and why it holds here");
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rule saw, and the lines of its findings.
    fn run(text: &str) -> (usize, Vec<usize>) {
        let report = check(&Tree::default(), "a.rs", text);
        (report.seen, report.lines())
    }

    #[test]
    fn a_reason_is_accepted() {
        assert_eq!(run("// SAFETY: `fd` is open: it was made two lines above.\nunsafe { f(fd) }\n"), (1, vec![]));
    }

    #[test]
    fn placeholders_are_refused_on_every_line_of_the_comment() {
        assert_eq!(run("// SAFETY: as above\nunsafe { f() }\n"), (1, vec![1]));
        assert_eq!(run("// SAFETY: the call\n// behaves.\nunsafe { f() }\n"), (1, vec![2]));
        assert_eq!(run("unsafe { f() } // SAFETY: Obviously right.\n"), (1, vec![1]));
    }

    #[test]
    fn other_comments_may_say_so() {
        assert_eq!(
            run("// SAFETY: the fd is open.\nf();\n// It behaves, obviously; a misbehaving one does not.\n"),
            (1, vec![])
        );
        assert_eq!(run("// SAFETY: a process that misbehaves cannot reach it.\n"), (1, vec![]));
        assert_eq!(run("let text = \"// SAFETY: as above\";\n"), (0, vec![]));
    }
}
