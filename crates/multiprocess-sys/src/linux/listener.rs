//! Listening for message sockets under a name (unix(7)): a path, or an abstract name that no file system has.
//!
//! # The socket's file
//!
//! A path is taken by making a file, and the file stays when its listener is killed: then it is in the way of the next one, which
//! must replace it, but never that of a listener who lives. Whether one lives, the kernel tells: a connection of another type
//! than the listener's is refused with `EPROTOTYPE` where somebody listens, who never hears of it, and with `ECONNREFUSED` where
//! nobody does.
//!
//! | Step of who binds | Why | If it dies right after it |
//! | --- | --- | --- |
//! | locks the folder (flock(2)), with a deadline | of two who find the same dead file, one would remove the other's new one; and a file that is just being made looks dead | the kernel unlocks it |
//! | asks whether anybody listens under the name, if it exists | | nothing has changed |
//! | removes the dead file | | the name is free |
//! | binds, which makes the file with the mode that the socket has | there is no moment at which others may open it | the file is dead, and the next one replaces it |
//! | unlocks the folder | | |
//!
//! A listener removes its file while it still listens, if the name is still that of its file: as long as it lives nobody replaces
//! it. A forked copy of its process does not.

use super::handle::{AsHandle, BorrowedHandle, OwnedHandle};
use super::transport::Socket;
use crate::clock::Deadline;
use crate::{Error, ErrorKind, seam};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest path or abstract name in bytes: what the kernel's address holds, without the byte that ends or begins it.
const NAME_MAX: usize = 107;

/// How many may wait to be accepted; the kernel has a limit of its own (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// How long somebody else may have the lock of a folder.
const FOLDER_PATIENCE: Duration = Duration::from_secs(5);

/// The socket may be read and written by its owner.
const OWNER_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);

/// Where a listener is to be found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the file system.
    Path(PathBuf),
    /// Under a name of its own, which goes with the listener. It is seen by all processes of a network namespace.
    Abstract(Vec<u8>),
}

impl Place {
    fn address(&self) -> Result<SocketAddrUnix, Error> {
        let (length, address) = match self {
            Place::Path(path) => (path.as_os_str().len(), SocketAddrUnix::new(path.as_path())),
            Place::Abstract(name) => (name.len(), SocketAddrUnix::new_abstract_name(name)),
        };
        match address {
            Ok(address) if (1..=NAME_MAX).contains(&length) => Ok(address),
            Ok(_) | Err(Errno::NAMETOOLONG) => {
                let what = format!("using an address of {length} bytes; one has 1 to {NAME_MAX}:");
                Err(Error::new(ErrorKind::InvalidName, what))
            }
            Err(e) => {
                Err(Error::new(ErrorKind::InvalidName, "using as an address").with_source(std::io::Error::from(e)))
            }
        }
    }
}

/// A message socket that others connect to.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedHandle,
    file: Option<SocketFile>,
}

impl Listener {
    /// Listens at `place`. A path gets a file that its owner alone may connect to, and that is removed with the listener; one of
    /// a dead listener is replaced.
    ///
    /// # Errors
    ///
    /// Somebody listens there, or there is a file that is no socket ([`ErrorKind::AlreadyExists`]); the name is too long
    /// ([`ErrorKind::InvalidName`]); the folder does not exist or cannot be written.
    ///
    /// # Crash
    ///
    /// The file of a listener that is killed stays, and the next listener at that place replaces it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::clock::Deadline;
    /// use multiprocess_sys::listener::{Listener, Place, connect};
    ///
    /// let place = Place::Abstract(format!("example-{}", std::process::id()).into_bytes());
    /// let listener = Listener::bind(&place)?;
    /// assert!(listener.accept()?.is_none());
    /// let near = connect(&place, Deadline::NEVER)?;
    /// let far = listener.accept()?.unwrap();
    /// assert_eq!(far.peer()?.process(), std::process::id());
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn bind(place: &Place) -> Result<Listener, Error> {
        let address = place.address()?;
        let socket = message_socket(SocketFlags::NONBLOCK)?;
        let failed = |e: Errno| match e {
            Errno::ADDRINUSE => in_use().with_source(std::io::Error::from(e)),
            e => Error::os("listening at", e),
        };
        let bind = || seam::call("bind", || rustix::net::bind(&socket, &address));
        let file = match place {
            Place::Abstract(_) => bind().map(|()| None).map_err(failed)?,
            Place::Path(path) => {
                let path = std::path::absolute(path).map_err(|e| Error::os("listening at", e))?;
                // The file gets the mode that the socket has.
                seam::call("fchmod", || rustix::fs::fchmod(&socket, OWNER_ONLY)).map_err(failed)?;
                let _lock = FolderLock::take(&path)?;
                remove_dead(&path, &address)?;
                bind().map_err(failed)?;
                Some(SocketFile::new(path).map_err(failed)?)
            }
        };
        let listener = Listener { socket, file };
        seam::call("listen", || rustix::net::listen(&listener.socket, BACKLOG)).map_err(failed)?;
        Ok(listener)
    }

    /// The next one who has connected, if there is one already.
    ///
    /// # Errors
    ///
    /// Out of descriptors or memory; who has connected waits on.
    pub fn accept(&self) -> Result<Option<Socket>, Error> {
        loop {
            match seam::retry("accept4", || rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC)) {
                Ok(socket) => return Ok(Some(Socket::from_handle(socket))),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::CONNABORTED) => continue,
                Err(e) => return Err(Error::os("accepting a connection at", e)),
            }
        }
    }
}

impl AsHandle for Listener {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.socket.as_fd()
    }
}

fn message_socket(flags: SocketFlags) -> Result<OwnedHandle, Error> {
    let flags = flags | SocketFlags::CLOEXEC;
    seam::call("socket", || rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None))
        .map_err(|e| Error::os("making a socket", e))
}

fn in_use() -> Error {
    Error::new(ErrorKind::AlreadyExists, "listening at a place that is taken:")
}

/// Connects to the listener at `place`; waits until `deadline` if too many others wait for it already.
///
/// # Errors
///
/// Nobody listens there ([`ErrorKind::NotFound`]), or something else does ([`ErrorKind::WrongKind`]); the name is too long
/// ([`ErrorKind::InvalidName`]); it may not be used; the time is over.
pub fn connect(place: &Place, deadline: Deadline) -> Result<Socket, Error> {
    let address = place.address()?;
    let socket = message_socket(SocketFlags::empty())?;
    let failed = |e| Error::os("connecting to", e);
    loop {
        // A connection of this kind waits as long as a send may.
        let left = deadline.remaining().map(|left| left.max(Duration::from_micros(1)));
        let limit =
            |left| seam::call("setsockopt", || sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, left));
        if left.is_some() {
            limit(left).map_err(failed)?;
        }
        let kind = match seam::interruptible("connect", || rustix::net::connect(&socket, &address)) {
            Ok(()) if left.is_some() => return limit(None).map(|()| Socket::from_handle(socket)).map_err(failed),
            Ok(()) => return Ok(Socket::from_handle(socket)),
            Err(Errno::INTR) => continue,
            Err(e @ (Errno::CONNREFUSED | Errno::NOENT)) => (ErrorKind::NotFound, e),
            Err(e @ Errno::PROTOTYPE) => (ErrorKind::WrongKind, e),
            Err(e @ Errno::AGAIN) => (ErrorKind::TimedOut, e),
            Err(e) => return Err(failed(e)),
        };
        return Err(Error::new(kind.0, "connecting to").with_source(std::io::Error::from(kind.1)));
    }
}

/// The lock of a folder, until dropped.
struct FolderLock(OwnedHandle);

impl FolderLock {
    /// Waits for the lock of the folder of `path`, which is held for some microseconds.
    fn take(path: &Path) -> Result<FolderLock, Error> {
        let folder = path.parent().unwrap_or(path);
        let failed = |e: Errno| Error::os("locking the folder of", e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = seam::retry("open", || rustix::fs::open(folder, flags, Mode::empty())).map_err(failed)?;
        let deadline = Deadline::after(FOLDER_PATIENCE);
        loop {
            match seam::retry("flock", || rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive)) {
                Ok(()) => return Ok(FolderLock(folder)),
                Err(Errno::AGAIN) if deadline.has_passed() => {
                    return Err(Error::new(ErrorKind::TimedOut, "waiting for who has locked the folder of"));
                }
                Err(Errno::AGAIN) => std::thread::sleep(Duration::from_millis(1)),
                Err(e) => return Err(failed(e)),
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Not left to the closing: a copy of this process that is forked meanwhile has the open folder too. If it fails, the
        // closing does it.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// Removes the file of a listener that is dead. Whoever calls this has the lock of the folder.
fn remove_dead(path: &Path, address: &SocketAddrUnix) -> Result<(), Error> {
    match look(path) {
        Err(Errno::NOENT) => return Ok(()),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Socket => {}
        Ok(_) => return Err(in_use()),
        Err(e) => return Err(Error::os("listening at", e)),
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = seam::call("socket", || rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None));
    let probe = probe.map_err(|e| Error::os("making a socket", e))?;
    match seam::retry("connect", || rustix::net::connect(&probe, address)) {
        Err(Errno::CONNREFUSED) => {}
        // Somebody listens, or nobody can tell.
        Ok(()) | Err(Errno::PROTOTYPE) => return Err(in_use()),
        Err(e) => return Err(in_use().with_source(std::io::Error::from(e))),
    }
    match seam::retry("unlink", || rustix::fs::unlink(path)) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(Error::os("removing what a dead listener left at", e)),
    }
}

fn look(path: &Path) -> Result<Stat, Errno> {
    seam::call("fstatat", || rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW))
}

/// The file of a socket that this process has bound.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
    maker: u32,
}

impl SocketFile {
    fn new(path: PathBuf) -> Result<SocketFile, Errno> {
        let mut file = SocketFile { path, identity: None, maker: std::process::id() };
        match look(&file.path) {
            Ok(stat) => {
                file.identity = Some((stat.st_dev, stat.st_ino));
                Ok(file)
            }
            Err(e) => {
                // It was just made, under the lock.
                let _ = rustix::fs::unlink(&file.path);
                Err(e)
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |stat: &Stat| self.identity == Some((stat.st_dev, stat.st_ino));
        let look = || rustix::fs::statat(rustix::fs::CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW);
        if self.maker == std::process::id() && look().is_ok_and(|stat| is_ours(&stat)) {
            // If it cannot be removed, the next listener does it.
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // While the socket still listens.
        drop(self.file.take());
    }
}

/// Who made the other end of a socket, as the kernel noted it when it was connected, or listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    process: u32,
    user: u32,
    group: u32,
}

impl Credentials {
    /// The number of the process; 0 if it is outside this process's namespace. The process may have ended since.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// The number of the user.
    pub fn user(&self) -> u32 {
        self.user
    }

    /// The number of the group.
    pub fn group(&self) -> u32 {
        self.group
    }

    /// Whether that is the user of this process, or the superuser.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::transport::Socket;
    ///
    /// assert!(Socket::pair()?.0.peer()?.is_own_or_root());
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn is_own_or_root(&self) -> bool {
        self.user == 0 || self.user == rustix::process::geteuid().as_raw()
    }
}

impl Socket {
    /// Who made the other end.
    ///
    /// # Errors
    ///
    /// The operating system does not say.
    pub fn peer(&self) -> Result<Credentials, Error> {
        let peer = seam::call("getsockopt", || sockopt::socket_peercred(self))
            .map_err(|e| Error::os("asking who made the other end of a socket", e))?;
        Ok(Credentials {
            process: rustix::process::Pid::as_raw(Some(peer.pid)).unsigned_abs(),
            user: peer.uid.as_raw(),
            group: peer.gid.as_raw(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Received;
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("mp-listener-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn the_file_of_a_dead_listener_is_replaced_and_that_of_a_living_one_is_not() {
        let folder = folder("dead");
        let place = Place::Path(folder.join("s"));
        let listener = Listener::bind(&place).unwrap();
        let file = || std::fs::symlink_metadata(folder.join("s")).unwrap();
        assert_eq!(file().permissions().mode() & 0o777, 0o600);
        assert_eq!(Listener::bind(&place).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(listener.accept().unwrap().is_none(), "who asked was not heard");

        // As if it had been killed: its socket is closed, its file stays.
        let mut listener = listener;
        let mut left = listener.file.take().unwrap();
        left.identity = None;
        drop((listener, left));
        assert!(file().file_type().is_socket());
        assert_eq!(connect(&place, Deadline::NEVER).unwrap_err().kind(), ErrorKind::NotFound);
        let next = Listener::bind(&place).unwrap();
        let near = connect(&place, Deadline::after(Duration::from_secs(5))).unwrap();
        let far = next.accept().unwrap().unwrap();
        near.send(1, &[b"x"], &[]).unwrap();
        assert!(matches!(far.receive().unwrap(), Received::Message(_)));
        drop(next);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir(folder).unwrap();
    }

    #[test]
    fn what_is_no_listener_of_ours_is_left_alone() {
        let folder = folder("other");
        let place = |name: &str| Place::Path(folder.join(name));
        std::fs::write(folder.join("text"), "text").unwrap();
        assert_eq!(Listener::bind(&place("text")).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let stream = std::os::unix::net::UnixListener::bind(folder.join("stream")).unwrap();
        assert_eq!(Listener::bind(&place("stream")).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(connect(&place("stream"), Deadline::NEVER).unwrap_err().kind(), ErrorKind::WrongKind);
        assert_eq!(connect(&place("none"), Deadline::NEVER).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(Listener::bind(&place("no/folder")).unwrap_err().kind(), ErrorKind::NotFound);
        // Somebody else has put another one in its place: that one stays.
        let listener = Listener::bind(&place("s")).unwrap();
        std::fs::remove_file(folder.join("s")).unwrap();
        std::fs::write(folder.join("s"), "mine").unwrap();
        drop(listener);
        assert_eq!(std::fs::read(folder.join("s")).unwrap(), b"mine");
        drop(stream);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn names_have_a_length() {
        let long = |length| Place::Abstract(vec![b'x'; length]);
        assert!(Listener::bind(&long(NAME_MAX)).is_ok());
        for place in [long(NAME_MAX + 1), long(0), Place::Path("x".repeat(NAME_MAX + 1).into()), Place::Path("".into())]
        {
            assert_eq!(Listener::bind(&place).unwrap_err().kind(), ErrorKind::InvalidName, "{place:?}");
            assert_eq!(connect(&place, Deadline::NEVER).unwrap_err().kind(), ErrorKind::InvalidName);
        }
        assert_eq!(Listener::bind(&Place::Path("a\0b".into())).unwrap_err().kind(), ErrorKind::InvalidName);
    }
}
