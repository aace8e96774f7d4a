//! A child owns its memory: nothing that it changes is seen elsewhere, except what was passed to it.

mod globals;
mod objects;
mod passed;
mod surroundings;
