//! What a dead process leaves, at each step, is taken away by others; a newcomer in its slot loses nothing.

use super::*;
use crate::ring::pool::Chain;
use crate::ring::send::Content;

/// The next process in the slot of `OTHER`.
const NEWCOMER: Owner = Owner::new(1, 2);

#[test]
fn a_sender_that_dies_while_it_writes_leaves_no_hole() {
    for before in 0..3 {
        let (heap, me, other) = (heap(3), process(ME), process(OTHER));
        let ring = heap.ring();
        for number in 0..before {
            send(ring, &[number], &me).unwrap();
        }
        ring.claim(OTHER).unwrap();
        for number in before..2 {
            send(ring, &[number], &me).unwrap();
        }
        for number in 0..before {
            assert_eq!(receive(ring, &me), Some(vec![number]));
        }
        assert_eq!(receive(ring, &me), None);
        me.dead.set(Some(OTHER));
        for number in before..2 {
            assert_eq!(receive(ring, &me), Some(vec![number]));
        }
        assert_eq!(receive(ring, &me), None);
        // All cells are there again.
        other.dead.set(Some(OTHER));
        for number in 0..3 {
            assert_eq!(send(ring, &[number], &other), Ok(()));
        }
        assert_eq!(send(ring, &[3], &other), Err(Refused::Full));
    }
}

#[test]
fn a_sender_s_cell_is_found_by_senders_too() {
    let (heap, me) = (heap(1), process(ME));
    let ring = heap.ring();
    for number in 0..20_000_u32 {
        // So many laps that the bits of the lap in an owner's word come again.
        if number % 1000 == 0 {
            ring.claim(OTHER).unwrap();
            assert_eq!(send(ring, &[1], &me), Err(Refused::Full));
            me.dead.set(Some(OTHER));
        }
        send(ring, &number.to_ne_bytes(), &me).unwrap();
        me.dead.set(None);
        assert_eq!(receive(ring, &me), Some(number.to_ne_bytes().to_vec()));
    }
}

#[test]
fn a_receiver_that_dies_while_it_reads_loses_one_message() {
    let (heap, me) = (heap(3), process(ME));
    let ring = heap.ring();
    for number in 0..3 {
        send(ring, &[number], &me).unwrap();
    }
    ring.take(OTHER).unwrap();
    assert_eq!(ring.len(), 2);
    assert_eq!(send(ring, &[3], &me), Err(Refused::Full));
    me.dead.set(Some(OTHER));
    assert_eq!(send(ring, &[3], &me), Ok(()));
    for number in 1..4 {
        assert_eq!(receive(ring, &me), Some(vec![number]));
    }
    assert_eq!(receive(ring, &me), None);
}

#[test]
fn all_cells_can_be_held_by_the_dead() {
    let (heap, me) = (heap(5), process(ME));
    let ring = heap.ring();
    for number in 0..5 {
        send(ring, &[number], &me).unwrap();
    }
    for _ in 0..5 {
        ring.take(OTHER).unwrap();
    }
    me.dead.set(Some(OTHER));
    assert_eq!(send(ring, &[9], &me), Ok(()));
    assert_eq!(receive(ring, &me), Some(vec![9]));
    for _ in 0..5 {
        ring.claim(NEWCOMER).unwrap_or_else(|_| {
            ring.probe(&me);
            ring.claim(NEWCOMER).unwrap()
        });
    }
    assert_eq!((receive(ring, &me), send(ring, &[1], &me)), (None, Err(Refused::Full)));
    me.dead.set(Some(NEWCOMER));
    assert_eq!((receive(ring, &me), ring.len()), (None, 0));
    assert_eq!(send(ring, &[1], &me), Ok(()));
    assert_eq!(receive(ring, &me), Some(vec![1]));
}

#[test]
fn a_newcomer_in_the_slot_keeps_what_it_holds() {
    let (heap, me) = (heap(1), process(ME));
    let ring = heap.ring();
    me.dead.set(Some(OTHER));
    ring.claim(NEWCOMER).unwrap();
    assert_eq!((receive(ring, &me), send(ring, &[1], &me)), (None, Err(Refused::Full)));
    me.dead.set(Some(NEWCOMER));
    send(ring, &[1], &me).unwrap();
    me.dead.set(Some(OTHER));
    ring.take(NEWCOMER).unwrap();
    assert_eq!(send(ring, &[1], &me), Err(Refused::Full));
}

#[test]
fn the_dead_are_buried_with_a_wake_up_for_all() {
    let (heap, me) = (heap(2), process(ME));
    let ring = heap.ring();
    ring.claim(OTHER).unwrap();
    let (items, room) = (ring.announce_receiver().0, ring.announce_sender().0);
    me.dead.set(Some(OTHER));
    ring.probe(&me);
    let woken: Vec<_> = me.woken.take().into_iter().map(|(word, _)| word).collect();
    assert!([items, room].iter().all(|word| woken.contains(&(core::ptr::from_ref(*word) as usize))));
}

/// Holds blocks for a message of so many bytes as a process that will not give them back.
fn hold(ring: Ring<'_>, length: u64, world: &Staged) -> Chain {
    let held = blocks_for(&ring, length, world, &mut none()).unwrap();
    let chain = held.chain;
    core::mem::forget(held);
    chain
}

/// Takes all blocks for messages of so many bytes there are, and gives them back; how many.
fn all_blocks(ring: Ring<'_>, length: u64, world: &Staged) -> usize {
    let mut held = Vec::new();
    while let Ok(chain) = blocks_for(&ring, length, world, &mut none()) {
        held.push(chain);
    }
    held.len()
}

#[test]
fn blocks_come_back_from_whatever_step_a_sender_died_at() {
    let (heap, me, other) = (heap(2), process(ME), process(OTHER));
    let ring = heap.ring();
    let all = all_blocks(ring, 1000, &me);
    assert_eq!(all, 66);
    // Held; claimed; queued.
    hold(ring, 1000, &other);
    let chain = hold(ring, 1000, &other);
    let at = ring.claim(OTHER).unwrap();
    ring.pool(chain.class).queue(chain.first, chain.count, at);
    assert_eq!(all_blocks(ring, 1000, &me), all - 2);
    me.dead.set(Some(OTHER));
    assert_eq!(all_blocks(ring, 1000, &me), all);
    assert_eq!(receive(ring, &me), None);
}

#[test]
fn who_is_in_want_of_blocks_finds_those_of_cells_that_nobody_comes_to() {
    for sends in [false, true] {
        let (heap, me, other) = (heap(3), process(ME), process(OTHER));
        let ring = heap.ring();
        let bytes = message(300_000, 1);
        if sends {
            let chain = hold(ring, bytes.len() as u64, &other);
            let at = ring.claim(OTHER).unwrap();
            ring.write(at, Content::Long(chain, bytes.len() as u64));
        } else {
            send(ring, &bytes, &me).unwrap();
            ring.take(OTHER).unwrap();
        }
        // There is room for messages, and memory for one of that length.
        let again = || ring.send(&[], &bytes, &me, &mut none(), |_, _| false);
        assert_eq!(again(), Err(Refused::Full));
        me.dead.set(Some(OTHER));
        assert_eq!(again(), Ok(()), "a dead sender: {sends}");
        assert_eq!(receive(ring, &me), Some(bytes));
        assert_eq!((receive(ring, &me), ring.len()), (None, 0));
    }
}

#[test]
fn blocks_come_back_from_whatever_step_a_receiver_died_at() {
    let (heap, me, other) = (heap(2), process(ME), process(OTHER));
    let ring = heap.ring();
    let all = all_blocks(ring, 3 * 8448, &me);
    assert_eq!(all, 66 * 4 / 3);
    for step in 0..3 {
        send(ring, &message(3 * 8448, 1), &other).unwrap();
        send(ring, &message(3 * 8448, 2), &other).unwrap();
        let at = ring.take(OTHER).unwrap();
        let first = heap.ring().memory.load(heap.plan.cell(at.index()) + 16);
        // All blocks are queued still; one of them is held; all are, and the cell is free.
        match step {
            0 => {}
            1 => _ = ring.pool(1).take_over(first, 1, at, OTHER),
            _ => {
                ring.take_over(3 * 8448, first, at, OTHER);
                ring.cell(at).store(cell::free(at.next_lap()), Relaxed);
            }
        }
        me.dead.set(Some(OTHER));
        send(ring, &message(2 * 8448, 3), &me).unwrap();
        assert_eq!(receive(ring, &me), Some(message(3 * 8448, 2)));
        assert_eq!(receive(ring, &me), Some(message(2 * 8448, 3)));
        assert_eq!(all_blocks(ring, 3 * 8448, &me), all, "at step {step}");
        me.dead.set(None);
    }
}

#[test]
fn blocks_of_the_dead_are_used_again_before_many_more_are_asked_for() {
    for length in [1000, 1_000_000] {
        let (heap, me, other) = (heap(1000), process(ME), process(OTHER));
        let ring = heap.ring();
        let class = plan::class_of(length);
        let each = ring.pool(class).blocks(length);
        for _ in 0..400 {
            hold(ring, length, &other);
            me.dead.set(Some(OTHER));
            drop(blocks_for(&ring, length, &me, &mut none()).unwrap());
            me.dead.set(None);
        }
        assert_eq!(ring.pool(class).checked(200 * each), None, "the memory of 200 deaths is kept, for {length}");
    }
}
