//! Floors: a crate depends only on crates of lower floors, so that each can be understood, tested and used without those above.

use super::finding::Report;
use super::manifest::Manifest;
use super::{Tree, tree};

/// The crates and their floors, as ARCHITECTURE.md draws them.
const FLOORS: [(u32, &str); 9] = [
    (4, "multiprocess"),
    (3, "multiprocess-pool"),
    (2, "multiprocess-process"),
    (2, "multiprocess-channel"),
    (1, "multiprocess-sync"),
    (1, "multiprocess-shm"),
    (1, "multiprocess-parcel"),
    (0, "multiprocess-core"),
    (0, "multiprocess-sys"),
];

/// Who may use a crate that stands beside it on the same floor.
const BESIDE: [(&str, &str); 3] = [
    ("multiprocess-sync", "multiprocess-shm"),
    ("multiprocess-sync", "multiprocess-parcel"),
    ("multiprocess-shm", "multiprocess-parcel"),
];

/// The drawing's file.
const DRAWING: &str = "ARCHITECTURE.md";

/// Holds a library crate's manifest against the floors. Dependencies of tests are free.
pub fn check(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report::default();
    let manifest = Manifest::read(text);
    let name = manifest.value("package", "name").unwrap_or_default().trim_matches('"');
    if tree::file_name(tree::folder(path)) != name {
        report.add(path, 1, format!("the package `{name}` lies in another folder"), "a folder with the package's name");
    }
    let Some(own) = floor(name) else {
        report.add(
            path,
            1,
            format!("`{name}` stands on no floor"),
            "a line for it in the tables of xtask and of ARCHITECTURE.md",
        );
        return report;
    };
    for dependency in manifest.dependencies() {
        let package = dependency.package.as_str();
        if dependency.kind == "dev-dependencies" || !package.starts_with("multiprocess") {
            continue;
        }
        report.seen += 1;
        let lower = floor(package).is_some_and(|floor| floor < own);
        if !lower && !BESIDE.contains(&(name, package)) {
            let message = format!("`{name}` on floor {own} depends on `{package}`, which is not below it");
            report.add(path, dependency.line, message, "a crate of a lower floor");
        }
    }
    report
}

/// Holds the table here against the drawing: the fenced block with lines of the form `floor 2  name  text`.
pub fn agree(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report::default();
    let drawn = drawn(text);
    report.seen = drawn.len();
    for (line, floor, name) in &drawn {
        if !FLOORS.contains(&(*floor, name)) {
            let message = format!("`{name}` is drawn on floor {floor}, which xtask/src/tidy/floors.rs does not say");
            report.add(path, *line, message, "the same floor in both tables");
        }
    }
    for (floor, name) in FLOORS {
        if !drawn.iter().any(|(_, drawn_floor, drawn_name)| (*drawn_floor, *drawn_name) == (floor, name)) {
            report.add(
                path,
                1,
                format!("`{name}` is not drawn on floor {floor}"),
                format!("a drawing in {DRAWING} with all crates"),
            );
        }
    }
    report
}

/// The crates that the drawing names, with line and floor.
fn drawn(text: &str) -> Vec<(usize, u32, &str)> {
    let mut drawn = Vec::new();
    let mut fenced = false;
    let mut floor = None;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            fenced = !fenced;
            floor = None;
            continue;
        }
        let mut words = line.split_whitespace();
        let first = words.next();
        if !fenced || first.is_none() {
            continue;
        }
        let name = if first == Some("floor") {
            floor = words.next().and_then(|number| number.parse().ok());
            words.next()
        } else {
            first.filter(|name| line.starts_with(' ') && name.starts_with("multiprocess"))
        };
        if let (Some(floor), Some(name)) = (floor, name) {
            drawn.push((index + 1, floor, name));
        }
    }
    drawn
}

fn floor(name: &str) -> Option<u32> {
    FLOORS.iter().find(|(_, known)| *known == name).map(|(floor, _)| *floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rule says about a crate with the dependencies given.
    fn manifest(name: &str, dependencies: &str) -> Report {
        let text = format!("[package]\nname = \"{name}\"\n{dependencies}\n");
        check(&Tree::default(), &format!("crates/{name}/Cargo.toml"), &text)
    }

    #[test]
    fn a_lower_floor_may_be_used() {
        let report =
            manifest("multiprocess-process", "[dependencies]\nmultiprocess-sys.workspace = true\nserde = \"1\"");
        assert_eq!((report.seen, report.text().as_str()), (1, ""));
    }

    #[test]
    fn a_higher_floor_may_not_be_used() {
        let report = manifest("multiprocess-sys", "[dependencies]\nmultiprocess-parcel = { workspace = true }");
        assert_eq!(report.lines(), [4]);
    }

    #[test]
    fn neighbours_do_not_know_each_other() {
        assert_eq!(manifest("multiprocess-channel", "[dependencies]\nmultiprocess-process = \"1\"").lines(), [4]);
        assert_eq!(manifest("multiprocess-process", "[dependencies]\nmultiprocess-channel = \"1\"").lines(), [4]);
        assert_eq!(
            manifest("multiprocess-core", "[target.'cfg(x)'.dependencies]\nmultiprocess-sys = \"1\"").lines(),
            [4]
        );
    }

    #[test]
    fn sync_may_use_shm_and_parcel_beside_it_but_not_the_other_way() {
        assert_eq!(
            manifest("multiprocess-sync", "[dependencies]\nmultiprocess-shm = \"1\"\nmultiprocess-parcel = \"1\"")
                .lines(),
            [0; 0]
        );
        assert_eq!(manifest("multiprocess-shm", "[dependencies]\nmultiprocess-sync = \"1\"").lines(), [4]);
    }

    #[test]
    fn tests_may_use_anything() {
        assert_eq!(manifest("multiprocess-sys", "[dev-dependencies]\nmultiprocess = \"1\"").lines(), [0; 0]);
    }

    #[test]
    fn a_renamed_dependency_is_seen() {
        assert_eq!(
            manifest("multiprocess-core", "[dependencies]\nos = { package = \"multiprocess-sys\" }").lines(),
            [4]
        );
    }

    #[test]
    fn an_unknown_crate_is_a_finding() {
        assert_eq!(manifest("multiprocess-misc", "").lines(), [1]);
        assert_eq!(manifest("multiprocess-sys", "[dependencies]\nmultiprocess-tests = \"1\"").lines(), [4]);
    }

    #[test]
    fn a_package_in_another_folder_is_a_finding() {
        let report = check(&Tree::default(), "crates/system/Cargo.toml", "[package]\nname = \"multiprocess-sys\"\n");
        assert_eq!(report.lines(), [1]);
    }

    /// A drawing that agrees with the table.
    fn drawing() -> String {
        let rows: String = FLOORS.iter().map(|(floor, name)| format!("floor {floor}   {name}    text\n")).collect();
        format!("# Architecture\n\n```\n{rows}```\n")
    }

    #[test]
    fn a_drawing_that_agrees_is_accepted() {
        let text = drawing().replace("floor 2   multiprocess-channel", "          multiprocess-channel");
        let report = agree(&Tree::default(), DRAWING, &text);
        assert_eq!((report.seen, report.text().as_str()), (FLOORS.len(), ""));
    }

    #[test]
    fn a_drawing_that_differs_is_refused() {
        let text = drawing().replace("floor 3   multiprocess-pool", "floor 2   multiprocess-pool");
        assert_eq!(agree(&Tree::default(), DRAWING, &text).lines(), [5, 1]);
        assert_eq!(agree(&Tree::default(), DRAWING, "no drawing").seen, 0);
    }
}
