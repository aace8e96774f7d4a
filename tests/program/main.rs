//! The program that the suites drive: its first argument picks a scenario, the others are the scenario's own.
//!
//! A scenario that finds something wrong panics, so that the suite sees it in the exit status and reads why on standard
//! error.

mod daemons;
mod descriptors;
mod family;
mod faults;
mod forks;
mod holders;
mod image;
mod instructions;
mod mishaps;
mod namespaces;
mod objects;
mod outcome;
mod output;
mod privilege;
mod reaping;
mod refusals;
mod rights;
mod spares;
mod step;
mod steps;
mod subscriber;
mod surroundings;
mod threads;

fn main() {
    subscriber::subscribe();
    let mut arguments = std::env::args().skip(1);
    let scenario = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    match scenario.as_str() {
        "bare-root" => rights::bare_root(&arguments),
        "changes-its-surroundings" => surroundings::change(&arguments),
        "descriptors" => descriptors::run(&arguments),
        "every-instruction" => instructions::run(&arguments),
        "family" => family::together(&arguments),
        "fault-in-each" => faults::each(&arguments),
        "fault-in-first" => faults::first(&arguments),
        "forgets-objects" => objects::forget(&arguments),
        "forks" => forks::run(&arguments),
        "hangs" => threads::hang(&arguments),
        "hello" => println!("hello {}", arguments.join(" ")),
        "holds-a-lock" => holders::hold_a_lock(&arguments),
        "holds-names" => holders::hold_names(&arguments),
        "interrupted" => family::interrupted(&arguments),
        "killed-children" => steps::killed_children(&arguments),
        "killed-server" => steps::killed_server(&arguments),
        "killed-servers" => steps::killed_servers(&arguments),
        "killed-spares" => spares::killed(&arguments),
        "leaves-a-child" => daemons::leave_a_child(&arguments),
        "leaves-a-daemon" => daemons::leave_a_daemon(&arguments),
        "loader" => refusals::start(&arguments),
        "loses-its-file" => image::lose_file(&arguments),
        "mishaps" => mishaps::run(&arguments),
        "namespaces" => namespaces::run(&arguments),
        "orphaned-by-thread" => family::orphaned_by_thread(&arguments),
        "plugin" => refusals::plugin(&arguments),
        "prints-half-a-line" => output::half_a_line(&arguments),
        "privilege" => privilege::run(&arguments),
        "reaping" => reaping::run(&arguments),
        "rights" => rights::run(&arguments),
        "starts-from-a-thread" => threads::start_from_a_thread(&arguments),
        "starts-without-a-guard" => output::without_a_guard(&arguments),
        "steps" => steps::run(&arguments),
        "stopped-openers" => instructions::stopped(&arguments),
        "storm" => family::storm(&arguments),
        "works-without-streams" => output::without_streams(&arguments),
        unknown => {
            eprintln!("no scenario is called {unknown:?}");
            std::process::exit(2);
        }
    }
}
