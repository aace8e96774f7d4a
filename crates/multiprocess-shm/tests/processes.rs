//! Segments between processes: they travel, their users are known to live or to be dead, their names go with the last one.

mod sample;

use multiprocess_core::{Environment, Word};
use multiprocess_parcel::{Fd, pack, pack_data, unpack, unpack_data};
use multiprocess_process::{Child, spawn};
use multiprocess_shm::{Segment, Shape, SharedMemory, sweep};
use multiprocess_sys::ErrorKind;
use sample::{any, unique, word};
use std::io::{PipeReader, PipeWriter, Read, pipe};
use std::sync::atomic::Ordering::Relaxed;

const SHAPE: Shape = Shape { kind: 77, length: 4096, reserved: 4096, parameters: [1, 2, 3, 4] };

/// Says who it is, and waits until the pipe closes.
fn stay(segment: Segment, told: Fd<PipeWriter>, mut gate: Fd<PipeReader>) {
    word(&segment).store(Word::held_by(segment.me()).0, Relaxed);
    drop(told);
    let _ = gate.0.read(&mut [0]);
}

/// A child that is attached, and what it waits for.
fn attached_child(segment: &Segment) -> (Child<()>, PipeWriter) {
    let (mut told, tell) = pipe().unwrap();
    let (gate, open) = pipe().unwrap();
    let child = spawn(stay, (segment.clone(), Fd(tell), Fd(gate))).unwrap();
    let _ = told.read(&mut [0]);
    (child, open)
}

#[test]
fn a_child_is_alive_until_it_ends() {
    let segment = Segment::anonymous(SHAPE, |_| {}).unwrap();
    let (child, open) = attached_child(&segment);
    let owner = Word(word(&segment).load(Relaxed)).owner();
    assert_ne!(owner, segment.me());
    assert!(segment.is_alive(owner) && segment.is_alive(segment.me()));
    assert_eq!(segment.pid_of(owner), child.pid());
    assert_eq!(segment.pid_of(segment.me()), std::process::id());
    drop(open);
    child.join().unwrap();
    assert!(!segment.is_alive(owner));
}

#[test]
fn a_killed_child_is_dead_and_its_slot_is_somebody_elses() {
    let segment = Segment::create(&unique("killed"), SHAPE, |_| {}).unwrap();
    for _ in 0..3 {
        let (child, _open) = attached_child(&segment);
        let owner = Word(word(&segment).load(Relaxed)).owner();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!segment.is_alive(owner));
        assert_eq!(segment.pid_of(owner), child.pid(), "known until somebody else has the slot");
    }
    assert!(segment.is_alive(segment.me()));
}

#[test]
fn a_process_has_one_attachment_however_it_got_it() {
    let name = unique("once");
    let segment = Segment::create(&name, SHAPE, |_| {}).unwrap();
    let opened = Segment::open(&name, any).unwrap();
    let travelled: Segment = unpack(pack(&segment).unwrap()).unwrap();
    let by_name: Segment = unpack_data(&pack_data(&segment, "a queue").unwrap()).unwrap();
    let as_text: Segment = serde_json::from_str(&serde_json::to_string(&segment).unwrap()).unwrap();
    for other in [&opened, &travelled, &by_name, &as_text] {
        assert!(segment.is_same(other));
        assert_eq!((segment.me(), segment.base()), (other.me(), other.base()));
    }
    let anonymous = Segment::anonymous(SHAPE, |_| {}).unwrap();
    let travelled: Segment = unpack(pack(&anonymous).unwrap()).unwrap();
    assert!(anonymous.is_same(&travelled) && !anonymous.is_same(&segment));
    assert_eq!((anonymous.me(), anonymous.base()), (travelled.me(), travelled.base()));
    assert!(serde_json::to_string(&anonymous).is_err());
}

#[test]
fn a_name_lives_while_it_travels() {
    let name = unique("flight");
    let segment = Segment::create(&name, SHAPE, |segment| word(segment).store(7, Relaxed)).unwrap();
    let message = pack(&segment).unwrap();
    drop(segment);
    let opened = Segment::open(&name, any).unwrap();
    assert_eq!(word(&opened).load(Relaxed), 7);
    drop(opened);
    let arrived: Segment = unpack(message).unwrap();
    assert_eq!((arrived.name(), word(&arrived).load(Relaxed)), (Some(&*name), 7));
    drop(arrived);
    assert_eq!(Segment::open(&name, any).unwrap_err().kind(), ErrorKind::NotFound);
    // A message that nobody reads keeps the name no longer than it is there itself.
    let message = pack(&Segment::create(&name, SHAPE, |_| {}).unwrap()).unwrap();
    assert_eq!(Segment::create(&name, SHAPE, |_| {}).unwrap_err().kind(), ErrorKind::AlreadyExists);
    drop(message);
    drop(Segment::create(&name, SHAPE, |_| {}).unwrap());
}

fn create_and_stay(name: String, told: Fd<PipeWriter>, gate: Fd<PipeReader>) {
    let segment = Segment::create(&name, SHAPE, |_| {}).unwrap();
    stay(segment, told, gate);
}

/// A name whose only user is another process, which has been killed.
fn dead_name(name: &str) {
    let (mut told, tell) = pipe().unwrap();
    let (gate, _open) = pipe().unwrap();
    let child = spawn(create_and_stay, (name.to_owned(), Fd(tell), Fd(gate))).unwrap();
    let _ = told.read(&mut [0]);
    drop(Segment::open(name, any).unwrap());
    assert_eq!(Segment::create(name, SHAPE, |_| {}).unwrap_err().kind(), ErrorKind::AlreadyExists);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_name_is_free_when_its_user_was_killed() {
    let name = unique("free");
    dead_name(&name);
    assert_eq!(Segment::open(&name, any).unwrap_err().kind(), ErrorKind::NotFound);
    dead_name(&name);
    let again = Segment::create(&name, SHAPE, |_| {}).unwrap();
    assert_eq!(word(&again).load(Relaxed), 0, "made anew");
    drop(again);
    dead_name(&name);
    let again = Segment::open_or_create(&name, SHAPE, |_| {}, |_| panic!("nobody has it")).unwrap();
    assert_eq!(word(&again).load(Relaxed), 0, "made anew");
}

#[test]
fn a_sweep_removes_the_names_of_the_dead_alone() {
    let (dead, alive) = (unique("swept"), unique("kept"));
    let segment = Segment::create(&alive, SHAPE, |_| {}).unwrap();
    dead_name(&dead);
    sweep().unwrap();
    let left = multiprocess_sys::names::list().unwrap();
    assert!(!left.iter().any(|entry| entry.name() == dead));
    assert!(Segment::open(&alive, any).unwrap().is_same(&segment));
}

#[test]
fn others_see_what_is_written() {
    let memory = SharedMemory::new(100).unwrap();
    let child = spawn(|memory: SharedMemory| memory.write(50, b"shared"), (memory.clone(),)).unwrap();
    child.join().unwrap();
    let mut bytes = [0; 6];
    memory.read(50, &mut bytes);
    assert_eq!(&bytes, b"shared");
}
