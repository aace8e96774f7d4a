//! What becomes of tasks whose takers live, and of those whose takers do not.

use super::*;
use crate::peers::Peer;
use core::cell::Cell;

const ME: Owner = Owner::new(0, 1);
const OTHER: Owner = Owner::new(5, 3);

struct World {
    dead: Cell<bool>,
    woken: Cell<u32>,
}

impl Environment for World {
    fn me(&self) -> Owner {
        ME
    }
    fn is_alive(&self, owner: Owner) -> bool {
        owner == ME || !self.dead.get()
    }
    fn wake(&self, _: &AtomicU64, _: u32) -> u32 {
        self.woken.set(self.woken.get() + 1);
        0
    }
    fn pid_of(&self, _: Owner) -> u32 {
        0
    }
}

struct Steps<F>(u32, F);

impl<F: FnMut()> Wait for Steps<F> {
    fn step(&mut self) -> Step {
        self.0 += 1;
        match self.0 {
            1 => Step::Probe,
            2 | 3 => Step::Sleep,
            _ => Step::TimedOut,
        }
    }
    fn sleep(&mut self, _: &AtomicU64, _: u64) {
        (self.1)();
    }
}

struct Case {
    peers: Peers,
    table: [Peer; 16],
    tasks: Tasks,
    world: World,
    queued: Cell<u32>,
}

impl Case {
    fn new() -> Case {
        let case = Case {
            peers: Peers::new(),
            table: Default::default(),
            tasks: Tasks::new(),
            world: World { dead: Cell::new(false), woken: Cell::new(0) },
            queued: Cell::new(0),
        };
        for who in [ME, OTHER] {
            case.peers.join(case.table(), crate::peers::Side::Receivers, who);
        }
        case
    }

    fn table(&self) -> Table<'_> {
        Table::new(&self.table)
    }

    fn put(&self, count: u32) {
        (0..count).for_each(|_| self.tasks.put());
        self.queued.set(self.queued.get() + count);
    }

    fn take(&self, who: Owner) {
        self.tasks.take(self.table(), who);
        self.queued.set(self.queued.get() - 1);
    }

    fn done(&self, who: Owner) -> bool {
        self.tasks.done(self.table(), who, &self.world)
    }

    fn join(&self, during: impl FnMut()) -> Joined {
        let mut wait = Steps(0, during);
        self.tasks.join(&self.peers, self.table(), &self.world, &mut wait, || self.queued.get() > 0)
    }
}

#[test]
fn no_tasks_are_done_at_once_and_none_can_be_done() {
    let case = Case::new();
    assert_eq!(case.join(|| unreachable!()), Joined::Finished);
    assert!(!case.done(ME));
    case.put(1);
    case.take(ME);
    assert!(case.done(ME) && !case.done(ME));
    assert_eq!((case.tasks.unfinished(), case.world.woken.get()), (0, 0));
}

#[test]
fn who_waits_is_woken_by_the_last_task() {
    let case = Case::new();
    case.put(2);
    case.take(OTHER);
    assert!(case.done(OTHER));
    let joined = case.join(|| {
        case.take(OTHER);
        assert!(case.done(OTHER));
    });
    assert_eq!((joined, case.world.woken.get()), (Joined::Finished, 1));
}

#[test]
fn a_moment_without_tasks_ends_the_wait() {
    let case = Case::new();
    case.put(1);
    let joined = case.join(|| {
        case.take(ME);
        assert!(case.done(ME));
        case.put(3);
    });
    assert_eq!(joined, Joined::Finished);
}

#[test]
fn tasks_in_living_hands_or_in_the_queue_are_waited_for() {
    let case = Case::new();
    case.put(1);
    assert_eq!(case.join(|| ()), Joined::TimedOut);
    case.take(OTHER);
    assert_eq!(case.join(|| ()), Joined::TimedOut);
    assert_eq!(case.tasks.unfinished(), 1);
    assert!(case.done(OTHER));
}

#[test]
fn tasks_in_dead_hands_are_given_up_once() {
    let case = Case::new();
    case.put(2);
    case.take(OTHER);
    case.take(OTHER);
    case.world.dead.set(true);
    assert_eq!(case.join(|| ()), Joined::Lost(2));
    assert_eq!(case.join(|| ()), Joined::Finished);
    assert!(!case.done(ME));
}

#[test]
fn one_loss_is_told_to_all_who_wait() {
    let case = Case::new();
    case.put(1);
    case.take(OTHER);
    let joined = case.join(|| {
        case.world.dead.set(true);
        assert_eq!(case.join(|| ()), Joined::Lost(1));
    });
    assert_eq!(joined, Joined::Lost(1));
}

#[test]
fn what_a_taker_or_sender_gives_back_counts_no_more() {
    let case = Case::new();
    case.put(1);
    case.tasks.take(case.table(), OTHER);
    case.tasks.give_back(case.table(), OTHER);
    assert_eq!(case.join(|| ()), Joined::TimedOut);
    case.queued.set(0);
    assert!(case.tasks.less(&case.world));
    assert_eq!(case.join(|| ()), Joined::Finished);
}

#[test]
fn any_word_will_do() {
    for word in [u64::MAX, COUNT, COUNT | WAITERS, ZEROS | 1, LOSSES | 1, 1 << 31] {
        let case = Case::new();
        case.tasks.word.store(word, Relaxed);
        assert!(matches!(case.join(|| ()), Joined::Lost(_)), "{word:#x}");
        assert_eq!(case.tasks.unfinished(), 0);
        case.tasks.word.store(word, Relaxed);
        case.done(ME);
        case.tasks.put();
    }
}
