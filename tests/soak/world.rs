//! The objects that all processes of a run share.

use multiprocess::{Barrier, Condition, Error, Event, Group, Mutex, RLock, RwLock, Semaphore, SharedMemory, Value};
use serde::{Deserialize, Serialize};

/// What a lock protects: all the same while nobody is inside. The first number says whether somebody is.
pub type Data = [u64; 8];

/// How many permits there are.
pub const PERMITS: u32 = 3;

/// How many processes a barrier waits for.
pub const PARTIES: u32 = 2;

/// How many names the processes open and close.
pub const NAMES: u64 = 3;

/// The handles that every process gets.
#[derive(Clone, Serialize, Deserialize)]
pub struct World {
    /// Has the cells of [`Ledger`](crate::ledger::Ledger).
    pub memory: SharedMemory,
    /// Plain mutual exclusion.
    pub mutex: Mutex<Data>,
    /// Mutual exclusion of threads that may enter again.
    pub reentrant: RLock,
    /// Readers and writers.
    pub rwlock: RwLock<Data>,
    /// Permits.
    pub semaphore: Semaphore,
    /// Set and cleared all the time.
    pub event: Event,
    /// What the condition is about: how many items there are.
    pub items: Mutex<u64>,
    /// Notified once for each item.
    pub filled: Condition,
    /// Waited at by two.
    pub barrier: Barrier,
    /// Counted up without a look at its mark.
    pub value: Value<u64>,
    /// What the names begin with.
    pub prefix: String,
}

impl World {
    /// New objects; those with names begin with `prefix`, and do not exist yet.
    pub fn new(prefix: String) -> Result<World, Error> {
        let group = Group::new()?;
        Ok(World {
            memory: SharedMemory::new(crate::ledger::LENGTH)?,
            mutex: Mutex::new([0; 8])?,
            reentrant: RLock::new()?,
            rwlock: RwLock::new([0; 8])?,
            semaphore: Semaphore::new(PERMITS)?,
            event: Event::new()?,
            items: group.mutex(0)?,
            filled: group.condition()?,
            barrier: Barrier::new(PARTIES)?,
            value: Value::new(0)?,
            prefix,
        })
    }

    /// The mutex called `number`, which is made if nobody has it.
    pub fn named_mutex(&self, number: u64) -> Result<Mutex<Data>, Error> {
        Mutex::open_or_create(&format!("{}-mutex-{number}", self.prefix), [0; 8])
    }

    /// The semaphore called `number`, which is made if nobody has it.
    pub fn named_semaphore(&self, number: u64) -> Result<Semaphore, Error> {
        Semaphore::open_or_create(&format!("{}-semaphore-{number}", self.prefix), PERMITS)
    }
}
