//! What goes in comes out, once, in order, and no more than there is room for.

use super::*;
use core::sync::atomic::AtomicBool;
use std::collections::VecDeque;
use std::thread;

#[test]
fn messages_of_all_lengths_come_out_as_they_went_in() {
    let (heap, me) = (heap(2), process(ME));
    let ring = heap.ring();
    let limits = [0, 1, 7, 8, 48, 112, 1152, 8448, 4 * 8448, 69632, 1 << 20, 3 << 20];
    for length in limits.into_iter().flat_map(|limit: usize| limit.saturating_sub(1)..limit + 2) {
        let bytes = message(length, length);
        assert_eq!(send(ring, &bytes, &me), Ok(()), "{length}");
        assert_eq!((ring.len(), ring.is_empty()), (1, false));
        assert_eq!(receive(ring, &me), Some(bytes), "{length}");
        assert_eq!((ring.len(), ring.is_empty()), (0, true));
    }
}

#[test]
fn head_and_body_are_one_message() {
    let (heap, me) = (heap(2), process(ME));
    let ring = heap.ring();
    for lengths in
        [[0, 3], [3, 5], [8, 40], [47, 1], [1, 48], [1000, 152], [1, 9000], [9000, 70000], [69632, 69632], [69632, 0]]
    {
        let [head, body] = lengths.map(|length| message(length, 3));
        assert_eq!(ring.send(&head, &body, &me, &mut none(), |_, _| true), Ok(()));
        assert_eq!(receive(ring, &me), Some([head, body].concat()));
    }
}

#[test]
fn a_message_can_be_read_in_pieces_and_again() {
    let (heap, me) = (heap(1), process(ME));
    let ring = heap.ring();
    for length in [40, 30_000, 300_000] {
        let bytes = message(length, 1);
        send(ring, &bytes, &me).unwrap();
        let read = |incoming: &Incoming<'_>| {
            for (from, to) in [(0, 10), (10, length), (length - 3, length), (5, length - 1), (7, 7), (length, length)] {
                let mut piece = vec![0; to - from];
                incoming.copy_to(from, &mut piece);
                assert_eq!(piece, bytes[from..to]);
            }
        };
        assert_eq!(ring.receive(&me, &mut none(), read), Some(()));
    }
}

#[test]
fn a_short_message_can_be_seen_where_it_is() {
    let (heap, me) = (heap(1), process(ME));
    let ring = heap.ring();
    for length in 0..60 {
        let bytes = message(length, 5);
        send(ring, &bytes, &me).unwrap();
        let short = ring.receive(&me, &mut none(), |incoming| incoming.short().map(<[u8]>::to_vec));
        assert_eq!(short, Some((length <= 48).then_some(bytes)));
    }
}

#[test]
fn a_ring_holds_as_many_messages_as_it_says() {
    for capacity in [1, 2, 3, 7, 1000] {
        let (heap, me) = (heap(capacity), process(ME));
        let ring = heap.ring();
        for lap in 0..3 {
            assert!(ring.is_empty() && !ring.is_full());
            for number in 0..capacity {
                assert_eq!(ring.len(), number);
                assert_eq!(send(ring, &[lap, number as u8], &me), Ok(()));
            }
            assert!(ring.is_full() && !ring.is_empty());
            assert_eq!(ring.len(), capacity);
            assert_eq!(send(ring, &[1], &me), Err(Refused::Full));
            assert_eq!(send(ring, &[1; 2000], &me), Err(Refused::Full));
            for number in 0..capacity {
                assert_eq!(receive(ring, &me), Some(vec![lap, number as u8]));
            }
            assert_eq!(receive(ring, &me), None);
        }
    }
}

/// A ring of one at its fastest comes here in some hours.
#[test]
fn laps_begin_again_after_the_last() {
    for capacity in [1, 3] {
        let (heap, me) = (heap(capacity), process(ME));
        let ring = heap.ring();
        let last = Position::from_number(0, capacity).laps_later(-1);
        ring.memory.word(plan::TAIL).store(last.number(), Relaxed);
        ring.memory.word(plan::HEAD).store(last.number(), Relaxed);
        (0..capacity).for_each(|index| ring.cell(last.at_index(index)).store(cell::free(last), Relaxed));
        // As if somebody had been killed before it moved the hint.
        let lags = |hint| {
            let now = ring.position(hint);
            let before =
                if now.index() > 0 { now.at_index(now.index() - 1) } else { now.laps_later(-1).at_index(capacity - 1) };
            ring.memory.word(hint).store(before.number(), Relaxed);
        };
        for number in 0..4 * capacity as usize {
            let bytes = message([5, 3000][number % 2], number);
            assert!(ring.is_empty() && !ring.is_full());
            send(ring, &bytes, &me).unwrap();
            lags(plan::TAIL);
            assert_eq!((ring.len(), ring.is_empty(), ring.is_full()), (1, false, capacity == 1));
            ring.reap(&me);
            assert_eq!(receive(ring, &me), Some(bytes));
            lags(plan::HEAD);
            assert_eq!((ring.len(), ring.is_empty()), (0, true));
            // Who is killed in its turn.
            let at = ring.claim(OTHER).unwrap();
            me.dead.set(Some(OTHER));
            assert_eq!((receive(ring, &me), ring.len()), (None, 0), "{at:?}");
            me.dead.set(None);
        }
    }
}

/// Who is held up in the middle of a glance sees no emptiness that never was.
#[test]
fn a_glance_is_not_of_the_past() {
    let heap = heap(4);
    let (ring, is_on) = (heap.ring(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            let other = process(OTHER);
            send(ring, &[1], &other).unwrap();
            is_on.store(true, Relaxed);
            while is_on.load(Relaxed) {
                send(ring, &[1], &other).unwrap();
                receive(ring, &other).unwrap();
            }
        });
        while !is_on.load(Relaxed) {
            thread::yield_now();
        }
        // More than there are processors, so that they are held up now and then.
        let glance = || {
            (0..400_000).for_each(|_| {
                let (length, is_empty) = (ring.len(), ring.is_empty());
                assert!(length > 0 && !is_empty, "{length}, {is_empty}");
            })
        };
        let glances: Vec<_> = (0..4).map(|_| scope.spawn(glance)).collect();
        let ends: Vec<_> = glances.into_iter().map(|glance| glance.join()).collect();
        is_on.store(false, Relaxed);
        assert!(ends.iter().all(Result::is_ok));
    });
}

#[test]
fn it_is_like_a_queue_of_bounded_length() {
    // Numbers that look random, the same in each run.
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for capacity in [1, 3, 5, 64] {
        let (heap, me, other) = (heap(capacity), process(ME), process(OTHER));
        let (ring, mut model) = (heap.ring(), VecDeque::new());
        for number in 0..4000 {
            let world = if random(2) == 0 { &me } else { &other };
            let length = [random(60), random(1200), random(20_000), random(100_000)]
                [3 - (random(63) + 1).ilog2().min(3) as usize];
            if random(2) == 0 {
                let bytes = message(length as usize, number);
                let sent = send(ring, &bytes, world);
                assert_eq!(sent, if model.len() < capacity as usize { Ok(()) } else { Err(Refused::Full) });
                if sent.is_ok() {
                    model.push_back(bytes);
                }
            } else {
                assert_eq!(receive(ring, world), model.pop_front());
            }
            assert_eq!(ring.len(), model.len() as u64);
            assert_eq!((ring.is_empty(), ring.is_full()), (model.is_empty(), model.len() as u64 == capacity));
        }
    }
}

#[test]
fn a_message_that_is_too_long_is_refused() {
    let (heap, me) = (heap(1), process(ME));
    let most = vec![0; Plan::MESSAGE_MAX as usize];
    let sent = heap.ring().send(&[1], &most, &me, &mut none(), |_, _| true);
    assert_eq!(sent, Err(Refused::TooLarge));
}

#[test]
fn memory_is_asked_for_before_it_is_used() {
    let (heap, me) = (heap(3000), process(ME));
    let (ring, plan) = (heap.ring(), heap.plan);
    let asked = RefCell::new(Vec::new());
    let sending = |length: usize, allow: bool| {
        ring.send(&[], &message(length, 0), &me, &mut none(), |offset, length| {
            assert!(length > 0 && offset + length <= plan.length(), "{offset} + {length}");
            asked.borrow_mut().push((offset, length));
            allow
        })
    };
    let at_once = plan.cells_at_once();
    for _ in 0..at_once {
        assert_eq!(sending(8, false), Ok(()));
    }
    assert_eq!(sending(8, false), Err(Refused::NoMemory));
    assert_eq!((asked.take().len(), ring.len(), ring.is_full()), (1, at_once, false));
    for _ in at_once..3000 {
        assert_eq!(sending(8, true), Ok(()));
    }
    assert_eq!((sending(8, true), ring.len()), (Err(Refused::Full), 3000));
    assert!(asked.take().len() < 10);
    for _ in 0..3000 {
        assert!(receive(ring, &me).is_some());
    }
    assert_eq!(sending(8, false), Ok(()));
    assert_eq!(sending(100_000, false), Err(Refused::NoMemory));
    assert_eq!(sending(100_000, true), Ok(()));
    asked.take();
    assert_eq!((receive(ring, &me).unwrap().len(), receive(ring, &me).unwrap().len()), (8, 100_000));
    // Other blocks would have their turn first, but those that are there will do.
    assert_eq!(sending(100_000, false), Ok(()));
}

#[test]
fn who_sleeps_is_woken() {
    let (heap, me) = (heap(1), process(ME));
    let ring = heap.ring();
    let mut during = Steps { probed: true, sleeps: 1, during: || me.sleepers.set(1) };
    assert_eq!(ring.receive(&me, &mut during, whole), None);
    let items = core::ptr::from_ref(ring.announce_receiver().0) as usize;
    send(ring, &[1], &me).unwrap();
    assert_eq!(*me.woken.take(), [(items, 1)]);
    let mut during = Steps { probed: true, sleeps: 1, during: || me.sleepers.set(1) };
    assert_eq!(ring.send(&[], &[2], &me, &mut during, |_, _| true), Err(Refused::Full));
    let room = core::ptr::from_ref(ring.announce_sender().0) as usize;
    assert_eq!(receive(ring, &me), Some(vec![1]));
    assert_eq!(*me.woken.take(), [(room, 1)]);
    send(ring, &[1], &me).unwrap();
    receive(ring, &me).unwrap();
    // The flags went off when nobody was there, and who might just have fallen asleep was woken.
    assert_eq!(*me.woken.take(), [(items, 1), (items, u32::MAX), (room, 1), (room, u32::MAX)]);
    send(ring, &[1], &me).unwrap();
    receive(ring, &me).unwrap();
    assert_eq!(*me.woken.take(), []);
    ring.wake_all(&me);
    assert_eq!(me.woken.take().len(), 3);
}

#[test]
fn what_comes_before_the_sleep_is_taken_without_it() {
    let (heap, me) = (heap(1), process(ME));
    let ring = heap.ring();
    let mut during = Steps { probed: true, sleeps: 1, during: || send(ring, &[1], &me).unwrap() };
    assert_eq!(ring.receive(&me, &mut during, whole), Some(vec![1]));
    send(ring, &[2], &me).unwrap();
    let mut during = Steps { probed: true, sleeps: 1, during: || _ = receive(ring, &me) };
    assert_eq!(ring.send(&[], &[3], &me, &mut during, |_, _| true), Ok(()));
    assert_eq!(receive(ring, &me), Some(vec![3]));
}

#[test]
fn who_was_woken_wakes_the_next_one_if_there_is_more() {
    let (heap, me) = (heap(4), process(ME));
    let ring = heap.ring();
    let items = core::ptr::from_ref(ring.announce_receiver().0) as usize;
    let mut during = Steps {
        probed: true,
        sleeps: 1,
        during: || {
            send(ring, &[1], &me).unwrap();
            send(ring, &[2], &me).unwrap();
            me.woken.take();
            me.sleepers.set(2);
            ring.announce_receiver();
        },
    };
    assert_eq!(ring.receive(&me, &mut during, whole), Some(vec![1]));
    assert_eq!(*me.woken.take(), [(items, 1)]);
    ring.pass_on(&me);
    assert_eq!(*me.woken.take(), [(items, 1)]);
    receive(ring, &me).unwrap();
    ring.pass_on(&me);
    assert_eq!(*me.woken.take(), []);
}
