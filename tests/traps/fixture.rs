//! Programs and libraries of `tests/fixtures`, built as a user would build them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a fixture may take to build and run: the first builds the library and all it needs.
pub const LIMIT: Duration = Duration::from_secs(600);

/// How a fixture is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As `cargo build` does it.
    Dev,
    /// With fat link-time optimisation, which moves constructors between crates.
    Fat,
    /// With panics that abort.
    Abort,
}

/// Builds the package of a fixture; the folder with what came of it.
///
/// It goes to a target folder of its own inside the one in use, so that neither waits for the other's lock nor builds
/// with the features that these tests turn on.
pub fn build(package: &str, profile: Profile) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures");
    let (profile, folder) = match profile {
        Profile::Dev => ("dev", "debug"),
        Profile::Fat => ("fat", "fat"),
        Profile::Abort => ("abort", "abort"),
    };
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", package, "--profile", profile, "--target-dir"])
        .arg(&target)
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "building {package} with profile {profile}: {}\n{said}", output.status);
    target.join(folder)
}

/// Builds a fixture that is a program, and runs it; what it printed.
pub fn run(package: &str, profile: Profile) -> String {
    let program = build(package, profile).join(package);
    let output = Command::new(&program).output().expect("a fixture can be run");
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {}\n{printed}\n{said}", program.display(), output.status);
    printed.into_owned()
}
