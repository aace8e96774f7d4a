//! A segment from anybody: its header, its name, and all of its memory, by whoever may send one or has it too.
//!
//! What is accepted is used, by calls that do not wait; while they run, words of the memory change as the input says. Half of
//! the inputs are an object that this library made, with some of its words overwritten: behind a header that is checked lie
//! words that every holder may write.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use multiprocess_core::layout::{HINT, Header, SLOT_SIZE, SLOTS};
use multiprocess_core::name;
use multiprocess_parcel::{Parcel, pack, pack_data, unpack};
use multiprocess_shm::{Segment, SharedMemory};
use multiprocess_sync::{Array, Barrier, Condition, Event, Group, Lock, Mutex, RLock, RwLock, Semaphore, Value};
use multiprocess_sys::handle::{AsHandle, OwnedHandle};
use multiprocess_sys::{byte_lock, map, names};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::time::Duration;

/// Pages of which headers are computed.
const PAGES: [u64; 3] = [4096, 16384, 65536];

/// How much of a sample's memory is copied: of a group, all that lies before the semaphore's further permits.
const COPIED: u64 = 1 << 16;

/// Where an object by itself begins, or the group's own word.
const BODY: u64 = 4096;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let mut input = Input(Unstructured::new(rest));
    match choice % 8 {
        0 => header(rest),
        1 => new_header(&mut input),
        2 => drop(std::str::from_utf8(rest).map(name)),
        3 => whole(rest),
        _ => object(input),
    }
});

/// What the fuzzer's bytes are asked for; behind their end all is zero.
struct Input<'a>(Unstructured<'a>);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    fn word(&mut self) -> u64 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// Once in `many` times; not behind the end.
    fn is_chosen(&mut self, many: u8) -> bool {
        self.byte() % many == many - 1
    }

    /// A number that a word of an object may hold: any, or a holder among the first slots and generations.
    fn value(&mut self) -> u64 {
        let sort = self.byte();
        if sort & 1 == 0 {
            return self.word();
        }
        let [slot, flags, tag, generation] = [self.byte(), self.byte(), self.byte(), self.byte()].map(u64::from);
        (slot % 4) | flags % 4 << 14 | tag << 16 | generation % 4 << 32
    }
}

/// A header is refused, or all its parts lie in a segment of that size.
fn header(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first_chunk() else { return };
    let size = u64::from_le_bytes(*size);
    for page in PAGES {
        let Ok(header) = Header::decode(bytes, size, page) else { continue };
        assert_eq!(header.encode(), bytes[..Header::SIZE]);
        check(&header, page);
        assert_eq!(header.total(), size);
    }
}

/// A header of any numbers is refused when it is made, or it is read as it was written.
fn new_header(input: &mut Input<'_>) {
    let page = PAGES[usize::from(input.byte()) % PAGES.len()];
    let [kind, length, reserved] = [(); 3].map(|()| input.word());
    let parameters = [(); 4].map(|()| input.word());
    let Some(header) = Header::new(kind as u32, length, reserved, parameters, page) else { return };
    check(&header, page);
    assert_eq!((header.kind(), header.payload_length()), (kind as u32, length));
    assert_eq!((header.reserved(), header.parameters()), (reserved, parameters));
    let mut bytes = header.encode();
    assert_eq!(Header::decode(&bytes, header.total(), page), Ok(header));
    bytes[usize::from(input.byte()) % Header::SIZE] ^= 1 << (input.byte() % 8);
    assert_ne!(Header::decode(&bytes, header.total(), page), Ok(header));
}

fn check(header: &Header, page: u64) {
    let end = header.payload_offset().checked_add(header.payload_length()).expect("a payload ends");
    assert!(header.reserved() <= header.payload_length());
    assert!(header.payload_offset().is_multiple_of(page) && header.slots_offset().is_multiple_of(page));
    assert!(header.payload_offset() >= BODY && end <= header.slots_offset());
    for slot in 0..SLOTS {
        let start = header.slot_offset(slot).expect("a slot");
        let end = start + SLOT_SIZE as u64;
        let before = start >= HINT as u64 + 4 && end <= header.payload_offset();
        assert!(before || start >= header.slots_offset() && end <= header.total());
    }
    assert!(header.slot_offset(SLOTS).is_none() && header.total() <= i64::MAX as u64);
}

/// What may be a name stays a name in a folder.
fn name(text: &str) {
    if name::check(text).is_ok() {
        assert!(!text.is_empty() && text.len() <= name::LONGEST && text.is_ascii());
        assert_eq!(std::path::Path::new(text).file_name(), Some(text.as_ref()));
    }
}

/// Something made by this library, as it is sent, and what is done with such a thing.
struct Sample {
    /// The message, without its handle.
    message: Vec<u8>,
    /// The beginning of the memory.
    memory: Vec<u8>,
    size: u64,
    /// Where the words of the object begin.
    start: u64,
    play: fn(Parcel, &mut Game<'_>),
}

impl Sample {
    fn of<T: Serialize>(thing: &T, play: fn(Parcel, &mut Game<'_>)) -> Sample {
        let offset = pack(thing).and_then(unpack::<(Segment, u64)>).map_or(0, |(_, offset)| offset);
        let Parcel { bytes: message, mut handles, .. } = pack(thing).expect("an object can be sent");
        let file = File::from(handles.pop().expect("an object has a handle"));
        let size = file.metadata().expect("a file can be looked at").len();
        let mut memory = vec![0; size.min(COPIED) as usize];
        file.read_exact_at(&mut memory, 0).expect("memory can be read");
        Sample { message, memory, size, start: BODY + offset, play }
    }
}

/// An object of each kind, by itself and in a group.
fn samples() -> &'static [Sample] {
    static SAMPLES: OnceLock<Vec<Sample>> = OnceLock::new();
    SAMPLES.get_or_init(|| make().expect("objects can be made"))
}

fn make() -> Result<Vec<Sample>, multiprocess_sys::Error> {
    let group = Group::new()?;
    let members = [
        Sample::of(&group.lock()?, lock),
        Sample::of(&group.mutex(7u64)?, mutex),
        Sample::of(&group.event()?, event),
        Sample::of(&group.condition()?, condition),
        Sample::of(&group.semaphore(2)?, semaphore),
        Sample::of(&group, self::group),
    ];
    let mut samples = vec![
        Sample::of(&Lock::new()?, lock),
        Sample::of(&RLock::new()?, rlock),
        Sample::of(&Event::new()?, event),
        Sample::of(&Semaphore::new(2)?, semaphore),
        Sample::of(&Semaphore::bounded(3)?, semaphore),
        Sample::of(&Condition::new()?, condition),
        Sample::of(&Barrier::new(1)?, barrier),
        Sample::of(&Barrier::new(3)?, barrier),
        Sample::of(&Mutex::new(7u64)?, mutex),
        Sample::of(&RwLock::new(7u64)?, rwlock),
        Sample::of(&Value::new(7u64)?, value),
        Sample::of(&Array::new(&[1u32, 2, 3])?, array),
        Sample::of(&SharedMemory::new(100)?, shared_memory),
    ];
    samples.extend(members);
    Ok(samples)
}

/// An object in play: its memory, whose words the input changes.
struct Game<'a> {
    file: File,
    /// Where the words of the object begin.
    start: u64,
    input: Input<'a>,
}

/// Memory that is a segment from its first byte to its last, or anything.
fn whole(bytes: &[u8]) {
    let Some((sample, bytes)) = bytes.split_first() else { return };
    let sample = &samples()[usize::from(*sample) % samples().len()];
    let memory = memory(bytes.len() as u64, bytes).expect("a little memory can be made");
    let mut game = Game::new(&memory, BODY, Input(Unstructured::new(bytes)));
    (sample.play)(Parcel { bytes: sample.message.clone(), handles: vec![memory], ..Parcel::default() }, &mut game);
}

/// A sample, after changes that its receiver should notice or live with.
fn object(mut input: Input<'_>) {
    let sample = &samples()[usize::from(input.byte()) % samples().len()];
    let mut beginning = sample.memory.clone();
    let (mut size, mut message, mut play) = (sample.size, sample.message.clone(), sample.play);
    match input.byte() {
        0..128 => {}
        128..160 => size = other_header(&mut beginning, &mut input).unwrap_or(size),
        160..176 => size = size.saturating_add_signed(input.word() as i64 >> 32),
        176..192 => play = samples()[usize::from(input.byte()) % samples().len()].play,
        192..208 => flip(&mut beginning[..Header::SIZE], &mut input),
        208..224 => {
            message.truncate(message.len() - place(sample.start).len());
            message.extend(place(BODY.wrapping_add(input.value())));
        }
        _ => flip(&mut message, &mut input),
    }
    let unsealed = input.is_chosen(32);
    let made =
        if unsealed { names::unnamed(size).ok().map(|file| fill(file, &beginning)) } else { memory(size, &beginning) };
    // What cannot be made cannot be sent.
    let Some(memory) = made else { return };
    let mut game = Game::new(&memory, sample.start, input);
    let stranger = game.stranger(&memory);
    for _ in 0..game.input.byte() % 16 {
        game.change();
    }
    play(Parcel { bytes: message, handles: vec![memory], ..Parcel::default() }, &mut game);
    drop(stranger);
}

/// Another header in which nothing is wrong by itself; the size that it says.
fn other_header(memory: &mut [u8], input: &mut Input<'_>) -> Option<u64> {
    let page = map::page_size();
    let size = u64::from_ne_bytes(*memory[16..].first_chunk()?);
    let header = Header::decode(memory, size, page).ok()?;
    let (mut length, mut reserved) = (header.payload_length(), header.reserved());
    let (mut kind, mut parameters) = (header.kind(), header.parameters());
    for _ in 0..=input.byte() % 3 {
        let (what, value) = (input.byte() % 8, if input.is_chosen(4) { input.word() } else { input.byte().into() });
        match what {
            0 => kind = value as u32,
            1 => length = value,
            2 => reserved = value,
            3 => (length, reserved) = (value, value),
            place => parameters[usize::from(place) - 4] = value,
        }
    }
    let header = Header::new(kind, length, reserved, parameters, page)?;
    memory[..Header::SIZE].copy_from_slice(&header.encode());
    Some(header.total())
}

/// The last part of the message of an object: where it begins in the payload.
fn place(start: u64) -> Vec<u8> {
    pack_data(&start.wrapping_sub(BODY), "a test").expect("a number can be sent")
}

/// Changes a bit.
fn flip(bytes: &mut [u8], input: &mut Input<'_>) {
    let (place, bit) = (usize::from(input.byte()) % bytes.len(), input.byte() % 8);
    bytes[place] ^= 1 << bit;
}

/// Memory as it is sent: sealed.
fn memory(size: u64, beginning: &[u8]) -> Option<OwnedHandle> {
    map::anonymous(size).ok().map(|memory| fill(memory, beginning))
}

/// Writes as much as there is room for, and leaves out pages of zeros.
fn fill(memory: OwnedHandle, beginning: &[u8]) -> OwnedHandle {
    let file = File::from(memory);
    let size = file.metadata().expect("a file can be looked at").len();
    for (page, start) in beginning.chunks(4096).zip((0..size).step_by(4096)) {
        let page = &page[..page.len().min((size - start) as usize)];
        if page.iter().any(|byte| *byte != 0) {
            file.write_all_at(page, start).expect("memory can be written");
        }
    }
    file.into()
}

impl<'a> Game<'a> {
    fn new(memory: &OwnedHandle, start: u64, input: Input<'a>) -> Game<'a> {
        let file = File::from(memory.try_clone().expect("a handle can be duplicated"));
        Game { file, start, input }
    }

    /// Somebody else who has one of the first slots and lives, sometimes.
    fn stranger(&mut self, memory: &OwnedHandle) -> Option<OwnedHandle> {
        let slot = self.input.byte();
        let other = (slot < 128).then(|| byte_lock::open_anew(memory.as_fd()).expect("memory can be opened again"))?;
        byte_lock::try_lock(other.as_fd(), 1 + u64::from(slot % 4)).expect("a byte can be locked");
        Some(other)
    }

    /// Changes a word of the object, of the list of its users, or of the group in which it is.
    fn change(&mut self) {
        let (sort, place) = (self.input.byte() % 8, u64::from(self.input.byte()));
        let value = self.input.value();
        let at = match sort {
            0..5 => self.start + 8 * (place % 32),
            5 => self.start + 64 * place,
            6 => 256 + 8 * (place % 16),
            _ => [HINT as u64, BODY][usize::from(place % 2 == 0)],
        };
        // Behind its end sealed memory cannot be written.
        let _ = self.file.write_all_at(&value.to_ne_bytes(), at);
    }

    /// What others do to the object between two steps of this process.
    fn meanwhile(&mut self) {
        if self.input.is_chosen(2) {
            self.change();
        }
    }

    /// Whether to make a call that gives way to others before its time is over: those take long.
    fn has_time(&mut self) -> bool {
        self.input.is_chosen(16)
    }

    /// What arrives, if it does. It can be printed and sent on, and is then the same.
    fn receive<T: Serialize + DeserializeOwned + Debug>(&mut self, parcel: Parcel) -> Option<T> {
        let thing: T = unpack(parcel).ok()?;
        let _ = format!("{thing:?}");
        if self.input.is_chosen(4) {
            let parcel = pack(&thing).expect("what arrived can be sent");
            // What it says of itself in its memory may have changed.
            let _ = unpack::<T>(parcel);
        }
        self.meanwhile();
        Some(thing)
    }
}

fn lock(parcel: Parcel, game: &mut Game<'_>) {
    let Some(lock) = game.receive::<Lock>(parcel) else { return };
    if let Ok(Some(guard)) = lock.try_lock() {
        game.meanwhile();
        drop(guard);
    }
    game.meanwhile();
    drop(if game.has_time() { lock.recover_timeout(Duration::ZERO) } else { None });
    let _ = (lock.is_locked(), format!("{lock:?}"));
}

fn mutex(parcel: Parcel, game: &mut Game<'_>) {
    let Some(mutex) = game.receive::<Mutex<u64>>(parcel) else { return };
    if let Ok(Some(mut guard)) = mutex.try_lock() {
        game.meanwhile();
        *guard = guard.wrapping_add(1);
    }
    game.meanwhile();
    if game.has_time() {
        let _ = (mutex.lock_timeout(Duration::ZERO).is_ok(), mutex.recover_timeout(Duration::ZERO).is_some());
    }
    let _ = (mutex.is_locked(), format!("{mutex:?}"));
}

fn rlock(parcel: Parcel, game: &mut Game<'_>) {
    let Some(lock) = game.receive::<RLock>(parcel) else { return };
    let first = lock.try_lock();
    game.meanwhile();
    let second = lock.try_lock();
    game.meanwhile();
    drop(first);
    game.meanwhile();
    drop(second);
    let _ = (game.has_time() && lock.lock_timeout(Duration::ZERO).is_ok(), format!("{lock:?}"));
}

fn rwlock(parcel: Parcel, game: &mut Game<'_>) {
    let Some(lock) = game.receive::<RwLock<u64>>(parcel) else { return };
    let readers = (lock.try_read(), lock.try_read());
    game.meanwhile();
    let _ = (lock.try_write().is_ok(), format!("{lock:?}"));
    drop(readers);
    game.meanwhile();
    if let Ok(Some(mut guard)) = lock.try_write() {
        game.meanwhile();
        *guard = 1;
    }
    if game.has_time() {
        let _ = (lock.read_timeout(Duration::ZERO).is_ok(), lock.write_timeout(Duration::ZERO).is_ok());
    }
}

fn event(parcel: Parcel, game: &mut Game<'_>) {
    let Some(event) = game.receive::<Event>(parcel) else { return };
    event.set();
    game.meanwhile();
    event.clear();
    game.meanwhile();
    let _ = (event.is_set(), game.has_time() && event.wait_timeout(Duration::ZERO), format!("{event:?}"));
}

fn semaphore(parcel: Parcel, game: &mut Game<'_>) {
    let Some(semaphore) = game.receive::<Semaphore>(parcel) else { return };
    let (kept, forgotten) = (semaphore.try_acquire(), semaphore.try_acquire());
    game.meanwhile();
    forgotten.into_iter().for_each(|permit| permit.forget());
    game.meanwhile();
    drop(kept);
    // Whoever releases many at once, and lives, is waited for.
    let releasing = game.start + 32;
    if game.file.write_all_at(&[0; 8], releasing).is_ok() {
        let many = if game.input.is_chosen(2) { 1 } else { u32::from(game.input.byte()) * 300 };
        let _ = semaphore.release(many);
    }
    game.meanwhile();
    let _ = (semaphore.available(), game.has_time() && semaphore.acquire_timeout(Duration::ZERO).is_some());
    let _ = format!("{semaphore:?}");
}

fn condition(parcel: Parcel, game: &mut Game<'_>) {
    static LOCK: OnceLock<Lock> = OnceLock::new();
    let Some(condition) = game.receive::<Condition>(parcel) else { return };
    condition.notify(u32::from(game.input.byte()));
    game.meanwhile();
    condition.notify_all();
    if game.has_time() {
        let lock = LOCK.get_or_init(|| Lock::new().expect("a lock can be made"));
        let guard = lock.lock().expect("nobody has died");
        drop(condition.wait_timeout(guard, Duration::ZERO));
    }
    let _ = format!("{condition:?}");
}

fn barrier(parcel: Parcel, game: &mut Game<'_>) {
    let Some(barrier) = game.receive::<Barrier>(parcel) else { return };
    let _ = (barrier.waiting(), barrier.is_broken(), barrier.parties());
    if game.has_time() {
        let _ = barrier.wait_timeout(Duration::ZERO);
    }
    game.meanwhile();
    barrier.abort();
    game.meanwhile();
    barrier.reset();
    let _ = (game.has_time() && barrier.wait_timeout(Duration::ZERO).is_ok(), format!("{barrier:?}"));
}

fn value(parcel: Parcel, game: &mut Game<'_>) {
    let Some(value) = game.receive::<Value<u64>>(parcel) else { return };
    if let Ok(Some(mut guard)) = value.try_lock() {
        game.meanwhile();
        *guard = 1;
    }
    game.meanwhile();
    // Nobody has it now, and nobody comes: these calls wait for nobody.
    if value.try_lock().is_ok_and(|guard| guard.is_some()) {
        value.set(value.get() ^ 1);
        let _ = (value.replace(2), value.update(|number| *number));
    }
    let _ = format!("{value:?}");
}

fn array(parcel: Parcel, game: &mut Game<'_>) {
    let Some(array) = game.receive::<Array<u32>>(parcel) else { return };
    if let Ok(Some(mut guard)) = array.try_lock() {
        game.meanwhile();
        guard.last_mut().into_iter().for_each(|last| *last = 1);
    }
    game.meanwhile();
    // Nobody has it now, and nobody comes: these calls wait for nobody.
    if array.try_lock().is_ok_and(|guard| guard.is_some()) && !array.is_empty() {
        array.set(array.len() - 1, 7);
        assert_eq!((array.get(0).is_some(), array.get(array.len())), (true, None));
        // All of a long one is more memory than this process should take.
        assert!(array.len() > 1 << 16 || array.to_vec().len() == array.len());
    }
    let _ = format!("{array:?}");
}

fn shared_memory(parcel: Parcel, game: &mut Game<'_>) {
    let Some(memory) = game.receive::<SharedMemory>(parcel) else { return };
    let mut bytes = vec![0; memory.len().min(64)];
    memory.read(memory.len() - bytes.len(), &mut bytes);
    memory.write(0, &bytes);
}

fn group(parcel: Parcel, game: &mut Game<'_>) {
    let Some(group) = game.receive::<Group>(parcel) else { return };
    if let Ok(lock) = group.lock() {
        let _ = lock.try_lock();
        game.meanwhile();
    }
    if let (Ok(semaphore), Ok(event)) = (group.semaphore(u32::from(game.input.byte())), group.event()) {
        event.set();
        game.meanwhile();
        let _ = (semaphore.release(1), semaphore.try_acquire().is_some());
    }
}
