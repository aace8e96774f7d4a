//! What a text that the library made says.

/// Whether `number` stands in `text` as a number of its own, not as a part of a longer one.
///
/// # Examples
///
/// ```
/// use multiprocess_tests::text::mentions;
///
/// assert!(mentions("held by process 12", 12));
/// assert!(!mentions("held by process 112", 12));
/// ```
pub fn mentions(text: &str, number: u32) -> bool {
    text.split(|character: char| !character.is_ascii_digit()).any(|digits| digits.parse() == Ok(number))
}
