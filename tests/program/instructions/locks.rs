//! `Mutex`: a dead owner is reported until somebody recovers, torn data is never seen without the report, there are never two
//! owners.

use super::case::{AFTER, Case, EARLY, Hands, LATE, RELEASE, Reply, SETUP, Stage};
use super::forever;
use multiprocess::{Mutex, MutexGuard, OwnerDied};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// Two numbers that are the same unless somebody is at work on them.
type Pair = [u64; 2];

/// The cases of this file.
pub const CASES: &[fn() -> Case] =
    &[lock, first_use, lock_contended, lock_runs_out, unlock, unlock_awaited, critical_section, recover, unwind];

fn mutex() -> &'static Mutex<Pair> {
    forever(Mutex::new([0, 0]).expect("a mutex can be made"))
}

/// Locks and unlocks, so that this process is known to the object.
fn warm(mutex: &Mutex<Pair>) {
    drop(mutex.lock().expect("nobody died yet"));
}

fn lock() -> Case {
    let mutex = mutex();
    let take = take(mutex);
    Case::new("Mutex::lock", "free", move |stage| {
        warm(mutex);
        stage.begin();
        let _guard = mutex.lock();
        stage.victim_inside(true);
        stage.end();
    })
    .part(LATE, take.clone())
    .checked_by(take)
}

fn first_use() -> Case {
    let mutex = mutex();
    let take = take(mutex);
    Case::new("Mutex::lock", "free, first use by a forked copy", move |stage| {
        stage.begin();
        let _guard = mutex.lock();
        stage.victim_inside(true);
        stage.end();
    })
    .part(LATE, take.clone())
    .checked_by(take)
}

fn lock_contended() -> Case {
    let mutex = mutex();
    let take = take(mutex);
    Case::new("Mutex::lock", "held, another blocked", move |stage| {
        warm(mutex);
        stage.begin();
        // The other waiter may be first, and may have been told of nothing.
        let _guard = mutex.lock();
        stage.victim_inside(true);
        stage.end();
    })
    .part(SETUP, hold(mutex))
    .part(EARLY, take.clone())
    .part(RELEASE, let_go)
    .checked_by(take)
}

fn lock_runs_out() -> Case {
    let mutex = mutex();
    let take = take(mutex);
    Case::new("Mutex::lock_timeout", "held until the time is over", move |stage| {
        warm(mutex);
        stage.begin();
        drop(mutex.lock_timeout(Duration::from_millis(1)));
        stage.end();
    })
    .part(SETUP, hold(mutex))
    .part(EARLY, take.clone())
    .part(AFTER, let_go)
    .checked_by(take)
}

fn unlock() -> Case {
    let mutex = mutex();
    let take = take(mutex);
    Case::new("Mutex, unlock", "nobody waits", move |stage| {
        let guard = mutex.lock();
        stage.begin();
        drop(guard);
        stage.end();
    })
    .part(LATE, take.clone())
    .checked_by(take)
}

fn unlock_awaited() -> Case {
    let mutex = mutex();
    let take = take(mutex);
    Case::new("Mutex, unlock", "one blocked", move |stage| {
        let guard = mutex.lock();
        stage.begin();
        drop(guard);
        stage.end();
    })
    .part(EARLY, take.clone())
    .checked_by(take)
}

fn critical_section() -> Case {
    let mutex = mutex();
    let take = take(mutex);
    Case::new("Mutex: lock, change, unlock", "free", move |stage| {
        warm(mutex);
        stage.begin();
        let mut guard = mutex.lock().expect("nobody died yet");
        stage.victim_inside(true);
        guard[0] += 1;
        guard[1] += 1;
        stage.victim_inside(false);
        drop(guard);
        stage.end();
    })
    .part(LATE, take.clone())
    .checked_by(take)
}

fn recover() -> Case {
    let mutex = mutex();
    Case::new("Mutex::recover", "its owner panicked", move |stage| {
        // This process becomes known to the object here; the mark comes afterwards.
        warm(mutex);
        stage.begin();
        let guard = mutex.recover();
        stage.victim_inside(true);
        stage.victim_inside(false);
        drop(guard);
        stage.end();
    })
    .part(SETUP, panic_inside(mutex))
    .part(LATE, move |stage, _| {
        let guard = mutex.recover();
        if stage.is_victim_inside() && !stage.is_victim_killed() {
            return Err("two owners after a recovery".to_owned());
        }
        let told = MutexGuard::recovered(&guard);
        stage.victim_inside(false);
        Ok(if told { Reply::Recovered } else { Reply::Fine })
    })
    .checked_by(take(mutex))
}

fn unwind() -> Case {
    let mutex = mutex();
    let take = after_a_panic(mutex);
    Case::new("Mutex, unlock by a panic", "one blocked", move |stage| {
        let _end = End(stage);
        let _guard = mutex.lock();
        // Unwinding is long; what counts is how the guard goes, which is dropped next.
        let _begin = Begin(stage);
        resume_unwind(Box::new(()))
    })
    .part(EARLY, take.clone())
    .checked_by(take)
}

/// Begins the operation when it is dropped.
struct Begin(Stage);

impl Drop for Begin {
    fn drop(&mut self) {
        self.0.begin();
    }
}

/// Ends the operation when it is dropped.
struct End(Stage);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Takes the mutex and gives it back; the mark of a panic is as good a report as that of a death.
fn after_a_panic(mutex: &'static Mutex<Pair>) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |stage, _| {
        stage.alone(|| match mutex.lock() {
            Ok(_) => Reply::Fine,
            Err(_) => {
                drop(mutex.recover());
                Reply::Recovered
            }
        })
    }
}

/// Takes the mutex, looks at what it protects, repairs that if its owner died, and gives it back.
pub fn take(mutex: &'static Mutex<Pair>) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |stage, _| {
        let whole = |guard: &MutexGuard<'_, Pair>| guard[0] == guard[1];
        let repair = |guard: &mut MutexGuard<'_, Pair>| **guard = [0, 0];
        enter(stage, mutex.lock(), || mutex.recover(), whole, repair)
    }
}

/// What a survivor does with an attempt to lock anything that reports dead owners.
pub fn enter<G>(
    stage: Stage,
    attempt: Result<G, OwnerDied>,
    recover: impl FnOnce() -> G,
    whole: impl FnOnce(&G) -> bool,
    repair: impl FnOnce(&mut G),
) -> Result<Reply, String> {
    match attempt {
        Ok(guard) => {
            let (inside, killed) = (stage.is_victim_inside(), stage.is_victim_killed());
            let whole = stage.alone(|| whole(&guard))?;
            match (inside, killed, whole) {
                (true, false, _) => Err("two owners: the victim lives and is inside".to_owned()),
                (true, true, _) => Err("the owner was killed, and nobody reports it".to_owned()),
                (false, _, false) => Err("torn data without a report".to_owned()),
                (false, _, true) => Ok(Reply::Fine),
            }
        }
        Err(died) => {
            if !stage.is_victim_killed() {
                return Err("the owner lives and is reported dead".to_owned());
            }
            if u64::from(died.owner_pid()) != stage.victim() {
                return Err(format!("{} is reported dead, {} is", died.owner_pid(), stage.victim()));
            }
            let mut guard = recover();
            stage.alone(|| repair(&mut guard))?;
            stage.victim_inside(false);
            Ok(Reply::Recovered)
        }
    }
}

/// Locks, and keeps the lock.
fn hold(mutex: &'static Mutex<Pair>) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    move |_, hands| {
        hands.push(Box::new(mutex.lock().map_err(|died| died.to_string())?));
        Ok(Reply::Fine)
    }
}

/// Gives back whatever it keeps.
pub fn let_go(_: Stage, hands: &mut Hands) -> Result<Reply, String> {
    hands.clear();
    Ok(Reply::Fine)
}

/// Marks the mutex by a panic while it is held.
fn panic_inside(mutex: &'static Mutex<Pair>) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    move |_, _| {
        let guard = mutex.lock().map_err(|died| died.to_string())?;
        let panicking = AssertUnwindSafe(move || {
            let _guard = guard;
            resume_unwind(Box::new(()))
        });
        let _: Result<(), _> = catch_unwind(panicking);
        Ok(Reply::Fine)
    }
}
