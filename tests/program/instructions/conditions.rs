//! `Condition`: a notified live waiter wakes, whether a waiter or a notifier died.

use super::case::{AFTER, Case, EARLY, Hands, PATIENCE, RELEASE, Reply, Stage};
use super::forever;
use multiprocess::{Condition, Group, Mutex, OwnerDied};
use std::time::Duration;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[wait_one, wait_all, wait_runs_out, notify_one, notify_all];

/// A condition with its mutex, in one segment.
#[derive(Clone, Copy)]
struct Pair {
    condition: &'static Condition,
    mutex: &'static Mutex<u64>,
}

impl Pair {
    fn new() -> Pair {
        let group = Group::new().expect("a group can be made");
        Pair {
            condition: forever(group.condition().expect("a condition can be made")),
            mutex: forever(group.mutex(0).expect("a mutex can be made")),
        }
    }

    /// So that this process is known to the objects.
    fn warm(self) {
        drop(self.mutex.lock().expect("nobody died yet"));
        self.condition.notify_all();
    }

    /// Waits until notified. A waiter that comes back to a mutex whose owner died is told so.
    fn wait(self) -> Result<Reply, String> {
        let Ok(guard) = self.mutex.lock() else { return Err("an owner died before the wait".to_owned()) };
        match self.condition.wait_timeout(guard, PATIENCE) {
            Ok((_, result)) if result.timed_out() => Err("nothing woke it".to_owned()),
            Ok(_) => Ok(Reply::Fine),
            Err(OwnerDied { .. }) => {
                drop(self.mutex.recover());
                Ok(Reply::Recovered)
            }
        }
    }

    /// Notifies, whatever happened to the mutex.
    fn notify(self, notify: fn(&Condition)) -> Reply {
        match self.mutex.lock() {
            Ok(_guard) => {
                notify(self.condition);
                Reply::Fine
            }
            Err(_) => {
                let _guard = self.mutex.recover();
                notify(self.condition);
                Reply::Recovered
            }
        }
    }
}

fn wait_one() -> Case {
    let pair = Pair::new();
    // The notification may be the other's. Then the victim's time runs out, after some sleeps.
    Case::new("Condition::wait", "another waits, one notified", waiting(pair, Duration::from_millis(300)))
        .part(EARLY, move |_, _| pair.wait())
        .part(RELEASE, notifying(pair, Condition::notify_one))
        // The victim may have taken the first one with it.
        .part(AFTER, notifying(pair, Condition::notify_one))
        .checked_by(use_it(pair))
}

fn wait_all() -> Case {
    let pair = Pair::new();
    Case::new("Condition::wait", "another waits, all notified", waiting(pair, PATIENCE))
        .part(EARLY, move |_, _| pair.wait())
        .part(RELEASE, notifying(pair, Condition::notify_all))
        .checked_by(use_it(pair))
}

fn wait_runs_out() -> Case {
    let pair = Pair::new();
    Case::new("Condition::wait_timeout", "the time runs out", waiting(pair, Duration::from_millis(1)))
        .part(EARLY, move |_, _| pair.wait())
        .part(AFTER, notifying(pair, Condition::notify_one))
        .checked_by(use_it(pair))
}

fn notify_one() -> Case {
    let pair = Pair::new();
    Case::new("Condition::notify_one", "one waits", move |stage| {
        pair.warm();
        stage.begin();
        pair.condition.notify_one();
        stage.end();
    })
    .part(EARLY, move |_, _| pair.wait())
    .part(AFTER, notifying(pair, Condition::notify_one))
    .checked_by(use_it(pair))
}

fn notify_all() -> Case {
    let pair = Pair::new();
    Case::new("Condition: lock, notify_all, unlock", "one waits", move |stage| {
        pair.warm();
        stage.begin();
        pair.notify(Condition::notify_all);
        stage.end();
    })
    .part(EARLY, move |_, _| pair.wait())
    .part(AFTER, notifying(pair, Condition::notify_all))
    .checked_by(use_it(pair))
}

/// The victim locks and waits.
fn waiting(pair: Pair, limit: Duration) -> impl Fn(Stage) {
    move |stage| {
        pair.warm();
        stage.begin();
        let _held = pair.mutex.lock().map(|guard| pair.condition.wait_timeout(guard, limit));
        stage.end();
    }
}

fn notifying(pair: Pair, notify: fn(&Condition)) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    move |_, _| Ok(pair.notify(notify))
}

/// The mutex can be had, a wait that nobody notifies runs out, and a notification without a waiter is no error. The token that a
/// killed waiter had taken goes to whoever waits next: once.
fn use_it(pair: Pair) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |_, _| {
        let reply = pair.notify(Condition::notify_all);
        for _ in 0..2 {
            let guard = pair.mutex.lock().map_err(|died| died.to_string())?;
            let limit = Duration::from_micros(100);
            let (_guard, result) = pair.condition.wait_timeout(guard, limit).map_err(|died| died.to_string())?;
            if result.timed_out() {
                return Ok(reply);
            }
        }
        Err("a waiter woke twice that nobody notified".to_owned())
    }
}
