//! The subscriber of a child whose events come out elsewhere: each becomes a letter, and spans are kept for the letters to name.

use super::letter::{Draft, Event as Written, Letter, NAME_MAX, Scalar, cut};
use super::level_number;
use super::spans::Spans;
use crate::current;
use crate::registry::lock;
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::OwnedHandle;
use multiprocess_sys::letterbox::Slot;
use multiprocess_sys::{Error, ErrorKind};
use std::cell::Cell;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Level, dispatcher};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::subscriber::{Interest, Subscriber};
use tracing_core::{Event, Metadata};

/// The forwarder of this process, if its events come out elsewhere.
pub(super) static FORWARDER: OnceLock<&'static Forwarder> = OnceLock::new();

/// How long a process may wait for room altogether: so long, and this part of its life. At a time it waits for no longer than that; at its
/// end, if there is something left to tell, for that long again.
const WAITS: Duration = Duration::from_millis(100);
const SHARE: u32 = 20;
const WAIT: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub(crate) struct Forwarder {
    slot: Slot,
    level: LevelFilter,
    spans: Spans,
    /// Nobody reads any more, or the program has closed the slot.
    is_unheard: AtomicBool,
    /// Events that found no room and were not told of yet.
    lost: AtomicU64,
    since: Instant,
    /// How long this process has waited for room. Whoever has the lock waits for all.
    waited: Mutex<Duration>,
}

thread_local! {
    /// Where letters are written. Taken and put back, so that an event inside an event has another one.
    static BYTES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(super) fn install(slot: OwnedHandle, level: LevelFilter) {
    let Ok(slot) = Slot::from_foreign(slot) else { return };
    let forwarder: &'static Forwarder = Box::leak(Box::new(Forwarder {
        slot,
        level,
        spans: Spans::default(),
        is_unheard: AtomicBool::new(false),
        lost: AtomicU64::new(0),
        since: Instant::now(),
        waited: Mutex::default(),
    })); // for the rest of this process's life
    // If a constructor has set one, that one is this process's subscriber.
    if dispatcher::set_global_default(Dispatch::new(Installed(forwarder))).is_ok() {
        let _ = FORWARDER.set(forwarder);
    }
}

impl Forwarder {
    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(super) fn level(&self) -> LevelFilter {
        self.level
    }

    // Relaxed here and below: the words are independent, and an event more or less at the end is as good.
    pub(super) fn is_heard(&self) -> bool {
        !self.is_unheard.load(Relaxed)
    }

    /// Says how many events were lost, if any were.
    pub(super) fn tell_lost(&self) {
        if self.lost.load(Relaxed) == 0 || !self.is_heard() {
            return;
        }
        self.send(None);
        if self.lost.load(Relaxed) > 0 && self.slot.has_room(Deadline::after(WAITS)).is_ok_and(|has_room| has_room) {
            self.send(None);
        }
    }

    /// A panic of this process. Its place is that of the event; a backtrace is in its report, and would be many lines here.
    pub(super) fn panicked(&self, place: Option<&Location<'_>>, message: &str) {
        if !self.is_heard() || self.level < LevelFilter::ERROR {
            return;
        }
        let mut draft = Draft::new();
        let text = draft.text(format_args!("panicked: {message}"));
        draft.push("message", Scalar::Shown(text));
        if let Some(name) = std::thread::current().name() {
            let text = draft.text(format_args!("{name}"));
            draft.push("thread", Scalar::Text(text));
        }
        let (spans, is_cut) = self.spans.of_thread();
        draft.values.is_cut |= is_cut;
        self.send(Some(Written {
            level: level_number(Level::ERROR),
            name: "panic".into(),
            target: "multiprocess::panic".into(),
            module: None,
            file: place.map(|place| cut(place.file(), NAME_MAX).into()),
            line: place.map(Location::line),
            spans: spans.into(),
            values: draft.values,
        }));
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut draft = Draft::new();
        event.record(&mut draft);
        let (spans, is_cut) = self.spans.of_event(event);
        draft.values.is_cut |= is_cut;
        self.send(Some(Written {
            level: level_number(*metadata.level()),
            name: cut(metadata.name(), NAME_MAX).into(),
            target: cut(metadata.target(), NAME_MAX).into(),
            module: metadata.module_path().map(|module| cut(module, NAME_MAX).into()),
            file: metadata.file().map(|file| cut(file, NAME_MAX).into()),
            line: metadata.line(),
            spans: spans.into(),
            values: draft.values,
        }));
    }

    /// Puts a letter in, or counts it as lost.
    fn send(&self, event: Option<Written<'_>>) {
        let is_event = event.is_some();
        let lost = self.lost.swap(0, Relaxed);
        let current = current();
        let letter = Letter { process: cut(current.name(), NAME_MAX).into(), pid: current.pid(), lost, event };
        let mut bytes = BYTES.try_with(Cell::take).unwrap_or_default();
        let sent = letter.encode(&mut bytes).and_then(|()| self.put(&bytes));
        let _ = BYTES.try_with(|place| place.set(bytes));
        match sent {
            Ok(true) => {}
            Err(error) if matches!(error.kind(), ErrorKind::Disconnected | ErrorKind::Closed) => {
                self.is_unheard.store(true, Relaxed);
            }
            Ok(false) | Err(_) => drop(self.lost.fetch_add(lost + u64::from(is_event), Relaxed)),
        }
    }

    /// Puts bytes in; waits for room as long as may be. `false` if there is none.
    fn put(&self, bytes: &[u8]) -> Result<bool, Error> {
        if self.slot.put(bytes)? {
            return Ok(true);
        }
        // The others wait here, and there is room when they come to their turn, or no time left.
        let mut waited = lock(&self.waited);
        loop {
            if self.slot.put(bytes)? {
                return Ok(true);
            }
            let allowed = WAITS + self.since.elapsed() / SHARE;
            let Some(left) = allowed.checked_sub(*waited).filter(|left| !left.is_zero()) else { return Ok(false) };
            let before = Instant::now();
            let has_room = self.slot.has_room(Deadline::after(left.min(WAIT)));
            // At least something, so that this comes to an end whatever clock and kernel say.
            *waited += before.elapsed().max(Duration::from_micros(1));
            if !has_room? {
                return Ok(false);
            }
        }
    }
}

/// The forwarder as the process's subscriber.
struct Installed(&'static Forwarder);

impl Subscriber for Installed {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if *metadata.level() <= self.0.level { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.0.level && self.0.is_heard()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.0.spans.open(attributes)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        self.0.spans.record(id, values);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if self.0.is_heard() {
            self.0.event(event);
        }
    }

    fn enter(&self, id: &Id) {
        self.0.spans.enter(id);
    }

    fn exit(&self, id: &Id) {
        self.0.spans.exit(id);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0.spans.hold(id);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        self.0.spans.release(&id)
    }

    fn current_span(&self) -> Current {
        self.0.spans.current()
    }
}
