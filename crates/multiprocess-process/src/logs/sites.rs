//! Call sites for events of other processes: what a macro makes when a program is compiled is made here when an event of a place first
//! comes, and lives for ever as that does.
//!
//! There are as many as children of this program have places that speak, which is a fixed number. Whoever writes letters of their own
//! could have any number made, so there is a limit; events of places beyond it come out of one site for each level, which has the
//! place in fields.

use super::letter::{Event as Written, FIELDS_MAX, Letter, Scalar};
use super::{LEVELS, level};
use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use tracing::level_filters::LevelFilter;
use tracing::{Level, dispatcher};
use tracing_core::callsite::{self, Callsite, Identifier};
use tracing_core::field::{self, DisplayValue, Field, FieldSet, Value};
use tracing_core::metadata::Kind;
use tracing_core::subscriber::Interest;
use tracing_core::{Event, Metadata};

/// How many sites there may be, and how many bytes of text in them.
const SITES_MAX: usize = 4096;
const TEXT_MAX: usize = 1 << 20;

/// The fields that every event has, behind its own.
const OURS: [&str; 4] = ["process.name", "process.pid", "process.spans", "process.truncated"];
/// The fields of a site for all places.
const PLACELESS: [&str; 5] = ["message", "log.target", "log.file", "log.line", "log.fields"];

/// The target of what is told about letters.
pub(super) const TARGET: &str = "multiprocess::logs";

/// A place that events come out of.
#[derive(Debug)]
struct Site {
    metadata: OnceLock<Metadata<'static>>,
    /// [`NEVER`], [`SOMETIMES`] or [`ALWAYS`].
    interest: AtomicU8,
}

const NEVER: u8 = 0;
const SOMETIMES: u8 = 1;
const ALWAYS: u8 = 2;

impl Callsite for Site {
    // Relaxed: a word by itself, as the macros have it.
    fn set_interest(&self, interest: Interest) {
        let interest = match () {
            () if interest.is_never() => NEVER,
            () if interest.is_always() => ALWAYS,
            () => SOMETIMES,
        };
        self.interest.store(interest, Relaxed);
    }

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata.get().expect("a site has its metadata before anybody else has the site")
    }
}

impl Site {
    /// Makes one, for ever, with `fields` and ours.
    fn make(event: &Written<'_>, fields: &[&str]) -> &'static Site {
        let text = |text: &str| -> &'static str { Box::leak(Box::from(text)) };
        let names: Vec<&'static str> = fields.iter().map(|name| text(name)).chain(OURS).collect();
        let site: &'static Site =
            Box::leak(Box::new(Site { metadata: OnceLock::new(), interest: AtomicU8::new(SOMETIMES) }));
        let metadata = Metadata::new(
            text(&event.name),
            text(&event.target),
            level(event.level).unwrap_or(Level::ERROR),
            event.file.as_deref().map(text),
            event.line,
            event.module.as_deref().map(text),
            FieldSet::new(Vec::leak(names), Identifier(site)),
            Kind::EVENT,
        );
        let _ = site.metadata.set(metadata);
        site
    }

    fn metadata(&self) -> Option<&Metadata<'static>> {
        self.metadata.get()
    }

    /// Hands out an event with these values, if anybody wants it; `place` is what filters are asked about.
    fn emit(&'static self, place: Option<&Metadata<'_>>, values: &[Option<&dyn Value>]) {
        let Some(metadata) = self.metadata() else { return };
        // That nobody wants the events of a site for all places says nothing about an event of one of them.
        let interest = if place.is_none() { self.interest.load(Relaxed) } else { SOMETIMES };
        if interest == NEVER || *metadata.level() > LevelFilter::current() {
            return;
        }
        let fields: Vec<Field> = metadata.fields().iter().collect();
        let Some(first) = fields.first() else { return };
        let mut pairs: [(&Field, Option<&dyn Value>); FIELDS_MAX + OURS.len()] = [(first, None); _];
        for (pair, (field, value)) in pairs.iter_mut().zip(fields.iter().zip(values)) {
            *pair = (field, *value);
        }
        dispatcher::get_default(|subscriber| {
            // As the macros do: who is always interested is not asked.
            if interest == ALWAYS || subscriber.enabled(place.unwrap_or(metadata)) {
                let values = metadata.fields().value_set(&pairs);
                subscriber.event(&Event::new(metadata, &values));
            }
        });
    }
}

/// All sites that were made for letters.
#[derive(Debug, Default)]
pub(super) struct Sites {
    known: HashMap<Vec<u8>, &'static Site>,
    placeless: HashMap<u8, &'static Site>,
    /// How much text they hold.
    text: usize,
    key: Vec<u8>,
}

impl Sites {
    /// Hands what a letter says to this process's subscriber.
    pub(super) fn emit(&mut self, letter: &Letter<'_>) {
        if letter.lost > 0 {
            let (name, pid, lost) = (&*letter.process, letter.pid, letter.lost);
            let text = "events of a process found no room";
            tracing::warn!(target: TARGET, { lost, process.name = name, process.pid = pid }, "{text}");
        }
        let Some(event) = &letter.event else { return };
        let spans = (!event.spans.is_empty()).then_some(&event.spans);
        let spans = spans.map(field::display);
        let ours: [Option<&dyn Value>; OURS.len()] = [
            Some(&&*letter.process),
            Some(&letter.pid),
            spans.as_ref().map(|spans| spans as &dyn Value),
            event.values.is_cut.then_some(&true),
        ];
        let shown: Vec<DisplayValue<&str>> = event.values.fields.iter().map(|(_, value)| shown(value)).collect();
        let values = event.values.fields.iter().zip(&shown).map(|((_, value), shown)| Some(plain(value, shown)));
        match self.site(event) {
            Some(site) => site.emit(None, &values.chain(ours).collect::<Vec<_>>()),
            None => self.emit_placeless(event, &values.collect::<Vec<_>>(), ours),
        }
    }

    /// The site of an event's place; `None` if it has none and there are too many.
    fn site(&mut self, event: &Written<'_>) -> Option<&'static Site> {
        let mut key = std::mem::take(&mut self.key);
        write_key(event, &mut key);
        let site = self.known.get(&key).copied().or_else(|| {
            if self.known.len() == SITES_MAX || self.text + key.len() > TEXT_MAX {
                return None;
            }
            let names: Vec<&str> = event.values.fields.iter().map(|(name, _)| &**name).collect();
            let site = Site::make(event, &names);
            self.text += key.len();
            self.known.insert(key.clone(), site);
            // Last, because a subscriber that panics here shall not have another site made for the next event.
            callsite::register(site);
            Some(site)
        });
        self.key = key;
        site
    }

    fn emit_placeless(&mut self, event: &Written<'_>, values: &[Option<&dyn Value>], ours: [Option<&dyn Value>; 4]) {
        let site = self.placeless.get(&event.level).copied().unwrap_or_else(|| {
            let site = Site::make(&placeless(event.level), &PLACELESS);
            self.placeless.insert(event.level, site);
            callsite::register(site);
            site
        });
        let Some(metadata) = site.metadata() else { return };
        let names = event.values.fields.iter().map(|(name, value)| (&**name, value));
        let is_message = |(name, _): &(&str, &Scalar)| *name == "message";
        let message = names.clone().zip(values).find(|(field, _)| is_message(field)).and_then(|(_, value)| *value);
        let rest: Vec<String> =
            names.filter(|field| !is_message(field)).map(|(name, value)| format!("{name}={value}")).collect();
        let (rest, target, file) = (rest.join(" "), &*event.target, event.file.as_deref());
        let theirs: [Option<&dyn Value>; PLACELESS.len()] = [
            message,
            Some(&target),
            file.as_ref().map(|file| file as &dyn Value),
            event.line.as_ref().map(|line| line as &dyn Value),
            (!rest.is_empty()).then_some(&rest as &dyn Value),
        ];
        // What filters are asked about has the true target.
        let fields = FieldSet::new(&OURS, metadata.callsite());
        let (level, line, module) = (*metadata.level(), event.line, event.module.as_deref());
        let place = Metadata::new("event", target, level, file, line, module, fields, Kind::EVENT);
        site.emit(Some(&place), &theirs.into_iter().chain(ours).collect::<Vec<_>>());
    }
}

/// Everything that makes places differ.
fn write_key(event: &Written<'_>, key: &mut Vec<u8>) {
    key.clear();
    key.push(event.level);
    key.extend(event.line.unwrap_or(u32::MAX).to_ne_bytes());
    let optional = [event.file.as_deref(), event.module.as_deref()].map(Option::unwrap_or_default);
    let fixed = [&*event.target, &*event.name].into_iter().chain(optional);
    for text in fixed.chain(event.values.fields.iter().map(|(name, _)| &**name)) {
        key.extend((text.len() as u32).to_ne_bytes());
        key.extend_from_slice(text.as_bytes());
    }
}

/// The place of all places.
fn placeless(level: u8) -> Written<'static> {
    let level = level.clamp(1, LEVELS.len() as u8);
    let (name, target) = ("event of another process".into(), TARGET.into());
    Written { level, name, target, module: None, file: None, line: None, spans: "".into(), values: Default::default() }
}

/// As the fields of spans are shown.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bool(value) => value.fmt(f),
            Scalar::Signed(value) => value.fmt(f),
            Scalar::Unsigned(value) => value.fmt(f),
            Scalar::Float(value) => value.fmt(f),
            Scalar::Text(text) => write!(f, "{text:?}"),
            Scalar::Shown(text) => f.write_str(text),
        }
    }
}

fn shown(value: &Scalar) -> DisplayValue<&str> {
    field::display(if let Scalar::Shown(text) = value { text } else { "" })
}

/// A value as subscribers take it.
fn plain<'a>(value: &'a Scalar, shown: &'a DisplayValue<&'a str>) -> &'a dyn Value {
    match value {
        Scalar::Bool(value) => value,
        Scalar::Signed(value) => value,
        Scalar::Unsigned(value) => value,
        Scalar::Float(value) => value,
        Scalar::Text(value) => value,
        Scalar::Shown(_) => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_core::Subscriber;
    use tracing_core::span::{Attributes, Id, Record};

    fn event(target: String) -> Written<'static> {
        let mut event = placeless(3);
        event.values.fields = vec![("message".into(), Scalar::Shown("text".into())), ("a".into(), Scalar::Signed(1))];
        event.target = target.into();
        event
    }

    #[test]
    fn a_place_has_one_site_and_there_is_a_limit_to_places() {
        let mut sites = Sites::default();
        let first = sites.site(&event("first".into())).unwrap();
        assert!(std::ptr::eq(first, sites.site(&event("first".into())).unwrap()));
        let fields: Vec<&str> = first.metadata().unwrap().fields().iter().map(|field| field.name()).collect();
        assert_eq!(fields, ["message", "a", OURS[0], OURS[1], OURS[2], OURS[3]]);
        let mut count = 1;
        while sites.site(&event(format!("{count}"))).is_some() {
            count += 1;
        }
        assert_eq!(count, SITES_MAX);
        assert!(sites.site(&event("first".into())).is_some());
        let letter = Letter { process: "p".into(), pid: 1, lost: 1, event: Some(event("one too many".into())) };
        sites.emit(&letter);
        assert_eq!(sites.placeless.len(), 1);
    }

    /// Wants the events of one target, and nothing else.
    struct Picky(&'static str, Arc<Mutex<Vec<String>>>);

    impl Subscriber for Picky {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == self.0
        }

        fn event(&self, event: &Event<'_>) {
            let mut seen = Vec::new();
            event.record(&mut |field: &Field, value: &dyn fmt::Debug| seen.push(format!("{}={value:?}", field.name())));
            self.1.lock().unwrap().extend(seen);
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn an_event_without_a_site_is_judged_by_its_true_place() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let subscriber = Picky("wanted", Arc::clone(&seen));
        tracing::subscriber::with_default(subscriber, || {
            let mut sites = Sites { text: TEXT_MAX, ..Sites::default() };
            for target in ["unwanted", "wanted", "unwanted"] {
                let event = Some(event(target.into()));
                sites.emit(&Letter { process: "p".into(), pid: 7, lost: 0, event });
            }
        });
        let seen = seen.lock().unwrap();
        let expected =
            ["message=text", "log.target=\"wanted\"", "log.fields=\"a=1\"", "process.name=\"p\"", "process.pid=7"];
        assert_eq!(*seen, expected);
    }

    #[test]
    fn large_places_come_to_their_limit_sooner() {
        let (mut sites, mut count) = (Sites::default(), 0);
        while sites.site(&event(format!("{count:>255}"))).is_some() {
            count += 1;
        }
        assert!(sites.text <= TEXT_MAX && count > 1000, "{count} sites with {} bytes", sites.text);
    }
}
