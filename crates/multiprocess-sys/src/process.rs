//! Processes: starting the program's executable again, cloning a bare process, watching, signalling and reaping.

pub use crate::imp::process::{
    Cloner, ForkGuard, Process, Reaped, Schedule, Signal, end_now, ends_seen, id, is_alone, is_launched, launch,
    launched_socket, parent_id, random, reap_any, reap_number, set_title,
};
