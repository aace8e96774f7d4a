//! What the examples about pools must print.

use crate::running::{after, number};

pub fn check_pool_map(lines: &[&str]) {
    assert_eq!(lines.len(), 2, "two lines: {lines:?}");
    let black = after(lines[0], "240 x 135 points, ").strip_suffix(" of them in the set");
    let black = number(black.expect("the number of black points"));
    assert!((100.0..16_200.0).contains(&black), "{lines:?}");
    assert!(after(lines[1], "the picture is ").ends_with(".png"), "{lines:?}");
}

pub fn check_word_count(lines: &[&str]) {
    assert_eq!(lines.len(), 6, "six lines: {lines:?}");
    let (words, files) = lines[0].split_once(" different words in ").expect("two numbers");
    let files = number(files.strip_suffix(" files").expect("a number of files"));
    assert!(number(words) > 1000.0 && files > 100.0, "{lines:?}");
    let counts: Vec<_> =
        lines[1..].iter().map(|line| line.trim().split_once(' ').expect("a number and a word")).collect();
    assert!(counts.is_sorted_by(|(a, _), (b, _)| number(a) >= number(b)), "{lines:?}");
    assert!(counts.iter().any(|(_, word)| *word == "the"), "{lines:?}");
}

pub fn check_pool_crash(lines: &[&str]) {
    assert_eq!(
        lines,
        [
            "27: the worker died by signal 6",
            "39 of 40 results arrived",
            "the longest of them: 31 has 106 steps",
            "1 of 2 workers is gone, 1 replaced",
        ]
    );
}
