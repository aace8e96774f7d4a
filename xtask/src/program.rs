//! `cargo xtask examples`, `bench`, `crash` and `soak`: the programs that a person looks at.

use crate::step::{self, Step};
use std::path::Path;

/// Builds the example programs in release mode and runs one after the other.
pub fn examples() -> bool {
    let names = names(&crate::root().join("examples/examples"));
    if names.is_empty() {
        eprintln!("there is no program in examples/examples");
        return false;
    }
    let build = ["build", "--release", "-p", "multiprocess-examples", "--examples"];
    if !Step::cargo("building the examples", build).run().success {
        return false;
    }
    let mut failed = Vec::new();
    for name in &names {
        let run = ["run", "--quiet", "--release", "-p", "multiprocess-examples", "--example", name];
        if !Step::cargo(name, run).run().success {
            failed.push(name.as_str());
        }
    }
    if failed.is_empty() {
        println!("\n{} examples, all of them succeeded", names.len());
    } else {
        println!("\n{} examples, failed: {}", names.len(), failed.join(", "));
    }
    failed.is_empty()
}

/// The names of the example programs in a folder, in order: `name.rs` and `name/main.rs`.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let programs =
        entries.filter(|path| path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").is_file());
    let mut names: Vec<_> = programs.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    names
}

/// Runs the benchmarks, which are a workspace of their own, with the arguments given.
pub fn bench(arguments: &[String]) -> bool {
    let manifest = "bench/Cargo.toml";
    if !crate::root().join(manifest).is_file() {
        eprintln!("there is no {manifest}");
        return false;
    }
    let mut command = step::cargo();
    command.args(["run", "--release", "--manifest-path", manifest, "--"]).args(arguments);
    step::succeeds(&mut command)
}

/// Kills processes after the instructions of the operations on shared objects, or of those with one of the names given in
/// theirs. Without `--all`, long loops that wait or copy are thinned out.
pub fn crash(arguments: &[String]) -> bool {
    let (points, names) = match arguments.split_first() {
        Some((first, rest)) if first == "--all" => ("all", rest),
        _ => ("most", arguments),
    };
    let arguments = ["every-instruction", points].into_iter().chain(names.iter().map(String::as_str));
    test_program("multiprocess-test-program", arguments)
}

/// Runs random operations on shared objects with random kills, for as long and with the seed that the arguments say.
pub fn soak(arguments: &[String]) -> bool {
    test_program("multiprocess-soak", arguments.iter().map(String::as_str))
}

/// Runs a program of the tests in release mode.
fn test_program<'a>(name: &str, arguments: impl Iterator<Item = &'a str>) -> bool {
    let mut command = step::cargo();
    command.args(["run", "--quiet", "--release", "-p", "multiprocess-tests", "--bin", name, "--"]).args(arguments);
    step::succeeds(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_order() {
        // This package's own sources: one module is a folder without a `main.rs`, and does not count.
        let names = names(&crate::root().join("xtask/src"));
        assert_eq!(names, ["ci", "count", "fuzz", "loom", "main", "program", "step", "suite"]);
    }

    #[test]
    fn a_missing_folder_holds_no_program() {
        assert_eq!(names(Path::new("/there/is/no/such/folder")), [""; 0]);
    }
}
