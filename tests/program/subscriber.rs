//! A program whose children are heard: in every scenario, if the suite asks for it.

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, LevelFilter, Metadata, Subscriber};

/// The variable by which a suite asks for it.
const WISH: &str = "MULTIPROCESS_TEST_SUBSCRIBER";

/// Subscribes, if that is asked for.
pub fn subscribe() {
    if std::env::var_os(WISH).is_some() {
        tracing::subscriber::set_global_default(Deaf).expect("nobody else subscribes");
    }
}

/// Wants to have everything, and makes nothing of it.
struct Deaf;

impl Subscriber for Deaf {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
