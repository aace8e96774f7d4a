//! `cargo xtask tidy`: the rules of this project that a machine can check.
//!
//! Each rule is a function over a file's path and text, with good and bad input in its own tests. It reports what it found
//! wrong, and how many of the things that it looks for it saw: a rule that saw none is a rule that no longer reads the
//! tree, and is a finding itself. CONTRIBUTING.md gives each rule's reason.

mod door;
mod finding;
mod floors;
mod links;
mod manifest;
mod members;
mod names;
mod prose;
mod readme;
mod safety;
mod size;
mod source;
mod tree;
mod words;

pub use tree::Tree;

use finding::{Finding, Report};
use manifest::Manifest;
use std::path::Path;

/// One rule: its name, the files that it reads, and what it says about one of them.
struct Rule {
    name: &'static str,
    reads: fn(&Tree, &str) -> bool,
    check: fn(&Tree, &str, &str) -> Report,
}

/// Every rule; CONTRIBUTING.md gives the reasons.
const RULES: [Rule; 14] = [
    Rule { name: "floors", reads: is_library_manifest, check: floors::check },
    Rule { name: "floors in ARCHITECTURE.md", reads: is_architecture, check: floors::agree },
    Rule { name: "one door", reads: is_rust, check: door::check },
    Rule { name: "one door, in manifests", reads: is_manifest, check: door::check_manifest },
    Rule { name: "first lines", reads: is_rust, check: names::first_line },
    Rule { name: "names of files", reads: is_anything, check: names::check },
    Rule { name: "names of modules", reads: is_rust, check: names::modules },
    Rule { name: "links and paths", reads: is_prose, check: links::check },
    Rule { name: "inheritance", reads: is_member, check: members::inheritance },
    Rule { name: "reasons of dependencies", reads: is_manifest, check: members::reasons },
    Rule { name: "banned words", reads: is_rust, check: words::check },
    Rule { name: "safety comments", reads: is_rust, check: safety::check },
    Rule { name: "the README's program", reads: is_readme, check: readme::check },
    Rule { name: "sizes", reads: size::applies, check: size::check },
];

/// Checks the repository at `root`, prints the findings, and tells whether there were none.
pub fn run(root: &Path) -> bool {
    let tree = Tree::read(root);
    let findings = findings(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} rules, {} findings", tree.texts().count(), RULES.len(), findings.len());
    findings.is_empty()
}

/// What every rule says about every file that it reads.
fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &RULES {
        let mut seen = 0;
        for (path, text) in tree.texts().filter(|(path, _)| (rule.reads)(tree, path)) {
            let report = (rule.check)(tree, path, text);
            seen += report.seen;
            findings.extend(report.findings);
        }
        if seen == 0 {
            let message = format!("the rule `{}` saw nothing that it looks for in the whole tree", rule.name);
            let instead = "a tree that has it, or a rule that reads the tree as it is";
            findings.push(Finding::new("xtask/src/tidy/mod.rs", 1, message, instead));
        }
    }
    findings
}

fn is_anything(_: &Tree, _: &str) -> bool {
    true
}

fn is_rust(_: &Tree, path: &str) -> bool {
    path.ends_with(".rs")
}

fn is_prose(_: &Tree, path: &str) -> bool {
    path.ends_with(".rs") || path.ends_with(".md")
}

fn is_manifest(_: &Tree, path: &str) -> bool {
    tree::file_name(path) == "Cargo.toml"
}

fn is_library_manifest(tree: &Tree, path: &str) -> bool {
    path.starts_with("crates/") && is_member(tree, path)
}

fn is_member(tree: &Tree, path: &str) -> bool {
    is_manifest(tree, path) && tree.members().contains(path)
}

fn is_architecture(_: &Tree, path: &str) -> bool {
    path == "ARCHITECTURE.md"
}

fn is_readme(_: &Tree, path: &str) -> bool {
    path == "README.md"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let findings = findings(&Tree::read(&crate::root()));
        let lines: Vec<_> = findings.iter().map(Finding::to_string).collect();
        assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
    }

    #[test]
    fn a_rule_that_sees_nothing_is_a_finding() {
        let findings = findings(&Tree::of(&[("src/lib.rs", "//! A crate.\n")]));
        assert!(findings.iter().any(|finding| finding.to_string().contains("`floors` saw nothing")));
        assert!(!findings.iter().any(|finding| finding.to_string().contains("`first lines` saw nothing")));
    }
}
