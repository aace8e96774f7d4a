//! Arguments and results: how many, how large, of what shape.

use multiprocess::StartMethod;
use multiprocess_tests::methods::start;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

multiprocess_tests::for_each_start_method![
    args_argument,
    large_argument,
    large_result,
    large_result_is_kept_after_the_end,
    up_to_four_arguments,
    up_to_eight_arguments,
    up_to_twelve_arguments,
];

const LARGE: usize = 64 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    One(f64),
    Pair(i8, char),
    Named { path: PathBuf, wait: Option<Duration> },
}

/// `_TestProcess.test_args_argument`: what arrives equals what was passed, and so does what comes back.
fn args_argument(method: StartMethod) {
    let shapes = vec![
        Shape::Nothing,
        Shape::One(f64::MIN_POSITIVE),
        Shape::Pair(i8::MIN, '多'),
        Shape::Named { path: PathBuf::from("/a b"), wait: Some(Duration::new(1, 1)) },
    ];
    let table: HashMap<String, Vec<u16>> =
        HashMap::from([(String::new(), vec![]), ("x".to_owned(), vec![1, u16::MAX])]);
    let ordered = BTreeMap::from([(i128::MIN, ()), (i128::MAX, ())]);
    let child = start(method, echo, (shapes.clone(), table.clone(), ordered.clone()));
    assert_eq!(child.join().expect("the child returns"), (shapes, table, ordered));
}

type Echoed = (Vec<Shape>, HashMap<String, Vec<u16>>, BTreeMap<i128, ()>);

fn echo(shapes: Vec<Shape>, table: HashMap<String, Vec<u16>>, ordered: BTreeMap<i128, ()>) -> Echoed {
    (shapes, table, ordered)
}

fn up_to_four_arguments(method: StartMethod) {
    assert_eq!(start(method, || 0_u64, ()).join().expect("none"), 0);
    assert_eq!(start(method, |a: u64| a, (1,)).join().expect("one"), 1);
    assert_eq!(start(method, |a: u64, b: u64| a + b, (1, 2)).join().expect("two"), 3);
    assert_eq!(start(method, |a: u64, b: u64, c: u64| a + b + c, (1, 2, 3)).join().expect("three"), 6);
    assert_eq!(start(method, |a: u64, b: u64, c: u64, d: u64| a + b + c + d, (1, 2, 3, 4)).join().expect("four"), 10);
}

fn up_to_eight_arguments(method: StartMethod) {
    let five = |a: u8, b: u8, c: u8, d: u8, e: u8| [a, b, c, d, e];
    assert_eq!(start(method, five, (1, 2, 3, 4, 5)).join().expect("five"), [1, 2, 3, 4, 5]);
    let six = |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8| [a, b, c, d, e, f];
    assert_eq!(start(method, six, (1, 2, 3, 4, 5, 6)).join().expect("six"), [1, 2, 3, 4, 5, 6]);
    let seven = |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8| [a, b, c, d, e, f, g];
    assert_eq!(start(method, seven, (1, 2, 3, 4, 5, 6, 7)).join().expect("seven"), [1, 2, 3, 4, 5, 6, 7]);
    let eight = |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8| [a, b, c, d, e, f, g, h];
    assert_eq!(start(method, eight, (1, 2, 3, 4, 5, 6, 7, 8)).join().expect("eight"), [1, 2, 3, 4, 5, 6, 7, 8]);
}

fn up_to_twelve_arguments(method: StartMethod) {
    assert_eq!(start(method, nine, (1, 2, 3, 4, 5, 6, 7, 8, 9)).join().expect("nine"), 45);
    assert_eq!(start(method, ten, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)).join().expect("ten"), 55);
    assert_eq!(start(method, eleven, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)).join().expect("eleven"), 66);
    let twelve_arguments = (1, 2, 3, 4, -5, -6, -7, -8, 9.5, true, 'c', "text".to_owned());
    assert_eq!(start(method, twelve, twelve_arguments).join().expect("twelve"), "1 2 3 4 -5 -6 -7 -8 9.5 true c text");
}

#[expect(clippy::too_many_arguments, reason = "that is what is tested")]
fn nine(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32, i: u32) -> u32 {
    a + b + c + d + e + f + g + h + i
}

#[expect(clippy::too_many_arguments, reason = "that is what is tested")]
fn ten(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32, i: u32, j: u32) -> u32 {
    nine(a, b, c, d, e, f, g, h, i) + j
}

#[expect(clippy::too_many_arguments, reason = "that is what is tested")]
fn eleven(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32, i: u32, j: u32, k: u32) -> u32 {
    ten(a, b, c, d, e, f, g, h, i, j) + k
}

#[expect(clippy::too_many_arguments, reason = "that is what is tested")]
fn twelve(a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64, i: f64, j: bool, k: char, l: String) -> String {
    format!("{a} {b} {c} {d} {e} {f} {g} {h} {i} {j} {k} {l}")
}

/// More than any buffer of a socket holds goes in.
fn large_argument(method: StartMethod) {
    let child = start(method, |text: String| (text.len(), text.ends_with('b')), (large_text(),));
    assert_eq!(child.join().expect("the child returns"), (LARGE, true));
}

/// More than any buffer of a socket holds comes out.
fn large_result(method: StartMethod) {
    let text = start(method, large_text, ()).join().expect("the child returns");
    assert_eq!(text.len(), LARGE);
    assert!(text == large_text());
}

/// A child whose result nobody has read yet ends all the same, and the result is there afterwards.
fn large_result_is_kept_after_the_end(method: StartMethod) {
    let child = start(method, large_text, ());
    let status = child.wait().expect("the child can be waited for");
    assert_eq!(status.code(), Some(0));
    assert!(child.join().expect("the result is kept") == large_text());
}

fn large_text() -> String {
    let mut text = "a".repeat(LARGE - 1);
    text.push('b');
    text
}
