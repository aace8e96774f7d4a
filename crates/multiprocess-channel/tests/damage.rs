//! A peer that writes anything anywhere into the memory of a channel: calls end, and say something or nothing.

use multiprocess_channel::{JoinableQueue, Queue, Receiver, Sender, bounded, wait};
use multiprocess_parcel::{pack, unpack};
use multiprocess_sys::handle::AsHandle;
use multiprocess_sys::map::Map;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The header of the segment, its slots, the words of the peers, and the beginning of the ring.
const LENGTH: u64 = 1 << 17;
const SHORT: Duration = Duration::from_millis(1);

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The memory behind a handle, as its peer sees it.
fn memory_of<T: serde::Serialize>(handle: &T) -> Map {
    Map::shared(pack(handle).unwrap().handles[0].as_fd(), LENGTH).unwrap()
}

fn words(map: &Map) -> &[AtomicU64] {
    // SAFETY: aligned to a page, as long as that, mapped as long as the value; atomics may be changed by others.
    unsafe { std::slice::from_raw_parts(map.start().as_ptr().cast(), map.length() as usize / 8) }
}

/// Writes into some words: garbage, nearly right numbers, or what stands elsewhere.
fn scribble(words: &[AtomicU64], random: &mut Random, from: usize) {
    for _ in 0..1 + random.next() % 30 {
        let at = from + random.next() as usize % (words.len() - from);
        let value = match random.next() % 6 {
            0 => 0,
            1 => u64::MAX,
            2 => random.next(),
            3 => words[from + random.next() as usize % (words.len() - from)].load(Relaxed),
            4 => words[at].load(Relaxed).wrapping_add(1),
            _ => words[at].load(Relaxed) ^ 1 << (random.next() % 64),
        };
        words[at].store(value, Relaxed);
    }
}

/// Everything that can be called, with a limit of time. What it says does not matter.
fn use_all(queue: &JoinableQueue<Vec<u8>>, tx: &Sender<Vec<u8>>, rx: &Receiver<Vec<u8>>, random: &mut Random) {
    for _ in 0..4 {
        let length = [0, 1, 60, 700, 5000, 100_000][random.next() as usize % 6];
        let _ = tx.send_timeout(vec![7; length], SHORT);
        let _ = queue.try_send(vec![8; length]);
        let _ = rx.recv_timeout(SHORT).map(|bytes| assert!(bytes.len() <= 1 << 30));
        let _ = queue.try_recv();
        let _ = queue.task_done();
    }
    let _ = queue.join_timeout(SHORT);
    let _ = wait(&[rx, queue], Some(SHORT));
    let _ = (tx.len(), rx.is_empty(), queue.is_full(), format!("{queue:?}"));
    let other = tx.clone();
    if let Ok(parcel) = pack(&(&other, rx)) {
        let _ = unpack::<(Sender<Vec<u8>>, Receiver<Vec<u8>>)>(parcel);
    }
}

#[test]
fn any_words_will_do() {
    for seed in 1..=150 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let queue = JoinableQueue::<Vec<u8>>::bounded(1 + seed as usize % 9).unwrap();
        let (tx, rx) = (queue.sender(), queue.receiver());
        let map = memory_of(&queue);
        let start = Instant::now();
        for round in 0..6 {
            // First behind the segment's own words, which only say who lives.
            scribble(words(&map), &mut random, if round < 4 { 512 } else { 16 });
            use_all(&queue, &tx, &rx, &mut random);
        }
        queue.close();
        let _ = rx.recv_timeout(SHORT);
        drop((queue, tx, rx));
        assert!(start.elapsed() < Duration::from_secs(20), "seed {seed} took {:?}", start.elapsed());
    }
}

#[test]
fn any_words_will_do_while_they_change() {
    let queue = JoinableQueue::<Vec<u8>>::bounded(5).unwrap();
    let map = memory_of(&queue);
    let end = Instant::now() + Duration::from_secs(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(7);
            while Instant::now() < end {
                scribble(words(&map), &mut random, 512);
                std::thread::yield_now();
            }
        });
        for seed in 1..=2 {
            let queue = &queue;
            scope.spawn(move || {
                let mut random = Random(seed);
                let (tx, rx) = (queue.sender(), queue.receiver());
                while Instant::now() < end {
                    use_all(queue, &tx, &rx, &mut random);
                }
            });
        }
    });
}

#[test]
fn other_channels_are_unharmed() {
    let (tx, rx) = bounded::<u64>(4).unwrap();
    let broken = Queue::<u64>::bounded(4).unwrap();
    let map = memory_of(&broken);
    words(&map)[16..].iter().for_each(|word| word.store(u64::MAX, Relaxed));
    for number in 0..100 {
        let _ = broken.try_send(number);
        let _ = broken.try_recv();
        tx.send(number).unwrap();
        assert_eq!(rx.recv().unwrap(), number);
    }
}
