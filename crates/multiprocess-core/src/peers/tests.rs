//! Each rule of the peers on its own, with a world in which processes die on command.

use super::*;
use core::cell::Cell;

const ME: Owner = Owner::new(0, 1);
const OTHER: Owner = Owner::new(17, 4);
const FLIGHT: Owner = Owner::new(31, 9);

/// Does something at the first question about somebody.
struct World<F: Fn()> {
    dead: Cell<Option<Owner>>,
    asked: Cell<u32>,
    during: F,
}

fn world() -> World<fn()> {
    World { dead: Cell::new(None), asked: Cell::new(0), during: || () }
}

impl<F: Fn()> Environment for World<F> {
    fn me(&self) -> Owner {
        ME
    }
    fn is_alive(&self, owner: Owner) -> bool {
        if self.asked.replace(self.asked.get() + 1) == 0 {
            (self.during)();
        }
        self.dead.get() != Some(owner)
    }
    fn wake(&self, _: &AtomicU64, _: u32) -> u32 {
        0
    }
    fn pid_of(&self, _: Owner) -> u32 {
        0
    }
}

fn table() -> [Peer; 32] {
    core::array::from_fn(|_| Peer::default())
}

#[test]
fn every_slot_has_its_own_words() {
    let words = table();
    let table = Table::new(&words);
    for slot in 0..32 {
        table.raise(Owner::new(slot, slot + 1), Count::Tasks);
    }
    for slot in 0..32 {
        assert_eq!(
            table.find(Count::Tasks, 32, Owner::new(slot, slot + 1), &world()),
            Some(Owner::new(slot, slot + 1))
        );
    }
    table.raise(Owner::new(32, 1), Count::Tasks);
    assert_eq!(table.lower(Owner::new(32, 1), Count::Tasks), None);
    assert_eq!(Table::new(&words[..31]).slots(), 16);
}

#[test]
fn the_last_one_to_leave_says_so() {
    let (peers, words) = (Peers::new(), table());
    let table = Table::new(&words);
    for who in [ME, ME, OTHER] {
        peers.join(table, Side::Senders, who);
    }
    assert!(!peers.leave(table, Side::Senders, ME, &world()));
    assert!(!peers.leave(table, Side::Senders, ME, &world()));
    assert!(!peers.is_gone(Side::Senders) && peers.gives_messages());
    assert!(!peers.leave(table, Side::Senders, ME, &world()), "it has left already");
    assert!(peers.leave(table, Side::Senders, OTHER, &world()));
    assert!(peers.is_gone(Side::Senders) && !peers.is_gone(Side::Receivers));
    assert!(!peers.gives_messages() && peers.takes_messages());
}

#[test]
fn the_dead_do_not_count() {
    let (peers, words, world) = (Peers::new(), table(), world());
    let table = Table::new(&words);
    peers.join(table, Side::Receivers, OTHER);
    assert_eq!(peers.look(table, Side::Receivers, ME, &world), Found::Somebody(OTHER));
    world.dead.set(Some(OTHER));
    assert_eq!(peers.look(table, Side::Receivers, OTHER, &world), Found::Nobody);
    assert!(peers.is_gone(Side::Receivers) && !peers.takes_messages());
}

#[test]
fn a_newcomer_does_not_inherit_the_count_of_its_slot() {
    let (peers, words) = (Peers::new(), table());
    let table = Table::new(&words);
    peers.join(table, Side::Senders, OTHER);
    let newcomer = Owner::new(17, 5);
    peers.join(table, Side::Senders, newcomer);
    assert_eq!(table.lower(OTHER, Count::Senders), None);
    peers.join(table, Side::Senders, newcomer);
    assert!(peers.leave(table, Side::Senders, newcomer, &world()));
}

#[test]
fn one_that_is_likely_is_asked_first() {
    let (peers, words, world) = (Peers::new(), table(), world());
    let table = Table::new(&words);
    peers.join(table, Side::Senders, ME);
    peers.join(table, Side::Senders, OTHER);
    assert_eq!(peers.look(table, Side::Senders, OTHER, &world), Found::Somebody(OTHER));
    assert_eq!(world.asked.get(), 1);
    assert_eq!(peers.look(table, Side::Senders, FLIGHT, &world), Found::Somebody(ME));
}

#[test]
fn a_handle_that_moves_during_a_look_is_found() {
    let (peers, words) = (Peers::new(), table());
    let table = Table::new(&words);
    peers.join(table, Side::Senders, OTHER);
    // The look has passed slot 0 when its process gets the handle, and the giver dies.
    let moves = || peers.join(table, Side::Senders, ME);
    let world = World { dead: Cell::new(Some(OTHER)), asked: Cell::new(0), during: moves };
    assert_eq!(peers.look(table, Side::Senders, OTHER, &world), Found::Somebody(ME));
    assert!(!peers.is_gone(Side::Senders));
}

#[test]
fn a_copy_that_comes_later_takes_the_flag_back() {
    let (peers, words) = (Peers::new(), table());
    let table = Table::new(&words);
    assert_eq!(peers.look(table, Side::Senders, OTHER, &world()), Found::Nobody);
    peers.join(table, Side::Receivers, ME);
    assert!(peers.is_gone(Side::Senders));
    peers.join(table, Side::Senders, ME);
    assert!(!peers.is_gone(Side::Senders));
}

#[test]
fn endless_coming_and_going_is_no_proof() {
    let (peers, words) = (Peers::new(), table());
    let table = Table::new(&words);
    peers.join(table, Side::Senders, OTHER);
    struct Restless<'a>(&'a Peers, Table<'a>);
    impl Environment for Restless<'_> {
        fn me(&self) -> Owner {
            ME
        }
        fn is_alive(&self, _: Owner) -> bool {
            self.0.join(self.1, Side::Receivers, FLIGHT);
            false
        }
        fn wake(&self, _: &AtomicU64, _: u32) -> u32 {
            0
        }
        fn pid_of(&self, _: Owner) -> u32 {
            0
        }
    }
    assert_eq!(peers.look(table, Side::Senders, OTHER, &Restless(&peers, table)), Found::Unsure);
}

#[test]
fn what_is_being_sent_is_waited_for() {
    let (peers, words, world) = (Peers::new(), table(), world());
    let table = Table::new(&words);
    peers.join(table, Side::Senders, ME);
    peers.join(table, Side::Senders, OTHER);
    assert!(peers.begin_sending(table, ME) && peers.begin_sending(table, OTHER));
    assert!(peers.close() && !peers.close());
    assert!(peers.is_closed() && !peers.takes_messages() && !peers.gives_messages());
    assert!(!peers.is_quiet(table, &world));
    peers.end_sending(table, ME);
    assert!(!peers.is_quiet(table, &world));
    world.dead.set(Some(OTHER));
    assert!(peers.is_quiet(table, &world));
    assert!(!peers.begin_sending(table, ME));
    assert!(peers.is_quiet(table, &world));
}

#[test]
fn any_word_will_do() {
    let (peers, words) = (Peers::new(), table());
    let table = Table::new(&words);
    for slot in 0..32 {
        for count in [Count::Senders, Count::Receivers, Count::Sending, Count::Tasks] {
            table.raise(Owner::new(slot, u32::MAX), count);
            (0..3).for_each(|_| _ = table.lower(Owner::new(slot, 0), count));
        }
    }
    for word in [u64::MAX, 1 << 40, 33] {
        peers.reach.store(word, Relaxed);
        peers.state.store(word, Relaxed);
        peers.look(table, Side::Senders, Owner::new(9999, 1), &world());
        peers.join(table, Side::Senders, ME);
        assert!(peers.processes(table, Side::Senders) <= 32);
    }
}
