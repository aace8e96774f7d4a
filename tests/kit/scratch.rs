//! A folder for one test, gone when the test ends.

use crate::names;
use std::fs;
use std::path::{Path, PathBuf};

/// An empty folder that is removed, with all that is in it, when this value is dropped.
///
/// # Examples
///
/// ```
/// use multiprocess_tests::scratch::Scratch;
///
/// let scratch = Scratch::new();
/// std::fs::write(scratch.join("note"), "text").expect("the folder can be written");
/// ```
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder.
    ///
    /// # Panics
    ///
    /// When the folder for temporary files cannot be written.
    #[expect(clippy::new_without_default, reason = "each is another folder, and making one can fail")]
    pub fn new() -> Scratch {
        let path = std::env::temp_dir().join(names::unique("multiprocess-test"));
        fs::create_dir(&path).expect("a folder for temporary files can be made");
        Scratch(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of `name` in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that failed for another reason must not fail again here.
        let _ = fs::remove_dir_all(&self.0);
    }
}
