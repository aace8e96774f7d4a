//! Models of the pool's board: each task is done once and seen whole, and nobody sleeps beside work, whoever dies where.
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU64;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use model::{Kill, Process, World, check, killed};
use multiprocess_core::work::{Alarm, Board, Found, Next, Status};
use multiprocess_core::{Environment, Step, Wait};
use std::sync::Arc;

const SLOTS: usize = 2;
const LANES: usize = 2;

/// A board, what goes along with each task, and a bell.
struct Shared {
    words: Vec<AtomicU64>,
    data: Vec<UnsafeCell<u32>>,
    bell: (Mutex<bool>, Condvar),
    world: World,
}

// SAFETY: loom checks each access to the cells against all others, which is what these models are for.
unsafe impl Send for Shared {}
// SAFETY: a race on a cell is a failed model, so no interleaving that passes has one.
unsafe impl Sync for Shared {}

fn shared() -> Arc<Shared> {
    let length = Board::length(SLOTS, LANES).unwrap();
    Arc::new(Shared {
        words: (0..length).map(|_| AtomicU64::new(0)).collect(),
        data: (0..SLOTS).map(|_| UnsafeCell::new(0)).collect(),
        bell: (Mutex::new(false), Condvar::new()),
        world: World::new(4),
    })
}

impl Shared {
    fn board(&self) -> Board<'_> {
        Board::new(&self.words, SLOTS, LANES).unwrap()
    }

    fn touch(&self, slot: usize) -> u32 {
        self.data[slot].with_mut(|data| {
            // SAFETY: loom reports the access if it is not ordered after all others.
            let data = unsafe { &mut *data };
            *data += 1;
            *data
        })
    }

    /// Offers a task at each of these positions, and shows all of them.
    fn offer(&self, positions: std::ops::Range<u64>, process: &Process) {
        let board = self.board();
        for position in positions.clone() {
            self.touch(board.slot_at(position));
            board.slot(board.slot_at(position)).offer();
        }
        board.publish(positions.end);
        board.wake_workers((positions.end - positions.start) as u32, process);
    }

    /// Does one task; its slot.
    fn work(&self, lane: usize, number: u64, process: &Process) -> usize {
        let board = self.board();
        let mut patience = process.patient();
        loop {
            let slot = match board.next(lane, 1, process.me(), &mut patience) {
                Next::Positions(first, _) => {
                    Some(board.slot_at(first)).filter(|at| board.slot(*at).claim(lane, process.me()))
                }
                Next::Claimed(slot) => Some(slot),
                Next::Leave | Next::TimedOut => unreachable!("nobody closes, and patience has no end"),
            };
            if let Some(slot) = slot {
                self.touch(slot);
                assert!(board.lane(lane).finish(number, slot, board.slot(slot), process.me()));
                if board.report(process) == Alarm::Bell {
                    *self.bell.0.lock().unwrap() = true;
                    self.bell.1.notify_all();
                }
                return slot;
            }
        }
    }

    /// The entry of a lane, if it is there.
    fn find(&self, lane: usize, number: u64) -> Option<usize> {
        let board = self.board();
        match board.lane(lane).find(number, |at| board.slot(at)) {
            Ok(Found::Done(slot)) => Some(slot),
            other => {
                assert_eq!(other, Ok(Found::Nothing));
                None
            }
        }
    }

    /// Sleeps on the signal until one of these finds something.
    fn wait(&self, process: &Process, find: impl Fn() -> Option<usize>) -> usize {
        let mut patience = process.patient();
        loop {
            if let Some(slot) = find() {
                return slot;
            }
            if patience.step() == Step::Sleep {
                let announced = self.board().announce();
                if let Some(slot) = find() {
                    return slot;
                }
                patience.sleep(self.board().signal(), announced);
            }
        }
    }
}

#[test]
fn a_task_and_its_result_are_seen_whole() {
    check(2, || {
        let shared = shared();
        let (pool, worker) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || other.work(0, 0, &worker));
        shared.offer(0..1, &pool);
        let slot = shared.wait(&pool, || shared.find(0, 0));
        assert_eq!(shared.touch(slot), 3);
        assert_eq!(thread.join().unwrap(), slot);
    });
}

#[test]
fn a_task_is_claimed_by_one() {
    check(2, || {
        let shared = shared();
        let (pool, first, second) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        shared.offer(0..1, &pool);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let claimed = other.board().slot(0).claim(0, first.me());
            claimed.then(|| other.touch(0));
            claimed
        });
        let claimed = shared.board().slot(0).claim(1, second.me());
        claimed.then(|| shared.touch(0));
        assert!(claimed ^ thread.join().unwrap());
    });
}

#[test]
fn a_position_that_is_seen_has_its_task() {
    check(2, || {
        let shared = shared();
        let (pool, worker) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let board = other.board();
            if let Some((first, _)) = board.set_out(1) {
                assert!(board.slot(board.slot_at(first)).claim(0, worker.me()), "it would become a straggler");
            }
        });
        shared.offer(0..1, &pool);
        thread.join().unwrap();
    });
}

#[test]
fn two_workers_do_two_tasks() {
    check(1, || {
        let shared = shared();
        let (pool, first, second) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        let (one, two) = (shared.clone(), shared.clone());
        let threads = [thread::spawn(move || one.work(0, 0, &first)), thread::spawn(move || two.work(1, 0, &second))];
        shared.offer(0..2, &pool);
        let slots = threads.map(|thread| thread.join().unwrap());
        assert_ne!(slots[0], slots[1]);
        assert_eq!((shared.find(0, 0), shared.find(1, 0)), (Some(slots[0]), Some(slots[1])));
    });
}

#[test]
fn a_bell_that_is_armed_is_rung() {
    check(2, || {
        let shared = shared();
        let (pool, worker) = (shared.world.join(0), shared.world.join(1));
        shared.offer(0..1, &pool);
        let other = shared.clone();
        let thread = thread::spawn(move || other.work(0, 0, &worker));
        shared.board().arm();
        if shared.find(0, 0).is_none() {
            let mut rung = shared.bell.0.lock().unwrap();
            while !*rung {
                rung = shared.bell.1.wait(rung).unwrap();
            }
            drop(rung);
            assert_eq!(shared.find(0, 0), Some(0));
        }
        thread.join().unwrap();
    });
}

#[test]
fn what_a_dead_worker_set_out_for_is_done_by_another() {
    check(2, || {
        let shared = shared();
        let (pool, victim, survivor) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        shared.offer(0..1, &pool);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let set_out = other.board().set_out(1);
            victim.die();
            set_out.is_some()
        });
        assert_eq!(shared.work(1, 0, &survivor), 0);
        thread.join().unwrap();
        assert_eq!(shared.touch(0), 3);
    });
}

#[test]
fn a_task_is_taken_away_or_done() {
    check(2, || {
        let shared = shared();
        let (pool, worker) = (shared.world.join(0), shared.world.join(1));
        shared.offer(0..1, &pool);
        assert!(shared.board().slot(0).claim(0, worker.me()));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let board = other.board();
            other.touch(0);
            board.lane(0).finish(0, 0, board.slot(0), worker.me())
        });
        let taken = shared.board().slot(0).condemn(0);
        let done = thread.join().unwrap();
        assert!(taken ^ done);
        assert_eq!(shared.find(0, 0).is_some(), done);
    });
}

#[test]
fn a_result_whose_worker_dies_before_it_wakes_is_found() {
    check(2, || {
        let shared = shared();
        let (pool, victim) = (shared.world.join(0), shared.world.join(1));
        shared.offer(0..1, &pool);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            assert!(other.board().slot(0).claim(0, victim.me()));
            other.touch(0);
            let done = other.board().lane(0).finish(0, 0, other.board().slot(0), victim.me());
            assert!(done);
            killed(&victim, || other.board().report(&victim.doomed(Kill::Wake)));
        });
        // The end of a process wakes whoever waits here.
        let slot = shared.wait(&pool, || match shared.board().slot(0).status() {
            Status::Done(0, _) => Some(0),
            _ => None,
        });
        assert_eq!(shared.touch(slot), 3);
        thread.join().unwrap();
    });
}

#[test]
fn a_worker_that_is_killed_asleep_takes_no_task_with_it() {
    check(1, || {
        let shared = shared();
        let (pool, victim, survivor) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        let (one, two) = (shared.clone(), shared.clone());
        let dying = thread::spawn(move || {
            let doomed = victim.doomed(Kill::Sleep);
            killed(&victim, || one.board().next(0, 1, victim.me(), &mut doomed.patient()))
        });
        let working = thread::spawn(move || two.work(1, 0, &survivor));
        shared.offer(0..1, &pool);
        // If it did not fall asleep, it has perhaps claimed the task, which is lost then.
        if let Some(Next::Claimed(_)) = dying.join().unwrap() {
            shared.offer(1..2, &pool);
        }
        working.join().unwrap();
    });
}
