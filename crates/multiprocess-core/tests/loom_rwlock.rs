//! Every interleaving of the read-write lock: exclusion, wake-ups, deaths of readers and writers, newcomers in their slots.
#![cfg(loom)]

mod model;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;
use model::{Kill, Process, World, check, killed};
use multiprocess_core::mutex::Refused;
use multiprocess_core::rwlock::RwLock;
use std::sync::Arc;

/// A lock and what it guards; loom reports accesses that nothing orders.
struct Guarded {
    lock: RwLock,
    readers: Vec<AtomicU64>,
    data: UnsafeCell<u32>,
}

// SAFETY: the data is touched as the lock allows; that this is so is what the models check.
unsafe impl Sync for Guarded {}

// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Guarded {}

impl Guarded {
    fn new(slots: usize) -> Arc<Guarded> {
        let readers = (0..slots).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Guarded { lock: RwLock::new(), readers, data: UnsafeCell::new(0) })
    }

    /// To be called under the lock.
    fn look(&self) -> u32 {
        self.data.with(|data| {
            // SAFETY: the caller holds the lock for reading, and loom checks that nobody writes.
            unsafe { *data }
        })
    }

    /// To be called by the only holder.
    fn add(&self) {
        self.data.with_mut(|data| {
            // SAFETY: the caller holds the lock for writing, and loom checks that nobody else touches the cell.
            unsafe { *data += 1 }
        });
    }

    fn read(&self, process: &Process) -> Result<u32, Refused> {
        let reader = self.lock.read(&self.readers, process, &mut process.patient())?;
        let value = self.look();
        self.lock.end_read(&self.readers, process, reader);
        Ok(value)
    }

    /// Whether a dead writer's mark was cleared.
    fn write(&self, process: &Process, recover: bool) -> Result<bool, Refused> {
        let held = self.lock.write(&self.readers, process, &mut process.patient(), recover)?;
        let recovered = held.recovered();
        self.add();
        self.lock.end_write(process, held, false);
        Ok(recovered)
    }
}

#[test]
fn a_reader_and_a_writer_exclude_each_other() {
    check(3, || {
        let (world, shared) = (World::new(2), Guarded::new(2));
        let (writer, reader) = (world.join(0), world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.write(&writer, false).unwrap();
        });
        shared.read(&reader).unwrap();
        shared.read(&reader).unwrap();
        thread.join().unwrap();
        assert_eq!(shared.read(&reader), Ok(1));
    });
}

#[test]
fn writers_exclude_each_other_and_a_reader() {
    check(2, || {
        let (world, shared) = (World::new(3), Guarded::new(3));
        let threads = [0, 1].map(|slot| {
            let (process, shared) = (world.join(slot), shared.clone());
            thread::spawn(move || {
                shared.write(&process, false).unwrap();
            })
        });
        let reader = world.join(2);
        shared.read(&reader).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(shared.read(&reader), Ok(2));
    });
}

#[test]
fn two_readers_of_one_process_and_a_writer() {
    check(2, || {
        let (world, shared) = (World::new(2), Guarded::new(2));
        let (writer, reader) = (world.join(0), world.join(1));
        let threads = [(writer, true), (reader.clone(), false)].map(|(process, writes)| {
            let shared = shared.clone();
            thread::spawn(move || {
                if writes {
                    shared.write(&process, false).unwrap();
                } else {
                    shared.read(&process).unwrap();
                }
            })
        });
        shared.read(&reader).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A reader dies, and a newcomer in its slot reads too, while a writer waits.
#[test]
fn a_dead_reader_is_passed_and_its_newcomer_is_not() {
    check(3, || {
        let (world, shared) = (World::new(2), Guarded::new(2));
        let (dying, writer) = (world.join(0), world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let _lost = other.lock.read(&other.readers, &dying, &mut dying.patient()).map(|_lost| other.look());
            dying.die();
            other.read(&world.join(0)).unwrap();
        });
        shared.write(&writer, false).unwrap();
        thread.join().unwrap();
        // Nobody took the newcomer's count for a dead one's: that would be found when it uncounts itself.
        assert_eq!(shared.readers[0].load(Relaxed) & 0xffff_ffff, 0);
    });
}

/// A reader is killed before it wakes the writer that waits for it.
#[test]
fn a_reader_that_dies_before_its_wake_up_delays_only() {
    check(3, || {
        let (world, shared) = (World::new(2), Guarded::new(2));
        let (dying, writer) = (world.join(0), world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let doomed = dying.doomed(Kill::Wake);
            killed(&dying, || {
                let reader = other.lock.read(&other.readers, &doomed, &mut dying.patient()).unwrap();
                other.look();
                other.lock.end_read(&other.readers, &doomed, reader);
            });
        });
        shared.write(&writer, false).unwrap();
        thread.join().unwrap();
    });
}

fn recover(shared: &Guarded, process: &Process) -> bool {
    match shared.read(process) {
        Ok(_) => false,
        Err(Refused::Died(_)) => shared.write(process, true).unwrap(),
        Err(Refused::TimedOut) => unreachable!("a patient call"),
    }
}

#[test]
fn the_death_of_a_writer_is_reported_and_recovered_once() {
    check(2, || {
        let (world, shared) = (World::new(3), Guarded::new(3));
        let (dying, rival, here) = (world.join(0), world.join(1), world.join(2));
        let other = shared.clone();
        let threads = [
            thread::spawn(move || {
                let _lost =
                    other.lock.write(&other.readers, &dying, &mut dying.patient(), false).map(|_lost| other.add());
                dying.die();
                false
            }),
            thread::spawn({
                let shared = shared.clone();
                move || recover(&shared, &rival)
            }),
        ];
        let here_first = recover(&shared, &here);
        let others = threads.map(|thread| thread.join().unwrap());
        let here_then = recover(&shared, &here);
        assert_eq!([here_first, others[1], here_then].iter().filter(|&&recovered| recovered).count(), 1);
    });
}

/// A writer is killed in its sleep, while it waits for a reader: it has written nothing, and nobody is told.
#[test]
fn a_writer_that_dies_waiting_leaves_no_mark() {
    check(3, || {
        let (world, shared) = (World::new(3), Guarded::new(3));
        let (dying, here) = (world.join(0), world.join(1));
        let reader = shared.lock.read(&shared.readers, &here, &mut here.patient()).unwrap();
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let doomed = dying.doomed(Kill::Sleep);
            killed(&dying, || {
                let held = other.lock.write(&other.readers, &doomed, &mut doomed.patient(), false).unwrap();
                other.add();
                other.lock.end_write(&doomed, held, false);
            });
        });
        shared.look();
        shared.lock.end_read(&shared.readers, &here, reader);
        shared.read(&here).unwrap();
        shared.write(&here, false).unwrap();
        thread.join().unwrap();
    });
}
