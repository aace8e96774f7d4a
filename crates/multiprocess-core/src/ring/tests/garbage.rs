//! Whatever a peer writes into the memory at any time: no panic, no endless loop, nothing outside.

use super::*;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }

    /// Numbers that are near what is right more often than chance would have it.
    fn word(&mut self) -> u64 {
        let random = self.next();
        match self.next() >> 32 & 7 {
            0 => random,
            1 => random & 0xff,
            2 => random & 7,
            3 => (random & 3) << 24 | (random >> 8 & 3),
            4 => 1 << 16 | (random & 3) << 24,
            5 => Word::held_by(if random & 1 == 0 { ME } else { OTHER }).with_tag(random as u16 >> 8 & 15).0,
            6 => 1 << 16 | (random & 3) << 18 | (random >> 8 & 3) << 42,
            _ => 0,
        }
    }
}

/// A patience that writes garbage at each step, and ends.
struct Vandal<'a> {
    ring: Ring<'a>,
    random: &'a RefCell<Random>,
    steps: u32,
}

impl Vandal<'_> {
    fn scribble(&self, words: u64) {
        let mut random = self.random.borrow_mut();
        for _ in 0..words {
            let plan = self.ring.plan;
            let class = &plan.classes[random.next() as usize % plan::CLASSES];
            let (start, length) = match random.next() >> 40 & 3 {
                0 => (0, plan.reserved()),
                1 => (class.words, 32),
                2 => (class.table, 40 * plan::ENTRY),
                _ => (plan.cell(0), plan::CELL * 4),
            };
            let offset = start + random.next() % length / 8 * 8;
            let value = random.word();
            self.ring.memory.word(offset).store(value, Relaxed);
        }
    }
}

impl Wait for Vandal<'_> {
    fn step(&mut self) -> Step {
        self.scribble(2);
        self.steps += 1;
        match self.steps {
            1 => Step::Retry,
            2 | 4 => Step::Probe,
            3 => Step::Sleep,
            _ => Step::TimedOut,
        }
    }
    fn sleep(&mut self, _: &AtomicU64, _: u64) {
        self.scribble(2);
    }
}

#[test]
fn any_bytes_at_any_time_are_survived() {
    let random = RefCell::new(Random(7));
    for capacity in [1, 2, 5, 1000] {
        let (heap, me) = (heap(capacity), process(ME));
        let ring = heap.ring();
        let vandal = || Vandal { ring, random: &random, steps: 0 };
        for round in 0..400_usize {
            if round % 50 == 0 {
                vandal().scribble(300);
            }
            vandal().scribble(round as u64 % 7);
            me.dead.set((round % 3 == 0).then_some(OTHER));
            let bytes = message([5, 1000, 20_000, 200_000][random.borrow_mut().next() as usize >> 40 & 3], round);
            let _ = ring.send(&[], &bytes, &me, &mut vandal(), |offset, length| {
                assert!(offset + length <= heap.plan.length());
                vandal().scribble(1);
                round % 5 > 0
            });
            let _ = ring.receive(&me, &mut vandal(), |incoming| {
                let mut into = vec![0; incoming.len().min(1 << 20)];
                vandal().scribble(3);
                let offset = incoming.len() - into.len();
                incoming.copy_to(offset, &mut into);
            });
            assert!(ring.len() <= capacity);
            let _ = (ring.is_empty(), ring.is_full());
            ring.reap(&me);
            ring.pass_on(&me);
            me.woken.take();
        }
    }
}

#[test]
fn random_memory_is_survived() {
    for seed in 0..40 {
        let (heap, me) = (heap(50), process(ME));
        let (ring, random) = (heap.ring(), RefCell::new(Random(seed)));
        for offset in (0..heap.plan.reserved()).step_by(8) {
            ring.memory.word(offset).store(random.borrow_mut().next(), Relaxed);
        }
        for class in heap.plan.classes {
            for offset in (class.table..class.table + 4096).step_by(8) {
                ring.memory.word(offset).store(random.borrow_mut().next(), Relaxed);
            }
        }
        for length in [8, 1000, 10_000, 100_000] {
            let _ = send(ring, &message(length, 1), &me);
            let _ = receive(ring, &me);
        }
        assert!(ring.len() <= 50);
        ring.wake_all(&me);
    }
}

#[test]
fn a_message_without_its_blocks_is_damaged_and_the_next_one_is_not() {
    let (heap, me) = (heap(3), process(ME));
    let ring = heap.ring();
    for (offset, wrong) in [(8, Some(u64::MAX)), (8, Some(1 << 30)), (16, Some(u64::MAX)), (16, None)] {
        send(ring, &message(20_000, 1), &me).unwrap();
        send(ring, &message(20_000, 2), &me).unwrap();
        let at = ring.position(plan::HEAD);
        // Another one's first block, or nonsense.
        let next = ring.memory.load(heap.plan.cell(at.next(3).index()) + 16);
        ring.memory.store(heap.plan.cell(at.index()) + offset, wrong.unwrap_or(next));
        let read = |incoming: &Incoming<'_>| (incoming.is_damaged(), incoming.len());
        assert_eq!(ring.receive(&me, &mut none(), read), Some((true, 0)));
        assert_eq!(receive(ring, &me), Some(message(20_000, 2)));
        ring.reap(&me);
    }
}
