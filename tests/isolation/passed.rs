//! The counterpart: what was passed is shared, and nothing else is.

use multiprocess::{Fd, StartMethod};
use multiprocess_tests::methods::start;
use multiprocess_tests::scratch::Scratch;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

multiprocess_tests::for_each_start_method![
    closing_is_not_shared,
    file_position_is_shared,
    siblings_share_what_both_got
];

/// One open file, two processes: reading in one moves the other.
fn file_position_is_shared(method: StartMethod) {
    let scratch = Scratch::new();
    let mut file = filled(&scratch);
    file.rewind().expect("the file can be rewound");
    let copy = Fd(file.try_clone().expect("a descriptor can be copied"));
    assert_eq!(start(method, read_two, (copy,)).join().expect("the child returns"), *b"01");
    assert_eq!(file.stream_position().expect("the file has a position"), 2);
}

fn siblings_share_what_both_got(method: StartMethod) {
    let scratch = Scratch::new();
    let mut file = filled(&scratch);
    file.rewind().expect("the file can be rewound");
    let copy = || Fd(file.try_clone().expect("a descriptor can be copied"));
    assert_eq!(start(method, read_two, (copy(),)).join().expect("the child returns"), *b"01");
    assert_eq!(start(method, read_two, (copy(),)).join().expect("the child returns"), *b"23");
}

/// Each process closes its own descriptor only.
fn closing_is_not_shared(method: StartMethod) {
    let scratch = Scratch::new();
    let mut file = filled(&scratch);
    let copy = Fd(file.try_clone().expect("a descriptor can be copied"));
    start(method, |file: Fd<File>| drop(file), (copy,)).join().expect("the child returns");
    file.write_all(b"more").expect("the file is still open here");
}

fn filled(scratch: &Scratch) -> File {
    let options = File::options().read(true).write(true).create_new(true).open(scratch.join("digits"));
    let mut file = options.expect("a file can be made");
    file.write_all(b"0123456789").expect("the file can be written");
    file
}

fn read_two(mut file: Fd<File>) -> [u8; 2] {
    let mut two = [0; 2];
    file.read_exact(&mut two).expect("the file can be read");
    two
}
