//! The standard streams of this process, taken away.

use std::os::fd::{FromRawFd as _, OwnedFd};

/// Closes the standard stream `number`, so that this process has no descriptor of that number.
///
/// # Panics
///
/// When `number` is not 0, 1 or 2.
pub fn close(number: i32) {
    assert!((0..=2).contains(&number), "{number} is not a standard stream");
    // SAFETY: nothing owns a standard stream; std's own streams live with its being closed, by losing what is written.
    let stream = unsafe { OwnedFd::from_raw_fd(number) };
    drop(stream);
}
