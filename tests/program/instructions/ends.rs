//! The end of a channel: whoever is killed while it drops the last sender or the last receiver, or closes a queue, keeps nobody waiting.
//!
//! Each round has a channel of its own. The first survivor gives the one end to the victim, and the other to a process that waits; it
//! keeps what does not delay the end. Whether the victim drops its end or dies with it, the one that waits hears of it.

use super::case::{CHECK, Case, Hands, PATIENCE, Reply, SETUP, Stage};
use super::forever;
use multiprocess::channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use multiprocess::{Child, Error, Fd, Process, Queue};
use multiprocess_tests::{pause, trace};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::time::Duration;

/// The cases of this file.
pub const CASES: &[fn() -> Case] = &[last_sender, last_receiver, close];

/// How long what must come may take when the victim is dead, or before it begins. This only ends a hang.
const LIMIT: Duration = Duration::from_secs(10);

/// The counter of how far the one that waits has come.
const WAITS: usize = 0;

/// What the survivor has of a round.
struct Round {
    victim: Child<()>,
    /// Returns what was wrong with what it heard.
    waits: Child<Option<String>>,
    /// Looks at the survivor's own handle, when the other side has ended.
    look: Box<dyn Fn() -> Result<(), String>>,
    /// Says the end, if the victim has not.
    say: Box<dyn Fn()>,
}

/// A case in which each round begins with `make`.
fn case(operation: &'static str, condition: &'static str, make: fn(&File) -> Result<Round, Error>) -> Case {
    let file = memfd_create("stage", MemfdFlags::CLOEXEC).expect("a page can be made");
    let file: &'static File = forever(File::from(file));
    Case::of_others(operation, condition, Stage::in_file(file))
        .part(SETUP, move |stage, hands| {
            let round = make(file).map_err(|error| error.to_string())?;
            let waits = || stage.counted(WAITS) > 0 && trace::is_blocked(round.waits.pid());
            let is_ready = pause::holds_within(LIMIT, waits);
            hands.push(Box::new(round));
            if is_ready { Ok(Reply::Fine) } else { Err("nobody waits".to_owned()) }
        })
        .part(CHECK, check)
}

fn check(stage: Stage, hands: &mut Hands) -> Result<Reply, String> {
    let round = hands.pop().and_then(|round| round.downcast::<Round>().ok()).expect("each round has one");
    if !stage.has_ended() {
        (round.say)();
    }
    match round.waits.wait_timeout(LIMIT) {
        Ok(Some(_)) => {}
        other => return Err(format!("whoever waits does not hear of the end: {other:?}")),
    }
    if let Some(wrong) = round.waits.join().map_err(|error| error.to_string())? {
        return Err(wrong);
    }
    (round.look)()?;
    let killed = round.victim.join().expect_err("the victim was killed");
    if killed.to_string().contains("signal: 9") { Ok(told(stage)) } else { Err(killed.to_string()) }
}

fn told(stage: Stage) -> Reply {
    if stage.has_ended() { Reply::Fine } else { Reply::Recovered }
}

/// What a victim does: lets its operation run between the marks.
fn perform(page: &File, operation: impl FnOnce()) {
    let stage = Stage::in_file(page);
    stage.offer();
    operation();
    stage.end();
}

fn page(file: &File) -> Result<Fd<File>, Error> {
    file.try_clone().map(Fd).map_err(|error| Error::os("duplicating the page", error))
}

fn last_sender() -> Case {
    case("drop of the last Sender", "another blocked in recv", |file| {
        let (to, from) = bounded::<u64>(4)?;
        let waits = |page: Fd<File>, from: Receiver<u64>| {
            Stage::in_file(&page.0).count(WAITS);
            match from.recv_timeout(PATIENCE) {
                Err(RecvTimeoutError::Disconnected) => None,
                other => Some(format!("instead of the end comes {other:?}")),
            }
        };
        let waits = Process::new(waits, (page(file)?, from.clone())).daemon(true).start()?;
        let drop_it = |page: Fd<File>, to: Sender<u64>| perform(&page.0, || drop(to));
        let victim = Process::new(drop_it, (page(file)?, to)).daemon(true).start()?;
        let look = move || match from.try_recv() {
            Err(error) if error.is_disconnected() => Ok(()),
            other => Err(format!("behind the end comes {other:?}")),
        };
        Ok(Round { victim, waits, look: Box::new(look), say: Box::new(|| ()) })
    })
}

fn last_receiver() -> Case {
    case("drop of the last Receiver", "another blocked in send", |file| {
        let (to, from) = bounded::<u64>(2)?;
        let waits = |page: Fd<File>, to: Sender<u64>| {
            let sent = (1..=2).all(|number| to.send(number).is_ok());
            Stage::in_file(&page.0).count(WAITS);
            match to.send_timeout(3, PATIENCE) {
                Err(SendTimeoutError::Disconnected(3)) if sent => None,
                other => Some(format!("instead of the end comes {other:?}")),
            }
        };
        let waits = Process::new(waits, (page(file)?, to.clone())).daemon(true).start()?;
        let drop_it = |page: Fd<File>, from: Receiver<u64>| perform(&page.0, || drop(from));
        let victim = Process::new(drop_it, (page(file)?, from)).daemon(true).start()?;
        let look = move || match to.try_send(4) {
            Err(error) if error.is_disconnected() => Ok(()),
            other => Err(format!("behind the end comes {other:?}")),
        };
        Ok(Round { victim, waits, look: Box::new(look), say: Box::new(|| ()) })
    })
}

/// What is there is taken by whoever waits, and then it hears of the end.
fn close() -> Case {
    case("Queue::close", "another blocked in recv", |file| {
        let queue = Queue::<u64>::bounded(4)?;
        let waits = |page: Fd<File>, queue: Queue<u64>| {
            let taken: Vec<u64> = (0..2).filter_map(|_| queue.recv_timeout(PATIENCE).ok()).collect();
            Stage::in_file(&page.0).count(WAITS);
            match queue.recv_timeout(PATIENCE) {
                Err(RecvTimeoutError::Disconnected) if taken == [1, 2] => None,
                other => Some(format!("behind {taken:?} comes {other:?}")),
            }
        };
        let waits = Process::new(waits, (page(file)?, queue.clone())).daemon(true).start()?;
        let sent = (1..=2).try_for_each(|number| queue.send(number));
        sent.map_err(|error| Error::new(multiprocess::ErrorKind::Other, error.to_string()))?;
        let close_it = |page: Fd<File>, queue: Queue<u64>| perform(&page.0, || queue.close());
        let victim = Process::new(close_it, (page(file)?, queue.clone())).daemon(true).start()?;
        let (own, again) = (queue.clone(), queue);
        let look = move || match own.try_send(3) {
            Err(error) if error.is_disconnected() => Ok(()),
            other => Err(format!("behind the end: {other:?}")),
        };
        Ok(Round { victim, waits, look: Box::new(look), say: Box::new(move || again.close()) })
    })
}
