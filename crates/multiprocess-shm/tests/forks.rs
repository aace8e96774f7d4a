//! Segments in copies of a process that its own `fork` makes, and in one that closes every descriptor it has.
//!
//! A copy has all that its maker has at that moment, also handles on their way and half of what another thread does. So one test
//! runs at a time.

mod sample;

use multiprocess_core::{Environment, Owner, Word};
use multiprocess_fixture_native::{Side, close_from, drop_to, fork};
use multiprocess_parcel::{pack, unpack};
use multiprocess_shm::{Segment, Shape};
use multiprocess_sys::process::{Process, end_now, reap_number};
use multiprocess_sys::{ErrorKind, clock::Deadline};
use sample::{any, unique, word};
use std::io::{Read, pipe};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHAPE: Shape = Shape { kind: 77, length: 4096, reserved: 4096, parameters: [1, 2, 3, 4] };

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reap(pid: u32) -> bool {
    assert!(Process::open(pid).unwrap().wait(Deadline::NEVER).unwrap());
    reap_number(pid).unwrap().unwrap().success()
}

/// Runs `work` in a copy of this process that its own `fork` made, to the end.
fn in_a_copy(work: impl FnOnce() -> bool) {
    match fork().unwrap() {
        Side::Child => {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            end_now(i32::from(!result.unwrap_or(false)))
        }
        Side::Parent(pid) => {
            assert!(reap(pid));
        }
    }
}

#[test]
fn a_forked_copy_is_somebody_else() {
    let _alone = alone();
    for segment in
        [Segment::anonymous(SHAPE, |_| {}).unwrap(), Segment::create(&unique("forked"), SHAPE, |_| {}).unwrap()]
    {
        let parent = segment.me();
        in_a_copy(|| {
            let own = segment.me();
            let travelled: Segment = unpack(pack(&segment).unwrap()).unwrap();
            word(&segment).store(Word::held_by(own).0, Relaxed);
            own != parent && travelled.me() == own && segment.is_alive(own) && segment.is_alive(parent)
        });
        assert_eq!(segment.me(), parent);
        let copy = Word(word(&segment).load(Relaxed)).owner();
        assert!(!copy.is_nobody() && copy != parent);
        assert!(!segment.is_alive(copy) && segment.is_alive(parent));
    }
}

#[test]
fn a_forked_copy_neither_keeps_nor_removes_a_name() {
    let _alone = alone();
    let name = unique("copied");
    let segment = Segment::create(&name, SHAPE, |_| {}).unwrap();
    in_a_copy(|| {
        drop(segment.clone());
        true
    });
    let opened = Segment::open(&name, any).unwrap();
    assert!(opened.is_same(&segment));
    drop(opened);
    // The copy leaves by dropping what it has, without having taken part.
    let mut segment = Some(segment);
    in_a_copy(|| {
        drop(segment.take());
        true
    });
    assert!(Segment::open(&name, any).is_ok());
    // The copy stays behind alone: it never took part, so the name goes with its parent's last handle.
    let (mut gate, open) = pipe().unwrap();
    match fork().unwrap() {
        Side::Child => {
            drop(open);
            let _ = gate.read(&mut [0]);
            end_now(0)
        }
        Side::Parent(pid) => {
            drop(gate);
            drop(segment);
            let found = Segment::open(&name, any);
            drop(open);
            assert!(reap(pid));
            assert_eq!(found.unwrap_err().kind(), ErrorKind::NotFound);
        }
    }
}

/// The owner that a copy was, which has ended.
fn dead_owner(segment: &Segment) -> Owner {
    in_a_copy(|| {
        word(segment).store(Word::held_by(segment.me()).0, Relaxed);
        true
    });
    Word(word(segment).load(Relaxed)).owner()
}

#[test]
fn without_descriptors_everybody_is_still_known() {
    let _alone = alone();
    for name in [None, Some(unique("closed"))] {
        let segment = match &name {
            Some(name) => Segment::create(name, SHAPE, |_| {}).unwrap(),
            None => Segment::anonymous(SHAPE, |_| {}).unwrap(),
        };
        let (parent, dead) = (segment.me(), dead_owner(&segment));
        in_a_copy(|| {
            let own = segment.me();
            // Where it may, the library opens the memory again; a process without rights has only the names.
            let _ = drop_to(65_534, 65_534);
            close_from(3).unwrap();
            let known = segment.is_alive(own) && segment.is_alive(parent) && !segment.is_alive(dead);
            // What has the old number now is not ours.
            let (mut reader, writer) = pipe().unwrap();
            drop((segment.clone(), writer));
            known && segment.is_alive(parent) && reader.read(&mut [0]).unwrap() == 0
        });
        assert!(segment.is_alive(parent));
    }
}

#[test]
fn a_copy_that_cannot_take_part_says_so() {
    let _alone = alone();
    let segment = Segment::anonymous(SHAPE, |_| {}).unwrap();
    in_a_copy(|| {
        let can_reopen = drop_to(65_534, 65_534).is_err();
        close_from(3).unwrap();
        std::panic::set_hook(Box::new(|_| {}));
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| segment.me()));
        match tried {
            Ok(_) => can_reopen,
            Err(panic) => panic.downcast_ref::<String>().is_some_and(|text| text.contains("cannot take part")),
        }
    });
}
