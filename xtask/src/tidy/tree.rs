//! The files of the repository, without what a build puts there.

use super::Manifest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Folders that are not part of the source.
const SKIPPED: [&str; 2] = ["target", ".git"];

/// Endings of the files whose text the rules read.
const READ: [&str; 3] = [".rs", ".md", ".toml"];

/// Every path below the root, with `/` between the parts, and the text of the files that rules read.
#[derive(Debug, Default)]
pub struct Tree {
    texts: BTreeMap<String, String>,
    paths: BTreeSet<String>,
}

impl Tree {
    /// Reads everything below `root`.
    pub fn read(root: &Path) -> Tree {
        let mut tree = Tree::default();
        tree.walk(root, "");
        tree
    }

    /// A tree that exists only here, for tests.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
            tree.paths.extend(ends.map(|end| path[..end].to_owned()));
            tree.texts.insert((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    fn walk(&mut self, folder: &Path, prefix: &str) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"));
            } else {
                let read = READ.iter().any(|end| name.ends_with(end));
                // A file that is no UTF-8 text holds nothing that a rule could read; its name counts.
                let text = if read { std::fs::read_to_string(entry.path()).unwrap_or_default() } else { String::new() };
                self.texts.insert(path.clone(), text);
            }
            self.paths.insert(path);
        }
    }

    /// Every file with its text; empty for files that no rule reads.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether there is a file or a folder of that path, which may hold `.` and `..`.
    pub fn has(&self, path: &str) -> bool {
        resolved(path).is_some_and(|path| path.is_empty() || self.paths.contains(&path))
    }

    /// The manifests of the workspace's members: those that the root manifest lists, and those in the repository that these
    /// depend on.
    pub fn members(&self) -> BTreeSet<String> {
        let Some(root) = self.text("Cargo.toml").map(Manifest::read) else { return BTreeSet::new() };
        let list = root.value("workspace", "members").unwrap_or_default();
        let patterns: Vec<_> = list.split('"').skip(1).step_by(2).collect();
        let manifests = self.texts.keys().filter(|path| file_name(path) == "Cargo.toml");
        let listed = manifests.filter(|path| patterns.iter().any(|pattern| matches(pattern, folder(path))));
        let mut new: Vec<String> = listed.cloned().collect();
        let mut members = BTreeSet::new();
        while let Some(path) = new.pop() {
            let dependencies = self.text(&path).map(|text| Manifest::read(text).dependencies()).unwrap_or_default();
            if members.insert(path.clone()) {
                let folders = dependencies.into_iter().filter_map(|dependency| dependency.path);
                new.extend(folders.filter_map(|found| resolved(&format!("{}/{found}/Cargo.toml", folder(&path)))));
            }
        }
        members
    }
}

/// Whether a folder is what a member pattern means: the folder itself, or one directly below it for `folder/*`.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(parent) => !path.is_empty() && folder(path) == parent && path != parent,
        None => pattern == path,
    }
}

/// The folder that a file is in; empty for the root.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// A path without `.` and `..`, or none if it leaves the repository.
pub fn resolved(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_paths_too() {
        let tree = Tree::of(&[("crates/a/src/lib.rs", "")]);
        assert!(tree.has("crates/a/src"));
        assert!(tree.has("crates/a/../a/src/./lib.rs"));
        assert!(!tree.has("crates/b"));
        assert!(!tree.has("../elsewhere"));
    }

    #[test]
    fn members_are_those_that_the_root_lists_and_their_neighbours() {
        let files = [
            (
                "Cargo.toml",
                "[workspace]\nmembers = [\n    \"crates/*\",\n    \"xtask\", # ours\n]\nexclude = [\"bench\"]\n",
            ),
            ("crates/a/Cargo.toml", "[dependencies]\nb = { path = \"../../fixtures/b\" }\n"),
            ("crates/a/fixture/Cargo.toml", ""),
            ("fixtures/b/Cargo.toml", ""),
            ("xtask/Cargo.toml", ""),
            ("bench/Cargo.toml", ""),
        ];
        let members: Vec<_> = Tree::of(&files).members().into_iter().collect();
        assert_eq!(members, ["crates/a/Cargo.toml", "fixtures/b/Cargo.toml", "xtask/Cargo.toml"]);
    }

    #[test]
    fn the_real_tree_has_no_build_products() {
        let tree = Tree::read(&crate::root());
        assert!(tree.text("xtask/src/tidy/tree.rs").is_some_and(|text| text.starts_with("//!")));
        assert!(!tree.texts().any(|(path, _)| path.starts_with("target/") || path.starts_with(".git/")));
    }
}
