//! The two sides of an introduction, for the fuzzer alone (`--cfg fuzzing`): each reads what lies in the socket, and returns.

use crate::handshake::{self, Applicant, Key};
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::transport::Socket;

/// What a client makes of what a listener has said.
pub fn introduce(socket: &Socket) {
    let introduced = handshake::introduce(socket, &Key::new(b"key"), Deadline::now());
    assert!(introduced.is_err(), "nobody has proved anything");
}

/// What a listener makes of what a client has said.
pub fn examine(socket: Socket) {
    let Ok(mut applicant) = Applicant::challenge(socket, Deadline::NEVER) else { return };
    let progress = applicant.proceed(&Key::new(b"key"));
    assert!(!matches!(progress, handshake::Progress::Proved), "nobody has proved anything");
}
