//! Mutual exclusion over one word, which names its holder.
//!
//! | State | Word | Leaves it by |
//! | --- | --- | --- |
//! | free | no owner, no mark | any `lock` takes it |
//! | held | owner | `unlock`, to free or, after a panic, to left; the owner's death |
//! | held, harmless | owner, tag `HARMLESS` (a passing reader's also `PASSABLE`), the mark that it found | `unlock`, to what it found; `harden`, to held; the owner's death |
//! | left | no owner, mark, the dead one's process number in the upper half | `Recover` takes it and clears the mark in the same exchange; `Ignore` and `Whole` take it and keep the mark; the others are told |
//! | held, owner dead | as held | whoever probes: to left |
//! | held harmless, owner dead | as held harmless | whoever probes: to free, or to left if the mark is there |
//!
//! The flag `WAITERS` may stand in each held state.
//!
//! **lock**: (1) exchange free for held. If that fails: (2) look; a word without an owner is taken or refused; (3) spin, and
//! probe the owner; (4) set `WAITERS`; (5) sleep while the word is as seen. Who has slept takes the word with `WAITERS`,
//! because others may sleep behind it. Who gives up after a sleep sets `WAITERS` again, because the wake-up that it had may
//! have been meant for those behind it. **unlock**: (1) exchange held for free; (2) wake one if `WAITERS` was set. Who took the word
//! in step (1) of lock need not compare: while it lives nobody else changes the word but to set `WAITERS`. **bury**, by
//! whoever finds the owner dead: (1) exchange the word as it was seen for left; (2) wake everybody.
//!
//! Races: two that take are told apart by the exchange. A sleeper that comes between unlock's two steps finds another word and
//! does not sleep. A newcomer in the dead owner's slot, between probe and exchange, has another generation, so the exchange
//! fails. That the owner's slot is seen as it was when the word was taken needs a release by who takes and an acquire by who
//! probes: an older slot would look like a death.
//!
//! Deaths: before lock (1) nothing has happened. Between `WAITERS` and sleep, or asleep, or chosen for a wake-up: the others
//! sleep in bounded slices and look themselves. Holding: bury. Between the steps of unlock or bury: the word is free or left
//! already, and those who sleep look at the end of their slice.

use crate::atomics::{AtomicU64, Ordering, order};
use crate::owner::{Owner, Word};
use crate::wait::{Environment, Step, Wait};
use core::num::NonZeroU64;

mod recursive;
pub use recursive::Recursive;

/// In the tag: what the holder guards cannot be torn by its death.
const HARMLESS: u16 = 1;
/// In the tag: readers may pass the holder, which is a reader itself (see [`rwlock`](crate::rwlock)).
pub(crate) const PASSABLE: u16 = 2;

/// What a caller makes of the mark of a dead holder, and leaves behind if it dies itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refuses what a dead holder has left; leaves a mark.
    Plain,
    /// Takes what a dead holder has left and clears the mark; leaves a mark.
    Recover,
    /// Takes what a dead holder has left and keeps the mark; leaves a mark.
    Ignore,
    /// Refuses what a dead holder has left; leaves no mark until [`Mutex::harden`].
    Harmless,
    /// Takes what a dead holder has left and keeps the mark; leaves no mark of its own until [`Mutex::harden`].
    Whole,
    /// As `Harmless`, for a reader of a [read-write lock](crate::rwlock) that other readers may pass.
    Passing,
}

/// Why a lock was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The last holder died. Its process number, or 0 if that is not known.
    Died(u32),
    /// The time is over.
    TimedOut,
}

/// The proof of a lock that was taken: [`Mutex::unlock`] wants it back. Two words, so that guards stay in registers.
#[derive(Debug, PartialEq, Eq)]
pub struct Held {
    /// What the lock's word has become: it names the holder, so it is not zero, and an `Option` takes no more room.
    word: NonZeroU64,
    /// If the word is marked: who died, to be said again by `unlock`.
    died: u32,
    /// 1 if so. A `bool` would leave padding, which makes copies slow.
    recovered: u32,
}

impl Held {
    #[inline]
    fn of(found: Word, me: Owner, mode: Mode, others_may_sleep: bool) -> Held {
        let tag = match mode {
            Mode::Plain | Mode::Recover | Mode::Ignore => 0,
            Mode::Harmless | Mode::Whole => HARMLESS,
            Mode::Passing => HARMLESS | PASSABLE,
        };
        let mut word = Word::held_by(me).with_tag(tag);
        if others_may_sleep {
            word = word.with_waiters();
        }
        if !found.is_marked() {
            return Held::new(word, 0, false);
        }
        match mode {
            Mode::Ignore | Mode::Whole => Held::new(word.marked(), pid_of_left(found), false),
            _ => Held::new(word, 0, true),
        }
    }

    #[inline]
    fn new(word: Word, died: u32, recovered: bool) -> Held {
        // Nobody's word would be zero, and nobody takes a lock.
        let word = NonZeroU64::new(word.0).unwrap_or(NonZeroU64::MAX);
        Held { word, died, recovered: recovered.into() }
    }

    /// What the lock's word has become.
    #[inline]
    pub fn word(&self) -> Word {
        Word(self.word.get())
    }

    /// What the word becomes when the lock is given back.
    #[inline]
    fn after(&self) -> Word {
        if self.word().is_marked() { left_by(self.died) } else { Word::FREE }
    }

    /// Whether a dead holder's mark was cleared by this taking.
    #[inline]
    pub fn recovered(&self) -> bool {
        self.recovered != 0
    }

    /// The process that took it.
    #[inline]
    pub fn owner(&self) -> Owner {
        self.word().owner()
    }
}

/// What a holder leaves that died: the mark, and its process number where the generation of a holder would stand.
#[inline]
fn left_by(pid: u32) -> Word {
    Word(Word::FREE.marked().0 | u64::from(pid) << 32)
}

/// The process number in a word that a dead holder has left.
#[inline]
fn pid_of_left(word: Word) -> u32 {
    (word.0 >> 32) as u32
}

/// How many to wake when the word has become `after`: one can take what is free; what was left concerns everybody.
fn sleepers_of(after: Word) -> u32 {
    if after.is_marked() { u32::MAX } else { 1 }
}

/// A lock that a process may hold; all zeroes is free.
///
/// # Examples
///
/// ```
/// use multiprocess_core::mutex::{Mode, Mutex, Refused};
/// # use multiprocess_core::{atomics::AtomicU64, Environment, Owner, Step, Wait};
/// # struct Alone;
/// # impl Environment for Alone {
/// #     fn me(&self) -> Owner { Owner::new(0, 1) }
/// #     fn is_alive(&self, _: Owner) -> bool { true }
/// #     fn wake(&self, _: &AtomicU64, _: u32) -> u32 { 0 }
/// #     fn pid_of(&self, _: Owner) -> u32 { 1 }
/// # }
/// # struct Never;
/// # impl Wait for Never {
/// #     fn step(&mut self) -> Step { Step::TimedOut }
/// #     fn sleep(&mut self, _: &AtomicU64, _: u64) {}
/// # }
/// // An environment with one process, and a patience that has none.
/// let (environment, mut patience) = (Alone, Never);
/// let mutex = Mutex::new();
/// let held = mutex.lock(&environment, &mut patience, Mode::Plain).unwrap();
/// assert_eq!(mutex.lock(&environment, &mut patience, Mode::Plain), Err(Refused::TimedOut));
/// mutex.unlock(&environment, held);
/// assert!(mutex.word().owner().is_nobody());
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct Mutex {
    word: AtomicU64,
}

impl Default for Mutex {
    fn default() -> Mutex {
        Mutex::new()
    }
}

impl Mutex {
    /// A free one.
    #[cfg(not(loom))]
    pub const fn new() -> Mutex {
        Mutex { word: AtomicU64::new(0) }
    }

    /// A free one.
    #[cfg(loom)]
    pub fn new() -> Mutex {
        Mutex { word: AtomicU64::new(0) }
    }

    /// Takes the lock, for as long as `wait` has patience.
    ///
    /// # Errors
    ///
    /// [`Refused::Died`] at once if the last holder died and `mode` does not take what it left; [`Refused::TimedOut`].
    ///
    /// # Crash
    ///
    /// A caller that dies before this returns holds the lock or does not; nothing in between.
    #[inline]
    pub fn lock<E, W>(&self, environment: &E, wait: &mut W, mode: Mode) -> Result<Held, Refused>
    where
        E: Environment + ?Sized,
        W: Wait + ?Sized,
    {
        match self.lock_at_once(environment.me(), mode) {
            Some(held) => Ok(held),
            None => self.lock_slowly(environment, wait, mode),
        }
    }

    #[inline]
    fn lock_at_once(&self, me: Owner, mode: Mode) -> Option<Held> {
        self.exchange_free(Held::of(Word::FREE, me, mode, false))
    }

    /// The first step of [`lock`](Mutex::lock) in [`Mode::Plain`] alone: takes the lock if it is free and nobody has left it. `me` is
    /// the word of somebody, [`Word::held_by`], as it is.
    #[inline]
    pub fn lock_at_once_as(&self, me: NonZeroU64) -> Option<Held> {
        self.exchange_free(Held { word: me, died: 0, recovered: 0 })
    }

    #[inline]
    fn exchange_free(&self, held: Held) -> Option<Held> {
        let order = order!("mutex.fast", AcqRel);
        self.word.compare_exchange(Word::FREE.0, held.word.get(), order, Ordering::Relaxed).ok().map(|_| held)
    }

    #[cold]
    fn lock_slowly<E, W>(&self, environment: &E, wait: &mut W, mode: Mode) -> Result<Held, Refused>
    where
        E: Environment + ?Sized,
        W: Wait + ?Sized,
    {
        let me = environment.me();
        let mut slept = false;
        loop {
            let word = Word(self.word.load(order!("mutex.look", Acquire)));
            if word.owner().is_nobody() {
                if word.is_marked() && matches!(mode, Mode::Plain | Mode::Harmless | Mode::Passing) {
                    return Err(Refused::Died(pid_of_left(word)));
                }
                let held = Held::of(word, me, mode, slept);
                let order = order!("mutex.slow", AcqRel);
                if self.word.compare_exchange(word.0, held.word.get(), order, Ordering::Relaxed).is_ok() {
                    return Ok(held);
                }
                continue;
            }
            match wait.step() {
                Step::Retry => {}
                Step::Probe => {
                    if !environment.is_alive(word.owner()) {
                        self.bury(environment, word);
                    }
                }
                Step::Sleep => {
                    if self.announce(word) {
                        slept = true;
                        wait.sleep(&self.word, word.with_waiters().0);
                    }
                }
                Step::TimedOut => {
                    if !slept || self.announce(word) {
                        return Err(Refused::TimedOut);
                    }
                }
            }
        }
    }

    /// Sets `WAITERS` in a held word; `false` if the word has changed.
    fn announce(&self, word: Word) -> bool {
        let relaxed = Ordering::Relaxed;
        word.has_waiters() || self.word.compare_exchange(word.0, word.with_waiters().0, relaxed, relaxed).is_ok()
    }

    /// Takes the lock from a dead holder. Everybody is woken, whatever the word says: it does not tell of sleepers whose
    /// wake-up went to somebody who has not looked yet.
    #[cold]
    fn bury<E: Environment + ?Sized>(&self, environment: &E, word: Word) {
        let harmless = word.tag() & HARMLESS != 0 && !word.is_marked();
        let after = if harmless { Word::FREE } else { left_by(environment.pid_of(word.owner())) };
        let order = order!("mutex.bury", Release);
        if self.word.compare_exchange(word.0, after.0, order, Ordering::Relaxed).is_ok() {
            environment.wake(&self.word, u32::MAX);
        }
    }

    /// Gives the lock back, with the mark that it was taken with in [`Mode::Ignore`] or [`Mode::Whole`]. A word that does not name the holder
    /// (damaged, or already taken from it) stays as it is.
    ///
    /// # Crash
    ///
    /// A caller that dies here holds the lock or has given it back; sleepers that it did not wake look by themselves.
    #[inline]
    pub fn unlock<E: Environment + ?Sized>(&self, environment: &E, held: Held) {
        match self.exchange_held(&held, held.after()) {
            true if !held.word().has_waiters() => {}
            true => self.wake(environment, held.after()),
            false => self.unlock_slowly(environment, held, false),
        }
    }

    #[inline]
    fn exchange_held(&self, held: &Held, after: Word) -> bool {
        let order = order!("mutex.unlock", Release);
        self.word.compare_exchange(held.word.get(), after.0, order, Ordering::Relaxed).is_ok()
    }

    /// The first step of [`unlock`](Mutex::unlock) alone, by who has taken the lock with [`lock_at_once_as`](Mutex::lock_at_once_as): whatever
    /// the word is, it becomes free. To exchange without a comparison is quicker by a cycle or two. Returns what stood there: if that is
    /// not [`Held::word`] alone, [`unlocked`](Mutex::unlocked) is to follow.
    #[inline]
    pub fn unlock_at_once(&self) -> u64 {
        self.word.swap(Word::FREE.0, order!("mutex.swap", Release))
    }

    /// The rest of an unlock after [`unlock_at_once`](Mutex::unlock_at_once) has `found` something else than the holder: wakes a
    /// sleeper, or puts a damaged word back.
    #[cold]
    pub fn unlocked<E: Environment + ?Sized>(&self, environment: &E, held: Held, found: u64) {
        if found == held.word().with_waiters().0 {
            self.wake(environment, Word::FREE);
        } else if self.word.compare_exchange(Word::FREE.0, found, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.unlock_slowly(environment, held, false);
        }
    }

    /// Gives the lock back as a dead holder leaves it: after a panic.
    ///
    /// # Crash
    ///
    /// The same as with [`unlock`](Mutex::unlock).
    #[cold]
    pub fn unlock_as_dead<E: Environment + ?Sized>(&self, environment: &E, held: Held) {
        self.unlock_slowly(environment, held, true);
    }

    #[cold]
    fn wake<E: Environment + ?Sized>(&self, environment: &E, after: Word) {
        environment.wake(&self.word, sleepers_of(after));
    }

    #[cold]
    fn unlock_slowly<E: Environment + ?Sized>(&self, environment: &E, held: Held, mark: bool) {
        loop {
            let word = Word(self.word.load(Ordering::Relaxed));
            if word.owner() != held.owner() {
                return;
            }
            let newly_marked = mark || word.is_marked() && !held.word().is_marked();
            let after = if newly_marked { left_by(environment.pid_of(word.owner())) } else { held.after() };
            let order = order!("mutex.unlock_slowly", Release);
            if self.word.compare_exchange(word.0, after.0, order, Ordering::Relaxed).is_ok() {
                if newly_marked || word.has_waiters() {
                    self.wake(environment, after);
                }
                return;
            }
        }
    }

    /// From now on the holder's death harms: a lock taken as [`Mode::Harmless`] or [`Mode::Whole`] becomes an ordinary one,
    /// and a mark that was kept is cleared. All in one step, so that a death leaves the old mark or a new one.
    #[inline]
    pub fn harden(&self, held: Held) -> Held {
        let clear = Word::FREE.with_tag(HARMLESS).marked();
        let before = Word(self.word.fetch_and(!clear.0, Ordering::Relaxed));
        // The compiler must not move an access to the data above this: a death between the two would leave no mark. The
        // processor may: a process dies between two instructions, all earlier ones done.
        core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
        Held::new(Word(before.0 & !clear.0), 0, held.word().is_marked())
    }

    /// Marks the lock while it is held: its last [`unlock`](Mutex::unlock) leaves it as a dead holder does.
    #[cold]
    fn mark(&self) {
        self.word.fetch_or(Word::FREE.marked().0, Ordering::Relaxed);
    }

    /// What the word says now; the holder may be dead.
    pub fn word(&self) -> Word {
        self.word_with(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn word_with(&self, ordering: Ordering) -> Word {
        Word(self.word.load(ordering))
    }

    /// Whether somebody holds the lock who may still live.
    pub fn is_locked<E: Environment + ?Sized>(&self, environment: &E) -> bool {
        let word = Word(self.word.load(Ordering::Acquire));
        !word.owner().is_nobody() && environment.is_alive(word.owner())
    }

    /// The process number of the dead holder whose mark is still here; 0 if it is not known.
    pub fn died(&self) -> Option<u32> {
        let word = self.word();
        (word.owner().is_nobody() && word.is_marked()).then(|| pid_of_left(word))
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
