//! A Cargo manifest, read line by line, because the rules are about its comments too.
//!
//! It understands what this project writes: tables, `key = value` with a value over one or more lines, and comments. What it
//! does not understand it reports, so that nothing is passed over.

/// A manifest's entries.
#[derive(Debug, Default)]
pub struct Manifest {
    entries: Vec<Entry>,
    /// Numbers of the lines that are neither a table, an entry, a comment nor blank.
    pub unread: Vec<usize>,
}

/// One `key = value`, or one table header (with an empty key).
#[derive(Debug, Default)]
struct Entry {
    line: usize,
    table: String,
    key: String,
    value: String,
    reason: bool,
}

/// What a manifest says that it depends on.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The line of the entry, counted from 1.
    pub line: usize,
    /// The package's name, also where the manifest gives it another one.
    pub package: String,
    /// `dependencies`, `dev-dependencies` or `build-dependencies`.
    pub kind: String,
    /// The table in which it stands.
    pub table: String,
    /// The folder that it lies in, as written from the manifest's own, if it is one of the repository's.
    pub path: Option<String>,
    /// Whether a comment stands on its line or on the line above.
    pub reason: bool,
}

impl Manifest {
    /// Reads a manifest.
    pub fn read(text: &str) -> Manifest {
        let mut manifest = Manifest::default();
        let mut table = String::new();
        let mut commented = false;
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let (mut content, comment) = split_comment(line);
            let mut reason = commented || comment;
            commented = comment && content.is_empty();
            if content.is_empty() {
                continue;
            }
            let mut entry = Entry { line: index + 1, reason, ..Entry::default() };
            if let Some(header) = content.strip_prefix('[') {
                table = header.trim_start_matches('[').trim_end_matches(']').trim().to_owned();
                entry.table.clone_from(&table);
                manifest.entries.push(entry);
                continue;
            }
            while depth(&content) > 0 {
                let Some((_, line)) = lines.next() else { break };
                let (more, comment) = split_comment(line);
                reason |= comment;
                content = format!("{content} {more}");
            }
            match content.split_once('=') {
                Some((key, value)) => {
                    entry.table.clone_from(&table);
                    entry.key = key.trim().to_owned();
                    entry.value = value.trim().to_owned();
                    entry.reason = reason;
                    manifest.entries.push(entry);
                }
                None => manifest.unread.push(index + 1),
            }
        }
        manifest
    }

    /// The value of a key of a table, as it is written.
    pub fn value(&self, table: &str, key: &str) -> Option<&str> {
        self.entries.iter().find(|entry| entry.table == table && entry.key == key).map(|entry| entry.value.as_str())
    }

    /// Whether a key is taken from the workspace: `key.workspace = true` or `key = { workspace = true }`.
    pub fn inherits(&self, table: &str, key: &str) -> bool {
        self.value(table, &format!("{key}.workspace")) == Some("true")
            || self.value(table, key).is_some_and(|value| value.replace(' ', "") == "{workspace=true}")
    }

    /// Every dependency, of whatever kind; the workspace's own table is left out, because it says which version, not who
    /// uses it and why.
    pub fn dependencies(&self) -> Vec<Dependency> {
        self.entries.iter().filter_map(Entry::dependency).collect()
    }
}

impl Entry {
    /// The dependency that an entry of a dependency table or the header of a dependency's own table is.
    fn dependency(&self) -> Option<Dependency> {
        let parts = parts(&self.table);
        let (kind, name) = match (parts.as_slice(), self.key.is_empty()) {
            ([.., kind], false) => (*kind, parts_of_key(&self.key)),
            ([.., kind, name], true) => (*kind, (*name).to_owned()),
            _ => return None,
        };
        let known = ["dependencies", "dev-dependencies", "build-dependencies"].contains(&kind);
        if !known || parts.first() == Some(&"workspace") {
            return None;
        }
        Some(Dependency {
            line: self.line,
            package: self.text("package").unwrap_or(name),
            kind: kind.to_owned(),
            table: self.table.clone(),
            path: self.text("path"),
            reason: self.reason,
        })
    }

    /// The string that the entry's inline table holds under a key.
    fn text(&self, key: &str) -> Option<String> {
        let (_, rest) = self.value.split_once(&format!("{key} = \""))?;
        rest.split_once('"').map(|(text, _)| text.to_owned())
    }
}

/// The first part of a dotted key, without quotes.
fn parts_of_key(key: &str) -> String {
    parts(key).first().copied().unwrap_or_default().to_owned()
}

/// The parts of a dotted name; a part in quotes may hold dots.
fn parts(name: &str) -> Vec<&str> {
    let mut quote = None;
    let split = name.split(|next: char| match quote {
        Some(open) => {
            if next == open {
                quote = None;
            }
            false
        }
        None => {
            if next == '"' || next == '\'' {
                quote = Some(next);
            }
            next == '.'
        }
    });
    split.map(|part| part.trim().trim_matches(['"', '\''])).collect()
}

/// A line without its comment, and whether it has one.
fn split_comment(line: &str) -> (String, bool) {
    let mut quote = None;
    for (at, next) in line.char_indices() {
        match (next, quote) {
            ('#', None) => return (line[..at].trim().to_owned(), true),
            ('"' | '\'', None) => quote = Some(next),
            (next, Some(open)) if next == open => quote = None,
            _ => {}
        }
    }
    (line.trim().to_owned(), false)
}

/// How many brackets and braces are open at the end of a text, outside its strings.
fn depth(text: &str) -> i32 {
    let mut quote = None;
    let mut depth = 0;
    for next in text.chars() {
        match (next, quote) {
            ('"' | '\'', None) => quote = Some(next),
            (next, Some(open)) if next == open => quote = None,
            ('[' | '{', None) => depth += 1,
            (']' | '}', None) => depth -= 1,
            _ => {}
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The packages of a manifest's dependencies with their kinds and whether they have a reason.
    fn dependencies(text: &str) -> Vec<(String, String, bool)> {
        let dependencies = Manifest::read(text).dependencies();
        dependencies.into_iter().map(|found| (found.package, found.kind, found.reason)).collect()
    }

    #[test]
    fn every_spelling_of_a_dependency_is_read() {
        let text = "
[dependencies]
# Why.
one = { workspace = true }
two = \"1\"
three.workspace = true # why
four = { package = \"real-four\", features = [
    \"a\", # why this feature
] }

[target.'cfg(unix)'.dependencies]
five = \"1\"

# Why.
[dev-dependencies.six]
version = \"1\"
";
        let expected = [
            ("one", "dependencies", true),
            ("two", "dependencies", false),
            ("three", "dependencies", true),
            ("real-four", "dependencies", true),
            ("five", "dependencies", false),
            ("six", "dev-dependencies", true),
        ];
        assert_eq!(dependencies(text), expected.map(|(name, kind, reason)| (name.to_owned(), kind.to_owned(), reason)));
    }

    #[test]
    fn the_workspace_s_table_and_the_package_s_are_no_dependencies() {
        assert_eq!(
            dependencies("[workspace.dependencies]\nserde = \"1\"\n[package]\nname = \"a\"\n[features]\nb = []\n"),
            []
        );
    }

    #[test]
    fn inheritance_is_read_in_both_spellings() {
        let manifest =
            Manifest::read("[package]\nversion.workspace = true\nedition = { workspace = true }\nlicense = \"MIT\"\n");
        assert!(manifest.inherits("package", "version") && manifest.inherits("package", "edition"));
        assert!(!manifest.inherits("package", "license") && !manifest.inherits("package", "rust-version"));
    }

    #[test]
    fn a_hash_in_a_string_is_no_comment() {
        assert_eq!(Manifest::read("[package]\nname = \"a#b\" # c\n").value("package", "name"), Some("\"a#b\""));
    }

    #[test]
    fn what_is_not_understood_is_reported() {
        assert_eq!(Manifest::read("[package]\nname = \"a\"\nnonsense\n").unread, [3]);
    }
}
