//! Tests of the barrier step by step: a party that is asked to sleep lets the test do what happens meanwhile.

use super::*;
use crate::owner::Owner;
use core::cell::Cell;

struct World<'a> {
    me: Owner,
    generations: &'a [Cell<u32>],
}

impl Environment for World<'_> {
    fn me(&self) -> Owner {
        self.me
    }
    fn is_alive(&self, owner: Owner) -> bool {
        let slot = owner.slot().and_then(|slot| self.generations.get(slot as usize));
        slot.is_some_and(|generation| generation.get() == owner.generation())
    }
    fn wake(&self, _: &AtomicU64, _: u32) -> u32 {
        0
    }
    fn pid_of(&self, _: Owner) -> u32 {
        0
    }
}

/// Probes; then does what happens while the party sleeps; then probes again, and the time is over.
struct Meanwhile<F> {
    what: Option<F>,
    probe: bool,
}

impl<F: FnOnce()> Wait for Meanwhile<F> {
    fn step(&mut self) -> Step {
        if core::mem::replace(&mut self.probe, false) {
            return Step::Probe;
        }
        if self.what.is_some() { Step::Sleep } else { Step::TimedOut }
    }
    fn sleep(&mut self, _: &AtomicU64, _: u64) {
        self.probe = true;
        (self.what.take().unwrap())();
    }
}

struct Test<const PARTIES: usize> {
    barrier: Barrier,
    places: [AtomicU64; PARTIES],
    generations: [Cell<u32>; 4],
}

impl<const PARTIES: usize> Test<PARTIES> {
    fn new() -> Self {
        Test {
            barrier: Barrier::new(),
            places: [const { AtomicU64::new(0) }; PARTIES],
            generations: [const { Cell::new(1) }; 4],
        }
    }

    fn world(&self, slot: u32) -> World<'_> {
        World { me: Owner::new(slot, self.generations[slot as usize].get()), generations: &self.generations }
    }

    /// The party in `slot` waits, and sleeps once while `meanwhile` happens.
    fn wait(&self, slot: u32, meanwhile: impl FnOnce()) -> Result<u32, Broken> {
        let mut patience = Meanwhile { what: Some(meanwhile), probe: true };
        self.barrier.wait(&self.places, &self.world(slot), &mut patience)
    }

    /// The process in `slot` is killed after it has claimed a place or, if it `arrives`, in its sleep.
    fn die(&self, slot: u32, arrives: bool) {
        let world = self.world(slot);
        let claim = Word::held_by(world.me).with_tag(self.barrier.look().phase());
        let party = Party { barrier: &self.barrier, places: &self.places, environment: &world, claim };
        assert!(matches!(party.claim(self.barrier.look()), Claim::Place(_)));
        assert!(!arrives || party.arrive());
        self.generations[slot as usize].set(world.me.generation() + 1);
    }
}

const NOTHING: fn() = || ();

#[test]
fn all_go_on_with_different_numbers() {
    let test = Test::<3>::new();
    for _ in 0..100 {
        let numbers = Cell::new([None; 3]);
        let set = |at: usize, number| {
            let mut all = numbers.get();
            all[at] = Some(number);
            numbers.set(all);
        };
        let first = test.wait(0, || {
            assert_eq!(test.barrier.waiting(), 1);
            set(1, test.wait(1, || set(2, test.wait(2, NOTHING))));
        });
        set(0, first);
        let mut numbers = numbers.get().map(|number| number.unwrap().unwrap());
        numbers.sort_unstable();
        assert_eq!((numbers, test.barrier.waiting()), ([0, 1, 2], 0));
    }
}

#[test]
fn threads_of_one_process_are_parties_too() {
    let test = Test::<2>::new();
    let other = Cell::new(None);
    let mine = test.wait(1, || other.set(Some(test.wait(1, NOTHING))));
    assert_eq!(mine.unwrap() + other.get().unwrap().unwrap(), 1);
}

#[test]
fn a_timeout_breaks_it_for_all_until_a_reset() {
    let test = Test::<3>::new();
    let second = Cell::new(None);
    let first = test.wait(0, || second.set(Some(test.wait(1, NOTHING))));
    assert_eq!((first, second.get(), test.wait(2, NOTHING)), (Err(Broken), Some(Err(Broken)), Err(Broken)));
    assert!(test.barrier.is_broken());
    test.barrier.reset(&test.world(3));
    assert!(!test.barrier.is_broken());
    assert!(test.wait(0, || _ = test.wait(1, || _ = test.wait(2, NOTHING))).is_ok());
}

#[test]
fn a_reset_breaks_it_for_those_who_wait_alone() {
    let test = Test::<2>::new();
    let first = test.wait(0, || {
        test.barrier.reset(&test.world(3));
        assert_eq!((test.barrier.waiting(), test.barrier.is_broken()), (0, false));
        // The one that is slow to leave does not disturb the next phase.
        assert!(test.wait(1, || _ = test.wait(2, NOTHING)).is_ok());
    });
    assert_eq!(first, Err(Broken));
}

#[test]
fn an_abort_breaks_it() {
    let test = Test::<2>::new();
    assert_eq!(test.wait(0, || test.barrier.abort(&test.world(1))), Err(Broken));
    test.barrier.abort(&test.world(1));
    assert_eq!(test.wait(0, NOTHING), Err(Broken));
}

#[test]
fn a_party_that_dies_breaks_its_phase() {
    for arrives in [false, true] {
        let test = Test::<3>::new();
        test.die(1, arrives);
        assert_eq!(test.wait(0, || panic!("the first probe finds it")), Err(Broken));
        test.barrier.reset(&test.world(0));
        let first = test.wait(0, || test.die(1, arrives));
        assert_eq!((first, test.barrier.is_broken()), (Err(Broken), true));
        test.barrier.reset(&test.world(0));
        assert!(test.wait(0, || _ = test.wait(1, || _ = test.wait(2, NOTHING))).is_ok());
    }
}

#[test]
fn probes_come_round_to_every_party() {
    for dead in [0, 63, 64, 129] {
        let test = Test::<130>::new();
        let (world, other) = (test.world(0), Word::held_by(test.world(1).me));
        test.places.iter().for_each(|place| place.store(other.0, Ordering::Relaxed));
        test.places[dead].store(Word::held_by(Owner::new(2, 7)).0, Ordering::Relaxed);
        let claim = Word::held_by(world.me);
        let party = Party { barrier: &test.barrier, places: &test.places, environment: &world, claim };
        let mut next = 40;
        for _ in 0..3 {
            next = party.probe(next, PROBED);
        }
        assert!(test.barrier.is_broken(), "place {dead}");
    }
}

#[test]
fn a_party_that_dies_after_the_last_arrival_breaks_nothing() {
    let test = Test::<2>::new();
    let first = test.wait(0, || test.die(1, true));
    assert!(first.is_ok());
    assert!(test.wait(0, || _ = test.wait(2, NOTHING)).is_ok());
    assert!(!test.barrier.is_broken());
}

#[test]
fn who_finds_all_places_taken_waits_for_the_next_phase() {
    let test = Test::<1>::new();
    test.die(1, false);
    assert_eq!(test.wait(0, NOTHING), Err(Broken));
    let test = Test::<1>::new();
    let world = test.world(1);
    test.places[0].store(Word::held_by(world.me).0, Ordering::Relaxed);
    assert_eq!(test.wait(0, || test.barrier.reset(&world)), Ok(0));
}

#[test]
fn many_phases_may_pass_while_one_is_slow_to_leave() {
    for phases in [0, 1, 31, 32] {
        let test = Test::<2>::new();
        let slow = test.wait(0, || {
            test.die(3, true);
            for _ in 0..phases {
                assert!(test.wait(1, || _ = test.wait(2, NOTHING)).is_ok());
            }
        });
        assert_eq!(slow.is_ok(), phases < 32);
    }
    let mut seen = Central(0).ended(true);
    for _ in 0..31 {
        seen = seen.ended(false);
        assert!(seen.has_completed(0) && !seen.has_completed(1));
    }
    assert!(!seen.ended(true).has_completed(0), "what is not known any more counts as broken");
    assert!(!seen.has_completed(seen.phase()));
}

#[test]
fn the_number_of_a_phase_comes_again() {
    let test = Test::<2>::new();
    for _ in 0..0x1_0001 {
        assert!(test.wait(0, || _ = test.wait(1, NOTHING)).is_ok());
    }
    let slept_for_long = test.wait(0, || {
        for _ in 0..0x1_0000 {
            test.barrier.reset(&test.world(1));
        }
        test.places.iter().for_each(|place| place.store(0, Ordering::Relaxed));
    });
    assert_eq!(slept_for_long, Err(Broken));
}

#[test]
fn any_bytes_do_no_harm() {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^ state >> 29
    };
    for _ in 0..2000 {
        let test = Test::<3>::new();
        let mut scribble = || {
            test.barrier.central.store(next(), Ordering::Relaxed);
            test.places.iter().for_each(|place| place.store(next(), Ordering::Relaxed));
        };
        scribble();
        if let Ok(index) = test.wait(0, &mut scribble) {
            assert!(index < 3);
        }
        test.barrier.reset(&test.world(0));
        assert!(!test.barrier.is_broken());
    }
}
