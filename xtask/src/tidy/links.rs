//! Links and paths: what documents and comments point at exists, so that they cannot turn false quietly.

use super::Tree;
use super::finding::Report;
use super::prose::{self, Form, Mention};
use super::source::Source;
use super::tree::{folder, resolved};

/// Looks at everything that a document or a Rust file's comments point at.
pub fn check(tree: &Tree, path: &str, text: &str) -> Report {
    let document = path.ends_with(".md");
    let mentions = if document { prose::in_document(text) } else { prose::in_comments(&Source::new(text).comments) };
    let mut report = Report::default();
    for Mention { line, target, form } in mentions {
        match form {
            Form::Path => {
                report.seen += 1;
                if !exists(tree, &bases(tree, path), &target) {
                    report.add(path, line, format!("the path `{target}` does not exist"), "one that does");
                }
            }
            Form::Link if is_file(&target, document) => {
                report.seen += 1;
                if let Some(message) = dead(tree, path, text, &target) {
                    report.add(path, line, message, "a link to what exists");
                }
            }
            Form::Link => {}
        }
    }
    report
}

/// Whether a link means a file of the repository, and neither a place elsewhere nor an item that rustdoc resolves.
fn is_file(target: &str, document: bool) -> bool {
    let elsewhere = target.contains("://") || target.starts_with("mailto:") || target.contains("::");
    let ends = [".md", ".rs", ".toml"];
    !elsewhere && (document || target.contains('/') || ends.iter().any(|end| target.ends_with(end)))
}

/// What is wrong with a link to a file, or to a title in it.
fn dead(tree: &Tree, path: &str, text: &str, target: &str) -> Option<String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let document = path.ends_with(".md");
    // A document is read where it lies; documentation is read elsewhere, so the base of its links is anybody's guess.
    let bases = if document { vec![folder(path).to_owned()] } else { bases(tree, path) };
    if !file.is_empty() && !exists(tree, &bases, file) {
        return Some(format!("the link `{target}` leads nowhere"));
    }
    let linked = if file.is_empty() { Some(text) } else { tree.text(&resolved(&format!("{}/{file}", folder(path)))?) };
    let titled = file.is_empty() || file.ends_with(".md");
    let missing = document
        && titled
        && !anchor.is_empty()
        && linked.is_some_and(|text| !prose::anchors(text).contains(&anchor.to_owned()));
    missing.then(|| format!("the link `{target}` leads to a title that does not exist"))
}

/// The folders that a path may be meant from: the root, the file's own, its package's.
fn bases(tree: &Tree, path: &str) -> Vec<String> {
    let mut package = folder(path);
    while !package.is_empty() && !tree.has(&format!("{package}/Cargo.toml")) {
        package = folder(package);
    }
    vec![String::new(), folder(path).to_owned(), package.to_owned()]
}

fn exists(tree: &Tree, bases: &[String], target: &str) -> bool {
    bases.iter().any(|base| tree.has(&format!("{base}/{target}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small repository.
    fn tree() -> Tree {
        Tree::of(&[
            ("README.md", "# Title\n\n## What it does\n"),
            ("tests/kit/pause.rs", ""),
            ("crates/a/Cargo.toml", ""),
            ("crates/a/README.md", "# a\n"),
            ("crates/a/src/linux/mod.rs", ""),
            ("crates/a/examples/hello.rs", ""),
        ])
    }

    /// The lines of findings in one file of it.
    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&tree(), path, text).lines()
    }

    #[test]
    fn live_links_are_accepted() {
        let text = "[a](../../README.md)\n[b](../../README.md#what-it-does)\n[c](src/linux)\n[d](#a)\n# a\n[e](https://example.org/x)\n";
        let report = check(&tree(), "crates/a/README.md", text);
        assert_eq!((report.seen, report.text().as_str()), (4, ""));
    }

    #[test]
    fn dead_links_are_found() {
        assert_eq!(
            lines("crates/a/README.md", "[a](README2.md)\n[b](../../../README.md)\n[c](src/lib.rs)\n"),
            [1, 2, 3]
        );
        assert_eq!(lines("README.md", "# Title\n[a](crates/a/README.md#b)\n[b](#titel)\n"), [2, 3]);
    }

    #[test]
    fn dead_paths_are_found_in_documents_and_comments() {
        assert_eq!(lines("README.md", "`tests/kit/pause.rs` and `tests/kit/`\n`crates/b`\n"), [2]);
        assert_eq!(
            lines(
                "crates/a/src/lib.rs",
                "//! `crates/a/src/linux/mod.rs`\n// `tests/kit/wait.rs`\nf(\"`crates/b`\");\n"
            ),
            [2]
        );
    }

    #[test]
    fn a_path_may_start_at_the_package() {
        assert_eq!(lines("crates/a/src/linux/mod.rs", "// See `examples/hello.rs`.\n"), [0; 0]);
    }

    #[test]
    fn items_in_documentation_are_rustdoc_s_business() {
        let text = "//! [`a`](Error::kind) [b](std::fmt) [c](Error) [d](https://example.org/README.md)\n//! [e](../README.md) [f](../MISSING.md)\n";
        assert_eq!(lines("crates/a/src/lib.rs", text), [2]);
    }
}
