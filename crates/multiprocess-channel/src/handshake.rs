//! How a client and a listener prove to each other that they know the same key, without saying it.
//!
//! Each draws a number that was never used before, its **nonce**. A **proof** is a code (HMAC-SHA-256) under the key of a word that tells
//! the two roles apart and of both nonces: so a proof that was overheard, or that was asked of somebody else, fits nowhere.
//!
//! | Message | From | Body | Sent when |
//! | --- | --- | --- | --- |
//! | `HELLO` | client | its nonce | it has connected |
//! | `CHALLENGE` | listener | its nonce | it has accepted |
//! | `ANSWER` | client | its proof | it has the challenge |
//! | `WELCOME` | listener | its proof | it has hello and answer, and the proof is right |
//! | `REFUSED` | listener | nothing | the proof is wrong, or the client is a user who is not served; then it closes |
//!
//! The states of a listener towards one client; in each of them the client may end or fall silent, and a deadline ends it:
//!
//! | State | Goes on with | To | Anything else |
//! | --- | --- | --- | --- |
//! | challenged | `HELLO` | greeted | refused |
//! | greeted | `ANSWER`, right | the connection is handed out | refused |
//!
//! Without a key there are no such messages, and a client need not wait to be accepted. Who has a key and meets somebody who has
//! none finds a message that does not fit, on both sides, and says what it means ([`unexpected`]).
//!
//! Every message is small, is looked at once, and each kind is taken once: whoever floods either side is refused at the second
//! message that does not fit.

use crate::connection::VALUE;
use hmac::{Hmac, KeyInit, Mac};
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle};
use multiprocess_sys::transport::{Message, Received, Socket};
use multiprocess_sys::{Error, ErrorKind, process};
use sha2::Sha256;
use std::fmt;

const HELLO: u32 = 0x6b01;
const CHALLENGE: u32 = 0x6b02;
const ANSWER: u32 = 0x6b03;
const WELCOME: u32 = 0x6b04;
const REFUSED: u32 = 0x6b05;

/// What tells the roles, and this protocol from any other use of the key.
const CLIENT: &[u8] = b"multiprocess handshake 1: client";
const LISTENER: &[u8] = b"multiprocess handshake 1: listener";

type Nonce = [u8; 32];

/// A key, as proofs use it.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    /// Any bytes are a key, also none.
    pub(crate) fn new(bytes: &[u8]) -> Key {
        Key(Hmac::new_from_slice(bytes).expect("a key of any length is taken"))
    }

    fn code(&self, role: &[u8], listener: &Nonce, client: &Nonce) -> Hmac<Sha256> {
        let mut code = self.0.clone();
        code.update(role);
        code.update(listener);
        code.update(client);
        code
    }

    fn proof(&self, role: &[u8], listener: &Nonce, client: &Nonce) -> [u8; 32] {
        self.code(role, listener, client).finalize().into_bytes().into()
    }

    /// In a time that does not depend on where the two differ.
    fn is_proof(&self, role: &[u8], listener: &Nonce, client: &Nonce, proof: &[u8]) -> bool {
        self.code(role, listener, client).verify_slice(proof).is_ok()
    }
}

/// Nobody should find a key in a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

fn nonce() -> Result<Nonce, Error> {
    let mut nonce = [0; 32];
    nonce[..16].copy_from_slice(&process::random()?.to_ne_bytes());
    nonce[16..].copy_from_slice(&process::random()?.to_ne_bytes());
    Ok(nonce)
}

fn refusal(what: &str) -> Error {
    Error::new(ErrorKind::Authentication, what)
}

/// What a message means that came in place of a value.
pub(crate) fn unexpected(kind: u32) -> Error {
    match kind {
        HELLO => refusal("receiving from a client that has a key, while the listener asks for none"),
        CHALLENGE => refusal("receiving from a listener that asks for a key, and none was given"),
        REFUSED => refusal("receiving from a listener that does not serve this user"),
        _ => Error::new(ErrorKind::Damaged, "receiving a message from another process: it is no value"),
    }
}

/// Tells a client that it is not served. Nothing depends on whether it hears it.
pub(crate) fn refuse(socket: &Socket) {
    let _ = socket.send_until(REFUSED, &[], &[], Deadline::now());
}

/// A client that a listener has accepted, and that has not proved yet that it knows the key.
#[derive(Debug)]
pub(crate) struct Applicant {
    socket: Socket,
    own: Nonce,
    /// There once it has greeted.
    client: Option<Nonce>,
    /// Until when it may take.
    pub(crate) deadline: Deadline,
}

/// How far an applicant has come.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It has to say more.
    Waits,
    /// It knows the key, and was told that this side does.
    Proved,
    /// It has ended, or failed without saying anything wrong.
    Gone,
    /// It does not know the key.
    Refused(Error),
}

impl Applicant {
    /// Challenges a client.
    pub(crate) fn challenge(socket: Socket, deadline: Deadline) -> Result<Applicant, Error> {
        let own = nonce()?;
        // A new socket has room. If the client has ended, that is found when it is listened to.
        let _ = socket.send_until(CHALLENGE, &[&own], &[], Deadline::now());
        Ok(Applicant { socket, own, client: None, deadline })
    }

    /// Reads what it has said; never waits.
    pub(crate) fn proceed(&mut self, key: &Key) -> Progress {
        loop {
            let message = match self.socket.receive_small_until(Deadline::now()) {
                Ok(Received::Message(message)) => message,
                Ok(Received::Nothing) => return Progress::Waits,
                Ok(Received::End) => return Progress::Gone,
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    refuse(&self.socket);
                    let what = "accepting a client that does not introduce itself";
                    return Progress::Refused(refusal(what).with_source(error));
                }
                Err(_) => return Progress::Gone,
            };
            match self.read(&message, key) {
                Ok(true) => return Progress::Proved,
                Ok(false) => {}
                Err(error) => {
                    refuse(&self.socket);
                    return Progress::Refused(error);
                }
            }
        }
    }

    /// Whether it has proved that it knows the key.
    fn read(&mut self, message: &Message, key: &Key) -> Result<bool, Error> {
        let Message { kind, body, handles } = message;
        match (*kind, self.client, body.first_chunk::<32>()) {
            _ if !handles.is_empty() => Err(refusal("accepting a client that sends handles to introduce itself")),
            (HELLO, None, Some(client)) if body.len() == 32 => {
                self.client = Some(*client);
                Ok(false)
            }
            (ANSWER, Some(client), _) => {
                if !key.is_proof(CLIENT, &self.own, &client, body) {
                    return Err(refusal("accepting a client that does not know the key"));
                }
                let proof = key.proof(LISTENER, &self.own, &client);
                // If it has ended, whoever gets the connection finds that.
                let _ = self.socket.send_until(WELCOME, &[&proof], &[], Deadline::now());
                Ok(true)
            }
            (VALUE, ..) => Err(refusal("accepting a client that has no key")),
            _ => Err(refusal("accepting a client that does not introduce itself")),
        }
    }
}

impl From<Applicant> for Socket {
    fn from(applicant: Applicant) -> Socket {
        applicant.socket
    }
}

impl AsHandle for Applicant {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.socket.as_fd()
    }
}

/// The client's side: proves that it knows the key, and waits for the listener to prove the same.
pub(crate) fn introduce(socket: &Socket, key: &Key, deadline: Deadline) -> Result<(), Error> {
    let own = nonce()?;
    say(socket, HELLO, &own, deadline)?;
    let challenge = hear(socket, CHALLENGE, deadline)?;
    let Ok(listener) = Nonce::try_from(challenge.as_slice()) else { return Err(strange()) };
    say(socket, ANSWER, &key.proof(CLIENT, &listener, &own), deadline)?;
    let welcome = hear(socket, WELCOME, deadline)?;
    match key.is_proof(LISTENER, &listener, &own, &welcome) {
        true => Ok(()),
        false => Err(refusal("connecting to a listener that does not know the key")),
    }
}

fn strange() -> Error {
    refusal("connecting to a listener that does not introduce itself")
}

fn late() -> Error {
    Error::new(ErrorKind::TimedOut, "waiting to be accepted by a listener")
}

fn closed() -> Error {
    Error::new(ErrorKind::Disconnected, "connecting to a listener that has closed the connection")
}

fn say(socket: &Socket, kind: u32, body: &[u8], deadline: Deadline) -> Result<(), Error> {
    match socket.send_until(kind, &[body], &[], deadline) {
        Ok(true) => Ok(()),
        Ok(false) => Err(late()),
        // It may have said why: that is to be read.
        Err(error) if error.kind() == ErrorKind::Disconnected => Ok(()),
        Err(error) => Err(error),
    }
}

fn hear(socket: &Socket, kind: u32, deadline: Deadline) -> Result<Vec<u8>, Error> {
    match socket.receive_small_until(deadline) {
        Ok(Received::Message(message)) if message.kind == kind && message.handles.is_empty() => Ok(message.body),
        Ok(Received::Message(message)) => Err(match message.kind {
            REFUSED if kind == WELCOME => refusal("connecting to a listener that has another key"),
            REFUSED => refusal("connecting to a listener that does not serve this user"),
            VALUE => refusal("connecting with a key to a listener that asks for none"),
            _ => strange(),
        }),
        Ok(Received::Nothing) => Err(late()),
        Ok(Received::End) => Err(closed()),
        Err(error) if error.kind() == ErrorKind::Damaged => Err(strange().with_source(error)),
        Err(error) => Err(error),
    }
}
