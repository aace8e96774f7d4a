//! `cargo xtask loom`: the interleavings of the protocols, and whether the models would notice a weaker ordering.
//!
//! The models are the test targets `loom_*` of `multiprocess-core`. With `--mutate` each ordering and fence that has a name in
//! the protocols' source is weakened, one after the other, and the models of its file must then fail: a name starts with that
//! of its file, and `mutex.lock` belongs to `loom_mutex`.

use crate::count::Runner;
use crate::step::{self, Step};
use crate::tidy::Tree;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Where the protocols and their models are.
const SOURCES: &str = "crates/multiprocess-core/src/";
const MODELS: &str = "crates/multiprocess-core/tests/loom_";

/// A build of its own, because another `cfg` would make cargo build everything anew each time.
const FOLDER: &str = "target/loom";

/// How long the models of one weakened place may run. None takes nearly as long, unless weakening makes it endless.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the models, or with `--mutate` shows what they notice; a name chooses the models of one file.
pub fn run(arguments: &[String]) -> bool {
    let mutate = arguments.iter().any(|argument| argument == "--mutate");
    let names: Vec<_> = arguments.iter().filter(|argument| *argument != "--mutate").collect();
    let tree = Tree::read(&crate::root());
    let mut files = models(&tree);
    if let Some(unknown) = names.iter().find(|name| !files.contains(**name)) {
        let all: Vec<_> = files.into_iter().collect();
        eprintln!("there are no models of `{unknown}`; cargo xtask loom [--mutate] [name..] with {}", all.join(", "));
        return false;
    }
    files.retain(|file| names.is_empty() || names.contains(&file));
    let outcome = models_step(&files).run();
    println!("{}", outcome.count);
    if !mutate || !outcome.success {
        return outcome.success && outcome.count.passed > 0;
    }
    let sites = sites(&tree).into_iter().filter(|site| names.is_empty() || names.contains(&&file_of(site).to_owned()));
    mutants(&files, sites.collect())
}

/// The files that have models.
fn models(tree: &Tree) -> BTreeSet<String> {
    let name = |path: &str| Some(path.strip_prefix(MODELS)?.strip_suffix(".rs")?.to_owned());
    tree.texts().filter_map(|(path, _)| name(path)).collect()
}

/// The file that a name belongs to.
fn file_of(site: &str) -> &str {
    site.split('.').next().unwrap_or(site)
}

/// The names of all orderings and fences.
fn sites(tree: &Tree) -> BTreeSet<String> {
    let sources = tree.texts().filter(|(path, _)| path.starts_with(SOURCES) && path.ends_with(".rs"));
    sources.flat_map(|(_, text)| names_in(text)).collect()
}

/// The names in one file. The macro may stand on one line and the name on the next.
fn names_in(text: &str) -> Vec<String> {
    let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let mut names = Vec::new();
    for makro in ["order!(", "fence!("] {
        for (at, _) in code.match_indices(makro) {
            let rest = code[at + makro.len()..].trim_start();
            let name = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
            names.extend(name.map(|(name, _)| name.to_owned()));
        }
    }
    names
}

/// The step that runs all models.
pub fn all_models() -> Step {
    models_step(&models(&Tree::read(&crate::root())))
}

/// The step that runs the models of `files`.
fn models_step(files: &BTreeSet<String>) -> Step {
    Step::cargo("models", arguments(files, &["--no-fail-fast"]).iter().map(String::as_str))
        .variable("RUSTFLAGS", flags())
        .counted(Runner::Cargo)
}

fn arguments(files: &BTreeSet<String>, more: &[&str]) -> Vec<String> {
    let fixed = ["test", "--release", "-p", "multiprocess-core", "--target-dir", FOLDER];
    let targets = files.iter().flat_map(|file| ["--test".to_owned(), format!("loom_{file}")]);
    fixed.iter().chain(more).map(|argument| (*argument).to_owned()).chain(targets).collect()
}

/// The caller's flags and the one that brings the model checker.
fn flags() -> String {
    format!("{} --cfg loom", std::env::var("RUSTFLAGS").unwrap_or_default()).trim_start().to_owned()
}

/// Weakens each of `sites`, prints what became of it, and tells whether the models noticed all.
fn mutants(files: &BTreeSet<String>, sites: BTreeSet<String>) -> bool {
    let programs = programs(files);
    let mut survivors = 0;
    println!("\n{:<28} {:>8}  noticed by", "weakened", "seconds");
    for site in &sites {
        let start = Instant::now();
        let verdict = match programs.get(file_of(site)) {
            None => Verdict::Survived("no model is there for it"),
            Some(program) => weakened(program, site),
        };
        let text = match &verdict {
            Verdict::Noticed(by) => by.as_str(),
            Verdict::Survived(why) => why,
        };
        println!("{site:<28} {:>8.1}  {text}", start.elapsed().as_secs_f64());
        survivors += u32::from(matches!(verdict, Verdict::Survived(_)));
    }
    println!("\n{} places weakened, {survivors} not noticed", sites.len());
    survivors == 0 && !sites.is_empty()
}

/// What became of a weakened protocol.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The model that failed.
    Noticed(String),
    /// SURVIVED, and why.
    Survived(&'static str),
}

/// The test programs, by the file whose models they are.
fn programs(files: &BTreeSet<String>) -> BTreeMap<String, PathBuf> {
    let mut command = step::cargo();
    command.args(arguments(files, &["--no-run", "--message-format", "json"])).env("RUSTFLAGS", flags());
    let output = match command.stderr(Stdio::null()).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => {
            eprintln!("starting cargo: {error}");
            return BTreeMap::new();
        }
    };
    output.lines().filter_map(program).collect()
}

/// The test program that one of cargo's messages tells of.
fn program(message: &str) -> Option<(String, PathBuf)> {
    let (_, path) = message.split_once("\"executable\":\"")?;
    let path = PathBuf::from(path.split_once('"')?.0);
    // The file's name ends with a dash and a hash.
    let (name, _) = path.file_name()?.to_str()?.rsplit_once('-')?;
    Some((name.strip_prefix("loom_")?.to_owned(), path))
}

/// Runs the models with one place weakened, until the first fails.
fn weakened(program: &PathBuf, site: &str) -> Verdict {
    let mut command = Command::new(program);
    command.env("MULTIPROCESS_WEAKEN", site).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    match command.spawn() {
        Ok(models) => watch(models, PATIENCE),
        Err(_) => Verdict::Survived("its models cannot be started"),
    }
}

/// Waits for the first failure, or the end.
fn watch(mut models: Child, patience: Duration) -> Verdict {
    let (sender, lines) = mpsc::channel();
    let output = models.stdout.take();
    thread::spawn(move || {
        for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()).map_while(Result::ok) {
            // Nobody listens once a model has failed.
            let _ = sender.send(line);
        }
    });
    let end = Instant::now() + patience;
    let verdict = loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(model) = failed(&line) {
                    break Verdict::Noticed(model.to_owned());
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => break Verdict::Survived("SURVIVED: no model has come to an end"),
            // A model may have ended the whole program, which is a failure too.
            Err(mpsc::RecvTimeoutError::Disconnected) => match models.wait() {
                Ok(status) if !status.success() => break Verdict::Noticed(format!("a crash: {status}")),
                _ => break Verdict::Survived("SURVIVED"),
            },
        }
    };
    // It may have ended already.
    let _ = models.kill();
    let _ = models.wait();
    verdict
}

/// The test that a line of the test runner says has failed.
fn failed(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.split_once(" ... ").filter(|(_, end)| *end == "FAILED").map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_have_names_and_models() {
        let tree = Tree::read(&crate::root());
        assert!(models(&tree).contains("event"), "only {:?}", models(&tree));
        let sites = sites(&tree);
        assert!(sites.contains("event.set") && sites.contains("semaphore.freed"), "only {sites:?}");
        let files = models(&tree);
        let without: Vec<_> = sites.iter().filter(|site| !files.contains(file_of(site))).collect();
        assert!(without.is_empty(), "no models for {without:?}");
    }

    #[test]
    fn names_in_comments_are_no_places() {
        let text =
            "// order!(\"a.b\", Acquire)\nx(order!(\n    \"a.c\", Acquire)); /// `fence!(\"a.d\")`\nfence!(\"a.e\");";
        assert_eq!(names_in(text), ["a.c", "a.e"]);
    }

    #[test]
    fn cargo_tells_where_a_program_is() {
        let message =
            r#"{"reason":"compiler-artifact","executable":"/r/target/loom/release/deps/loom_mutex-0a1b","fresh":true}"#;
        let path = PathBuf::from("/r/target/loom/release/deps/loom_mutex-0a1b");
        assert_eq!(program(message), Some(("mutex".to_owned(), path)));
        assert_eq!(program(r#"{"reason":"compiler-artifact","executable":null}"#), None);
    }

    /// What a script in place of the models leads to.
    fn verdict(script: &str, patience: Duration) -> Verdict {
        let mut command = Command::new("sh");
        watch(command.args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap(), patience)
    }

    #[test]
    fn the_first_failure_is_enough() {
        let script = "echo 'test one ... ok'; echo 'test two ... FAILED'; exec tail -f /dev/null";
        assert_eq!(verdict(script, PATIENCE), Verdict::Noticed("two".to_owned()));
    }

    #[test]
    fn a_crash_is_noticed_and_an_end_without_failure_is_not() {
        assert!(matches!(verdict("kill -ABRT $$", PATIENCE), Verdict::Noticed(_)));
        assert_eq!(verdict("echo 'test one ... ok'", PATIENCE), Verdict::Survived("SURVIVED"));
    }

    #[test]
    fn no_end_is_no_failure() {
        let endless = verdict("exec tail -f /dev/null", Duration::from_millis(50));
        assert!(matches!(endless, Verdict::Survived(_)));
    }

    #[test]
    fn unknown_models_are_refused() {
        assert!(!run(&["there-is-no-such-file".to_owned()]));
    }
}
