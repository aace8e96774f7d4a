//! Programs that must not build, and the words that the compiler then says to their author.
//!
//! Each program in this folder states after `//~` what the compiler's complaint has to contain. A closure that
//! captures is refused when its call is instantiated, which `cargo check` does not do: so every program is really
//! built. All are binaries of one scratch package, so that the library itself is built once.

use multiprocess_tests::watchdog::watched;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The one program that must build: it shows that the scratch package is sound, so that a refusal means what it says.
const ACCEPTED: &str = "accepted";

/// A first build compiles the library and its dependencies.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn wrong_programs_are_refused_with_words_that_help() {
    watched("building programs that must not build", PATIENCE, || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("compile_fail");
        let programs = programs(&folder);
        let package = scratch_package(&programs);

        let control = build(&package, ACCEPTED);
        assert!(
            control.built,
            "a correct program does not build, so no refusal below would mean anything:\n{}",
            control.said
        );

        let failures: Vec<String> = programs.iter().filter_map(|program| complaint(&package, program)).collect();
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    });
}

#[test]
fn every_program_states_what_it_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("compile_fail");
    let programs = programs(&folder);
    assert!(programs.len() > 10, "only {} programs found in {}", programs.len(), folder.display());
    for program in programs.iter().filter(|program| program.name != ACCEPTED) {
        assert!(!program.expected.is_empty(), "{} has no line that begins with //~", program.path.display());
    }
}

/// One program of this folder.
struct Program {
    name: String,
    path: PathBuf,
    expected: Vec<String>,
}

/// All programs of the folder, by name; this file is not one of them.
fn programs(folder: &Path) -> Vec<Program> {
    let mut programs: Vec<Program> = fs::read_dir(folder)
        .expect("the folder of this suite can be listed")
        .map(|entry| entry.expect("an entry of the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("main.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a program can be read");
            let expected =
                text.lines().filter_map(|line| line.strip_prefix("//~")).map(|words| words.trim().to_owned());
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            Program { name, expected: expected.collect(), path }
        })
        .collect();
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    programs
}

/// Writes a package with one binary for each program. It is a workspace of its own, or it would be taken for a lost
/// member of ours.
fn scratch_package(programs: &[Program]) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests have a folder above them");
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    fs::create_dir_all(&package).expect("the scratch package can be made");

    let library = repository.join("crates/multiprocess");
    let mut manifest = format!(
        "[package]\nname = \"wrong-programs\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [workspace]\n\n[dependencies]\nmultiprocess = {{ path = {library:?} }}\n"
    );
    for program in programs {
        let _ = write!(manifest, "\n[[bin]]\nname = {:?}\npath = {:?}\n", program.name, program.path);
    }
    fs::write(package.join("Cargo.toml"), manifest).expect("the scratch manifest can be written");
    // The same versions as everywhere else, which are also those that are on this machine already.
    fs::copy(repository.join("Cargo.lock"), package.join("Cargo.lock")).expect("the lock file can be copied");
    package
}

/// What a build came to.
struct Build {
    built: bool,
    said: String,
}

fn build(package: &Path, program: &str) -> Build {
    let output = Command::new(env!("CARGO"))
        .current_dir(package)
        .args(["build", "--quiet", "--bin", program])
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env("CARGO_TERM_COLOR", "never")
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo can be run");
    Build { built: output.status.success(), said: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// What is wrong with the compiler's answer to this program; nothing if it is refused with all the words.
fn complaint(package: &Path, program: &Program) -> Option<String> {
    if program.name == ACCEPTED {
        return None;
    }
    let build = build(package, &program.name);
    if build.built {
        return Some(format!("{} was built, it should have been refused", program.name));
    }
    let missing: Vec<&String> = program.expected.iter().filter(|words| !build.said.contains(*words)).collect();
    (!missing.is_empty())
        .then(|| format!("{} is refused without saying {missing:?}; the compiler said:\n{}", program.name, build.said))
}
