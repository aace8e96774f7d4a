//! The project's own commands, run as `cargo xtask <command>`: `cargo xtask help` lists them.

mod ci;
mod count;
mod fuzz;
mod loom;
mod program;
mod step;
mod suite;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What `cargo xtask help` prints.
const HELP: &str = "\
cargo xtask <command>

  test [names..]    everything: unit, cross-process and documentation tests of every crate
  test quick        unit tests only, in seconds
  tidy              the rules that a machine can check (see CONTRIBUTING.md)
  ci                formatting, clippy, tidy, documentation and test: what continuous integration runs
  examples          runs every example program, in release mode
  bench [args..]    the benchmarks; the arguments are theirs
  loom [names..]    every interleaving of the protocols of multiprocess-core, as their models see it
  loom --mutate     the same with each ordering weakened, which a model must notice; exit code 1 if none does
  crash [--all] [names..]
                    processes killed after every instruction of the operations on shared objects, as a table; without
                    `--all`, each seventh inside long loops
  soak [--seconds N] [--seed S] [--only PART]
                    random operations on shared objects, channels and pools, random kills; exit code 1 if anything was
                    wrong; a PART is objects, messages or pools
  fuzz [target] [--seconds N]
                    the targets of fuzz/, each for a minute or N seconds; needs a nightly compiler
  help              this list

Names after `test` choose tests by a part of their name. A run ends with `N passed, N failed`.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let success = match command {
        "test" => suite::run(rest),
        "tidy" if rest.is_empty() => tidy::run(&root()),
        "ci" if rest.is_empty() => ci::run(),
        "examples" if rest.is_empty() => program::examples(),
        "bench" => program::bench(rest),
        "loom" => loom::run(rest),
        "crash" => program::crash(rest),
        "soak" => program::soak(rest),
        "fuzz" => fuzz::run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            true
        }
        _ => {
            eprint!("`{}` is not a command.\n\n{HELP}", arguments.join(" "));
            false
        }
    };
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The repository's root: the folder above this package.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.toml").is_file(), "no manifest in {}", root().display());
    }

    #[test]
    fn help_lists_every_command() {
        for command in [
            "test",
            "test quick",
            "tidy",
            "ci",
            "examples",
            "bench",
            "loom",
            "loom --mutate",
            "crash",
            "soak",
            "fuzz",
            "help",
        ] {
            assert!(HELP.contains(&format!("\n  {command} ")), "{command} is missing");
        }
    }
}
