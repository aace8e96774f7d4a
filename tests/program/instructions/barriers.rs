//! `Barrier`: those who wait with a dead party get through or are told that the barrier is broken, and nobody hangs.

use super::case::{AFTER, Case, EARLY, Hands, LATE, PATIENCE, RELEASE, Reply, Stage};
use super::forever;
use multiprocess::Barrier;
use std::time::Duration;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[wait_first, wait_last, wait_completed, abort];

fn barrier(parties: u32) -> &'static Barrier {
    forever(Barrier::new(parties).expect("a barrier can be made"))
}

/// So that this process, a forked copy, is known to the barrier: a look alone takes no part in it.
fn warm(barrier: &Barrier) {
    let _ = barrier.wait_timeout(Duration::ZERO);
    barrier.reset();
}

/// The victim waits.
fn waiting(barrier: &'static Barrier) -> impl Fn(Stage) {
    move |stage| {
        warm(barrier);
        stage.begin();
        let _ = barrier.wait_timeout(PATIENCE);
        stage.note(1);
        stage.end();
    }
}

fn wait_first() -> Case {
    let barrier = barrier(2);
    let arrive_now = arrive_or_break(barrier);
    Case::new("Barrier::wait", "first of two", waiting(barrier))
        // While the victim sleeps nothing changes; the round that gets there goes on with the other party. Once it is dead, the one
        // that comes late is the other party, or learns by itself that there is none.
        .part(RELEASE, move |stage, hands| match stage.is_victim_killed() {
            true => Ok(Reply::Fine),
            false => arrive_now(stage, hands),
        })
        .part(LATE, arrive(barrier))
        .part(AFTER, arrive(barrier))
        .checked_by(reset(barrier))
}

fn wait_last() -> Case {
    let barrier = barrier(2);
    Case::new("Barrier::wait", "last of two", waiting(barrier))
        .part(EARLY, arrive(barrier))
        .part(AFTER, arrive_or_break(barrier))
        .checked_by(reset(barrier))
}

fn wait_completed() -> Case {
    let barrier = barrier(3);
    Case::new("Barrier::wait", "of three, the third comes later", waiting(barrier))
        .part(EARLY, arrive(barrier))
        .part(RELEASE, arrive_or_break(barrier))
        .checked_by(reset(barrier))
}

fn abort() -> Case {
    let barrier = barrier(2);
    Case::new("Barrier::abort", "one waits", move |stage| {
        warm(barrier);
        stage.begin();
        barrier.abort();
        stage.end();
    })
    .part(EARLY, arrive(barrier))
    .part(AFTER, move |_, _| {
        barrier.abort();
        Ok(Reply::Recovered)
    })
    .checked_by(reset(barrier))
}

/// Waits with the others; breaking is an answer too.
fn arrive(barrier: &'static Barrier) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |_, _| Ok(barrier.wait_timeout(PATIENCE).map_or(Reply::Recovered, |_| Reply::Fine))
}

/// Waits for a moment, in which the others come or the barrier breaks for all.
fn arrive_or_break(barrier: &'static Barrier) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    let moment = Duration::from_millis(300);
    move |_, _| Ok(barrier.wait_timeout(moment).map_or(Reply::Recovered, |_| Reply::Fine))
}

/// Makes the barrier whole again, and sees that it is.
fn reset(barrier: &'static Barrier) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |_, _| {
        barrier.reset();
        match (barrier.is_broken(), barrier.waiting()) {
            (false, 0) => Ok(Reply::Fine),
            (broken, waiting) => Err(format!("after a reset: broken {broken}, {waiting} wait")),
        }
    }
}
