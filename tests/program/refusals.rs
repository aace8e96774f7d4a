//! A program that cannot be found again by its children, and a plugin that cannot.

use crate::outcome;
use std::ffi::{CStr, c_char};

/// Prints what a start gives: the suite runs this through the dynamic loader, so that `/proc/self/exe` is the loader.
pub fn start(_arguments: &[String]) {
    println!("main");
    println!("outcome {}", outcome::joined(multiprocess::spawn(|x: u64| x + 1, (41,))));
}

/// Loads the plugin whose path is the argument, and prints what its attempt to start a process gave; then makes one
/// itself.
pub fn plugin(arguments: &[String]) {
    let [path] = arguments else { panic!("one argument is needed") };
    // SAFETY: the plugin's constructors are Rust's and the library's own, which are sound in any process.
    let plugin = unsafe { libloading::Library::new(path) }.expect("the plugin can be loaded");
    // SAFETY: the plugin defines this function with this type.
    let start = unsafe { plugin.get::<extern "C" fn() -> *const c_char>(b"plugin_start") }
        .expect("the plugin has its function");
    // SAFETY: the function returns a string that ends with a zero and is never freed.
    let said = unsafe { CStr::from_ptr(start()) };
    println!("plugin {}", said.to_string_lossy().replace('\n', " / "));
    println!("program {}", outcome::joined(multiprocess::spawn(|x: u64| x + 1, (41,))));
}
