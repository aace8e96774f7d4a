//! Memory for long messages: reused, waited for, given back by whatever way a call ends.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn memory_is_used_again() {
    for (length, most) in [(1000, 200_000), (5000, 700_000), (100_000, 700_000)] {
        let asked = asked_for(length);
        assert!(asked < most, "{asked} for messages of {length}");
    }
}

/// How much memory a thousand messages of that length take, sent one after the other through a ring of one.
fn asked_for(length: usize) -> u64 {
    let (heap, me) = (heap(1), process(ME));
    let ring = heap.ring();
    let asked = Cell::new(0);
    for number in 0..1000 {
        let bytes = message(length, number);
        ring.send(&[], &bytes, &me, &mut none(), |_, length| {
            asked.set(asked.get() + length);
            true
        })
        .unwrap();
        assert_eq!(receive(ring, &me), Some(bytes));
    }
    asked.get()
}

#[test]
fn long_blocks_take_turns_and_one_that_is_held_for_long_is_passed() {
    let (heap, me) = (heap(1), process(ME));
    let ring = heap.ring();
    let pool = ring.pool(1);
    let turns = pool.turns() as usize;
    let blocks: Vec<u64> = (0..2 * turns).map(|_| block_of(ring, &me)).collect();
    assert_eq!(blocks[..turns], blocks[turns..]);
    let held = blocks_for(&ring, 5000, &me, &mut none()).unwrap();
    let mut others: Vec<u64> = (1..turns).map(|_| block_of(ring, &me)).collect();
    assert!(!others.contains(&held.chain.first));
    others.sort_unstable();
    others.dedup();
    assert_eq!(others.len(), turns - 1);
}

/// In which block of the middle size a message lies that is sent and received.
fn block_of(ring: Ring<'_>, me: &Staged) -> u64 {
    send(ring, &message(5000, 1), me).unwrap();
    ring.receive(me, &mut none(), |message| message.chain().first).unwrap()
}

#[test]
fn a_full_ring_of_a_megabyte_each_is_held() {
    let (heap, me) = (heap(16), process(ME));
    let ring = heap.ring();
    for number in 0..16 {
        assert_eq!(send(ring, &message(1 << 20, number), &me), Ok(()));
    }
    assert_eq!(send(ring, &message(1 << 20, 0), &me), Err(Refused::Full));
    for number in 0..16 {
        assert_eq!(receive(ring, &me), Some(message(1 << 20, number)));
    }
}

#[test]
fn without_memory_that_others_hold_it_waits() {
    let (heap, me) = (heap(4), process(ME));
    let ring = heap.ring();
    // Two blocks of the smallest kind are there, and no more memory comes.
    let scarce = |offset: u64, _: u64| offset == heap.plan.classes[0].table / 4096 * 4096 || ring.is_empty();
    let bytes = message(1000, 1);
    let mut sent = 0;
    while ring.send(&[], &bytes, &me, &mut none(), scarce) == Ok(()) {
        sent += 1;
    }
    assert!(sent > 0);
    let mut during = Steps { probed: true, sleeps: 1, during: || _ = receive(ring, &me) };
    assert_eq!(ring.send(&[], &bytes, &me, &mut during, scarce), Ok(()));
}

#[test]
fn a_reader_that_panics_gives_everything_back() {
    let (heap, me) = (heap(1), process(ME));
    let ring = heap.ring();
    let asked = Cell::new(0);
    for length in [8, 1000, 100_000].repeat(10) {
        let grow = |_, more| {
            asked.set(asked.get() + more);
            true
        };
        ring.send(&[], &message(length, 1), &me, &mut none(), grow).unwrap();
        let panic = || ring.receive(&me, &mut none(), |_| panic!("a reader's own"));
        assert!(catch_unwind(AssertUnwindSafe(panic)).is_err());
        assert!(ring.is_empty());
    }
    assert!(asked.get() < 800_000, "{}", asked.get());
}

#[test]
fn who_waits_for_blocks_is_woken_by_who_gives_them_back() {
    let (heap, me) = (heap(1), process(ME));
    let ring = heap.ring();
    let mut held = Vec::new();
    while let Ok(one) = blocks_for(&ring, 1000, &me, &mut none()) {
        held.push(one);
    }
    let held = RefCell::new(held);
    let mut during = Steps { probed: true, sleeps: 1, during: || me.sleepers.set(1) };
    assert!(blocks_for(&ring, 1000, &me, &mut during).is_err());
    me.woken.take();
    let mut during = Steps { probed: true, sleeps: 1, during: || drop(held.borrow_mut().pop()) };
    assert!(blocks_for(&ring, 1000, &me, &mut during).is_ok());
    assert_eq!(me.woken.borrow()[0].1, u32::MAX);
}

#[test]
fn what_the_caller_holds_itself_is_not_waited_for() {
    for failing in 0..8 {
        let (heap, me) = (heap(3), process(ME));
        let ring = heap.ring();
        let asked = Cell::new(0);
        let grow = |_, _| asked.replace(asked.get() + 1) != failing;
        let sent = ring.send(&[], &message(200_000, 1), &me, &mut none(), grow);
        assert!(matches!(sent, Ok(()) | Err(Refused::NoMemory)), "call {failing}: {sent:?}");
        assert_eq!(sent.is_err(), asked.get() > failing, "call {failing}");
        send(ring, &message(200_000, 2), &me).unwrap();
    }
}

#[test]
fn messages_of_every_length_find_blocks_however_few_there_are() {
    for (capacity, halvings) in [(1, 0), (1, 9), (7, 4), (1000, 9), (1 << 20, 5)] {
        let few = Plan::with_halvings(capacity, halvings).unwrap();
        assert!(few.message_max() >= 1 << 20 && few.length() <= Plan::new(capacity).unwrap().length());
        for length in [plan::INLINE + 1, 1152, 1153, 30_000, 34_000, 130_000, 140_000, few.message_max()] {
            let class = few.classes[plan::class_of(length)];
            assert!(length.div_ceil(class.size) <= class.count && class.turns <= class.count, "{length} in {few:?}");
        }
    }
    assert_eq!(Plan::with_halvings(1, Plan::HALVINGS_MAX + 1), None);
}
