//! The supervisor: the one thread of a pool, which notices the end of workers and replaces them.
//!
//! It sleeps on the ends of all workers and the bell together. All signals are blocked in it; workers get the settings (the mask
//! of signals, the CPUs ..) that the thread had which made the pool.
//!
//! Once a second it looks although it was not woken: the program may have closed the descriptors on which it sleeps
//! (`descriptors.rs`), or a worker the one by which it would be told; or who has given short tasks and woken few workers for them
//! does not come to wait for long ones. That is all that an idle pool costs its process: one switch of context a second.
//!
//! A worker that ends after it was ready is replaced at once: whatever it ran has failed with it. One that ends before is a *false start*;
//! the second one in a row has to wait for a moment, each further one twice as long, and the eighth breaks the pool: all tasks
//! fail with the reason, and no more are taken. So a machine without memory, or a preparation that cannot succeed any more, is an
//! error and not a storm.

use crate::error::TaskError;
#[cfg(feature = "tracing")]
use crate::events::News;
use crate::lanes::Worker;
use crate::shared::{BELL, Shared};
use crate::state::Phase;
use multiprocess_parcel::RemoteError;
use multiprocess_sys::Error;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::signal::Blocked;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long it sleeps at most. See the module.
const GLANCE: Duration = Duration::from_secs(1);

/// Starts the supervisor of a pool whose workers were started.
pub(crate) fn start(shared: &Arc<Shared>) -> Result<JoinHandle<()>, Error> {
    let shared = Arc::clone(shared);
    let blocked = Blocked::all();
    let started = std::thread::Builder::new().name("mp-pool".to_owned()).spawn(move || supervise(&shared));
    drop(blocked);
    started.map_err(|e| Error::os("starting the thread of a pool", e))
}

fn supervise(shared: &Shared) {
    let mut next = None;
    loop {
        let limit = next.map_or(GLANCE, until).min(GLANCE);
        match shared.descriptors.watch().and_then(|watch| watch.wait_timeout(limit)) {
            Ok(keys) => keys.into_iter().for_each(|key| hear(shared, key)),
            Err(error) => shared.lock().break_down(RemoteError::new(error)),
        }
        match look(shared) {
            Some(due) => next = due,
            None => break,
        }
    }
    dismiss(shared);
}

/// The time until then, in whole milliseconds that are not too few.
fn until(due: Instant) -> Duration {
    due.saturating_duration_since(Instant::now()) + Duration::from_micros(999)
}

fn hear(shared: &Shared, key: u64) {
    match key {
        BELL => {
            if let Ok(bell) = shared.descriptors.bell() {
                bell.silence();
            }
            shared.lock().is_armed = false;
        }
        lane => mourn(shared, lane as usize),
    }
}

/// A worker has ended.
fn mourn(shared: &Shared, lane: usize) {
    let mut state = shared.lock();
    let Some(status) = state.lanes.worker(lane).map(Worker::try_wait) else { return };
    let lost = match status {
        Ok(None) => return, // not yet
        Ok(Some(status)) => TaskError::WorkerDied(status),
        Err(error) => TaskError::transfer(error),
    };
    let Some(worker) = state.lanes.leave(lane) else { return };
    let _ = shared.descriptors.watch().and_then(|watch| watch.remove(&worker));
    let was_ready = shared.is_ready(lane);
    #[cfg(feature = "tracing")]
    state.news.push(News::Died {
        name: worker.name().to_owned(),
        pid: worker.pid(),
        status: if let TaskError::WorkerDied(status) = lost { Some(status) } else { None },
    });
    state.bury(&shared.memory, shared.board(), lane, &lost);
    if was_ready {
        state.lanes.note_end();
        state.lanes.restarts += 1;
        state.lanes.want(lane, Instant::now());
        return;
    }
    let why = match worker.join() {
        Ok(Ok(())) => RemoteError::new("a worker ended before it was ready"),
        Ok(Err(error)) => error,
        Err(error) => RemoteError::new(error),
    };
    false_start(shared, &mut state, lane, why);
}

fn false_start(shared: &Shared, state: &mut crate::state::State, lane: usize, why: RemoteError) {
    match state.lanes.note_false_start(|lane| shared.is_ready(lane)) {
        Some(when) if state.is_built => state.lanes.want(lane, when),
        _ => state.break_down(why),
    }
}

/// Does what is to be done now. `None` when the pool is at its end, otherwise when to look again.
fn look(shared: &Shared) -> Option<Option<Instant>> {
    let board = shared.board();
    loop {
        let mut state = shared.lock();
        state.collect(&shared.memory, board);
        state.wake_others(&shared.memory, board);
        let next_timer = state.tick(&shared.memory, board);
        if state.phase == Phase::Ended {
            return None;
        }
        let is_done = state.phase == Phase::Closed && !state.has_work();
        if is_done {
            board.close(&shared.memory.segment);
            // When the last worker has left, so does the supervisor.
            state.lanes.workers().next()?;
        }
        if !is_done && let Some(lane) = state.lanes.take_due() {
            drop(state);
            match shared.start_worker(lane) {
                Ok(()) => {
                    #[cfg(feature = "tracing")]
                    crate::events::replaced(lane);
                }
                Err(error) => false_start(shared, &mut shared.lock(), lane, RemoteError::new(error)),
            }
            continue;
        }
        shared.arm(&mut state);
        let next_start = state.lanes.next_due().filter(|_| !is_done);
        return Some([next_timer, next_start].into_iter().flatten().min());
    }
}

/// Ends the workers that are left.
pub(crate) fn dismiss(shared: &Shared) {
    let mut state = shared.lock();
    state.end();
    let grace = Deadline::after(state.grace);
    let lanes = 0..shared.memory.lanes();
    let workers: Vec<Worker> = lanes.filter_map(|lane| state.lanes.leave(lane)).collect();
    drop(state);
    // Those that cannot be ended, because the program has closed their descriptors, leave when they are done.
    shared.board().close(&shared.memory.segment);
    for worker in &workers {
        let _ = worker.terminate();
    }
    for worker in workers {
        let _ = shared.descriptors.watch().and_then(|watch| watch.remove(&worker));
        let left = grace.remaining().unwrap_or_default();
        if !matches!(worker.wait_timeout(left), Ok(Some(_))) {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
    // Whoever waits for the end is told.
    shared.board().wake_pool(&shared.memory.segment);
}
