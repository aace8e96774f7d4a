//! The readers of what other processes sent, for the fuzzer alone (`--cfg fuzzing`): each takes whatever came, and returns.

use crate::protocol::{
    Bytes, Environment, FAILED, HELLO, PANICKED, READY, REFUSED, REQUEST, Request, VALUE, WELCOME, parse_marker,
    welcome,
};
use crate::{child, keeper, protocol, server_link};
use multiprocess_parcel::{Parcel, pack_data, unpack, unpack_data};
use multiprocess_sys::rights::Rights;
use multiprocess_sys::settings::Settings;
use multiprocess_sys::transport::Message;

/// Hands a message to the reader of its kind; the kinds of the link to the permanent thread stand 100 above their own numbers.
pub fn read(message: Message) {
    match message.kind {
        WELCOME => drop(welcome(&message.body).map(|(_, rights)| Rights::decode(rights))),
        READY => drop(Rights::decode(&message.body)),
        REFUSED => drop(server_link::refused(&message)),
        HELLO => drop(server_link::hello(message)),
        REQUEST => read_request(message),
        VALUE | PANICKED | FAILED => drop(child::outcome(message).and_then(child::decode::<Vec<String>>)),
        link => match link.wrapping_sub(100) {
            keeper::LAUNCH => drop(unpack_data::<Environment>(&message.body)),
            keeper::LAUNCHED => drop(keeper::launched(message)),
            keeper::SWEPT => drop(keeper::swept(&message)),
            _ => {}
        },
    }
}

/// Reads a request as a child does, up to the function: looking for that one reads the executable in places where an address
/// sanitizer allows nobody to.
fn read_request(message: Message) {
    let Ok((request, arguments)) = Request::decode(message.body) else { return };
    let again = request.encode().expect("what was read can be sent");
    let (same, rest) = Request::decode(again).expect("what was sent can be read");
    assert_eq!((same.function, &same.name, rest.len()), (request.function, &request.name, 0));
    drop(request.rights.map(|rights| Rights::decode(&rights.0)));
    drop(Settings::from_words(request.settings));
    let _ = request.environment.map(|environment| environment.variables().count());
    drop(unpack::<(String, u64)>(Parcel { bytes: arguments, handles: message.handles, ..Parcel::default() }));
}

/// A good request of every part, and its kind.
pub fn request() -> (u32, Vec<u8>) {
    let bytes = |text: &str| Bytes(text.as_bytes().to_vec());
    let request = Request {
        function: 1 << 20,
        name: "adder".into(),
        lineage: "1:2".into(),
        daemon: true,
        parent_name: "MainProcess".into(),
        parent: 77,
        streams: [true, false, true],
        lifeline: true,
        logs: 0,
        settings: (0..40).collect(),
        rights: Some(bytes("1234567812345678")),
        environment: Some(Environment(vec![(bytes("HOME"), bytes("/")), (bytes("TERM"), bytes(""))])),
    };
    let mut body = request.encode().expect("a request can be sent");
    body.extend(pack_data(&("text".to_owned(), 7u64), "a test").expect("a pair can be sent"));
    (REQUEST, body)
}

/// Reads the variable by which a new executable knows what it is.
pub fn marker(value: &str) {
    if let Some((role, cookie)) = parse_marker(value) {
        assert_eq!(parse_marker(&protocol::marker(role, cookie)), Some((role, cookie)));
    }
}

/// Where the events of other processes come out, with a subscriber that looks at everything.
#[cfg(feature = "tracing")]
#[derive(Debug)]
pub struct Letters(crate::logs::Reader);

#[cfg(feature = "tracing")]
impl Default for Letters {
    fn default() -> Letters {
        // The first one stays.
        let _ = tracing::subscriber::set_global_default(Looking);
        Letters(crate::logs::Reader::default())
    }
}

#[cfg(feature = "tracing")]
impl Letters {
    /// Reads what somebody has put into the box.
    pub fn read(&mut self, letter: &[u8]) {
        self.0.read(letter);
    }

    /// A good letter.
    pub fn good() -> Vec<u8> {
        crate::logs::good_letter()
    }
}

/// A subscriber that wants every event and shows all of it.
#[cfg(feature = "tracing")]
struct Looking;

#[cfg(feature = "tracing")]
impl tracing::Subscriber for Looking {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        std::hint::black_box(format!("{metadata:?}")).len() > 1
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut shown = format!("{:?}", event.metadata());
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            shown.push_str(&format!("{field}={value:?}"));
        });
        std::hint::black_box(shown);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
