//! What of the standard library has a descriptor and can be waited for by poll(2).

use crate::Error;
use crate::waitable::{Source, Waitable};
use std::fs::File;
use std::io::PipeReader;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{ChildStderr, ChildStdout};

macro_rules! descriptors {
    ($($type:ty),* $(,)?) => { $(
        impl Waitable for $type {
            fn source(&self) -> Result<Source<'_>, Error> {
                Ok(Source::Handle(self.as_fd()))
            }
        }
    )* };
}

descriptors!(
    BorrowedFd<'_>,
    ChildStderr,
    ChildStdout,
    File,
    OwnedFd,
    PipeReader,
    TcpListener,
    TcpStream,
    UdpSocket,
    UnixDatagram,
    UnixListener,
    UnixStream,
);
