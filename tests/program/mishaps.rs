//! A program in which one call to the operating system fails while shared objects are made, opened, sent, received, used and
//! dropped: what came of it, and what is left.
//!
//! Each step fails one call and then does the same undisturbed. It prints `complaint` and what is wrong, and in the end
//! `struck`, how many calls failed, and how often that was an error.

use multiprocess::channel::{self, Client, Listener, SendError, Waitable};
use multiprocess::{
    Child, Error, Event, Fd, Group, JoinError, JoinableQueue, Lock, Pool, Process, Semaphore, SharedMemory,
};
use multiprocess_sys::seam::{self, Plan};
use multiprocess_tests::gate::{Gate, pass};
use multiprocess_tests::names::unique;
use multiprocess_tests::ready::{Ready, Sayer, say};
use multiprocess_tests::{gate, leaks, methods, pause};
use serde::{Deserialize, Deserializer, Serialize};
use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

const EINTR: i32 = 4;

/// So many steps in a row without a failed call show that no call is left: sweeps of dead names come now and then.
const QUIET_STEPS: u32 = 5;

/// How long what others leave behind may take to vanish, on a busy machine.
const GRACE: Duration = Duration::from_secs(5);

/// More permits than a page holds.
const PERMITS: u32 = 5_000;

/// The length of the shared memory here: some pages.
const LENGTH: usize = 100_000;

/// What is done under the plan.
type Work = fn(&Stage) -> Result<Counts, Refusal>;

/// All of that, by its name; whether an error names the object.
const CASES: [(&str, Work, bool); 20] = [
    ("lock", |_| use_lock(&Lock::new()?), false),
    ("lock-create", |stage| use_lock(&Lock::create(&stage.name)?), true),
    ("lock-open", |stage| use_lock(&Lock::open(&stage.name)?), true),
    ("lock-either", |stage| use_lock(&Lock::open_or_create(&stage.name)?), true),
    ("semaphore", |_| grow(&Semaphore::new(0)?), false),
    ("semaphore-create", |stage| grow(&Semaphore::create(&stage.name, 0)?), true),
    ("semaphore-group", |_| grow(&Group::new()?.semaphore(0)?), false),
    ("group", |_| use_group(&Group::new()?), false),
    ("memory", |_| use_memory(&SharedMemory::new(LENGTH)?), false),
    ("memory-create", |stage| use_memory(&SharedMemory::create(&stage.name, LENGTH)?), true),
    ("memory-open", |stage| use_memory(&SharedMemory::open(&stage.name)?), true),
    ("channel", |_| make_channel(), false),
    ("queue", |_| use_queue(&JoinableQueue::bounded(3)?), false),
    ("pool", |_| use_pool(&Pool::new(1)?), false),
    ("pass", Stage::pass, false),
    ("return", Stage::take_back, false),
    ("arrive", Stage::arrive, false),
    ("wait", |_| wait_in_vain(), false),
    ("pipe", |_| talk(), false),
    ("listener", |stage| meet(&stage.name), false),
];

/// How many calls failed in another process, and how many it made; those of this one are known.
type Counts = Option<(u32, u32)>;

/// Arguments: the case, the start method, and the code that calls fail with.
pub fn run(arguments: &[String]) {
    let [case, method, code] = arguments else { panic!("three arguments are needed") };
    let (_, work, names_object) = CASES.iter().find(|(word, ..)| word == case).expect("a case of the table");
    let mut stage = Stage::new(method, code.parse().expect("the code is a number"));
    let _owner = if case.ends_with("-open") { Some(stage.owner(case)) } else { None };
    let objects = if ["pass", "arrive"].contains(&case.as_str()) { Some(Objects::new(&stage.name)) } else { None };
    stage.objects = objects.transpose().expect("objects can be made without a fault");
    // The library's own thread comes first: it takes memory of the allocator that other threads had.
    Left::now(&stage.name);
    for _ in 0..3 {
        work(&stage).expect("it works without a fault");
    }
    let (mut right, mut total, mut quiet, mut calls) = (Left::now(&stage.name), 0, 0, 0);
    let mut refused = 0;
    while quiet < QUIET_STEPS || stage.nth < calls {
        stage.nth += 1;
        let (outcome, counts) = stage.strike(*work);
        calls = counts.1;
        quiet = if counts.0 == 0 { quiet + 1 } else { 0 };
        total += counts.0;
        let complain = |what: &str| println!("complaint\t{case}, {method}, code {code}, call {}: {what}", stage.nth);
        if let Err(refusal) = &outcome {
            refused += 1;
            refusal.complaints(&stage, *names_object).iter().for_each(|what| complain(what));
            // A named object that could not be received leaves its name for the next one who comes across it, or its sender, which is
            // about to end, gives it free.
            let right = if case == "return" { Left { names: 1, may_lose_name: true, ..right } } else { right };
            right.compare(&stage, "after the failure").iter().for_each(|what| complain(what));
        }
        if let Err(refusal) = work(&stage) {
            complain(&format!("the next time it does not work: {}", refusal.text));
        }
        right.compare(&stage, "after the next time").iter().for_each(|what| complain(what));
        // What has leaked is complained about once.
        right = right.or_more(&Left::now(&stage.name));
    }
    println!("struck\t{total}\t{refused}");
}

/// What the cases work with.
struct Stage {
    name: String,
    method: multiprocess::StartMethod,
    code: i32,
    /// Which call fails; none before the first step.
    nth: u32,
    /// Whether the next plan is an empty one.
    is_calm: std::cell::Cell<bool>,
    objects: Option<Objects>,
}

impl Stage {
    fn new(method: &str, code: i32) -> Stage {
        let name = unique("mishap");
        Stage { name, method: methods::named(method), code, nth: 0, is_calm: true.into(), objects: None }
    }

    /// The call that fails now, and with what; the 0th is none.
    fn plan(&self) -> Plan {
        Plan { nth: if self.is_calm.get() { 0 } else { self.nth }, code: self.code, always: false }
    }

    /// Works with one failing call; how often the plan struck, and how many calls there were.
    fn strike(&self, work: Work) -> (Result<Counts, Refusal>, (u32, u32)) {
        self.is_calm.set(false);
        seam::arm(self.plan());
        let outcome = work(self);
        seam::disarm();
        self.is_calm.set(true);
        let here = (seam::failed(), seam::calls());
        let counts = match outcome {
            Ok(elsewhere) => elsewhere.unwrap_or(here),
            // Whoever failed elsewhere does not say at which of its calls.
            Err(_) => (1, here.1.max(self.nth)),
        };
        (outcome, counts)
    }

    /// A child that has the object of the name until it is dropped.
    fn owner(&self, case: &str) -> (Child<()>, Gate) {
        let (mut ready, sayer) = Ready::new();
        let (gate, closed) = Gate::new();
        let child = methods::start(self.method, own, (case.to_owned(), self.name.clone(), sayer, closed));
        ready.wait();
        (child, gate)
    }

    fn objects(&self) -> &Objects {
        self.objects.as_ref().expect("the case has objects")
    }

    /// Sends all kinds to a child; every call of this process may fail, those of the start too.
    fn pass(&self) -> Result<Counts, Refusal> {
        let child = Process::new(Objects::work, (self.objects().clone(),)).start_method(self.method).start()?;
        child.join()?;
        Ok(None)
    }

    /// Receives all kinds from a child; the calls of the start do not count.
    fn take_back(&self) -> Result<Counts, Refusal> {
        seam::disarm();
        let child = Process::new(made, (self.name.clone(),)).start_method(self.method).start()?;
        child.wait().expect("a child can be waited for");
        seam::arm(self.plan());
        let objects = child.join()?;
        seam::disarm();
        let counts = (seam::failed(), seam::calls());
        objects.work();
        Ok(Some(counts))
    }

    /// Sends all kinds to a child, whose calls fail while it receives them.
    fn arrive(&self) -> Result<Counts, Refusal> {
        seam::disarm();
        let parcel =
            Parcel { arming: Arming(self.plan()), objects: self.objects().clone(), disarming: Disarming(0, 0) };
        let child = Process::new(arrived, (parcel,)).start_method(self.method).start()?;
        let counts = child.join()?;
        self.objects().clone().work();
        Ok(Some(counts))
    }
}

fn own(case: String, name: String, mut sayer: Sayer, gate: gate::Closed) {
    let object: Box<dyn std::any::Any> = match case.as_str() {
        "lock-open" => Box::new(Lock::create(&name).expect("a lock can be made")),
        _ => Box::new(SharedMemory::create(&name, LENGTH).expect("shared memory can be made")),
    };
    say(&mut sayer);
    pass(gate);
    drop(object);
}

/// Makes a channel. A call that fails once is no reason for one with less room.
fn make_channel() -> Result<Counts, Refusal> {
    let (tx, _rx) = channel::bounded::<Vec<u8>>(3)?;
    let error = tx.send_bytes(&vec![0; (1 << 30) + 1]).expect_err("no channel has room for that").to_string();
    assert!(error.contains("a channel takes 1073741824"), "{error}");
    Ok(None)
}

fn use_lock(lock: &Lock) -> Result<Counts, Refusal> {
    drop(lock.lock().expect("nobody has died"));
    Ok(None)
}

/// Gives a pool a task whose argument and result do not fit into a slot.
fn use_pool(pool: &Pool) -> Result<Counts, Refusal> {
    let bytes = pool.apply(|bytes: Vec<u8>| bytes, (vec![7; LENGTH],)).map_err(Error::from)?;
    assert_eq!(bytes.len(), LENGTH);
    Ok(None)
}

/// Makes a semaphore larger. If that fails, it is as it was.
fn grow(semaphore: &Semaphore) -> Result<Counts, Refusal> {
    let released = semaphore.release(PERMITS);
    if released.is_err() {
        assert_eq!(semaphore.available(), 0, "a release that failed released something");
        semaphore.release(PERMITS).expect("the second time there is memory");
    }
    assert_eq!(semaphore.available(), PERMITS);
    drop(semaphore.try_acquire().expect("there are permits"));
    released.map_err(|error| Refusal { is_release: true, ..Error::from(error).into() })?;
    Ok(None)
}

fn use_group(group: &Group) -> Result<Counts, Refusal> {
    let (lock, event, condition, semaphore) = (group.lock()?, group.event()?, group.condition()?, group.semaphore(1)?);
    event.set();
    condition.notify_all();
    drop(semaphore.try_acquire().expect("there is a permit"));
    use_lock(&lock)
}

/// A pipe, and what goes through it in one piece, beside it in memory, and in bundles.
fn talk() -> Result<Counts, Refusal> {
    let (near, far) = channel::pipe::<(Vec<u8>, Vec<Fd>), Vec<u8>>()?;
    let zero = std::fs::File::open("/dev/zero").expect("a file can be opened");
    for (length, count) in [(10, 1), (200_000, 0), (10, 300)] {
        let copy = |_| Fd(zero.try_clone().expect("a file can be duplicated").into());
        near.send((vec![7; length], (0..count).map(copy).collect())).map_err(Error::from)?;
        let (bytes, files) = far.recv().map_err(Error::from)?;
        assert_eq!((bytes.len(), files.len()), (length, count));
    }
    far.send_timeout(vec![7; 50_000], GRACE).map_err(Error::from)?;
    assert_eq!(near.recv_timeout(GRACE).map_err(Error::from)?, [7; 50_000]);
    Ok(None)
}

/// A listener with a file, and a client.
fn meet(name: &str) -> Result<Counts, Refusal> {
    let path = std::env::temp_dir().join(name);
    let met = || {
        let listener = Listener::bind(&path)?;
        let near = Client::new(&path).connect::<u8, u8>()?;
        let far = listener.accept::<u8, u8>()?;
        near.send(7)?;
        assert_eq!(far.recv()?, 7);
        Ok::<(), Error>(())
    };
    let met = met();
    assert!(!path.exists(), "its file is left: {met:?}");
    met.map(|()| None).map_err(Refusal::from)
}

/// Waits for handles, for words, for both, and for more words than one call takes.
fn wait_in_vain() -> Result<Counts, Refusal> {
    let (reader, _writer) = std::io::pipe().expect("a pipe can be made");
    let events = WAITED.get_or_init(|| {
        let group = Group::new().expect("a group can be made");
        (0..200).map(|_| group.event().expect("a group has room")).collect()
    });
    let mut objects: Vec<&dyn Waitable> = events.iter().map(|event| event as &dyn Waitable).collect();
    objects.insert(1, &reader);
    for some in [&objects[1..2], &objects[2..4], &objects[..2], &objects[2..]] {
        let ready = channel::wait(some, Some(Duration::from_millis(1)))?;
        assert!(ready.is_empty(), "nothing is ready, and yet {ready:?}");
    }
    Ok(None)
}

/// More events than one call takes.
static WAITED: OnceLock<Vec<Event>> = OnceLock::new();

fn use_memory(memory: &SharedMemory) -> Result<Counts, Refusal> {
    let mut byte = [0];
    memory.write(LENGTH - 1, &[7]);
    memory.read(LENGTH - 1, &mut byte);
    assert_eq!((memory.len(), byte), (LENGTH, [7]));
    Ok(None)
}

/// Sends a message that is small and one that takes memory. One that fails comes back, and can be sent again.
fn use_queue(queue: &JoinableQueue<Vec<u8>>) -> Result<Counts, Refusal> {
    let mut failure = None;
    for length in [10, LENGTH] {
        if let Err(error) = queue.send(vec![7; length]) {
            let (value, error) = match error {
                SendError::Failed(value, error) => (value, error),
                other => panic!("nobody has left: {other}"),
            };
            failure = Some(error);
            queue.send(value).expect("the second time there is memory");
        }
        assert_eq!(queue.recv().expect("there is a message"), vec![7; length]);
        queue.task_done().expect("it was put");
    }
    queue.join().expect("all is done");
    failure.map_or(Ok(None), |error| Err(error.into()))
}

/// Objects of all kinds that differ in how they travel.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Objects {
    named: Lock,
    lock: Lock,
    semaphore: Semaphore,
    group: Group,
    member: Lock,
    memory: SharedMemory,
    queue: JoinableQueue<Vec<u8>>,
}

impl Objects {
    fn new(name: &str) -> Result<Objects, Error> {
        let group = Group::new()?;
        Ok(Objects {
            named: Lock::create(name)?,
            lock: Lock::new()?,
            semaphore: Semaphore::new(2)?,
            member: group.lock()?,
            memory: SharedMemory::new(LENGTH)?,
            queue: JoinableQueue::bounded(3)?,
            group,
        })
    }

    /// Uses all of them; nobody else does.
    fn work(self) {
        let new = self.group.lock().expect("a group has room");
        for lock in [&self.named, &self.lock, &self.member, &new] {
            drop(lock.try_lock().expect("nobody has died").expect("nobody has the lock"));
        }
        assert_eq!(self.semaphore.available(), 2);
        drop(self.semaphore.try_acquire().expect("there are permits"));
        use_memory(&self.memory).expect("using memory does not fail");
        use_queue(&self.queue).expect("using a queue does not fail");
    }
}

fn made(name: String) -> Objects {
    Objects::new(&name).expect("objects can be made in a child")
}

/// Objects whose receiver fails at a call while it reads them. The fields are read in their order.
#[derive(Serialize, Deserialize)]
struct Parcel {
    arming: Arming,
    objects: Objects,
    disarming: Disarming,
}

/// A plan that begins when it is read.
struct Arming(Plan);

impl Serialize for Arming {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.nth, self.0.code).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Arming {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Arming, D::Error> {
        let (nth, code) = <(u32, i32)>::deserialize(deserializer)?;
        let plan = Plan { nth, code, always: false };
        seam::arm(plan);
        Ok(Arming(plan))
    }
}

/// The end of the plan, when it is read; how many calls failed, and how many there were.
struct Disarming(u32, u32);

impl Serialize for Disarming {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Disarming {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Disarming, D::Error> {
        <()>::deserialize(deserializer)?;
        seam::disarm();
        Ok(Disarming(seam::failed(), seam::calls()))
    }
}

fn arrived(parcel: Parcel) -> (u32, u32) {
    let Parcel { objects, disarming: Disarming(failed, calls), .. } = parcel;
    objects.work();
    (failed, calls)
}

/// An error as it comes to this process.
#[derive(Debug)]
struct Refusal {
    text: String,
    object: Option<String>,
    /// The operating system's code; that of a growing semaphore and of a child is not known.
    code: Option<i32>,
    /// Whether it is the error of a release, which has no place for a name: whoever releases has the semaphore at hand.
    is_release: bool,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal {
            text: error.to_string(),
            object: error.object().map(str::to_owned),
            code: error.raw_os_error(),
            is_release: false,
        }
    }
}

impl From<JoinError> for Refusal {
    fn from(error: JoinError) -> Refusal {
        Refusal { text: error.to_string(), object: None, code: None, is_release: false }
    }
}

impl Refusal {
    /// What is wrong with it.
    fn complaints(&self, stage: &Stage, names_object: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let first = self.text.split_once(' ').map_or("", |(first, _)| first);
        if !first.ends_with("ing") && self.code.is_some() {
            wrong.push(format!("the error does not say what was being done: {}", self.text));
        }
        if names_object && !self.is_release && self.object.as_deref() != Some(&stage.name) {
            wrong.push(format!("the error does not name the object: {}", self.text));
        }
        if self.code.is_some_and(|code| code != stage.code) {
            wrong.push(format!("the error is not from the call that failed: {}", self.text));
        }
        if stage.code == EINTR {
            wrong.push(format!("an interruption was not hidden: {}", self.text));
        }
        wrong
    }
}

/// What this process has, and what has a name.
#[derive(Debug, Clone, Copy)]
struct Left {
    descriptors: usize,
    mappings: usize,
    shared_mappings: usize,
    names: usize,
    /// Whether fewer names are as right.
    may_lose_name: bool,
}

impl Left {
    fn now(name: &str) -> Left {
        // The library closes what is left of a child that it has reaped itself when it is called the next time.
        multiprocess::active_children();
        let maps = fs::read_to_string("/proc/self/maps").expect("a process can list its mappings");
        let is_shared = |line: &&str| line.contains("memfd:multiprocess") || line.contains("/dev/shm/");
        let names = fs::read_dir("/dev/shm").expect("the folder of shared memory can be read").flatten();
        Left {
            descriptors: leaks::descriptors().len(),
            mappings: maps.lines().count(),
            shared_mappings: maps.lines().filter(is_shared).count(),
            names: names.filter(|entry| entry.file_name().to_string_lossy().ends_with(name)).count(),
            may_lose_name: false,
        }
    }

    /// What there is more now than here, if it does not vanish.
    fn compare(&self, stage: &Stage, when: &str) -> Option<String> {
        let mut left = Left::now(&stage.name);
        let is_right = pause::holds_within(GRACE, || {
            left = Left::now(&stage.name);
            let is_right = self.has(&left);
            if !is_right && self.descriptors < left.descriptors {
                // Descriptors of the spare child come and go; a start uses it up. What becomes of this one does not matter.
                drop(Process::new(nothing, ()).start_method(stage.method).start().map(Child::join));
            }
            is_right
        });
        (!is_right).then(|| format!("{when} there is {left:?} instead of {self:?}: {:?}", leaks::descriptors()))
    }

    fn has(&self, other: &Left) -> bool {
        other.descriptors <= self.descriptors
            && other.mappings <= self.mappings
            && other.shared_mappings <= self.shared_mappings
            && (other.names == self.names || self.may_lose_name && other.names < self.names)
    }

    fn or_more(self, other: &Left) -> Left {
        Left {
            descriptors: self.descriptors.max(other.descriptors),
            mappings: self.mappings.max(other.mappings),
            shared_mappings: self.shared_mappings.max(other.shared_mappings),
            names: self.names,
            may_lose_name: self.may_lose_name,
        }
    }
}

fn nothing() {}
