//! Functions that a process runs when it ends.

unsafe extern "C" {
    /// Takes any function and calls it when the process ends normally.
    safe fn atexit(hook: extern "C" fn()) -> i32;
}

/// Registers `hook` to run when this process ends normally.
///
/// # Panics
///
/// When the C library takes no more hooks.
pub fn at_exit(hook: extern "C" fn()) {
    assert_eq!(atexit(hook), 0, "the C library takes another exit hook");
}
