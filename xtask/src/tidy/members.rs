//! Manifests: members inherit what the workspace says once, and each dependency has a reason beside it.

use super::Tree;
use super::finding::Report;
use super::manifest::Manifest;

/// The package fields that every member takes from the workspace.
const INHERITED: [&str; 4] = ["edition", "rust-version", "license", "version"];

/// A member's manifest inherits the lints and the fields.
pub fn inheritance(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report { seen: 1, ..Report::default() };
    let manifest = Manifest::read(text);
    if manifest.value("lints", "workspace") != Some("true") && !manifest.inherits("", "lints") {
        report.add(path, 1, "the workspace's lints do not apply here", "`[lints]` with `workspace = true`");
    }
    for field in INHERITED {
        if !manifest.inherits("package", field) {
            report.add(path, 1, format!("`{field}` is not inherited"), format!("`{field}.workspace = true`"));
        }
    }
    report
}

/// A manifest gives each dependency's reason, and holds nothing that this tool cannot read.
pub fn reasons(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report::default();
    let manifest = Manifest::read(text);
    for line in &manifest.unread {
        report.add(path, *line, "tidy cannot read this line", "one `key = value` for each entry");
    }
    for dependency in manifest.dependencies() {
        report.seen += 1;
        if !dependency.reason {
            let message = format!("no reason is given for depending on `{}`", dependency.package);
            report.add(path, dependency.line, message, "a comment on its line or the line above");
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
[package]
name = \"multiprocess-sys\"
version.workspace = true
edition = { workspace = true }
rust-version.workspace = true
license.workspace = true

[lints]
workspace = true

[dependencies]
# System calls.
rustix = { workspace = true }
";

    #[test]
    fn a_manifest_that_inherits_is_accepted() {
        assert_eq!(inheritance(&Tree::default(), "Cargo.toml", GOOD).text(), "");
        let report = reasons(&Tree::default(), "Cargo.toml", GOOD);
        assert_eq!((report.seen, report.text().as_str()), (1, ""));
    }

    #[test]
    fn a_manifest_that_forgets_is_refused() {
        for (wrong, right) in [
            ("workspace = false", "workspace = true\n\n[dependencies]"),
            ("edition = \"2024\"", "edition = { workspace = true }"),
            ("version = \"0.1.0\"", "\nversion.workspace = true"),
        ] {
            let text = GOOD.replacen(right, wrong, 1);
            assert_ne!(text, GOOD);
            assert_eq!(inheritance(&Tree::default(), "Cargo.toml", &text).lines(), [1], "{wrong}");
        }
    }

    #[test]
    fn a_dependency_without_a_reason_is_refused() {
        let text = GOOD.replace("# System calls.\n", "");
        assert_eq!(reasons(&Tree::default(), "Cargo.toml", &text).lines(), [13]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_refused() {
        assert_eq!(reasons(&Tree::default(), "Cargo.toml", "[package]\nnonsense\n").lines(), [2]);
    }
}
