//! The spans of a child, as far as its events tell of them: names and fields from the outermost to the innermost.

use super::letter::{Bounded, SPANS_MAX, cut};
use crate::registry::lock;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Mutex;
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Event, Metadata};

thread_local! {
    /// The spans that this thread is in.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// How much text about its fields a span keeps.
const FIELDS_MAX: usize = 512;

/// The longest name of a span.
const NAME_MAX: usize = 64;

/// How many spans an event tells of at most.
const DEPTH_MAX: usize = 32;

/// All spans that are not closed.
#[derive(Debug, Default)]
pub(super) struct Spans(Mutex<Live>);

#[derive(Debug, Default)]
struct Live {
    spans: HashMap<u64, Span>,
    last: u64,
}

#[derive(Debug)]
struct Span {
    metadata: &'static Metadata<'static>,
    fields: Fields,
    parent: Option<u64>,
    /// How many handles of it, and spans inside it, there are.
    handles: usize,
}

impl Spans {
    pub(super) fn open(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = match attributes.parent() {
            Some(id) => Some(id.into_u64()),
            None if attributes.is_contextual() => innermost(),
            None => None,
        };
        let mut live = lock(&self.0);
        let parent = parent.filter(|parent| live.hold(*parent));
        live.last += 1;
        let id = live.last;
        live.spans.insert(id, Span { metadata: attributes.metadata(), fields, parent, handles: 1 });
        Id::from_u64(id)
    }

    pub(super) fn record(&self, id: &Id, values: &Record<'_>) {
        // Values are shown before the lock is taken: what a user's `Debug` does is not ours.
        let mut more = Fields::default();
        values.record(&mut more);
        if let Some(span) = lock(&self.0).spans.get_mut(&id.into_u64()) {
            span.fields.push(format_args!("{}", more.text));
            span.fields.is_cut |= more.is_cut;
        }
    }

    pub(super) fn hold(&self, id: &Id) {
        lock(&self.0).hold(id.into_u64());
    }

    /// One handle less; whether the span is closed now.
    pub(super) fn release(&self, id: &Id) -> bool {
        let mut live = lock(&self.0);
        let (mut next, mut is_closed) = (Some(id.into_u64()), false);
        while let Some(id) = next.take() {
            let Some(span) = live.spans.get_mut(&id) else { break };
            span.handles -= 1;
            if span.handles == 0 {
                is_closed = true;
                next = live.spans.remove(&id).and_then(|span| span.parent);
            }
        }
        is_closed
    }

    pub(super) fn enter(&self, id: &Id) {
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push(id.into_u64()));
    }

    pub(super) fn exit(&self, id: &Id) {
        let _ = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            if let Some(at) = entered.iter().rposition(|other| *other == id.into_u64()) {
                entered.remove(at);
            }
        });
    }

    pub(super) fn current(&self) -> Current {
        let Some(id) = innermost() else { return Current::none() };
        match lock(&self.0).spans.get(&id) {
            Some(span) => Current::new(Id::from_u64(id), span.metadata),
            None => Current::none(),
        }
    }

    /// Those that an event is in, as text, and whether that is cut.
    pub(super) fn of_event(&self, event: &Event<'_>) -> (String, bool) {
        match event.parent() {
            Some(id) => self.text(Some(id.into_u64())),
            None if event.is_contextual() => self.of_thread(),
            None => Default::default(),
        }
    }

    /// Those that this thread is in, likewise.
    pub(super) fn of_thread(&self) -> (String, bool) {
        self.text(innermost())
    }

    fn text(&self, innermost: Option<u64>) -> (String, bool) {
        let Some(innermost) = innermost else { return Default::default() };
        let live = lock(&self.0);
        let find = |id: Option<u64>| id.and_then(|id| live.spans.get(&id));
        let chain: Vec<&Span> = std::iter::successors(find(Some(innermost)), |span| find(span.parent)).collect();
        let (mut text, mut room) = (String::new(), SPANS_MAX);
        let mut is_cut = chain.len() > DEPTH_MAX;
        let mut bounded = Bounded { text: &mut text, room: &mut room };
        for (at, span) in chain.into_iter().rev().take(DEPTH_MAX).enumerate() {
            let separator = if at == 0 { "" } else { ":" };
            let name = cut(span.metadata.name(), NAME_MAX);
            let Fields { text: fields, is_cut: has_more } = &span.fields;
            let (open, close) = if fields.is_empty() { ("", "") } else { ("{", "}") };
            is_cut |= *has_more || name.len() < span.metadata.name().len();
            is_cut |= write!(bounded, "{separator}{name}{open}{fields}{close}").is_err();
        }
        (text, is_cut)
    }
}

impl Live {
    /// One handle more; `false` if there is no such span.
    fn hold(&mut self, id: u64) -> bool {
        self.spans.get_mut(&id).map(|span| span.handles += 1).is_some()
    }
}

fn innermost() -> Option<u64> {
    ENTERED.try_with(|entered| entered.borrow().last().copied()).ok().flatten()
}

/// Fields as `a=1 b="x"`, as far as there is room.
#[derive(Debug, Default)]
struct Fields {
    text: String,
    is_cut: bool,
}

impl Fields {
    fn push(&mut self, more: fmt::Arguments<'_>) {
        let mut room = FIELDS_MAX.saturating_sub(self.text.len());
        let separator = if self.text.is_empty() { "" } else { " " };
        self.is_cut |= write!(Bounded { text: &mut self.text, room: &mut room }, "{separator}{more}").is_err();
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(format_args!("{}={value:?}", field.name()));
    }
}
