//! What documents and comments point at: links, and the repository's paths between backticks.

/// Folders that a path between backticks starts with if it means a place in the repository.
const FOLDERS: [&str; 9] =
    ["crates/", "tests/", "examples/", "xtask/", "bench/", "fuzz/", ".cargo/", ".ci/", ".config/"];

/// Something that a text points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The line, counted from 1.
    pub line: usize,
    /// What stands there, without the title of a link and without the line number behind a path.
    pub target: String,
    /// How it stands there.
    pub form: Form,
}

/// How a text points at something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `[text](target)` or `[text]: target`.
    Link,
    /// A word between backticks that starts with one of the repository's folders.
    Path,
}

/// What a Markdown document points at, outside its code blocks.
pub fn in_document(text: &str) -> Vec<Mention> {
    mentions(text.lines())
}

/// What comments point at, given a file with all else left blank.
pub fn in_comments(comments: &str) -> Vec<Mention> {
    mentions(comments.lines().map(|line| line.trim_start().trim_start_matches('/').trim_start_matches('!')))
}

/// The titles of a document as the ends of links to them: lower case, blanks as hyphens, no other punctuation.
pub fn anchors(text: &str) -> Vec<String> {
    let titles = outside_blocks(text.lines()).filter(|(_, line)| line.starts_with('#'));
    titles.map(|(_, line)| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|next| next.is_alphanumeric() || matches!(next, ' ' | '-' | '_'));
    kept.map(|next| if next == ' ' { '-' } else { next }).collect::<String>().to_lowercase()
}

/// Numbered lines that are not inside a fenced block.
fn outside_blocks<'a>(lines: impl Iterator<Item = &'a str>) -> impl Iterator<Item = (usize, &'a str)> {
    let mut inside = false;
    lines.enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        (!inside && !fence).then_some((index + 1, line))
    })
}

fn mentions<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Mention> {
    let mut found = Vec::new();
    for (line, text) in outside_blocks(lines) {
        let mut add = |target: &str, form| found.push(Mention { line, target: target.to_owned(), form });
        if let Some(target) = definition(text) {
            add(target, Form::Link);
        }
        // Every second part is between backticks.
        for (index, part) in text.split('`').enumerate() {
            if index % 2 == 0 {
                links(part).for_each(|target| add(target, Form::Link));
            } else {
                paths(part).for_each(|target| add(target, Form::Path));
            }
        }
    }
    found
}

/// The target of a line of the form `[text]: target`.
fn definition(line: &str) -> Option<&str> {
    let (label, target) = line.trim().strip_prefix('[')?.split_once("]: ")?;
    (!label.starts_with('^') && !label.contains(']')).then(|| target.split_whitespace().next()).flatten()
}

/// The targets of the links in a text.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let rests = text.match_indices("](").map(|(at, found)| &text[at + found.len()..]);
    rests.filter_map(|rest| rest.split_once(')')?.0.split_whitespace().next())
}

/// The words of a text that are places in the repository. A word with a placeholder in it means many places, or none.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split_whitespace().map(|word| word.trim_matches(['"', '\'', ',', ';', '(', ')']));
    let words = words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
    words.filter(|word| !word.contains(['*', '{', '<', '…', '$']) && !word.contains("...")).map(without_line)
}

/// A path without the line number, the place in the text, or the full stop behind it.
fn without_line(path: &str) -> &str {
    let path = path.split(['#', ':']).next().unwrap_or(path);
    path.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The targets in a document.
    fn targets(text: &str) -> Vec<String> {
        in_document(text).into_iter().map(|mention| mention.target).collect()
    }

    #[test]
    fn links_of_every_form_are_seen() {
        let text = "See [a](one.md), [`b`](two.md#part \"title\") and ![c](three.png).\n[d]: four.md\n[^1]: a note\n";
        assert_eq!(targets(text), ["one.md", "two.md#part", "three.png", "four.md"]);
    }

    #[test]
    fn paths_between_backticks_are_seen() {
        let text = "In `crates/a/src/lib.rs:12`, `cargo run --manifest-path bench/Cargo.toml`, `tests/`; not `target/a` or crates/b.";
        assert_eq!(targets(text), ["crates/a/src/lib.rs", "bench/Cargo.toml", "tests/"]);
    }

    #[test]
    fn placeholders_are_no_paths() {
        assert_eq!(targets("`crates/*/Cargo.toml`, `crates/...`, `tests/<name>.rs`, `crates/a/{b,c}.rs`"), [""; 0]);
    }

    #[test]
    fn blocks_are_left_out() {
        assert_eq!(targets("```text\n[a](one.md) `tests/b`\n```\n[c](two.md)\n"), ["two.md"]);
    }

    #[test]
    fn comments_are_read_line_by_line() {
        let comments =
            "//! See [a](../README.md).\n\n    /// ```\n    /// [b](c)\n    /// ```\n    // In `tests/kit`.\n";
        let found: Vec<_> =
            in_comments(comments).into_iter().map(|mention| (mention.line, mention.target, mention.form)).collect();
        assert_eq!(found, [(1, "../README.md".to_owned(), Form::Link), (6, "tests/kit".to_owned(), Form::Path)]);
    }

    #[test]
    fn titles_become_anchors() {
        assert_eq!(
            anchors("# How a child starts (Linux, `glibc`)\n```\n# no title\n```\n## R1 - two_words\n"),
            ["how-a-child-starts-linux-glibc", "r1---two_words"]
        );
    }
}
