//! Each rule of the board on its own, with workers that die on command.

use super::*;
use core::cell::Cell;

const SLOTS: usize = 4;
const LANES: usize = 2;
const LENGTH: usize = super::LANES + LANES * (APART + SLOTS) + SLOTS * SLOT_WORDS;

const FIRST: Owner = Owner::new(1, 1);
const SECOND: Owner = Owner::new(2, 1);
/// Who has the slot of a dead worker.
const NEWCOMER: Owner = Owner::new(1, 2);

struct Fake {
    me: Owner,
    woken: Cell<u32>,
}

fn process(me: Owner) -> Fake {
    Fake { me, woken: Cell::new(0) }
}

impl Environment for Fake {
    fn me(&self) -> Owner {
        self.me
    }
    fn is_alive(&self, _: Owner) -> bool {
        true
    }
    fn wake(&self, _: &AtomicU64, count: u32) -> u32 {
        self.woken.set(self.woken.get() + 1);
        count
    }
    fn pid_of(&self, _: Owner) -> u32 {
        0
    }
}

/// These steps, and then the time is over.
struct Steps<'a>(&'a [Step]);

impl Wait for Steps<'_> {
    fn step(&mut self) -> Step {
        let Some((step, rest)) = self.0.split_first() else { return Step::TimedOut };
        self.0 = rest;
        *step
    }
    fn sleep(&mut self, _: &AtomicU64, _: u64) {}
}

fn words() -> [AtomicU64; LENGTH] {
    core::array::from_fn(|_| AtomicU64::new(0))
}

fn board(words: &[AtomicU64]) -> Board<'_> {
    Board::new(words, SLOTS, LANES).unwrap()
}

/// Offers `count` tasks from the first position on.
fn offer(board: Board<'_>, count: u64) {
    for position in 0..count {
        let slot = board.slot(board.slot_at(position));
        slot.set_function(100 + position);
        slot.write(&[position as u8; 9]);
        slot.set_measure(9, 0, 0);
        slot.offer();
    }
    board.publish(count);
}

#[test]
fn a_task_goes_there_and_its_result_comes_back() {
    let words = words();
    let board = board(&words);
    offer(board, 2);
    assert_eq!(board.room(2), Ok(SLOTS - 2));
    let next = board.next(0, 1, FIRST, &mut Steps(&[]));
    assert_eq!(next, Next::Positions(0, 1));
    let slot = board.slot(0);
    assert!(slot.claim(0, FIRST) && !slot.claim(1, SECOND) && !slot.withdraw());
    assert_eq!((slot.function(), slot.measure(), slot.read::<2>()[1]), (100, (9, 0, 0), [0; 8]));
    assert_eq!(slot.status(), Status::Running(0, FIRST));
    slot.set_measure(3, 0, 7);
    slot.write(b"abc");
    assert!(board.lane(0).finish(0, 0, slot, FIRST));
    assert_eq!(board.lane(0).find(0, |at| board.slot(at)), Ok(Found::Done(0)));
    assert_eq!(board.lane(0).find(1, |at| board.slot(at)), Ok(Found::Nothing));
    assert_eq!((slot.measure(), &slot.read::<1>()[0][..3]), ((3, 0, 7), &b"abc"[..]));
}

#[test]
fn bytes_of_every_length_fit() {
    let words = words();
    let slot = board(&words).slot(1);
    let bytes: [u8; INLINE] = core::array::from_fn(|at| at as u8 + 1);
    for length in 0..=INLINE {
        slot.write(&[0xff; INLINE]);
        slot.write(&bytes[..length]);
        assert_eq!(slot.read::<{ INLINE / 8 }>().as_flattened()[..length], bytes[..length]);
    }
}

#[test]
fn a_worker_that_dies_leaves_its_task_to_be_found_and_a_newcomer_none_of_it() {
    let words = words();
    let board = board(&words);
    offer(board, 3);
    assert_eq!(board.set_out(8), Some((0, 1)), "a fair share");
    assert_eq!(board.set_out(8), Some((1, 1)));
    // One runs when it dies, one was set out for and not claimed, one is done and has no entry.
    assert!(board.slot(0).claim(0, FIRST));
    assert!(board.slot(2).claim(0, FIRST) && board.slot(2).finish(0, FIRST));
    assert_eq!(board.slot(0).status(), Status::Running(0, FIRST));
    assert_eq!(board.slot(2).status(), Status::Done(0, FIRST));
    assert!(board.slot(1).status() == Status::Ready && board.is_behind(1) && !board.is_behind(2));
    board.slot(0).clear();
    board.lane(0).clear();
    // The successor in the lane, with the slot of the dead one.
    assert!(!board.slot(0).claim(0, NEWCOMER));
    assert_eq!(board.search(0, NEWCOMER), Some(1));
    assert!(!board.slot(1).finish(0, FIRST), "the dead one does not finish what is not its own");
    assert!(board.slot(1).finish(0, NEWCOMER));
}

#[test]
fn a_task_is_taken_away_or_done_but_not_both() {
    let words = words();
    let board = board(&words);
    offer(board, 2);
    for (at, taken_first) in [(0, true), (1, false)] {
        let slot = board.slot(at);
        assert!(slot.claim(1, SECOND) && !slot.condemn(0), "the other lane has nothing to do with it");
        if taken_first {
            assert!(slot.condemn(1) && !board.lane(1).finish(0, at, slot, SECOND));
            assert_eq!(slot.status(), Status::Condemned(1, SECOND));
            assert_eq!(board.lane(1).find(0, |at| board.slot(at)), Ok(Found::Nothing));
        } else {
            assert!(board.lane(1).finish(0, at, slot, SECOND) && !slot.condemn(1));
        }
    }
}

#[test]
fn who_sleeps_is_woken_once() {
    let words = words();
    let board = board(&words);
    let (pool, worker) = (process(Owner::new(0, 1)), process(FIRST));
    assert_eq!(board.next(0, 1, FIRST, &mut Steps(&[Step::Sleep])), Next::TimedOut);
    offer(board, 1);
    board.wake_workers(1, &pool);
    board.wake_pool(&pool);
    assert_eq!(pool.woken.get(), 1, "the worker, and nobody of the pool's");
    assert_eq!(board.report(&worker), Alarm::None);
    board.arm();
    assert_eq!(board.report(&worker), Alarm::Bell);
    assert_eq!(board.report(&worker), Alarm::None);
    board.announce();
    assert_eq!((board.report(&worker), worker.woken.get()), (Alarm::None, 1));
    board.arm();
    board.disarm();
    assert_eq!((board.report(&worker), worker.woken.get()), (Alarm::None, 1));
}

#[test]
fn a_closed_board_is_left_when_nothing_is_to_be_done() {
    let words = words();
    let board = board(&words);
    offer(board, 1);
    board.close(&process(SECOND));
    assert_eq!(board.next(0, 1, FIRST, &mut Steps(&[])), Next::Positions(0, 1));
    // Nobody has claimed it yet.
    assert_eq!(board.next(1, 1, SECOND, &mut Steps(&[])), Next::Claimed(0));
    assert_eq!(board.next(0, 1, FIRST, &mut Steps(&[])), Next::Leave);
}

#[test]
fn what_no_worker_writes_is_noticed() {
    let words = words();
    let board = board(&words);
    board.word(HEAD).store(9, Relaxed);
    assert_eq!(board.room(3), Err(Damaged));
    assert_eq!(board.room(9 + SLOTS as u64 + 1), Err(Damaged));
    board.word(TAIL).store(u64::MAX, Relaxed);
    assert_eq!(board.set_out(1), None);
    let lane = board.lane(1);
    words[super::LANES + APART + SLOTS + APART].store(1 << 16 | 3, Relaxed);
    assert_eq!(lane.find(0, |at| board.slot(at)), Err(Damaged), "the slot is not done");
    words[super::LANES + APART + SLOTS + APART].store(1 << 16 | 4, Relaxed);
    assert_eq!(lane.find(0, |at| board.slot(at)), Err(Damaged), "there is no such slot");
    for word in &words {
        word.store(u64::MAX, Relaxed);
    }
    for at in 0..SLOTS {
        let _ = (board.slot(at).status(), board.slot(at).measure(), board.slot(at).claim(0, FIRST));
    }
    assert!(Board::new(&words[1..], SLOTS, LANES).is_none() && Board::length(3, 1).is_none());
    assert!(Board::length(SLOTS, 0).is_none() && Board::length(1 << 17, 1).is_none());
}
