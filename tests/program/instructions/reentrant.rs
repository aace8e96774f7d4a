//! `RLock`: the same promises as the plain lock's, at any depth.

use super::case::{Case, EARLY, Hands, LATE, RELEASE, Reply, SETUP, Stage};
use super::forever;
use super::locks::{enter, let_go};
use multiprocess::RLock;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[lock, lock_again, lock_contended, unlock_inner, unlock_awaited];

fn reentrant() -> &'static RLock {
    forever(RLock::new().expect("a lock can be made"))
}

fn warm(lock: &RLock) {
    drop(lock.lock().expect("nobody died yet"));
}

fn lock() -> Case {
    let lock = reentrant();
    let take = take(lock);
    Case::new("RLock::lock", "free", move |stage| {
        warm(lock);
        stage.begin();
        let _guard = lock.lock();
        stage.victim_inside(true);
        stage.end();
    })
    .part(LATE, take.clone())
    .checked_by(take)
}

fn lock_again() -> Case {
    let lock = reentrant();
    let take = take(lock);
    Case::new("RLock::lock", "held by the same, another blocked", move |stage| {
        let _outer = lock.lock();
        stage.victim_inside(true);
        stage.begin();
        let _inner = lock.lock();
        stage.end();
    })
    .part(EARLY, take.clone())
    .checked_by(take)
}

fn lock_contended() -> Case {
    let lock = reentrant();
    let take = take(lock);
    Case::new("RLock::lock", "held, another blocked", move |stage| {
        warm(lock);
        stage.begin();
        let _guard = lock.lock();
        stage.victim_inside(true);
        stage.end();
    })
    .part(SETUP, move |_, hands| {
        hands.push(Box::new(lock.lock().map_err(|died| died.to_string())?));
        Ok(Reply::Fine)
    })
    .part(EARLY, take.clone())
    .part(RELEASE, let_go)
    .checked_by(take)
}

fn unlock_inner() -> Case {
    let lock = reentrant();
    let take = take(lock);
    Case::new("RLock, inner unlock", "one blocked", move |stage| {
        let _outer = lock.lock();
        let inner = lock.lock();
        stage.victim_inside(true);
        stage.begin();
        drop(inner);
        stage.end();
    })
    .part(EARLY, take.clone())
    .checked_by(take)
}

fn unlock_awaited() -> Case {
    let lock = reentrant();
    let take = take(lock);
    Case::new("RLock, outer unlock", "one blocked", move |stage| {
        let guard = lock.lock();
        stage.begin();
        drop(guard);
        stage.end();
    })
    .part(EARLY, take.clone())
    .checked_by(take)
}

/// Takes the lock, twice, and gives it back.
fn take(lock: &'static RLock) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |stage, _| {
        let whole = |_: &_| lock.try_lock().is_ok_and(|inner| inner.is_some());
        enter(stage, lock.lock(), || lock.recover(), whole, |_| ())
    }
}
