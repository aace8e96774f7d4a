//! Several messages at a time are as good as one at a time, to whoever comes in between, and to who is left.

use super::*;

fn put(sending: &mut Sending<'_, Staged>, number: u8) -> bool {
    sending.send_now(&[number; SHORT], 2)
}

fn get(receiving: &mut Receiving<'_, Staged>) -> Option<u8> {
    let bytes = receiving.receive_now(whole).ok()?;
    assert!(bytes.len() == 2 && bytes[0] == bytes[1]);
    Some(bytes[0])
}

#[test]
fn they_go_in_and_come_out_lap_after_lap() {
    for (capacity, at_once) in [(1, 3), (3, 2), (7, 4), (64, 40), (900, 300)] {
        let (heap, me) = (heap(capacity), process(ME));
        let (ring, mut next, mut awaited) = (heap.ring(), 0u8, 0u8);
        for _ in 0..50 {
            let mut sending = ring.sending(&me, 4);
            let room = (capacity - ring.len()).min(at_once);
            for sent in 0..at_once {
                assert_eq!(put(&mut sending, next), sent < room);
                next = next.wrapping_add(u8::from(sent < room));
            }
            let length = ring.len();
            assert_eq!((ring.is_empty(), ring.is_full()), (false, length == capacity));
            drop(sending);
            assert_eq!(ring.len(), length);
            let mut receiving = ring.receiving(&me, 4);
            let most = at_once - 1;
            for taken in 0..most {
                let number = get(&mut receiving);
                assert_eq!(number, (taken < length).then_some(awaited));
                awaited = awaited.wrapping_add(u8::from(number.is_some()));
            }
            let left = length.saturating_sub(most);
            assert_eq!((ring.len(), ring.is_empty(), ring.is_full()), (left, left == 0, left == capacity));
            drop(receiving);
            assert_eq!(ring.len(), left);
        }
    }
}

#[test]
fn others_may_come_in_between() {
    let (heap, me, other) = (heap(8), process(ME), process(OTHER));
    let ring = heap.ring();
    let (mut mine, mut theirs) = (ring.sending(&me, 4), ring.sending(&other, 4));
    assert!(put(&mut mine, 0) && put(&mut mine, 1) && put(&mut theirs, 2) && put(&mut mine, 3) && put(&mut theirs, 4));
    send(ring, &[5; 2], &me).unwrap();
    assert!(put(&mut theirs, 6));
    drop((mine, theirs));
    assert_eq!(ring.len(), 7);
    let (mut mine, mut theirs) = (ring.receiving(&me, 4), ring.receiving(&other, 4));
    assert_eq!([get(&mut mine), get(&mut theirs), get(&mut theirs), get(&mut mine)], [0, 1, 2, 3].map(Some));
    assert_eq!(receive(ring, &me), Some(vec![4; 2]));
    assert_eq!([get(&mut theirs), get(&mut mine), get(&mut theirs)], [Some(5), Some(6), None]);
    drop((mine, theirs));
    assert!(ring.is_empty());
}

#[test]
fn long_ones_are_taken_among_the_others() {
    let (heap, me) = (heap(4), process(ME));
    let ring = heap.ring();
    let lengths = [3, 5000, 48, 200_000];
    for length in lengths {
        send(ring, &message(length, length), &me).unwrap();
    }
    let mut receiving = ring.receiving(&me, 4);
    for length in lengths {
        assert_eq!(receiving.receive_now(whole).ok(), Some(message(length, length)));
    }
}

#[test]
fn as_many_are_woken_at_the_end_as_there_are_messages_or_room() {
    let (heap, me) = (heap(4), process(ME));
    let ring = heap.ring();
    let items = core::ptr::from_ref(ring.announce_receiver().0) as usize;
    me.sleepers.set(9);
    let mut sending = ring.sending(&me, 4);
    assert!(put(&mut sending, 0) && put(&mut sending, 1) && put(&mut sending, 2));
    assert_eq!(*me.woken.borrow(), []);
    drop(sending);
    assert_eq!(*me.woken.take(), [(items, 3)]);
    // Whoever finds it full will wait, and so has told before.
    let mut sending = ring.sending(&me, 4);
    assert!(put(&mut sending, 3) && !put(&mut sending, 4));
    assert_eq!(*me.woken.take(), [(items, 1)]);
    drop(sending);
    let room = core::ptr::from_ref(ring.announce_sender().0) as usize;
    let mut receiving = ring.receiving(&me, 4);
    assert_eq!([get(&mut receiving), get(&mut receiving)], [Some(0), Some(1)]);
    assert_eq!(*me.woken.take(), []);
    drop(receiving);
    assert_eq!(*me.woken.take(), [(room, 2)]);
    drop((ring.sending(&me, 4), ring.receiving(&me, 4)));
    assert_eq!(*me.woken.take(), []);
}

#[test]
fn nobody_waits_for_room_while_a_long_one_is_read() {
    let (heap, me) = (heap(2), process(ME));
    let ring = heap.ring();
    send(ring, &[1], &me).unwrap();
    send(ring, &message(5000, 1), &me).unwrap();
    let room = core::ptr::from_ref(ring.announce_sender().0) as usize;
    me.sleepers.set(9);
    let mut receiving = ring.receiving(&me, 4);
    assert!(receiving.receive_now(|_| ()).is_ok());
    let read = |incoming: &Incoming<'_>| {
        assert_eq!(*me.woken.take(), [(room, 2)]);
        incoming.len()
    };
    assert_eq!(receiving.receive_now(read).ok(), Some(5000));
    drop(receiving);
    assert_eq!(*me.woken.take(), []);
}

/// What a process that was killed before the end leaves: hints that lag behind.
#[test]
fn who_dies_before_the_end_disturbs_nobody() {
    for count in 1..5 {
        let (heap, me, other) = (heap(4), process(ME), process(OTHER));
        let ring = heap.ring();
        for lap in 0..3 {
            let mut sending = ring.sending(&other, 4);
            assert!((0..count).all(|number| put(&mut sending, number)));
            core::mem::forget(sending);
            assert_eq!((ring.len(), ring.is_full()), (count.into(), count == 4));
            for number in count..4 {
                assert_eq!(send(ring, &[number; 2], &me), Ok(()), "{lap}");
            }
            assert_eq!(send(ring, &[9], &me), Err(Refused::Full));
            let mut receiving = ring.receiving(&other, 4);
            assert!((0..count).all(|number| get(&mut receiving) == Some(number)));
            core::mem::forget(receiving);
            assert_eq!((ring.len(), ring.is_empty()), (u64::from(4 - count), count == 4));
            for number in count..4 {
                assert_eq!(receive(ring, &me), Some(vec![number; 2]), "{lap}");
            }
            assert_eq!((receive(ring, &me), ring.len()), (None, 0));
        }
    }
}

/// In a small ring a burst goes on for many laps, and the hint with it: the lap of what the dead one holds is known nevertheless.
#[test]
fn who_dies_laps_ahead_of_the_hint_disturbs_nobody() {
    for capacity in [1, 2, 3, 7] {
        for sent in 0..60 {
            let (heap, me, other) = (heap(capacity), process(ME), process(OTHER));
            let ring = heap.ring();
            let mut sending = ring.sending(&other, 4);
            for number in 0..sent {
                assert!(put(&mut sending, number));
                assert_eq!(get(&mut ring.receiving(&me, 1)), Some(number));
            }
            ring.claim_cell(sending.next(), OTHER).unwrap();
            core::mem::forget(sending);
            me.dead.set(Some(OTHER));
            // A long one, whose sender moves no hint.
            for number in 0..capacity {
                assert_eq!(send(ring, &message(5000, number as usize), &me), Ok(()), "{capacity}, {sent}");
            }
            assert!(ring.is_full());
            for number in 0..capacity {
                assert_eq!(receive(ring, &me), Some(message(5000, number as usize)));
            }
        }
    }
}

#[test]
fn a_long_burst_tells_in_between() {
    let (heap, me) = (heap(200), process(ME));
    let ring = heap.ring();
    let items = core::ptr::from_ref(ring.announce_receiver().0) as usize;
    me.sleepers.set(1000);
    let mut sending = ring.sending(&me, 150);
    assert!((0..150).all(|number| put(&mut sending, number)));
    assert_eq!(*me.woken.take(), [(items, 64), (items, 64)]);
}

#[test]
fn a_reader_that_panics_tells_of_what_it_has_taken() {
    let (heap, me) = (heap(2), process(ME));
    let ring = heap.ring();
    send(ring, &[1], &me).unwrap();
    let room = core::ptr::from_ref(ring.announce_sender().0) as usize;
    me.sleepers.set(1);
    let reads = || _ = ring.receiving(&me, 4).receive_now(|_| panic!("a message that is hard to read"));
    assert!(std::panic::catch_unwind(core::panic::AssertUnwindSafe(reads)).is_err());
    assert_eq!(*me.woken.take(), [(room, 1)]);
    assert!(ring.is_empty());
}
