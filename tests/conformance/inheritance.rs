//! Python's "inherit from `Process`": a value that runs in a process of its own.

use multiprocess::{Fd, Process, Run, StartMethod, current};
use multiprocess_tests::methods::start;
use serde::{Deserialize, Serialize};
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};

multiprocess_tests::for_each_start_method![
    generic_value_runs,
    started_without_a_builder,
    subclassing,
    three_of_one_type,
];

/// Answers in upper case what it is asked.
#[derive(Serialize, Deserialize)]
struct Shouter {
    questions: Fd<PipeReader>,
    answers: Fd<PipeWriter>,
}

impl Run for Shouter {
    type Output = usize;

    fn run(mut self) -> usize {
        let mut text = String::new();
        self.questions.read_to_string(&mut text).expect("the questions can be read");
        self.answers.write_all(text.to_uppercase().as_bytes()).expect("the answers can be written");
        text.len()
    }
}

/// `_TestSubclassingProcess.test_subclassing`: the value holds the ends of pipes, and its method talks through them.
fn subclassing(method: StartMethod) {
    let (questions, mut asking) = std::io::pipe().expect("a pipe can be made");
    let (mut hearing, answers) = std::io::pipe().expect("a pipe can be made");
    let shouter = Shouter { questions: Fd(questions), answers: Fd(answers) };
    let child = Process::from_run(shouter).name("shouter").start_method(method).start().expect("the child starts");
    assert_eq!(child.name(), "shouter");
    asking.write_all(b"hello").expect("the child listens");
    drop(asking);
    let mut answer = String::new();
    hearing.read_to_string(&mut answer).expect("the child answers");
    assert_eq!(answer, "HELLO");
    assert_eq!(child.join().expect("the child returns"), 5);
}

#[derive(Serialize, Deserialize)]
struct Numbered {
    i: u32,
}

impl Run for Numbered {
    type Output = String;

    fn run(self) -> String {
        format!("{} in {}", self.i, current().name())
    }
}

fn three_of_one_type(method: StartMethod) {
    let children: Vec<_> = (0..3)
        .map(|i| {
            let process = Process::from_run(Numbered { i }).name(format!("number {i}"));
            process.start_method(method).start().expect("the child starts")
        })
        .collect();
    let results: Vec<String> = children.into_iter().map(|child| child.join().expect("the child returns")).collect();
    assert_eq!(results, ["0 in number 0", "1 in number 1", "2 in number 2"]);
}

/// `Run::start`, here and in a child of the given method.
fn started_without_a_builder(method: StartMethod) {
    let child = Numbered { i: 4 }.start().expect("the child starts");
    let name = child.name().to_owned();
    assert_eq!(child.join().expect("the child returns"), format!("4 in {name}"));

    let start_one =
        || Numbered { i: 5 }.start().expect("the grandchild starts").join().expect("the grandchild returns");
    assert!(start(method, start_one, ()).join().expect("the child returns").starts_with("5 in "));
}

/// Holds a value of any type.
#[derive(Serialize, Deserialize)]
struct Twice<T>(T);

impl<T: Serialize + serde::de::DeserializeOwned + Clone> Run for Twice<T> {
    type Output = (T, T);

    fn run(self) -> (T, T) {
        (self.0.clone(), self.0)
    }
}

fn generic_value_runs(method: StartMethod) {
    let child = Process::from_run(Twice("text".to_owned())).start_method(method).start().expect("the child starts");
    assert_eq!(child.join().expect("the child returns"), ("text".to_owned(), "text".to_owned()));
    let child = Process::from_run(Twice(5_u8)).start_method(method).start().expect("the child starts");
    assert_eq!(child.join().expect("the child returns"), (5, 5));
}
