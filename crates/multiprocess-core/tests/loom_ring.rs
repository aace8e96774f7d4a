//! Models of the ring: what was sent comes out once and in order, nobody sleeps over a message or over room, whoever dies where.
#![cfg(loom)]

mod model;

use loom::thread;
use model::{Process, World, check};
use multiprocess_core::ring::{Incoming, Plan, Ring, Store};
use std::sync::Arc;

/// The memory of a ring.
struct Shared {
    store: Store,
    plan: Plan,
    world: World,
}

fn shared(capacity: u64) -> Arc<Shared> {
    let plan = Plan::new(capacity).unwrap();
    Arc::new(Shared { store: Store::new(plan.length()), plan, world: World::new(4) })
}

/// Reads a message of one byte, or of one byte many times.
fn byte(message: &Incoming<'_>) -> (usize, u8) {
    let mut bytes = [0; 16];
    message.copy_to(0, &mut bytes[..message.len()]);
    assert!(!message.is_damaged() && bytes[..message.len()].iter().all(|byte| *byte == bytes[0]));
    (message.len(), bytes[0])
}

impl Shared {
    fn ring(&self) -> Ring<'_> {
        Ring::over(&self.store, self.plan)
    }

    fn send(&self, bytes: &[u8], process: &Process) {
        self.ring().send(&[bytes], process, &mut process.patient(), |_, _| true).expect("patience has no end");
    }

    fn receive(&self, process: &Process) -> u8 {
        self.ring().receive(process, &mut process.patient(), byte).expect("patience has no end").1
    }

    fn try_receive(&self, process: &Process) -> Option<u8> {
        self.ring().receive(process, &mut process.hasty(0), byte).map(|(_, byte)| byte)
    }
}

#[test]
fn a_message_is_seen_as_it_was_sent() {
    check(3, || {
        let shared = shared(1);
        let (sender, receiver) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.send(&[1], &sender);
            other.send(&[2], &sender);
        });
        assert_eq!([shared.receive(&receiver), shared.receive(&receiver)], [1, 2]);
        thread.join().unwrap();
        assert_eq!(shared.try_receive(&receiver), None);
    });
}

#[test]
fn a_long_message_is_seen_as_it_was_sent() {
    check(2, || {
        let shared = shared(1);
        let (sender, receiver) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.send(&[1; 16], &sender);
            other.send(&[2; 16], &sender);
        });
        assert_eq!([shared.receive(&receiver), shared.receive(&receiver)], [1, 2]);
        thread.join().unwrap();
    });
}

#[test]
fn two_senders_are_heard_each_in_order() {
    check(2, || {
        let shared = shared(2);
        let (first, second, receiver) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        let (one, two) = (shared.clone(), shared.clone());
        let senders = [
            thread::spawn(move || {
                one.send(&[1], &first);
                one.send(&[2], &first);
            }),
            thread::spawn(move || two.send(&[9], &second)),
        ];
        let got = [shared.receive(&receiver), shared.receive(&receiver), shared.receive(&receiver)];
        let of_first: Vec<_> = got.iter().filter(|byte| **byte != 9).collect();
        assert_eq!(of_first, [&1, &2]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn two_receivers_share_what_is_sent() {
    check(2, || {
        let shared = shared(2);
        let (sender, first, second) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        let (one, two) = (shared.clone(), shared.clone());
        let receivers = [thread::spawn(move || one.receive(&first)), thread::spawn(move || two.receive(&second))];
        shared.send(&[1], &sender);
        shared.send(&[2], &sender);
        let mut got: Vec<_> = receivers.into_iter().map(|receiver| receiver.join().unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}
