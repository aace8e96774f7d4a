//! A subscriber that keeps what it gets, whose level and manners a test can change.

use multiprocess_tests::checked;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Event, Level, LevelFilter, Metadata, Subscriber, callsite};

/// What the subscriber got.
#[derive(Debug, Clone)]
pub struct Seen {
    pub level: Level,
    pub target: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub fields: BTreeMap<String, String>,
}

impl Seen {
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub fn message(&self) -> &str {
        self.field("message")
    }

    pub fn pid(&self) -> u32 {
        self.field("process.pid").parse().unwrap_or(0)
    }
}

static SEEN: Mutex<Vec<Seen>> = Mutex::new(Vec::new());
/// Held by a test in which the subscriber takes nothing of other processes.
static GATE: Mutex<()> = Mutex::new(());
/// As in [`LEVELS`].
static LEVEL: AtomicUsize = AtomicUsize::new(4);
static SPANS: AtomicU64 = AtomicU64::new(0);

const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// The target that the subscriber does not want.
pub const UNWANTED: &str = "unwanted";

/// Runs a test in a process with the subscriber, which starts empty and at `DEBUG`.
pub fn subscribed(label: &str, body: impl FnOnce()) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Keeping).expect("nobody else subscribes"));
    checked(label, || {
        set_level(LevelFilter::DEBUG);
        drop(take());
        body();
        set_level(LevelFilter::DEBUG);
    });
}

/// Changes what the subscriber wants.
pub fn set_level(level: LevelFilter) {
    LEVEL.store(LEVELS.iter().position(|known| *known == level).expect("a level is one of six"), Relaxed);
    callsite::rebuild_interest_cache();
}

/// The subscriber takes nothing of other processes as long as this lives.
pub fn stopped() -> MutexGuard<'static, ()> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All that came since the last time.
pub fn take() -> Vec<Seen> {
    std::mem::take(&mut *SEEN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What came of functions in processes of that name.
pub fn take_of(process: &str) -> Vec<Seen> {
    take().into_iter().filter(|seen| seen.field("process.name") == process).collect()
}

/// The messages of those.
pub fn messages(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(Seen::message).collect()
}

struct Keeping;

impl Subscriber for Keeping {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= LEVELS[LEVEL.load(Relaxed)] && metadata.target() != UNWANTED
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LEVELS[LEVEL.load(Relaxed)])
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(SPANS.fetch_add(1, Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        if metadata.fields().field("process.pid").is_some() {
            drop(stopped());
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let seen = Seen {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            file: metadata.file().map(str::to_owned),
            line: metadata.line(),
            fields: fields.0,
        };
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}
