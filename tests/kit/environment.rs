//! Changes of this process's own environment.

use std::ffi::OsStr;

/// Sets `key` to `value` in this process.
pub fn set(key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
    // SAFETY: the environment is read and written through std alone in the processes of this package, and std locks it.
    unsafe { std::env::set_var(key, value) }
}

/// Removes `key` from this process's environment.
pub fn remove(key: impl AsRef<OsStr>) {
    // SAFETY: the environment is read and written through std alone in the processes of this package, and std locks it.
    unsafe { std::env::remove_var(key) }
}
