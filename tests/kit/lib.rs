//! The kit of the cross-process suites: what every test of more than one process needs, once.
//!
//! A test runs under [`watched`], so that a hang ends with a report of who waits for what; [`checked`] looks as well for
//! what the test left behind; [`for_each_start_method!`] instantiates one behaviour for both start methods; [`program!`]
//! runs the second program. Only [`pause`] may let time pass.

pub mod environment;
pub mod gate;
pub mod hooks;
pub mod leaks;
pub mod methods;
pub mod names;
pub mod page;
pub mod pause;
pub mod privilege;
pub mod processes;
pub mod program;
pub mod ready;
pub mod scratch;
pub mod signals;
pub mod step;
pub mod streams;
pub mod text;
pub mod trace;
pub mod watchdog;

pub use leaks::{LeakCheck, checked};
pub use watchdog::watched;

/// Makes of each listed function `fn(StartMethod)` two tests, `fork_server::<name>` and `spawn::<name>`, each under the
/// watchdog and with a check for leaks.
///
/// # Examples
///
/// ```no_run
/// use multiprocess::{Process, StartMethod};
///
/// multiprocess_tests::for_each_start_method![adds];
///
/// fn adds(method: StartMethod) {
///     let child = Process::new(|a: u8, b: u8| a + b, (2, 3)).start_method(method).start().expect("the child starts");
///     assert_eq!(child.join().expect("the child returns"), 5);
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! for_each_start_method {
    ($($(#[$attribute:meta])* $name:ident),+ $(,)?) => {
        mod fork_server {
            $($(#[$attribute])* #[test] fn $name() {
                let label = concat!(module_path!(), "::", stringify!($name));
                $crate::checked(label, || super::$name(::multiprocess::StartMethod::ForkServer));
            })+
        }
        mod spawn {
            $($(#[$attribute])* #[test] fn $name() {
                let label = concat!(module_path!(), "::", stringify!($name));
                $crate::checked(label, || super::$name(::multiprocess::StartMethod::Spawn));
            })+
        }
    };
}

/// Makes of each listed function a test under the watchdog and with a check for leaks.
///
/// # Examples
///
/// ```no_run
/// multiprocess_tests::checked_tests![adds];
///
/// fn adds() {
///     assert_eq!(multiprocess::Pool::global().map(|x: u8| x + 1, [1, 2]).expect("the tasks return"), [2, 3]);
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! checked_tests {
    ($($(#[$attribute:meta])* $name:ident),+ $(,)?) => {
        mod once {
            $($(#[$attribute])* #[test] fn $name() {
                let label = concat!(module_path!(), "::", stringify!($name));
                $crate::checked(label, super::$name);
            })+
        }
    };
}
