//! Shared objects under bad input and in large numbers: names that are none, files that are no objects, objects that are of
//! another kind, messages that say one thing and hold another.
//!
//! Whatever is found under a name, the answer is an error that names it: no panic, no hang, no signal.

mod damage;
mod files;
mod groups;
mod json;
mod kinds;
mod messages;
mod names;
