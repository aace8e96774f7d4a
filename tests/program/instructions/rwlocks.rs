//! `RwLock`: a dead writer is reported, a dead reader is forgotten, and neither blocks anybody.

use super::case::{Case, EARLY, Hands, LATE, RELEASE, Reply, SETUP, Stage};
use super::forever;
use super::locks::{enter, let_go};
use multiprocess::{RwLock, RwLockWriteGuard};

/// Two numbers that are the same unless somebody is at work on them.
type Pair = [u64; 2];

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[
    read,
    read_contended,
    end_read,
    end_read_awaited,
    write,
    write_contended,
    write_against_writer,
    end_write,
    end_write_awaited,
    critical_section,
];

fn rwlock() -> &'static RwLock<Pair> {
    forever(RwLock::new([0, 0]).expect("a lock can be made"))
}

/// Reads and writes once, so that this process is known to the object.
fn warm(lock: &RwLock<Pair>) {
    drop(lock.read().expect("nobody died yet"));
    drop(lock.write().expect("nobody died yet"));
}

fn read() -> Case {
    let lock = rwlock();
    Case::new("RwLock::read", "free", move |stage| {
        warm(lock);
        stage.begin();
        let _guard = lock.read();
        stage.note(1);
        stage.end();
    })
    .part(LATE, write_it(lock))
    .checked_by(write_it(lock))
}

fn read_contended() -> Case {
    let lock = rwlock();
    Case::new("RwLock::read", "written, another blocked", move |stage| {
        warm(lock);
        stage.begin();
        let _guard = lock.read();
        stage.end();
    })
    .part(SETUP, hold_writing(lock))
    .part(EARLY, read_it(lock))
    .part(RELEASE, let_go)
    .checked_by(write_it(lock))
}

fn end_read() -> Case {
    let lock = rwlock();
    Case::new("RwLock, end of a read", "nobody waits", move |stage| {
        let guard = lock.read();
        stage.begin();
        drop(guard);
        stage.end();
    })
    .part(LATE, write_it(lock))
    .checked_by(write_it(lock))
}

fn end_read_awaited() -> Case {
    let lock = rwlock();
    Case::new("RwLock, end of a read", "a writer blocked", move |stage| {
        let guard = lock.read();
        stage.note(1);
        stage.begin();
        stage.note(0);
        drop(guard);
        stage.end();
    })
    .part(EARLY, write_it(lock))
    .checked_by(write_it(lock))
}

fn write() -> Case {
    let lock = rwlock();
    Case::new("RwLock::write", "free", move |stage| {
        warm(lock);
        stage.begin();
        let _guard = lock.write();
        stage.victim_inside(true);
        stage.end();
    })
    .part(LATE, read_it(lock))
    .checked_by(write_it(lock))
}

fn write_contended() -> Case {
    let lock = rwlock();
    Case::new("RwLock::write", "read, another writer blocked", move |stage| {
        warm(lock);
        stage.begin();
        let _guard = lock.write();
        stage.victim_inside(true);
        stage.end();
    })
    .part(SETUP, move |_, hands| {
        hands.push(Box::new(lock.read().map_err(|died| died.to_string())?));
        Ok(Reply::Fine)
    })
    .part(EARLY, write_it(lock))
    .part(RELEASE, let_go)
    .checked_by(write_it(lock))
}

fn write_against_writer() -> Case {
    let lock = rwlock();
    Case::new("RwLock::write", "written, a reader blocked", move |stage| {
        warm(lock);
        stage.begin();
        let _guard = lock.write();
        stage.victim_inside(true);
        stage.end();
    })
    .part(SETUP, hold_writing(lock))
    .part(EARLY, read_it(lock))
    .part(RELEASE, let_go)
    .checked_by(write_it(lock))
}

fn end_write() -> Case {
    let lock = rwlock();
    Case::new("RwLock, end of a write", "nobody waits", move |stage| {
        let guard = lock.write();
        stage.begin();
        drop(guard);
        stage.end();
    })
    .part(LATE, write_it(lock))
    .checked_by(read_it(lock))
}

fn end_write_awaited() -> Case {
    let lock = rwlock();
    Case::new("RwLock, end of a write", "a reader blocked", move |stage| {
        let guard = lock.write();
        stage.begin();
        drop(guard);
        stage.end();
    })
    .part(EARLY, read_it(lock))
    .checked_by(write_it(lock))
}

fn critical_section() -> Case {
    let lock = rwlock();
    Case::new("RwLock: write lock, change, unlock", "free", move |stage| {
        warm(lock);
        stage.begin();
        let mut guard = lock.write().expect("nobody died yet");
        stage.victim_inside(true);
        guard[0] += 1;
        guard[1] += 1;
        stage.victim_inside(false);
        drop(guard);
        stage.end();
    })
    .part(LATE, read_it(lock))
    .checked_by(write_it(lock))
}

/// Writes, and repairs what a dead writer left.
fn write_it(lock: &'static RwLock<Pair>) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |stage, _| {
        let attempt = lock.write();
        if stage.noted() == 1 && !stage.is_victim_killed() {
            return Err("a writer is in while a reader lives and reads".to_owned());
        }
        let repair = |guard: &mut RwLockWriteGuard<'_, Pair>| **guard = [0, 0];
        enter(stage, attempt, || lock.recover(), |guard| guard[0] == guard[1], repair)
    }
}

/// Reads, and repairs what a dead writer left.
fn read_it(lock: &'static RwLock<Pair>) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + Clone + 'static {
    move |stage, hands| match lock.read() {
        Ok(guard) => match (stage.is_victim_inside(), stage.is_victim_killed()) {
            (true, false) => Err("a reader is in while a writer lives and writes".to_owned()),
            (true, true) => Err("the writer was killed, and no reader is told".to_owned()),
            (false, _) if guard[0] != guard[1] => Err("torn data without a report".to_owned()),
            (false, _) => Ok(Reply::Fine),
        },
        // Only a writer can repair: the mark is still there for it, unless the other survivor was faster.
        Err(_) => write_it(lock)(stage, hands).map(|_| Reply::Recovered),
    }
}

fn hold_writing(lock: &'static RwLock<Pair>) -> impl Fn(Stage, &mut Hands) -> Result<Reply, String> + 'static {
    move |_, hands| {
        hands.push(Box::new(lock.write().map_err(|died| died.to_string())?));
        Ok(Reply::Fine)
    }
}
