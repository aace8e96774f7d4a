//! `cargo xtask ci`: what continuous integration runs, the same for everyone.

use crate::count::Count;
use crate::step::{self, Step};
use crate::{suite, tidy};
use std::process::Stdio;
use std::time::Instant;

/// The tools beside cargo and rustc that the steps need: cargo's command, and the component that brings it.
const TOOLS: [(&str, &str); 2] = [("fmt", "rustfmt"), ("clippy", "clippy")];

/// The workspaces of their own. They are formatted here but not built: their dependencies are heavy.
const OTHER_WORKSPACES: [&str; 2] = ["bench", "fuzz"];

/// Runs every step, also after a failure, and prints the count as the last line.
///
/// A step that is no test run and fails counts as one failure.
pub fn run() -> bool {
    let missing: Vec<_> = TOOLS.iter().filter(|(tool, _)| !works(tool)).collect();
    for (tool, component) in &missing {
        eprintln!("`cargo {tool}` does not work: install it with `rustup component add {component}`");
    }
    if !missing.is_empty() {
        return false;
    }
    let mut failed = Vec::new();
    for step in before_tidy() {
        if !step.run().success {
            failed.push(step.title);
        }
    }
    let start = Instant::now();
    println!("\n=== tidy");
    let tidied = tidy::run(&crate::root());
    step::report("tidy", tidied, start);
    if !tidied {
        failed.push("tidy".to_owned());
    }
    let documentation = documentation(std::env::var("RUSTDOCFLAGS").ok());
    if !documentation.run().success {
        failed.push(documentation.title);
    }
    let mut count = suite::all(false, &[]);
    if !failed.is_empty() {
        println!("failed before the tests: {}", failed.join(", "));
    }
    count += Count { passed: 0, failed: failed.len() as u64 };
    println!("{count}");
    suite::succeeded(count)
}

/// Whether cargo has the command.
fn works(tool: &str) -> bool {
    step::succeeds(step::cargo().args([tool, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Formatting and clippy.
fn before_tidy() -> Vec<Step> {
    let mut steps = vec![Step::cargo("formatting", ["fmt", "--all", "--check"])];
    for folder in OTHER_WORKSPACES {
        let manifest = format!("{folder}/Cargo.toml");
        if crate::root().join(&manifest).is_file() {
            let title = format!("formatting of {folder}");
            steps.push(Step::cargo(&title, ["fmt", "--manifest-path", &manifest, "--check"]));
        }
    }
    let warnings = ["--all-targets", "--", "-D", "warnings"];
    let workspace = ["clippy", "--workspace", "--features", suite::FAULTS];
    steps.push(Step::cargo("clippy", workspace.into_iter().chain(warnings)));
    // The seam is compiled away here, as it is for the crates' users.
    let libraries = suite::libraries();
    let released = libraries.iter().flat_map(|library| ["-p", library]);
    steps.push(Step::cargo("clippy without the faults", ["clippy"].into_iter().chain(released).chain(warnings)));
    steps
}

/// The documentation without a warning, beside the flags that the caller has set.
fn documentation(flags: Option<String>) -> Step {
    let flags = flags.map_or_else(|| "-D warnings".to_owned(), |flags| format!("{flags} -D warnings"));
    Step::cargo("documentation", ["doc", "--workspace", "--no-deps"]).variable("RUSTDOCFLAGS", flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatting_and_clippy_come_first() {
        let titles: Vec<_> = before_tidy().into_iter().map(|step| step.title).collect();
        assert_eq!(titles.first().map(String::as_str), Some("formatting"));
        assert!(titles.contains(&"clippy".to_owned()), "no clippy in {titles:?}");
        assert!(titles.contains(&"clippy without the faults".to_owned()), "only one clippy in {titles:?}");
    }

    #[test]
    fn the_caller_s_flags_are_kept() {
        let step = documentation(Some("--cfg docsrs".to_owned()));
        assert_eq!(step.variables, [("RUSTDOCFLAGS".to_owned(), "--cfg docsrs -D warnings".to_owned())]);
    }

    #[test]
    fn a_missing_tool_is_seen() {
        assert!(!works("there-is-no-such-command"));
    }
}
