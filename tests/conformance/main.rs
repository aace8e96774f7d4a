//! Every behaviour of a process, and of an object shared between processes, that the interface promises, once per start
//! method.
//!
//! A test that answers a row of CPython's own suite bears the row's name and says so in its comment.

mod active;
mod arguments;
mod arrays;
mod barriers;
mod builder;
mod conditions;
mod ctypes;
mod daemons;
mod descriptors;
mod endings;
mod errors;
mod events;
mod executor_deadlocks;
mod executors;
mod futures;
mod handles;
mod image;
mod inheritance;
mod lifecycle;
mod lifetimes;
mod locks;
mod names;
mod nesting;
mod object_names;
mod output;
mod pool_places;
mod pool_workers;
mod pools;
mod scopes;
mod semaphores;
mod sentinel;
mod server;
mod shared_memory;
mod signals;
mod start_methods;
mod streams;
mod surroundings;
mod threads;
mod values;
mod waiting;
mod watchdog;
