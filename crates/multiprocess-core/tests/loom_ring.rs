//! Models of the ring: what was sent comes out once and in order, nobody sleeps over a message or over room, whoever
//! dies where.
#![cfg(loom)]

mod model;

use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;
use model::{Kill, Process, World, check, killed};
use multiprocess_core::ring::{Incoming, Plan, Ring, SHORT, Store, Until};
use multiprocess_core::{Environment, Wait};
use std::sync::Arc;

/// The memory of a ring. A message of a byte lies in its cell, one of 16 bytes takes both blocks that there are.
struct Shared {
    store: Store,
    plan: Plan,
    world: World,
}

const LONG: usize = 16;

fn shared(capacity: u64) -> Arc<Shared> {
    let plan = Plan::new(capacity).unwrap();
    Arc::new(Shared { store: Store::new(plan.length()), plan, world: World::new(4) })
}

/// Reads a message that is one byte many times.
fn byte(message: &Incoming<'_>) -> u8 {
    let mut bytes = [0; LONG];
    message.copy_to(0, &mut bytes[..message.len()]);
    assert!(!message.is_damaged() && bytes[..message.len()].iter().all(|byte| *byte == bytes[0]));
    bytes[0]
}

impl Shared {
    fn ring(&self) -> Ring<'_> {
        Ring::over(&self.store, self.plan)
    }

    fn send(&self, bytes: &[u8], process: &Process) {
        if !self.send_now(bytes, process) {
            self.ring().send(&[], bytes, process, &mut process.patient(), |_, _| true).expect("patience has no end");
        }
    }

    fn try_send(&self, bytes: &[u8], process: &Process) -> bool {
        self.send_now(bytes, process)
            || self.ring().send(&[], bytes, process, &mut process.hasty(0), |_, _| true).is_ok()
    }

    /// As a channel begins, with a short message.
    fn send_now(&self, bytes: &[u8], process: &Process) -> bool {
        let mut room = [0; SHORT];
        let Some(start) = room.get_mut(..bytes.len()) else { return false };
        start.copy_from_slice(bytes);
        self.ring().send_now(&room, bytes.len(), process)
    }

    /// Sends short messages behind one another, as far as there is room; how many.
    fn send_several(&self, bytes: &[u8], process: &impl Environment) -> usize {
        let ring = self.ring();
        let mut sending = ring.sending(process, bytes.len() as u64);
        bytes.iter().take_while(|byte| sending.send_now(&[**byte; SHORT], 1)).count()
    }

    /// Receives messages behind one another, as far as they are there.
    fn receive_several(&self, most: usize, process: &impl Environment) -> Vec<u8> {
        let ring = self.ring();
        let mut receiving = ring.receiving(process, most as u64);
        (0..most).map_while(|_| receiving.receive_now(byte).ok()).collect()
    }

    fn receive(&self, process: &Process) -> u8 {
        let ring = self.ring();
        let later = |byte| ring.receive(process, &mut process.patient(), byte).expect("patience has no end");
        ring.receive_now(process, || 1, byte).unwrap_or_else(later)
    }

    fn try_receive(&self, process: &Process) -> Option<u8> {
        let ring = self.ring();
        ring.receive_now(process, || 1, byte)
            .map_or_else(|byte| ring.receive(process, &mut process.hasty(0), byte), Some)
    }
}

#[test]
fn a_message_is_seen_as_it_was_sent() {
    check(2, || {
        let shared = shared(1);
        let (sender, receiver) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            // As a channel does what is not encoded in room for a short one.
            let sent = other.ring().send(&[], &[1], &sender, &mut sender.patient(), |_, _| true);
            assert_eq!(sent, Ok(()));
            other.send(&[2], &sender);
        });
        assert_eq!([shared.receive(&receiver), shared.receive(&receiver)], [1, 2]);
        thread.join().unwrap();
        assert_eq!(shared.try_receive(&receiver), None);
    });
}

#[test]
fn two_senders_are_heard() {
    check(1, || {
        let shared = shared(2);
        let (first, second, receiver) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        // There is room for one more.
        shared.send(&[1], &first);
        let (one, two) = (shared.clone(), shared.clone());
        let senders = [thread::spawn(move || one.send(&[2], &first)), thread::spawn(move || two.send(&[9], &second))];
        let got = [shared.receive(&receiver), shared.receive(&receiver), shared.receive(&receiver)];
        let of_first: Vec<_> = got.iter().filter(|byte| **byte != 9).collect();
        assert_eq!(of_first, [&1, &2]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// What `send` sends, 1 and 2, is received by two who wait for one message each.
fn two_receivers_get(send: fn(&Shared, &Process)) {
    check(1, move || {
        let shared = shared(2);
        let (sender, first, second) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        let (one, two) = (shared.clone(), shared.clone());
        let receivers = [thread::spawn(move || one.receive(&first)), thread::spawn(move || two.receive(&second))];
        send(&shared, &sender);
        let mut got: Vec<_> = receivers.into_iter().map(|receiver| receiver.join().unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn two_receivers_share_what_is_sent() {
    two_receivers_get(|shared, sender| {
        shared.send(&[1], sender);
        shared.send(&[2], sender);
    });
}

#[test]
fn several_messages_wake_all_who_wait_for_one() {
    two_receivers_get(|shared, sender| assert_eq!(shared.send_several(&[1, 2], sender), 2));
}

#[test]
fn several_messages_are_taken_once_and_in_order() {
    check(2, || {
        let shared = shared(2);
        let (sender, receiver) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            // The last one waits for room.
            let sent = other.send_several(&[1, 2, 3], &sender);
            (sent as u8..3).for_each(|number| other.send(&[number + 1], &sender));
        });
        let mut got = shared.receive_several(3, &receiver);
        while got.len() < 3 {
            got.push(shared.receive(&receiver));
            got.extend(shared.receive_several(3, &receiver));
        }
        assert_eq!(got, [1, 2, 3]);
        thread.join().unwrap();
    });
}

#[test]
fn several_messages_that_go_wake_all_who_wait_for_room() {
    check(1, || {
        let shared = shared(2);
        let (receiver, first, second) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        assert_eq!(shared.send_several(&[1, 2, 9], &receiver), 2);
        let (one, two) = (shared.clone(), shared.clone());
        let senders = [thread::spawn(move || one.send(&[3], &first)), thread::spawn(move || two.send(&[4], &second))];
        assert_eq!(shared.receive_several(2, &receiver), [1, 2]);
        for sender in senders {
            sender.join().unwrap();
        }
        let mut got = shared.receive_several(3, &receiver);
        got.sort_unstable();
        assert_eq!(got, [3, 4]);
    });
}

#[test]
fn two_senders_share_the_room() {
    check(1, || {
        let shared = shared(1);
        let (first, second, receiver) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        shared.send(&[0], &receiver);
        let (one, two) = (shared.clone(), shared.clone());
        let senders = [thread::spawn(move || one.send(&[1], &first)), thread::spawn(move || two.send(&[2], &second))];
        let mut got = [shared.receive(&receiver), shared.receive(&receiver), shared.receive(&receiver)];
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn who_waits_by_other_means_is_woken_too() {
    check(2, || {
        let shared = shared(1);
        let (first, second) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            // Sends when there is room for the second time.
            other.send(&[1], &first);
            let mut patience = first.patient();
            while other.ring().is_full() {
                patience.step();
                let (word, announced) = other.ring().announce_sender();
                if other.ring().is_full() {
                    patience.sleep(word, announced);
                }
            }
            assert!(other.try_send(&[2], &first));
        });
        let mut patience = second.patient();
        for expected in [1, 2] {
            while shared.ring().is_empty() {
                patience.step();
                let (word, announced) = shared.ring().announce_receiver();
                if shared.ring().is_empty() {
                    patience.sleep(word, announced);
                }
            }
            assert_eq!(shared.try_receive(&second), Some(expected));
        }
        thread.join().unwrap();
    });
}

#[test]
fn who_announces_itself_after_all_were_woken_knows_why() {
    check(3, || {
        let (shared, is_over) = (shared(1), Arc::new(AtomicU64::new(0)));
        let (first, second) = (shared.world.join(0), shared.world.join(1));
        let (other, said) = (shared.clone(), is_over.clone());
        let thread = thread::spawn(move || {
            // As a queue is closed.
            said.store(1, Relaxed);
            other.ring().wake_all(&first);
        });
        let mut patience = second.patient();
        while is_over.load(Relaxed) == 0 {
            patience.step();
            let (word, announced) = shared.ring().announce_receiver();
            if is_over.load(Relaxed) == 0 {
                patience.sleep(word, announced);
            }
        }
        thread.join().unwrap();
    });
}

#[test]
fn a_sender_that_dies_leaves_no_hole_although_a_newcomer_has_its_slot() {
    check(1, || {
        let shared = shared(2);
        let (victim, survivor) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.ring().send_until(Until::Written, &[7], &victim, &mut victim.hasty(0));
            victim.die();
            let newcomer = other.world.join(0);
            other.send(&[1], &newcomer);
        });
        assert_eq!(shared.receive(&survivor), 1);
        thread.join().unwrap();
        assert!(shared.try_send(&[2], &survivor) && shared.try_send(&[3], &survivor));
        assert!(!shared.try_send(&[4], &survivor));
    });
}

#[test]
fn what_a_dead_sender_wrote_is_seen_through_who_found_it() {
    check(2, || {
        let shared = shared(1);
        let (victim, finder, next) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        let (one, two) = (shared.clone(), shared.clone());
        one.ring().send_until(Until::Written, &[7], &victim, &mut victim.hasty(0));
        let dying = thread::spawn(move || victim.die());
        let finding = thread::spawn(move || two.ring().probe(&finder));
        shared.send(&[1], &next);
        dying.join().unwrap();
        finding.join().unwrap();
        assert_eq!(shared.try_receive(&next), Some(1));
    });
}

#[test]
fn a_receiver_that_dies_takes_one_message_with_it() {
    check(2, || {
        let shared = shared(1);
        let (victim, survivor) = (shared.world.join(0), shared.world.join(1));
        shared.send(&[1], &survivor);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.ring().receive_until(Until::Taken, &victim);
            victim.die();
            let newcomer = other.world.join(0);
            other.receive(&newcomer)
        });
        let sent = shared.ring().send(&[], &[2], &survivor, &mut survivor.patient(), |_, _| true);
        assert_eq!((sent, thread.join().unwrap()), (Ok(()), 2));
    });
}

#[test]
fn a_living_process_whose_slot_is_new_is_not_taken_for_dead() {
    check(2, || {
        let shared = shared(1);
        let receiver = shared.world.join(1);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let sender = other.world.join(0);
            other.send(&[1], &sender);
        });
        assert_eq!(shared.receive(&receiver), 1);
        thread.join().unwrap();
    });
}

#[test]
fn a_sender_that_dies_before_it_wakes_leaves_nobody_asleep() {
    check(2, || {
        let shared = shared(1);
        let (victim, survivor) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let doomed = victim.doomed(Kill::Wake);
            let ring = other.ring();
            killed(&victim, || ring.send(&[], &[1], &doomed, &mut doomed.patient(), |_, _| true));
        });
        assert_eq!(shared.receive(&survivor), 1);
        thread.join().unwrap();
    });
}

#[test]
fn who_dies_before_it_tells_of_several_leaves_nobody_asleep() {
    check(2, || {
        let shared = shared(2);
        let (victim, survivor) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let doomed = victim.doomed(Kill::Wake);
            killed(&victim, || other.send_several(&[1, 2], &doomed));
        });
        assert_eq!([shared.receive(&survivor), shared.receive(&survivor)], [1, 2]);
        thread.join().unwrap();
    });
    check(2, || {
        let shared = shared(1);
        let (victim, survivor) = (shared.world.join(0), shared.world.join(1));
        shared.send(&[1], &survivor);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let doomed = victim.doomed(Kill::Wake);
            killed(&victim, || other.receive_several(1, &doomed));
        });
        shared.send(&[2], &survivor);
        thread.join().unwrap();
    });
}

#[test]
fn a_receiver_that_is_killed_asleep_takes_no_message_with_it() {
    check(1, || {
        let shared = shared(1);
        let (sender, victim, survivor) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        let (one, two) = (shared.clone(), shared.clone());
        let dying = thread::spawn(move || {
            let doomed = victim.doomed(Kill::Sleep);
            killed(&victim, || one.ring().receive(&doomed, &mut doomed.patient(), byte)).flatten()
        });
        let sending = thread::spawn(move || two.send(&[1], &sender));
        sending.join().unwrap();
        if dying.join().unwrap().is_none() {
            assert_eq!(shared.receive(&survivor), 1);
        }
    });
}

#[test]
fn a_long_message_is_seen_as_it_was_sent() {
    check(1, || {
        let shared = shared(1);
        let (sender, receiver) = (shared.world.join(0), shared.world.join(1));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            other.send(&[1; LONG], &sender);
            other.send(&[2; LONG], &sender);
        });
        assert_eq!([shared.receive(&receiver), shared.receive(&receiver)], [1, 2]);
        thread.join().unwrap();
    });
}

#[test]
fn a_long_message_is_left_alone_while_others_look_for_blocks() {
    check(2, || {
        let shared = shared(1);
        let (sender, finder) = (shared.world.join(0), shared.world.join(1));
        // There is memory from now on.
        shared.ring().hold_blocks(LONG as u64, &finder, &mut finder.hasty(0));
        let other = shared.clone();
        let thread = thread::spawn(move || other.send(&[1; LONG], &sender));
        shared.ring().reap_blocks(&finder);
        thread.join().unwrap();
        assert_eq!(shared.receive(&finder), 1);
    });
}

#[test]
fn a_living_reader_whose_slot_is_new_keeps_its_blocks() {
    check(2, || {
        let shared = shared(1);
        let sender = shared.world.join(0);
        shared.send(&[1; LONG], &sender);
        let other = shared.clone();
        let thread = thread::spawn(move || {
            let receiver = other.world.join(1);
            other.receive(&receiver)
        });
        // Takes what it finds, as the next message would.
        shared.ring().reap_blocks(&sender);
        shared.ring().hold_blocks(LONG as u64, &sender, &mut sender.hasty(0));
        assert_eq!(thread.join().unwrap(), 1);
    });
}

#[test]
fn a_dead_sender_s_blocks_come_back() {
    for until in [Until::Filled, Until::Written] {
        check(1, move || {
            let shared = shared(1);
            let (victim, survivor) = (shared.world.join(0), shared.world.join(1));
            let other = shared.clone();
            let thread = thread::spawn(move || {
                other.ring().send_until(until, &[7; LONG], &victim, &mut victim.hasty(0));
                victim.die();
                let newcomer = other.world.join(0);
                other.send(&[1; LONG], &newcomer);
            });
            assert_eq!(shared.receive(&survivor), 1);
            thread.join().unwrap();
            assert!(shared.try_send(&[2; LONG], &survivor));
        });
    }
}

#[test]
fn what_a_dead_sender_wrote_to_blocks_is_seen_through_who_found_it() {
    check(1, || {
        let shared = shared(1);
        let (victim, finder, next) = (shared.world.join(0), shared.world.join(1), shared.world.join(2));
        shared.ring().hold_blocks(LONG as u64, &victim, &mut victim.hasty(0));
        let (one, two, three) = (shared.clone(), shared.clone(), shared.clone());
        let dying = thread::spawn(move || {
            three.ring().send_until(Until::Filled, &[7; LONG], &victim, &mut victim.hasty(0));
            victim.die();
        });
        let finding = thread::spawn(move || two.ring().reap_blocks(&finder));
        // A thread of its own, which does not see that the others have ended.
        let sending = thread::spawn(move || one.try_send(&[2; LONG], &next));
        dying.join().unwrap();
        finding.join().unwrap();
        sending.join().unwrap();
    });
}

#[test]
fn a_dead_receiver_s_blocks_come_back() {
    for (capacity, until) in [(1, Until::Taken), (1, Until::TakenOver), (2, Until::Taken), (2, Until::TakenOver)] {
        check(1, move || {
            let shared = shared(capacity);
            let (victim, survivor) = (shared.world.join(0), shared.world.join(1));
            shared.send(&[7; LONG], &survivor);
            let other = shared.clone();
            let thread = thread::spawn(move || {
                other.ring().receive_until(until, &victim);
                victim.die();
                let newcomer = other.world.join(0);
                other.receive(&newcomer)
            });
            // The message itself or the dead one's share of it is in the way until somebody looks. Where there is room for
            // two, nobody comes to the dead one's cell.
            shared.send(&[1; LONG], &survivor);
            assert_eq!(thread.join().unwrap(), 1);
        });
    }
}
