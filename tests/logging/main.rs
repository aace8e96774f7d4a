//! The events of several processes in one stream. A suite of its own, because a process has one global subscriber.
//!
//! The test's process subscribes before anything is counted, so that the letterbox of its children is none of what a test leaves.

mod endings;
mod filters;
mod pools;
mod stream;
mod subscriber;
mod trouble;

/// Makes of each listed function `fn(StartMethod)` two tests, in a process with a subscriber.
#[macro_export]
macro_rules! logged_by_each_method {
    ($($name:ident),+ $(,)?) => {
        mod fork_server {
            $(#[test] fn $name() {
                let label = concat!(module_path!(), "::", stringify!($name));
                $crate::subscriber::subscribed(label, || super::$name(::multiprocess::StartMethod::ForkServer));
            })+
        }
        mod spawn {
            $(#[test] fn $name() {
                let label = concat!(module_path!(), "::", stringify!($name));
                $crate::subscriber::subscribed(label, || super::$name(::multiprocess::StartMethod::Spawn));
            })+
        }
    };
}

/// Makes of each listed function a test, in a process with a subscriber.
#[macro_export]
macro_rules! logged {
    ($($name:ident),+ $(,)?) => {
        mod once {
            $(#[test] fn $name() {
                let label = concat!(module_path!(), "::", stringify!($name));
                $crate::subscriber::subscribed(label, super::$name);
            })+
        }
    };
}
