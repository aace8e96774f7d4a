//! Every interleaving of readers and writers of a value in two copies.
#![cfg(loom)]

mod model;

use loom::sync::atomic::AtomicU64;
use loom::thread;
use model::{World, check};
use multiprocess_core::mutex::{Mode, Mutex};
use multiprocess_core::snapshot::Snapshot;
use std::sync::Arc;

struct Shared {
    mutex: Mutex,
    snapshot: Snapshot,
    copies: [AtomicU64; 4],
}

impl Shared {
    fn new() -> Arc<Shared> {
        let copies = [0; 4].map(AtomicU64::new);
        Arc::new(Shared { mutex: Mutex::new(), snapshot: Snapshot::new(), copies })
    }

    fn write(&self, value: u8) {
        self.snapshot.write(&self.copies, &[value; 16]);
    }

    /// The value, if it was not overwritten meanwhile; it is never torn.
    fn read(&self) -> Option<u8> {
        let mut bytes = [0; 16];
        let is_whole = self.snapshot.read(&self.copies, &mut bytes);
        is_whole.then(|| {
            assert_eq!(bytes, [bytes[0]; 16], "torn");
            bytes[0]
        })
    }
}

#[test]
fn a_reader_never_sees_a_part() {
    check(3, || {
        let shared = Shared::new();
        let other = shared.clone();
        let thread = thread::spawn(move || (1..=3).for_each(|value| other.write(value)));
        let first = shared.read();
        let second = shared.read();
        assert!(first.is_none_or(|first| second.is_none_or(|second| first <= second)), "time goes back");
        thread.join().unwrap();
        assert_eq!(shared.read(), Some(3));
    });
}

/// A writer dies between two words; another one, told by the lock, writes, and a third reads all the time.
#[test]
fn a_writer_that_dies_has_not_written() {
    check(2, || {
        let (world, shared) = (World::new(2), Shared::new());
        let (dying, here) = (world.join(0), world.join(1));
        let _lost = shared.mutex.lock(&dying, &mut dying.patient(), Mode::Whole).unwrap();
        let threads = [
            thread::spawn({
                let shared = shared.clone();
                move || {
                    shared.copies[2].store(u64::from_ne_bytes([9; 8]), loom::sync::atomic::Ordering::Release);
                    dying.die();
                }
            }),
            thread::spawn({
                let shared = shared.clone();
                move || {
                    let held = shared.mutex.lock(&here, &mut here.patient(), Mode::Plain).unwrap();
                    shared.write(1);
                    shared.mutex.unlock(&here, held);
                }
            }),
        ];
        assert!(matches!(shared.read(), None | Some(0 | 1)));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(shared.read(), Some(1));
    });
}
