//! What everybody in the pool's process has of it: its memory, its state behind a lock, and how to wait.
//!
//! **Who collects.** Results lie in slots until somebody of this process takes them in. A thread that waits for one does so itself: it
//! collects, looks, spins and gives way for a while, and then sleeps on the signal of the board. Only one thread sleeps there, the
//! *leader*; the others sleep until the leader (or anybody else who collects) has delivered something for them, or until they are to
//! lead. While nobody waits, the supervisor collects: then the bell of the board is *armed*.
//!
//! | Waiting threads | Tasks | Bell | News reach |
//! | :-: | :-: | :-: | --- |
//! | 0 | none | any | nobody: there are none |
//! | 0 | some, and a backlog or futures that wait | armed, or rung and not heard yet | the supervisor |
//! | 0 | some, and nothing else | any | nobody, until somebody asks |
//! | 1 or more | any | not armed | the threads that spin, or the leader |
//!
//! A thread that waits for other things too (`channel::wait`) *watches*: it announces that it will sleep on the signal, collects,
//! looks, and sleeps. Workers wake it as they wake the leader; whoever collects for it in its place wakes it too, once for each announcement,
//! which is made while the state is locked. So what was delivered before is seen by its look, and what comes later ends its sleep.
//!
//! Who is the last to wait, or puts a task into the backlog, or polls a future, arms the bell and collects once more: news before that
//! are found, news after it ring. The supervisor hears the end of each worker in any case, and does the same.

use crate::arrivals::{Arrivals, Inbox};
use crate::descriptors::Descriptors;
use crate::error::{PoolError, TaskError};
#[cfg(feature = "tracing")]
use crate::events::News;
use crate::jobs::JobId;
use crate::memory::Memory;
use crate::payload::Bytes;
use crate::state::{Phase, Placed, State, Task};
use multiprocess_core::work::{Board, Stage};
use multiprocess_core::{Step, Wait};
use multiprocess_parcel::{Fd, RemoteError};
use multiprocess_process::Process;
use multiprocess_process::task::Preparation;
use multiprocess_shm::Patience;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, duplicate};
use multiprocess_sys::settings::Settings;
use multiprocess_sys::{Error, ErrorKind};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread sleeps at most before it looks again, although it would be told.
const SLICE: Duration = Duration::from_millis(100);

/// How the workers of a pool are made.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) prefix: String,
    pub(crate) settings: Settings,
    pub(crate) preparation: Option<Preparation>,
    pub(crate) tasks_max: Option<u32>,
    #[cfg(feature = "tracing")]
    pub(crate) forwards_logs: bool,
}

/// A pool.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) memory: Memory,
    pub(crate) descriptors: Descriptors,
    recipe: Recipe,
    started: AtomicU64,
    state: Mutex<State>,
}

/// The key of the bell among the lanes.
pub(crate) const BELL: u64 = u64::MAX;

impl Shared {
    pub(crate) fn new(memory: Memory, slots: usize, recipe: Recipe) -> Result<Shared, Error> {
        let descriptors = Descriptors::new(BELL)?;
        let state = Mutex::new(State::new(&memory, slots));
        Ok(Shared { memory, descriptors, recipe, started: AtomicU64::new(0), state })
    }

    pub(crate) fn board(&self) -> Board<'_> {
        self.memory.board()
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_> {
        // A panic while it was held has left a task in one place, for each step moves one.
        Guard { shared: self, state: Some(self.state.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    /// Starts a worker in a lane that has none.
    pub(crate) fn start_worker(&self, lane: usize) -> Result<(), Error> {
        let recipe = &self.recipe;
        let setup = crate::worker::Setup {
            segment: self.memory.segment.clone(),
            lane: lane as u32,
            bell: Fd(duplicate(self.descriptors.bell()?.as_fd())?),
            preparation: recipe.preparation.clone(),
            tasks_max: recipe.tasks_max,
        };
        let number = self.started.fetch_add(1, Relaxed) + 1;
        let process = Process::new(crate::worker::work, (setup,))
            .name(format!("{}-{number}", recipe.prefix))
            .daemon(true)
            .settings(recipe.settings.clone());
        #[cfg(feature = "tracing")]
        let process = process.forward_logs(recipe.forwards_logs);
        let worker = process.start()?;
        if let Err(error) = self.descriptors.watch().and_then(|watch| watch.add(&worker, lane as u64)) {
            let _ = worker.kill().and_then(|()| worker.wait());
            return Err(error);
        }
        let mut state = self.lock();
        #[cfg(feature = "tracing")]
        state.news.push(News::Started { name: worker.name().to_owned(), pid: worker.pid() });
        state.lanes.enter(lane, worker);
        Ok(())
    }

    /// Whether the worker of a lane takes tasks.
    pub(crate) fn is_ready(&self, lane: usize) -> bool {
        self.board().lane(lane).stage() == Stage::Ready
    }

    /// Why the pool takes no task now.
    fn refusal(&self, state: &State) -> Option<PoolError> {
        if let Some(why) = &state.broken {
            return Some(PoolError::Failed(broken(why)));
        }
        if self.memory.segment.me_word().load(Relaxed) == 0 {
            let text = "using a pool in a copy of its process, to which its workers do not belong";
            return Some(PoolError::Failed(Error::new(ErrorKind::Other, text)));
        }
        (state.phase != Phase::Open).then_some(PoolError::Closed)
    }

    /// A job for tasks that are to come.
    pub(crate) fn open_job(&self, is_feeding: bool) -> Result<JobId, PoolError> {
        let mut state = self.lock();
        if let Some(refusal) = self.refusal(&state) {
            return Err(refusal);
        }
        state.feeding += usize::from(is_feeding);
        Ok(state.jobs.open(Inbox::Many(Arrivals::default())))
    }

    /// Gives a task to the pool, which finds room for it now or later.
    pub(crate) fn submit(&self, task: impl FnOnce(JobId) -> Task) -> Result<JobId, PoolError> {
        let board = self.board();
        let mut state = self.lock();
        if let Some(refusal) = self.refusal(&state) {
            return Err(refusal);
        }
        let id = state.jobs.open(Inbox::One(None));
        let mut task = task(id);
        if let Some(job) = state.jobs.get(id) {
            job.outstanding = 1;
        }
        let is_timed = task.timeout.is_some();
        if !state.backlog.is_empty() {
            state.collect(&self.memory, board);
        }
        if state.backlog.is_empty() {
            match state.place(&self.memory, board, &mut task, None) {
                Placed::Done => {
                    if let Bytes::Long(bytes) = task.arguments {
                        state.give_spare(bytes);
                    }
                }
                Placed::NoRoom => state.backlog.push_back(task),
                Placed::Failed(error) => {
                    state.jobs.close(id);
                    return Err(PoolError::Failed(error));
                }
                Placed::Damaged => {
                    state.jobs.close(id);
                    return Err(PoolError::Failed(self.damaged(state)));
                }
            }
            state.publish(&self.memory, board, None);
        } else {
            state.backlog.push_back(task);
        }
        self.arm(&mut state);
        drop(state);
        if is_timed {
            self.descriptors.ring(); // there is a new moment to look at
        }
        Ok(id)
    }

    /// Ends a pool whose memory is damaged.
    pub(crate) fn damaged(&self, mut state: Guard<'_>) -> Error {
        let why = RemoteError::new("giving a task to a pool whose memory is damaged");
        let error = broken(&why);
        state.break_down(why);
        drop(state);
        self.descriptors.ring();
        error
    }

    /// Waits until `ready` has something, and collects meanwhile; `None` when the time is over. `job` is what is waited for.
    pub(crate) fn wait<T>(
        &self,
        job: Option<JobId>,
        deadline: Deadline,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let board = self.board();
        let mut state = self.lock();
        state.collect(&self.memory, board);
        if let Some(found) = ready(&mut state) {
            return Some(found);
        }
        state.waiting += 1;
        if state.is_armed {
            board.disarm();
            state.is_armed = false;
        }
        let mut patience = Patience::until(deadline);
        let found = loop {
            let step = patience.step();
            if step == Step::Sleep {
                state.wake_others(&self.memory, board);
            }
            match step {
                Step::TimedOut => break None,
                Step::Retry => {
                    // With several that wait, one look for all is enough.
                    let is_alone = state.waiting == 1;
                    drop(state);
                    if !is_alone {
                        multiprocess_sys::park::yield_now();
                    }
                    state = self.lock();
                }
                Step::Probe => {}
                Step::Sleep if state.is_led => state = self.follow(state, job, deadline),
                Step::Sleep => {
                    let announced = board.announce();
                    state.collect(&self.memory, board);
                    if let found @ Some(_) = ready(&mut state) {
                        break found;
                    }
                    state.is_led = true;
                    drop(state);
                    patience.sleep(board.signal(), announced);
                    state = self.lock();
                    state.is_led = false;
                }
            }
            let has_news = state.collect(&self.memory, board);
            if let found @ Some(_) = ready(&mut state) {
                break found;
            }
            // Not enough, but the rest is near.
            if has_news && job.is_some() && state.waiting == 1 {
                patience = Patience::until(deadline);
            }
        };
        state.waiting -= 1;
        if state.waiting == 0 {
            self.arm(&mut state);
        } else if !state.is_led
            && let Some(next) = state.followers.last()
        {
            next.notify_all();
        }
        found
    }

    /// Sleeps until somebody else has delivered something for this thread, or it is to lead.
    fn follow<'a>(&'a self, mut state: Guard<'a>, job: Option<JobId>, deadline: Deadline) -> Guard<'a> {
        let told = Arc::new(Condvar::new());
        if let Some(job) = job.and_then(|job| state.jobs.get(job)) {
            job.waiter = Some(Arc::clone(&told));
        }
        state.followers.push(Arc::clone(&told));
        let slice = deadline.remaining().map_or(SLICE, |left| left.min(SLICE));
        let mut state = state.sleep(&told, slice);
        state.followers.retain(|follower| !Arc::ptr_eq(follower, &told));
        if let Some(job) = job.and_then(|job| state.jobs.get(job)) {
            job.waiter = None;
        }
        state
    }

    /// Has the supervisor told of news, if it needs to know and nobody waits.
    #[inline]
    pub(crate) fn arm(&self, state: &mut State) {
        state.has_futures &= state.has_work();
        if state.waiting == 0 && !state.is_armed && state.wants_bell() {
            self.board().arm();
            state.is_armed = true;
            state.collect(&self.memory, self.board());
        }
    }

    /// Ends everything: tasks fail, workers are ended by the supervisor.
    pub(crate) fn end(&self, grace: Option<Duration>) {
        let mut state = self.lock();
        if let Some(grace) = grace {
            state.grace = grace;
        }
        state.end();
        drop(state);
        self.descriptors.ring();
    }

    /// Takes no more tasks.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closed;
            #[cfg(feature = "tracing")]
            state.news.push(News::Closed);
        }
        drop(state);
        self.descriptors.ring();
    }

    /// Cancels the one task of a job.
    pub(crate) fn cancel(&self, id: JobId) -> bool {
        self.lock().cancel(&self.memory, self.board(), id)
    }

    /// Nobody waits for a job any more: what has not begun need not begin, if `is_unwanted`.
    pub(crate) fn leave_job(&self, id: JobId, is_unwanted: bool, was_feeding: bool) {
        let mut state = self.lock();
        if was_feeding {
            state.feeding -= 1;
        }
        let Some(job) = state.jobs.get(id) else { return };
        job.is_abandoned = true;
        job.inbox = Inbox::One(None);
        if is_unwanted {
            job.is_cancelled = true;
            state.drop_waiting(self.board(), id);
            state.jobs.close(id);
        } else if job.outstanding == 0 {
            state.jobs.close(id);
        }
    }
}

/// Why a broken pool takes no tasks.
pub(crate) fn broken(why: &RemoteError) -> Error {
    Error::new(ErrorKind::Child, "using a pool that has broken down").with_source(why.clone())
}

impl From<&RemoteError> for TaskError {
    fn from(error: &RemoteError) -> TaskError {
        TaskError::Transfer(error.clone())
    }
}

/// The state, locked. Whoever is to be told of what was delivered is told when it is given back.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    shared: &'a Shared,
    state: Option<MutexGuard<'a, State>>,
}

impl Guard<'_> {
    /// Gives it back, sleeps until it is told or `at_most` has passed, and takes it again.
    fn sleep(mut self, told: &Condvar, at_most: Duration) -> Self {
        self.tell();
        if let Some(state) = self.state.take() {
            let slept = told.wait_timeout(state, at_most);
            self.state = Some(slept.unwrap_or_else(PoisonError::into_inner).0);
        }
        self
    }

    /// Wakes the leader and those who watch, for whom somebody else has collected, and tells the supervisor when the last task of a closed pool is done,
    /// whoever has found that out.
    #[inline]
    fn tell(&mut self) {
        if self.phase == Phase::Closed && !self.is_done && !self.has_work() {
            self.is_done = true;
            self.shared.descriptors.ring();
        }
        if std::mem::take(&mut self.has_delivered) && (self.is_led || self.is_watched) {
            self.is_watched = false;
            self.shared.board().wake_pool(&self.shared.memory.segment);
        }
    }
}

impl Deref for Guard<'_> {
    type Target = State;
    #[inline]
    fn deref(&self) -> &State {
        self.state.as_ref().expect("it is locked until it is dropped")
    }
}

impl DerefMut for Guard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State {
        self.state.as_mut().expect("it is locked until it is dropped")
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.tell();
        #[cfg(feature = "tracing")]
        let news = std::mem::take(&mut self.news);
        #[cfg(feature = "tracing")]
        let is_quiet = self.wakers.is_empty() && news.is_empty();
        #[cfg(not(feature = "tracing"))]
        let is_quiet = self.wakers.is_empty();
        if is_quiet {
            return;
        }
        let wakers = std::mem::take(&mut self.wakers);
        // What wakers and subscribers do is not ours: they may use the pool, and if one panics, that ends neither this thread's errand (which may be
        // the supervisor's) nor the other futures' sleep. The panic was reported by its hook.
        self.state = None;
        for waker in wakers {
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
        #[cfg(feature = "tracing")]
        for piece in news {
            let _ = catch_unwind(AssertUnwindSafe(|| piece.tell()));
        }
    }
}
