//! A scenario in which the program's file vanishes or is replaced, and children are started all the same.

use multiprocess_tests::methods::{self, start};
use std::{env, fs};

/// Arguments: the start method, `deleted` or `replaced`, and `before` or `after` the first start.
pub fn lose_file(arguments: &[String]) {
    let [method, how, when] = arguments else { panic!("three arguments are needed, not {arguments:?}") };
    if when == "after" {
        assert_eq!(start(methods::named(method), || 1, ()).join().expect("the child returns"), 1);
    }
    let path = env::current_exe().expect("this program has a file");
    fs::remove_file(&path).expect("the file can be removed");
    if how == "replaced" {
        fs::write(&path, "no program at all").expect("another file can take its place");
    }
    let child = start(methods::named(method), with_grandchild, (method.clone(),));
    assert_eq!(child.join().expect("the child returns"), 3);
    println!("child and grandchild answer");
}

fn with_grandchild(method: String) -> u32 {
    1 + start(methods::named(&method), || 2, ()).join().expect("the grandchild returns")
}
