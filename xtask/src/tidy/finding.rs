//! What a rule reports: how much it saw, and what it found wrong, where, and what would be right.

use std::fmt;

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    path: String,
    line: usize,
    message: String,
    instead: String,
}

impl Finding {
    /// A finding; `instead` completes the phrase "use … instead".
    pub fn new(path: &str, line: usize, message: impl Into<String>, instead: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, message: message.into(), instead: instead.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}, use {} instead", self.path, self.line, self.message, self.instead)
    }
}

/// What a rule says about one file.
#[derive(Debug, Default)]
pub struct Report {
    /// How many of the things that the rule looks for were there, right or wrong.
    pub seen: usize,
    /// Those that were wrong.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Adds a finding.
    pub fn add(&mut self, path: &str, line: usize, message: impl Into<String>, instead: impl Into<String>) {
        self.findings.push(Finding::new(path, line, message, instead));
    }

    /// The lines of the findings, for tests.
    #[cfg(test)]
    pub fn lines(&self) -> Vec<usize> {
        self.findings.iter().map(|finding| finding.line).collect()
    }

    /// The findings' text, for tests.
    #[cfg(test)]
    pub fn text(&self) -> String {
        self.findings.iter().map(|finding| format!("{finding}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_promised() {
        let finding = Finding::new("crates/a/src/util.rs", 3, "`util` says nothing", "a noun");
        assert_eq!(finding.to_string(), "crates/a/src/util.rs:3: `util` says nothing, use a noun instead");
    }
}
