//! What program, fork server and child say to each other.
//!
//! | message | from → to | on | carries |
//! | --- | --- | --- | --- |
//! | [`WELCOME`] | program → new executable | its first socket | the cookie; for a server also the rights to keep to |
//! | [`READY`] | server → program | control socket | its rights |
//! | [`CLONE`] | program → server | control socket | the child's end of a socket of the child's own |
//! | [`REFILL`] | program → server | control socket | the same for a spare child, whose request comes later |
//! | [`REFUSED`] | server → program | the child's socket | why there is no child: the code of the operating system |
//! | [`HELLO`] | child → program | the child's socket | its number and its pidfd |
//! | [`REQUEST`] | program → child | the child's socket | the [`Request`], the arguments, all their handles |
//! | [`VALUE`], [`PANICKED`], [`FAILED`] | child → program | the child's socket | what came of it |
//!
//! # A start, and a death between any two steps
//!
//! The program makes the child's socket, writes the request into it, and gives the other end to the server, which clones and
//! closes its copy. The child says hello *before* it reads its request, so that the program hears of every child that could run
//! its function. Then it runs and says what came of it.
//!
//! * The server dies before the clone: the message with the child's end dies with it, the program reads the end of the socket.
//!   No function ran; the start is made again with another server.
//! * The server dies after the clone: nobody notices but the next start.
//! * The child dies before its hello: the program reads the end of the socket while the server lives. The thread that is the
//!   children's parent reaps it and tells its status, which becomes the error of the start.
//! * The child dies later: its pidfd tells, and what it said before is still in the socket.
//! * The program dies: the child's end of the socket is closed by the kernel. A child that has not got its request ends; one
//!   that has it finds out when it holds on to its lifeline, if it is a daemon; others run on.
//!
//! A spare child is one whose request comes later: it has said hello and waits. Its states stand in `server_link.rs`.

use multiprocess_parcel::{pack_data, unpack_data};
use multiprocess_sys::{Error, ErrorKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

pub(crate) const WELCOME: u32 = 1;
pub(crate) const READY: u32 = 2;
pub(crate) const CLONE: u32 = 3;
pub(crate) const REFILL: u32 = 4;
pub(crate) const REFUSED: u32 = 5;
pub(crate) const HELLO: u32 = 6;
pub(crate) const REQUEST: u32 = 7;
pub(crate) const VALUE: u32 = 8;
pub(crate) const PANICKED: u32 = 9;
pub(crate) const FAILED: u32 = 10;

/// The refusal of a server that has more than one thread; no code of the operating system is negative.
pub(crate) const NOT_ALONE: i32 = -1;

/// The variable by which a new executable knows what it is: version, role and cookie. It is gone before anybody else looks.
pub(crate) const MARKER: &str = "MULTIPROCESS_START";

/// What becomes of an executable that was started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Child,
}

/// The marker's value. The cookie is said again on the socket, so a marker that leaked into another program means nothing.
pub(crate) fn marker(role: Role, cookie: u128) -> String {
    let role = if role == Role::Server { "server" } else { "child" };
    format!("{}:{role}:{cookie:032x}", env!("CARGO_PKG_VERSION"))
}

/// The role and cookie of a marker; `None` if it is not one of this version.
pub(crate) fn parse_marker(value: &str) -> Option<(Role, u128)> {
    let mut parts = value.split(':');
    let (version, role, cookie) = (parts.next()?, parts.next()?, parts.next()?);
    let role = match role {
        "server" => Role::Server,
        "child" => Role::Child,
        _ => return None,
    };
    let whole = version == env!("CARGO_PKG_VERSION") && cookie.len() == 32 && parts.next().is_none();
    whole.then(|| u128::from_str_radix(cookie, 16).ok())?.map(|cookie| (role, cookie))
}

/// The cookie and the rights that a [`WELCOME`] says.
pub(crate) fn welcome(body: &[u8]) -> Option<(u128, &[u8])> {
    body.split_first_chunk::<16>().map(|(cookie, rights)| (u128::from_ne_bytes(*cookie), rights))
}

/// What a child needs to know before it calls its function.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) function: u64,
    pub(crate) name: String,
    /// The numbers of its ancestors and itself, as in `Process-1:2`.
    pub(crate) lineage: String,
    pub(crate) daemon: bool,
    pub(crate) parent_name: String,
    pub(crate) parent: u32,
    /// Which of the standard streams are among the handles.
    pub(crate) streams: [bool; 3],
    pub(crate) lifeline: bool,
    /// The most verbose level of events that the child's starter wants to have of it, and that a slot for them is among the handles; 0 =
    /// none of both.
    pub(crate) logs: u8,
    pub(crate) settings: Vec<u64>,
    /// Only for a child that was started by an exec, which may have won capabilities.
    pub(crate) rights: Option<Bytes>,
    /// `None`: the one that the process has.
    pub(crate) environment: Option<Environment>,
}

impl Request {
    /// The two parts of a request's body: its length and itself. The arguments' bytes follow.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let request = pack_data(self, "a request")?;
        let mut bytes = (request.len() as u32).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&request);
        Ok(bytes)
    }

    /// The request, and the arguments' bytes.
    pub(crate) fn decode(mut body: Vec<u8>) -> Result<(Request, Vec<u8>), Error> {
        let damaged = || Error::new(ErrorKind::Damaged, "reading what to run: the request is cut short");
        let (length, rest) = body.split_first_chunk::<4>().ok_or_else(damaged)?;
        let length = u32::from_ne_bytes(*length) as usize;
        let request = unpack_data(rest.get(..length).ok_or_else(damaged)?)?;
        Ok((request, body.split_off(4 + length)))
    }
}

/// All variables of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Environment(pub(crate) Vec<(Bytes, Bytes)>);

impl Environment {
    pub(crate) fn of_this_process() -> Environment {
        Environment(std::env::vars_os().map(|(key, value)| (key.into(), value.into())).collect())
    }

    pub(crate) fn set(&mut self, key: OsString, value: Option<OsString>) {
        let key = Bytes::from(key);
        self.0.retain(|(other, _)| *other != key);
        self.0.extend(value.map(|value| (key, value.into())));
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.0.iter().map(|(key, value)| (key.0.as_os_str().to_owned(), value.0.as_os_str().to_owned()))
    }
}

/// Bytes that travel in one piece.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

trait AsOsStr {
    fn as_os_str(&self) -> &OsStr;
}

impl AsOsStr for Vec<u8> {
    fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self)
    }
}

impl From<OsString> for Bytes {
    fn from(text: OsString) -> Bytes {
        Bytes(text.into_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_written_and_nothing_else_is() {
        for role in [Role::Server, Role::Child] {
            assert_eq!(parse_marker(&marker(role, u128::MAX - 7)), Some((role, u128::MAX - 7)));
        }
        let version = env!("CARGO_PKG_VERSION");
        for wrong in
            ["", "1", "server", &format!("{version}:server:12"), &format!("0.0.0:server:{:032x}", 1), "a:b:c:d"]
        {
            assert_eq!(parse_marker(wrong), None, "{wrong}");
        }
        assert_eq!(parse_marker(&format!("{version}:root:{:032x}", 1)), None);
    }

    #[test]
    fn a_cut_request_is_an_error() {
        let request = Request {
            function: 7,
            name: "n".into(),
            lineage: "1".into(),
            daemon: false,
            parent_name: "p".into(),
            parent: 1,
            streams: [true; 3],
            lifeline: false,
            logs: 0,
            settings: vec![1, 2],
            rights: None,
            environment: Some(Environment(vec![(Bytes(b"A".to_vec()), Bytes(b"B".to_vec()))])),
        };
        let bytes = request.encode().unwrap();
        for cut in 0..bytes.len() {
            assert!(Request::decode(bytes[..cut].to_vec()).is_err(), "{cut}");
        }
        let mut with_arguments = bytes;
        with_arguments.extend_from_slice(b"arguments");
        let (again, arguments) = Request::decode(with_arguments).unwrap();
        assert_eq!((again.function, again.environment), (7, request.environment));
        assert_eq!(arguments, b"arguments");
    }
}
