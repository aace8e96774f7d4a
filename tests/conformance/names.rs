//! The names of processes.

use multiprocess::{Process, StartMethod, current, parent};
use multiprocess_tests::methods::{self, start};

multiprocess_tests::for_each_start_method![
    debug_output_names_the_process,
    default_names_count,
    given_name_is_seen_everywhere,
    names_of_grandchildren,
    odd_names,
];

/// `Process-N`, counting the processes of this one.
fn default_names_count(method: StartMethod) {
    let first = start(method, own_name, ());
    let second = start(method, own_name, ());
    assert_eq!(number_of(second.name()), number_of(first.name()) + 1);
    let name = first.name().to_owned();
    assert_eq!(first.join().expect("the child returns"), name);
    second.join().expect("the child returns");
}

/// `Process-N:M` for the `M`-th process that `Process-N` makes.
fn names_of_grandchildren(method: StartMethod) {
    let child = start(method, names_of_two_children, (methods::name(method).to_owned(),));
    let name = child.name().to_owned();
    let names = child.join().expect("the child returns");
    assert_eq!(names, [format!("{name}:1"), format!("{name}:2")]);
}

fn given_name_is_seen_everywhere(method: StartMethod) {
    let process = Process::new(own_and_parents_name, ()).name("adder").start_method(method);
    let child = process.start().expect("the child starts");
    assert_eq!(child.name(), "adder");
    let seen = child.join().expect("the child returns");
    assert_eq!(seen, ("adder".to_owned(), Some("MainProcess".to_owned())));
}

/// A name may be empty, long, or hold any character.
fn odd_names(method: StartMethod) {
    for name in [String::new(), "a b\n\0\u{7f}多".to_owned(), "x".repeat(10_000)] {
        let child =
            Process::new(own_name, ()).name(name.clone()).start_method(method).start().expect("the child starts");
        assert_eq!(child.name(), name);
        assert_eq!(child.join().expect("the child returns"), name);
    }
}

fn debug_output_names_the_process(method: StartMethod) {
    let process = Process::new(own_name, ()).name("printed").start_method(method);
    assert!(format!("{process:?}").contains("printed"));
    let child = process.start().expect("the child starts");
    let text = format!("{child:?}");
    assert!(text.contains("printed") && text.contains(&child.pid().to_string()), "{text}");
    child.join().expect("the child returns");
}

fn own_name() -> String {
    current().name().to_owned()
}

fn own_and_parents_name() -> (String, Option<String>) {
    (own_name(), parent().map(|parent| parent.name().to_owned()))
}

fn names_of_two_children(method: String) -> Vec<String> {
    let method = methods::named(&method);
    (0..2).map(|_| start(method, own_name, ()).join().expect("the grandchild returns")).collect()
}

fn number_of(name: &str) -> u64 {
    let number = name.strip_prefix("Process-").and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("{name:?} is not a default name"))
}
