//! Channels in copies of a process that its own `fork` makes.
//!
//! A copy has all that its maker has at that moment. So one test runs at a time.

use multiprocess_channel::{Sender, bounded};
use multiprocess_fixture_native::{Side, fork};
use multiprocess_parcel::{pack, unpack};
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::process::{Process, end_now, reap_number};
use std::sync::{Mutex, MutexGuard, PoisonError};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` in a copy of this process, to the end of which `meanwhile` need not wait.
fn beside_a_copy(work: impl FnOnce() -> bool, meanwhile: impl FnOnce()) {
    match fork().unwrap() {
        Side::Child => {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            end_now(i32::from(!result.unwrap_or(false)))
        }
        Side::Parent(pid) => {
            meanwhile();
            assert!(Process::open(pid).unwrap().wait(Deadline::NEVER).unwrap());
            assert!(reap_number(pid).unwrap().unwrap().success());
        }
    }
}

#[test]
fn a_copy_sends_and_receives_as_somebody_else() {
    let _alone = alone();
    let (tx, rx) = bounded::<u32>(4).unwrap();
    let (back, answers) = bounded::<u32>(4).unwrap();
    beside_a_copy(
        || rx.recv().is_ok_and(|number| back.send(number + 1).is_ok()),
        || {
            tx.send(1).unwrap();
            assert_eq!(answers.recv().unwrap(), 2);
        },
    );
    drop((tx, back));
    assert!(rx.recv().unwrap_err().is_disconnected(), "the copy's senders went with it");
    assert!(answers.recv().unwrap_err().is_disconnected());
}

#[test]
fn a_copy_counts_from_its_first_use_on() {
    let _alone = alone();
    let (tx, rx) = bounded::<u32>(4).unwrap();
    let (go, gone) = bounded::<()>(1).unwrap();
    let (used, is_used) = bounded::<()>(1).unwrap();
    let tx = std::cell::Cell::new(Some(tx));
    beside_a_copy(
        || {
            let tx = tx.take().unwrap();
            tx.send(1).unwrap();
            used.send(()).unwrap();
            gone.recv().unwrap();
            tx.send(2).is_ok()
        },
        || {
            is_used.recv().unwrap();
            drop(tx.take());
            assert_eq!(rx.recv().unwrap(), 1);
            assert!(rx.try_recv().unwrap_err().is_empty(), "the copy's sender is left");
            go.send(()).unwrap();
            assert_eq!(rx.recv().unwrap(), 2);
        },
    );
    assert!(rx.recv().unwrap_err().is_disconnected());
}

#[test]
fn a_copy_that_drops_what_it_has_not_used_takes_nothing_away() {
    let _alone = alone();
    let (tx, rx) = bounded::<u32>(4).unwrap();
    let mut both = Some((tx, rx));
    beside_a_copy(
        || {
            drop(both.take());
            true
        },
        || (),
    );
    let (tx, rx) = both.unwrap();
    tx.send(1).unwrap();
    assert_eq!(rx.recv().unwrap(), 1);
    assert!(rx.try_recv().unwrap_err().is_empty());
}

#[test]
fn a_copy_can_give_its_handles_on() {
    let _alone = alone();
    let (tx, rx) = bounded::<u32>(4).unwrap();
    beside_a_copy(
        || {
            let travelled: Sender<u32> = unpack(pack(&tx).unwrap()).unwrap();
            travelled.send(7).is_ok()
        },
        || assert_eq!(rx.recv().unwrap(), 7),
    );
    drop(tx);
    assert!(rx.recv().unwrap_err().is_disconnected());
}
