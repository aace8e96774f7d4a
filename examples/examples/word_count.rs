//! The most frequent words of real files: a pool reads and counts them, one task for each file.

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use multiprocess::{Pool, RemoteError};

/// The words of one file. Its error is a result like any other: one file that cannot be read is no reason to give up.
fn count(path: PathBuf) -> Result<HashMap<String, u64>, RemoteError> {
    let text = fs::read_to_string(path).map_err(RemoteError::new)?;
    let mut words = HashMap::new();
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 1) {
        *words.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    Ok(words)
}

/// All Rust files below `folder`.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), std::io::Error> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name() != Some(OsStr::new("target")) {
            sources(&path, found)?;
        } else if path.extension() == Some(OsStr::new("rs")) {
            found.push(path);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    // The library's own source, or the folder that is named.
    let named = std::env::args().nth(1).filter(|argument| argument != "--quick").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates"));
    let mut files = Vec::new();
    sources(&folder, &mut files)?;
    let count_of_files = files.len();

    let mut total: HashMap<String, u64> = HashMap::new();
    for words in Pool::global().imap_unordered(count, files) {
        match words? {
            Ok(words) => words.into_iter().for_each(|(word, count)| *total.entry(word).or_insert(0) += count),
            Err(error) => eprintln!("a file could not be read: {error}"),
        }
    }

    let mut ranking: Vec<(String, u64)> = total.into_iter().collect();
    ranking.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    println!("{} different words in {count_of_files} files", ranking.len());
    for (word, count) in ranking.iter().take(5) {
        println!("{count:>8} {word}");
    }
    Ok(())
}
