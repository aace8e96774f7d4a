//! Every behaviour of a process that the interface promises, once per start method.
//!
//! A test that answers a row of CPython's own suite bears the row's name and says so in its comment.

mod active;
mod arguments;
mod builder;
mod daemons;
mod descriptors;
mod endings;
mod errors;
mod handles;
mod image;
mod inheritance;
mod lifecycle;
mod names;
mod nesting;
mod output;
mod scopes;
mod sentinel;
mod server;
mod signals;
mod start_methods;
mod streams;
mod surroundings;
mod threads;
mod waiting;
mod watchdog;
