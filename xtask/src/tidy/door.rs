//! One door: only the crate `multiprocess-sys` names an operating system, and in it one file chooses.

use super::Tree;
use super::finding::Report;
use super::manifest::Manifest;
use super::source::{Source, closing, line_of, words};

/// The crate that is the door.
const DOOR: &str = "crates/multiprocess-sys/";

/// The file in it that chooses.
const CHOOSER: &str = "crates/multiprocess-sys/src/imp.rs";

/// Conditions of compilation that tell operating systems apart.
const CONDITIONS: [&str; 6] = ["target_os", "target_env", "target_family", "target_vendor", "unix", "windows"];

/// Packages that are an operating system's calls.
const SYSTEMS: [&str; 2] = ["libc", "rustix"];

/// Where `rustix` may be used beside the door: what these folders hold looks at processes from outside.
const OBSERVERS: [&str; 3] = ["tests/", "examples/", "bench/"];

/// What may use `libc` all the same, and why.
const EXCEPTIONS: [(&str, &str); 3] = [
    ("bench/src/fork.rs", "the reference that a start is compared with is a plain fork, which rustix does not offer"),
    ("bench/src/peers.rs", "the mutex of the C library is a peer"),
    ("bench/Cargo.toml", "for those files"),
];

/// Looks for conditions and system calls in a Rust file.
pub fn check(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report::default();
    let code = Source::new(text).code;
    for (at, word) in words(&code) {
        let line = line_of(&code, at);
        if let Some(condition) = condition(&code, at, word) {
            report.seen += 1;
            if path != CHOOSER {
                let message = format!("the condition `{condition}` chooses a platform outside {CHOOSER}");
                let inside = path.starts_with(DOOR);
                let instead =
                    if inside { "what that file chooses" } else { "what multiprocess-sys offers on every platform" };
                report.add(path, line, message, instead);
            }
        } else if SYSTEMS.contains(&word) && !may_use(path, word) {
            report.add(
                path,
                line,
                format!("`{word}` outside {DOOR}"),
                format!("{} of multiprocess-sys", offer(path, word)),
            );
        } else if word == "linux" && code[..at].ends_with("os::") && !path.starts_with(DOOR) {
            report.add(path, line, format!("`std::os::linux` outside {DOOR}"), "a function of multiprocess-sys");
        }
    }
    report
}

/// Looks for system packages, and for tables that hold on some platforms only, in a manifest.
pub fn check_manifest(_: &Tree, path: &str, text: &str) -> Report {
    let mut report = Report::default();
    for dependency in Manifest::read(text).dependencies() {
        let package = dependency.package.as_str();
        if SYSTEMS.contains(&package) {
            report.seen += 1;
            if !may_use(path, package) {
                let offer = format!("{} of multiprocess-sys", offer(path, package));
                report.add(path, dependency.line, format!("`{package}` outside {DOOR}"), offer);
            }
        }
        if !path.starts_with(DOOR) && words(&dependency.table).any(|(_, word)| CONDITIONS.contains(&word)) {
            let message = format!("`{package}` depends on the platform outside {DOOR}");
            report.add(path, dependency.line, message, "a dependency for every platform");
        }
    }
    report
}

/// The condition that the `cfg`, `cfg_attr` or `cfg!` at a place names, if it tells operating systems apart.
fn condition<'a>(code: &'a str, at: usize, word: &str) -> Option<&'a str> {
    if word != "cfg" && word != "cfg_attr" {
        return None;
    }
    let rest = code[at + word.len()..].trim_start_matches(['!', ' ', '\n']);
    let open = code.len() - rest.len();
    if !rest.starts_with('(') {
        return None;
    }
    words(&code[open..closing(code, open)]).map(|(_, word)| word).find(|word| CONDITIONS.contains(word))
}

fn may_use(path: &str, package: &str) -> bool {
    let excepted = EXCEPTIONS.iter().any(|(file, _)| *file == path);
    path.starts_with(DOOR)
        || excepted
        || (package == "rustix" && OBSERVERS.iter().any(|folder| path.starts_with(folder)))
}

/// What to use in place of a system package, as the start of a phrase.
fn offer(path: &str, package: &str) -> &'static str {
    let observer = OBSERVERS.iter().any(|folder| path.starts_with(folder));
    if observer && package == "libc" { "rustix, or a function" } else { "a function" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of findings in a Rust file.
    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::default(), path, text).lines()
    }

    const PROCESS: &str = "crates/multiprocess-process/src/lib.rs";

    #[test]
    fn every_spelling_of_a_condition_is_seen() {
        for text in [
            "#[cfg(target_os = \"linux\")]\nfn a() {}",
            "#[cfg(not(unix))]",
            "#[cfg_attr(windows, path = \"a.rs\")]",
            "#![cfg(all(feature = \"a\", target_family = \"unix\"))]",
            "if cfg!(target_env = \"musl\") {}",
        ] {
            assert_eq!(lines(PROCESS, text), [1], "{text}");
            assert_eq!(lines("tests/kit/mod.rs", text), [1], "{text}");
            assert_eq!(lines(CHOOSER, text), [0; 0], "{text}");
            assert_eq!(lines("crates/multiprocess-sys/src/linux/mod.rs", text), [1], "{text}");
        }
    }

    #[test]
    fn a_condition_over_several_lines_is_found_where_it_starts() {
        assert_eq!(lines(PROCESS, "\n#[cfg(any(\n    feature = \"a\",\n    unix,\n))]\n"), [2]);
    }

    #[test]
    fn other_conditions_are_free() {
        assert_eq!(lines(PROCESS, "#[cfg(test)]\n#[cfg(feature = \"unix\")]\nlet cfg = unix(windows);"), [0; 0]);
    }

    #[test]
    fn system_calls_belong_to_the_door() {
        for text in ["let a = libc::getpid();", "use rustix::fd::OwnedFd;", "use std::os::linux::fs::MetadataExt;"] {
            assert_eq!(lines(PROCESS, text), [1], "{text}");
            assert_eq!(lines("crates/multiprocess-sys/src/linux/process.rs", text), [0; 0], "{text}");
        }
        assert_eq!(
            lines(PROCESS, "use std::os::fd::OwnedFd; // not libc::\nuse std::os::unix::process::CommandExt;"),
            [0; 0]
        );
    }

    #[test]
    fn tests_may_observe_with_rustix_but_not_with_libc() {
        assert_eq!(lines("tests/crash.rs", "use rustix::process::kill_process;\nlet a = libc::fork();"), [2]);
        assert_eq!(lines("xtask/src/main.rs", "use rustix::process::kill_process;"), [1]);
    }

    #[test]
    fn the_reference_of_the_benchmarks_may_fork() {
        assert_eq!(lines("bench/src/fork.rs", "let pid = unsafe { libc::fork() };"), [0; 0]);
        assert_eq!(lines("bench/src/main.rs", "let pid = unsafe { libc::fork() };"), [1]);
    }

    #[test]
    fn the_chooser_s_conditions_are_what_the_rule_must_see() {
        assert_eq!(check(&Tree::default(), CHOOSER, "#[cfg(target_os = \"linux\")]\nmod linux;").seen, 1);
        assert_eq!(check(&Tree::default(), PROCESS, "fn a() {}").seen, 0);
    }

    #[test]
    fn manifests_keep_to_the_door_too() {
        let lines = |path: &str, text: &str| check_manifest(&Tree::default(), path, text).lines();
        let text = "[dependencies]\nlibc = \"0.2\"\nrustix = \"1\"\n";
        assert_eq!(lines("crates/multiprocess-sys/Cargo.toml", text), [0; 0]);
        assert_eq!(lines("crates/multiprocess-process/Cargo.toml", text), [2, 3]);
        assert_eq!(lines("tests/Cargo.toml", text), [2]);
        assert_eq!(lines("tests/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nserde = \"1\"\n"), [2]);
    }
}
