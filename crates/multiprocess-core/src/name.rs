//! What a shared object may be called.

use core::fmt;

/// The most characters of a name.
pub const LONGEST: usize = 200;

/// Why something is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadName {
    /// It has no character.
    Empty,
    /// It has more than [`LONGEST`] bytes.
    TooLong,
    /// This character is none of `A-Z a-z 0-9 . _ -`.
    Character(char),
    /// It is `.` or `..`, which in a path means something else.
    Path,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadName::Empty => f.write_str("a name has at least one character"),
            BadName::TooLong => write!(f, "a name has at most {LONGEST} characters"),
            BadName::Character(found) => write!(f, "a name holds A-Z a-z 0-9 . _ - and not {found:?}"),
            BadName::Path => f.write_str("a name is not a path"),
        }
    }
}

impl core::error::Error for BadName {}

/// Whether `name` can be the name of a shared object: 1 to 200 characters of `A-Z a-z 0-9 . _ -`, and neither `.` nor `..`.
///
/// # Errors
///
/// It cannot, and why.
///
/// # Examples
///
/// ```
/// use multiprocess_core::name::{BadName, check};
///
/// assert_eq!(check("jobs.v2"), Ok(()));
/// assert_eq!(check("a/b"), Err(BadName::Character('/')));
/// ```
pub fn check(name: &str) -> Result<(), BadName> {
    let is_allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name {
        "" => Err(BadName::Empty),
        "." | ".." => Err(BadName::Path),
        _ => match name.chars().find(|c| !is_allowed(c)) {
            Some(found) => Err(BadName::Character(found)),
            None if name.len() > LONGEST => Err(BadName::TooLong),
            None => Ok(()),
        },
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = [b'x'; LONGEST + 1];
        let long = core::str::from_utf8(&long).unwrap();
        for name in ["a", "0", "-", "_", "...", ".a", "a..b", "A-Z.a-z_0-9", &long[1..]] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        assert_eq!(check(""), Err(BadName::Empty));
        assert_eq!(check(long), Err(BadName::TooLong));
        assert_eq!(check("."), Err(BadName::Path));
        assert_eq!(check(".."), Err(BadName::Path));
        for (name, found) in [("../a", '/'), ("a b", ' '), ("a\0", '\0'), ("ä", 'ä'), ("a\n", '\n'), ("a:b", ':')] {
            assert_eq!(check(name), Err(BadName::Character(found)), "{name:?}");
        }
    }
}
