//! P11: what a task, a message or a lock costs when there are many of them, or much else.
//!
//! Each comparison is that of one thing in two sizes. Memory has its own growth: what no longer fits into a cache is dearer, also in
//! one process. So the same is done with a peer between threads, and a line says how both grow from the same size to the same.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, PipeWriter};
use std::iter::repeat_n;
use std::rc::Rc;

use multiprocess::channel::{self, Receiver, Sender};
use multiprocess::{Child, Mutex, Pool, Process};

use crate::crews::{submit_all, time};
use crate::options::Options;
use crate::placement::Placement;
use crate::report::{Side, Unit, ratio};
use crate::rounds::{self, Contender, Medians};
use crate::stages::{Stage, allow_many_descriptors};
use crate::tasks::work;

/// How much more something may take when there is more. There is no growth, but there is noise.
const GROWTH: f64 = 1.10;

/// How many of each kind there are.
const SIZES: [usize; 3] = [1, 100, 10_000];
const QUEUED: [u32; 3] = [100, 10_000, 1_000_000];

pub(crate) fn measure(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    allow_many_descriptors()?;
    outstanding(placement, options)?;
    workers(placement, options)?;
    memory(placement, options)?;
    queued(placement, options)?;
    channels(placement, options);
    children(placement, options)?;
    locks(placement, options);
    Ok(())
}

/// Takes the batches, after one untimed sample of each.
fn take(contenders: &mut [Contender], options: &Options) -> Vec<Medians> {
    for contender in contenders.iter_mut() {
        (contender.sample)();
    }
    let mut medians = vec![Medians::new(); contenders.len()];
    for _ in 0..if options.quick { 3 } else { 7 } {
        rounds::batch(contenders, 3, &mut medians);
    }
    medians
}

/// Compares all with the first.
fn print(placement: Placement, contenders: &[Contender], medians: &[Medians], target: Option<f64>) {
    let Some((first, others)) = contenders.split_first() else { return };
    for (contender, with) in others.iter().zip(&medians[1..]) {
        ratio("P11", placement, Side(contender.name, with), Side(first.name, &medians[0]), Unit::Nanoseconds, target);
    }
}

/// Compares the growth of ours with that of a peer: both in the same sizes.
fn print_beside(placement: Placement, names: [&str; 2], ours: &[Medians], theirs: &[Medians]) {
    let growth = |medians: &[Medians], at: usize| -> Medians {
        let pairs = medians[at].iter().zip(&medians[0]);
        pairs.map(|(with, without)| Some(((*with)? / (*without)?) * 1e-9)).collect()
    };
    for (at, size) in (1..ours.len()).zip(["100 times", "10,000 times"]) {
        let name = format!("growth of {}, {size}", names[0]);
        let (ours, theirs) = (growth(ours, at), growth(theirs, at));
        ratio("P11", placement, Side(&name, &ours), Side(names[1], &theirs), Unit::Times, Some(GROWTH));
    }
}

fn outstanding(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    let pool = Rc::new(Pool::new(2)?);
    let names = ["100 tasks outstanding", "10,000 tasks outstanding", "1,000,000 tasks outstanding"];
    let mut contenders: Vec<Contender> = QUEUED
        .into_iter()
        .zip(names)
        .map(|(count, name)| {
            let (pool, times) = (Rc::clone(&pool), (100_000 / count).max(1));
            let sample = move || Some((0..times).map(|_| submit_all(&pool, 0, count)).sum());
            Contender::each(name, count * times, sample)
        })
        .collect();
    let medians = take(&mut contenders, options);
    print(placement, &contenders, &medians, Some(GROWTH));
    Ok(())
}

fn map_ones(pool: &Pool, count: u32) -> std::time::Duration {
    time(|| pool.tasks().chunk_size(1).map(work, repeat_n(black_box(0), count as usize)).expect("all values"))
}

fn workers(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    const COUNT: u32 = 50_000;
    let mut contenders = Vec::new();
    for (workers, name) in [(2, "map with 2 workers"), (8, "map with 8 workers"), (64, "map with 64 workers")] {
        let pool = Pool::new(workers)?;
        contenders.push(Contender::each(name, COUNT, move || Some(map_ones(&pool, COUNT))));
    }
    let medians = take(&mut contenders, options);
    print(placement, &contenders, &medians, Some(GROWTH));
    Ok(())
}

fn memory(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    const COUNT: u32 = 50_000;
    let pool = Pool::new(2)?;
    let mut contenders = [Contender::each("map", COUNT, move || Some(map_ones(&pool, COUNT)))];
    let stages = [Stage::Empty, Stage::Memory(16), Stage::Memory(256), Stage::Memory(1024)];
    let mut medians = vec![Medians::new(); stages.len()];
    for _ in 0..if options.quick { 3 } else { 7 } {
        for (stage, medians) in stages.iter().zip(&mut medians) {
            let _hold = stage.enter()?;
            (contenders[0].sample)();
            rounds::batch(&mut contenders, 3, std::slice::from_mut(medians));
        }
    }
    for (stage, with) in stages.iter().zip(&medians).skip(1) {
        let name = format!("map{}", stage.label());
        ratio("P11", placement, Side(&name, with), Side("without", &medians[0]), Unit::Nanoseconds, Some(GROWTH));
    }
    Ok(())
}

/// Compares all sizes of ours with the first, and then their growth with that of the peer, whose sizes come behind ours.
fn take_beside(placement: Placement, names: [&str; 2], mut contenders: Vec<Contender>, options: &Options) {
    let medians = take(&mut contenders, options);
    let sizes = contenders.len() / 2;
    print(placement, &contenders[..sizes], &medians[..sizes], None);
    print_beside(placement, names, &medians[..sizes], &medians[sizes..]);
}

/// Sends so many messages before it receives the first, all in this thread.
fn queued(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    let names = ["100 messages queued", "10,000 messages queued", "1,000,000 messages queued"];
    let peers = ["crossbeam, 100 queued", "crossbeam, 10,000 queued", "crossbeam, 1,000,000 queued"];
    let capacity = 1 << 20;
    let link = Rc::new(channel::bounded::<u64>(capacity)?);
    let peer = Rc::new(crossbeam_channel::bounded::<u64>(capacity));
    let mut contenders = in_queues(names, move |count| {
        (0..count).for_each(|number| link.0.send(number.into()).expect("a receiver"));
        (0..count).for_each(|_| _ = black_box(link.1.recv().expect("a sender")));
    });
    contenders.extend(in_queues(peers, move |count| {
        (0..count).for_each(|number| peer.0.send(number.into()).expect("a receiver"));
        (0..count).for_each(|_| _ = black_box(peer.1.recv().expect("a sender")));
    }));
    take_beside(placement, ["a queue", "crossbeam's"], contenders, options);
    Ok(())
}

/// A contender for each length of a queue, which `fill` fills and empties.
fn in_queues(names: [&'static str; 3], fill: impl Fn(u32) + Clone + 'static) -> Vec<Contender> {
    let contender = |(count, name): (u32, &'static str)| {
        let (fill, times) = (fill.clone(), (100_000 / count).max(1));
        Contender::each(name, count * times, move || Some(time(|| (0..times).for_each(|_| fill(count)))))
    };
    QUEUED.into_iter().zip(names).map(contender).collect()
}

/// How many messages or locks a sample with many objects has.
const TURNS: u32 = 20_000;

/// A contender for each number of objects, which are used in turns: after the last one the first one again.
fn in_turns<T: 'static>(
    names: [&'static str; 3],
    make: impl Fn(usize) -> Vec<T>,
    each: impl Fn(&T) + Copy + 'static,
) -> Vec<Contender> {
    let contender = |(count, name)| {
        let objects = make(count);
        let turns = move || time(|| objects.iter().cycle().take(TURNS as usize).for_each(each));
        Contender::each(name, TURNS, move || Some(turns()))
    };
    SIZES.into_iter().zip(names).map(contender).collect()
}

/// As many objects as can be had, up to the number asked for; a line says so if they are fewer.
fn many<T>(placement: Placement, noun: &str, count: usize, make: impl Fn() -> Result<T, Box<dyn Error>>) -> Vec<T> {
    let mut objects = Vec::with_capacity(count);
    while objects.len() < count {
        match make() {
            Ok(object) => objects.push(object),
            Err(error) => {
                println!("# {placement}: {} {noun} instead of {count}: {error}", objects.len());
                break;
            }
        }
    }
    objects
}

fn channels(placement: Placement, options: &Options) {
    type Link = (Sender<u64>, Receiver<u64>);
    type Peer = (crossbeam_channel::Sender<u64>, crossbeam_channel::Receiver<u64>);
    let names = ["a message of 1 channel", "a message of 100 channels", "a message of 10,000 channels"];
    let peers = ["crossbeam, 1 channel", "crossbeam, 100 channels", "crossbeam, 10,000 channels"];
    let links = |count| many(placement, "channels", count, || Ok(channel::bounded::<u64>(16)?));
    let mut contenders = in_turns(names, links, |link: &Link| {
        link.0.send(7).expect("a receiver");
        black_box(link.1.recv().expect("a sender"));
    });
    let links = |count| (0..count).map(|_| crossbeam_channel::bounded(16)).collect();
    contenders.extend(in_turns(peers, links, |link: &Peer| {
        link.0.send(7).expect("a receiver");
        black_box(link.1.recv().expect("a sender"));
    }));
    take_beside(placement, ["channels", "crossbeam's"], contenders, options);
}

/// Children that have an end of a channel, and wait for the end of a pipe.
struct Attached {
    gate: Option<PipeWriter>,
    children: Vec<Child<()>>,
}

impl Attached {
    fn start(count: usize, end: &Receiver<u64>) -> Result<Attached, Box<dyn Error>> {
        let (reader, gate) = io::pipe()?;
        let mut attached = Attached { gate: Some(gate), children: Vec::with_capacity(count) };
        let wait = |_end: Receiver<u64>| _ = io::copy(&mut io::stdin(), &mut io::sink());
        for _ in 0..count {
            let child = Process::new(wait, (end.clone(),)).stdin(reader.try_clone()?).start()?;
            attached.children.push(child);
        }
        Ok(attached)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        drop(self.gate.take());
        for child in self.children.drain(..) {
            child.join().expect("a child ends when its input does");
        }
    }
}

fn children(placement: Placement, options: &Options) -> Result<(), Box<dyn Error>> {
    let names = ["a message, 1 child has an end", "a message, 100 children", "a message, 500 children"];
    let mut contenders = Vec::new();
    for (count, name) in [1, 100, 500].into_iter().zip(names) {
        let link = channel::bounded::<u64>(16)?;
        let attached = Attached::start(count, &link.1)?;
        contenders.push(Contender::each(name, TURNS, move || {
            let _attached = &attached;
            Some(time(|| {
                for _ in 0..TURNS {
                    link.0.send(7).expect("a receiver");
                    black_box(link.1.recv().expect("a sender"));
                }
            }))
        }));
    }
    let medians = take(&mut contenders, options);
    print(placement, &contenders, &medians, Some(GROWTH));
    Ok(())
}

fn locks(placement: Placement, options: &Options) {
    let names = ["a lock of 1", "a lock of 100", "a lock of 10,000"];
    let peers = ["std::sync::Mutex, 1", "std::sync::Mutex, 100", "std::sync::Mutex, 10,000"];
    let locks = |count| many(placement, "locks", count, || Ok(Mutex::new(0u64)?));
    let mut contenders = in_turns(names, locks, |lock| *lock.lock().expect("nobody dies here") += 1);
    let locks = |count| (0..count).map(|_| Paged::default()).collect();
    contenders.extend(in_turns(peers, locks, |lock: &Paged| *lock.0.lock().expect("nobody panics here") += 1));
    take_beside(placement, ["locks", "std::sync::Mutex's"], contenders, options);
}

/// In a page of its own, as memory that is shared always is.
#[derive(Default)]
#[repr(align(4096))]
struct Paged(std::sync::Mutex<u64>);
