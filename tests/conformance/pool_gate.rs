//! Pools whose tasks wait until the test lets them go.

use multiprocess::{Event, Pool};
use std::sync::OnceLock;

/// What a worker waits for.
static GATE: OnceLock<Event> = OnceLock::new();

/// The initializer that brings it.
pub fn keep(gate: Event) {
    GATE.set(gate).expect("each worker is prepared once");
}

/// A task that waits for it.
pub fn wait_at_gate(value: u64) -> u64 {
    GATE.get().expect("the worker is prepared").wait();
    value
}

/// A pool whose tasks can wait for an event.
pub fn gated(workers: usize) -> (Pool, Event) {
    let gate = Event::new().expect("an event can be made");
    let pool = Pool::builder().workers(workers).initializer(keep, (gate.clone(),)).build();
    (pool.expect("a pool can be made"), gate)
}
