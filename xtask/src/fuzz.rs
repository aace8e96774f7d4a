//! `cargo xtask fuzz`: the targets of `fuzz/`, built with a nightly compiler's coverage and sanitizer, one after the other.
//!
//! The compiler is called as cargo-fuzz does, which therefore need not be installed; `cargo +nightly fuzz run` works on the
//! same folder.

use crate::step;
use crate::tidy::Tree;
use std::process::{Command, Stdio};

/// The workspace of the targets.
const MANIFEST: &str = "fuzz/Cargo.toml";

/// How long a target runs if nobody says.
const SECONDS: u64 = 60;

/// An input that takes longer than this counts as a failure, in seconds.
const TIMEOUT: u64 = 20;

/// What makes the compiler tell the fuzzer where an input leads, and the address sanitizer watch.
const FLAGS: [&str; 8] = [
    "--cfg fuzzing",
    "-Zsanitizer=address",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    /// One target; all of them if none is named.
    target: Option<String>,
    /// For each target.
    seconds: u64,
}

/// Runs the targets that the arguments choose. An input that fails is kept below fuzz/artifacts.
pub fn run(arguments: &[String]) -> bool {
    let all = targets();
    let wish = match Wish::read(arguments) {
        Ok(wish) => wish,
        Err(text) => {
            eprintln!("{text}\n\ncargo xtask fuzz [target] [--seconds N]; the targets: {}", all.join(", "));
            return false;
        }
    };
    let chosen: Vec<_> = all.iter().filter(|name| wish.target.as_ref().is_none_or(|target| target == *name)).collect();
    if chosen.is_empty() {
        eprintln!("there is no such target; the targets: {}", all.join(", "));
        return false;
    }
    let Some(host) = nightly_host() else {
        eprintln!(
            "fuzzing needs a nightly compiler, which is not installed: `rustup toolchain install nightly --profile minimal` \
             brings it (cargo-fuzz is not needed)"
        );
        return false;
    };
    if !step::succeeds(&mut nightly("build", &host, &["--bins"])) {
        eprintln!("the targets cannot be built");
        return false;
    }
    let failed: Vec<_> = chosen.into_iter().filter(|name| !fuzz(name, &host, wish.seconds)).collect();
    for name in &failed {
        println!("target {name} failed: look for the input in fuzz/artifacts/{name}");
    }
    failed.is_empty()
}

impl Wish {
    fn read(arguments: &[String]) -> Result<Wish, String> {
        let mut wish = Wish { target: None, seconds: SECONDS };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == "--seconds" {
                let number = arguments.next().and_then(|number| number.parse().ok()).filter(|seconds| *seconds > 0);
                wish.seconds = number.ok_or("`--seconds` is followed by a number above 0")?;
            } else if argument.starts_with('-') || wish.target.is_some() {
                return Err(format!("`{argument}` is not understood"));
            } else {
                wish.target = Some(argument.clone());
            }
        }
        Ok(wish)
    }
}

/// The names of the targets, which are the names of their files.
fn targets() -> Vec<String> {
    let tree = Tree::read(&crate::root());
    let names = tree.texts().filter_map(|(path, _)| path.strip_prefix("fuzz/fuzz_targets/")?.strip_suffix(".rs"));
    names.map(str::to_owned).collect()
}

/// The platform that the nightly compiler runs on; none without such a compiler.
fn nightly_host() -> Option<String> {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "rustc", "-vV"]).stderr(Stdio::null());
    host(&String::from_utf8(command.output().ok()?.stdout).ok()?)
}

/// The platform in what `rustc -vV` prints.
fn host(printed: &str) -> Option<String> {
    printed.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// Runs one target for some seconds, from the inputs that earlier runs have kept.
fn fuzz(name: &str, host: &str, seconds: u64) -> bool {
    let (corpus, artifacts) = (format!("fuzz/corpus/{name}"), format!("fuzz/artifacts/{name}/"));
    for folder in [&corpus, &artifacts] {
        if let Err(error) = std::fs::create_dir_all(crate::root().join(folder)) {
            eprintln!("making the folder {folder}: {error}");
            return false;
        }
    }
    println!("\n=== target {name}, {seconds} s");
    let prefix = format!("-artifact_prefix={artifacts}");
    let (time, patience) = (format!("-max_total_time={seconds}"), format!("-timeout={TIMEOUT}"));
    step::succeeds(&mut nightly("run", host, &["--bin", name, "--", &corpus, &prefix, &time, &patience]))
}

/// A command of the nightly cargo about the targets.
fn nightly(command_name: &str, host: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", command_name, "--release", "--manifest-path", MANIFEST, "--target", host]);
    command.args(arguments);
    // The cargo that runs this program says which compiler to use; this is another one.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command.env("RUSTFLAGS", FLAGS.join(" ")).current_dir(crate::root()).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of words.
    fn read(words: &[&str]) -> Result<Wish, String> {
        Wish::read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn target_and_time_are_read_in_either_order() {
        let expected = Wish { target: Some("parcel".to_owned()), seconds: 5 };
        assert_eq!(read(&["parcel", "--seconds", "5"]).as_ref(), Ok(&expected));
        assert_eq!(read(&["--seconds", "5", "parcel"]).as_ref(), Ok(&expected));
        assert_eq!(read(&[]), Ok(Wish { target: None, seconds: SECONDS }));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for words in [&["--seconds"][..], &["--seconds", "0"], &["--seconds", "x"], &["-x"], &["parcel", "request"]] {
            assert!(read(words).is_err(), "{words:?}");
        }
        assert!(!run(&["there-is-no-such-target".to_owned()]));
    }

    #[test]
    fn each_target_is_a_program_of_the_manifest() {
        let manifest = std::fs::read_to_string(crate::root().join(MANIFEST)).expect("the manifest can be read");
        let targets = targets();
        assert!(targets.contains(&"parcel".to_owned()), "only {targets:?}");
        for name in targets {
            let entry = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"");
            assert!(manifest.contains(&entry), "{name} is not in {MANIFEST}");
        }
    }

    #[test]
    fn the_platform_is_found_in_what_the_compiler_says() {
        assert_eq!(host("rustc 1.0\nhost: x86_64-unknown-linux-gnu\n").as_deref(), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(host("error: toolchain is not installed"), None);
    }
}
