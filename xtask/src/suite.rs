//! `cargo xtask test`: every test of the workspace, or the quick ones, and the count at the end.

use crate::count::{Count, Runner};
use crate::loom;
use crate::step::{self, Step};
use crate::tidy::Tree;
use std::process::Stdio;

/// The feature that lets a test fail a call to the operating system: on in the run of the whole workspace.
pub const FAULTS: &str = "multiprocess-sys/faults";

/// Runs the tests that the arguments choose, and prints the count as the last line.
pub fn run(arguments: &[String]) -> bool {
    let (quick, names) = match arguments.split_first() {
        Some((first, rest)) if first == "quick" => (true, rest),
        _ => (false, arguments),
    };
    if let Some(option) = names.iter().find(|name| name.starts_with('-')) {
        eprintln!("`{option}` is not a part of a test's name: use cargo nextest or cargo test for their options");
        return false;
    }
    let count = all(quick, names);
    println!("{count}");
    succeeded(count)
}

/// Runs the full or the quick set and returns the sum, in which a step that fails otherwise counts as one failure.
pub fn all(quick: bool, names: &[String]) -> Count {
    let runner = installed();
    let steps = if quick {
        vec![programs(runner, "unit tests", &["--workspace", "--lib", "--bins"], names)]
    } else {
        full(runner, names, &libraries())
    };
    let mut sum = Count::default();
    let mut failed = Vec::new();
    for step in &steps {
        let outcome = step.run();
        sum += outcome.count;
        if !outcome.success {
            failed.push(step.title.as_str());
        }
    }
    println!();
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    if sum == Count::default() {
        println!("no test ran");
    }
    sum
}

/// Whether a run is good: something was tested, and nothing failed.
pub fn succeeded(count: Count) -> bool {
    count.failed == 0 && count.passed > 0
}

/// Nextest if it is installed: it runs each test in a process of its own, and sees leaks and hangs.
fn installed() -> Runner {
    let mut command = step::cargo();
    command.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if step::succeeds(&mut command) { Runner::Nextest } else { Runner::Cargo }
}

/// The steps of the full run. The programs come first, because the cross-process tests start them.
fn full(runner: Runner, names: &[String], libraries: &[String]) -> Vec<Step> {
    let mut released = Vec::new();
    libraries.iter().for_each(|library| released.extend(["-p", library]));
    let mut steps = vec![
        Step::cargo("example programs", ["build", "-p", "multiprocess-examples", "--all-targets"]),
        Step::cargo("test programs", ["build", "-p", "multiprocess-tests", "--all-targets"]),
        programs(runner, "unit and cross-process tests", &["--workspace", "--features", FAULTS], names),
        // The seam is compiled away here, as it is for the crates' users.
        programs(runner, "unit tests without the faults", &released, names),
    ];
    let documentation = ["test", "--doc", "--workspace", "--no-fail-fast"];
    let separator = (!names.is_empty()).then_some("--");
    let arguments = documentation.into_iter().chain(separator).chain(names.iter().map(String::as_str));
    steps.push(Step::cargo("documentation tests", arguments).counted(Runner::Cargo));
    if names.is_empty() {
        steps.push(loom::all_models());
    }
    steps
}

/// The step that runs the tests of the `chosen` packages and targets, all but those in documentation.
fn programs(runner: Runner, title: &str, chosen: &[&str], names: &[String]) -> Step {
    let chosen = chosen.iter().copied();
    let names = names.iter().map(String::as_str);
    match runner {
        Runner::Nextest => {
            let arguments = ["nextest", "run", "--no-fail-fast"].into_iter().chain(chosen).chain(names);
            // The names may match tests of another step only; whether any test ran at all is judged at the end.
            Step::cargo(title, arguments).variable("NEXTEST_NO_TESTS", "pass").counted(runner)
        }
        Runner::Cargo => {
            let targets = (!chosen.clone().any(|argument| argument == "--lib")).then_some("--tests");
            let arguments = ["test", "--no-fail-fast"].into_iter().chain(chosen).chain(targets);
            Step::cargo(title, arguments.chain(["--"]).chain(names)).counted(runner)
        }
    }
}

/// The names of the library crates, which are the names of their folders.
pub fn libraries() -> Vec<String> {
    let members = Tree::read(&crate::root()).members();
    members
        .iter()
        .filter_map(|path| path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command lines of a list of steps.
    fn lines(steps: &[Step]) -> Vec<String> {
        steps.iter().map(|step| step.arguments.join(" ")).collect()
    }

    #[test]
    fn the_programs_are_built_before_the_tests_that_start_them() {
        let lines = lines(&full(Runner::Nextest, &[], &["multiprocess".to_owned(), "multiprocess-sys".to_owned()]));
        let expected = [
            "build -p multiprocess-examples --all-targets",
            "build -p multiprocess-tests --all-targets",
            "nextest run --no-fail-fast --workspace --features multiprocess-sys/faults",
            "nextest run --no-fail-fast -p multiprocess -p multiprocess-sys",
            "test --doc --workspace --no-fail-fast",
        ];
        assert_eq!(lines[..5], expected);
        assert!(lines[5].starts_with("test --release -p multiprocess-core --target-dir target/loom"), "{lines:?}");
    }

    #[test]
    fn plain_cargo_takes_the_place_of_nextest() {
        let lines = lines(&full(Runner::Cargo, &["dies".to_owned()], &[]));
        assert_eq!(lines[2], "test --no-fail-fast --workspace --features multiprocess-sys/faults --tests -- dies");
        assert_eq!(lines[4], "test --doc --workspace --no-fail-fast -- dies");
    }

    #[test]
    fn the_quick_set_has_no_cross_process_test() {
        let names = ["parcel".to_owned()];
        let step = programs(Runner::Cargo, "unit tests", &["--workspace", "--lib", "--bins"], &names);
        assert_eq!(step.arguments.join(" "), "test --no-fail-fast --workspace --lib --bins -- parcel");
    }

    #[test]
    fn a_run_without_a_test_is_no_success() {
        assert!(!succeeded(Count::default()));
        assert!(!succeeded(Count { passed: 5, failed: 1 }));
        assert!(succeeded(Count { passed: 5, failed: 0 }));
    }

    #[test]
    fn an_option_is_no_name() {
        assert!(!run(&["--nocapture".to_owned()]));
    }

    #[test]
    fn the_libraries_are_found() {
        let libraries = libraries();
        assert!(libraries.contains(&"multiprocess-sys".to_owned()), "only {libraries:?}");
        assert!(!libraries.contains(&"xtask".to_owned()), "too many: {libraries:?}");
    }
}
