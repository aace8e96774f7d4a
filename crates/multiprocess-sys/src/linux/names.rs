//! Named memory objects: files in `/dev/shm` (shm_overview(7)), readable and writable by their owner alone.
//!
//! A file is made without a name (`O_TMPFILE`), filled, and then linked under its name (linkat(2)), which fails if the name is
//! taken. So nobody ever sees a half-made one, and one whose maker dies before the link leaves nothing.
//!
//! Every user has a prefix, so that two of them can use the same name. The directory is open to all: another user may have put
//! a file, a link or a pipe under a name of ours, so what is opened is looked at before it is used.

use super::handle::{BorrowedHandle, Identity, OwnedHandle};
use super::map;
use crate::{Error, ErrorKind, seam};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsRawFd;

const DIRECTORY: &str = "/dev/shm";
const OWNER_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);

/// A name of the user that this process acted for when the value was made.
///
/// # Examples
///
/// ```
/// use multiprocess_sys::{handle::{AsHandle, Identity}, names::{self, Entry}};
///
/// let entry = Entry::of(&format!("example-{}", std::process::id()));
/// let memory = names::unnamed(8192)?;
/// assert!(entry.link(memory.as_fd())?);
/// assert!(!entry.link(memory.as_fd())?, "taken");
///
/// let again = entry.open()?.unwrap();
/// assert_eq!((Some(again.identity), again.size), (Identity::of(&memory), 8192));
/// assert!(names::list()?.contains(&entry));
///
/// assert!(entry.unlink(Identity::of(&memory).unwrap())?);
/// assert!(entry.open()?.is_none());
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    path: String,
    start: usize,
    user: u32,
}

/// What was found under a name.
#[derive(Debug)]
pub struct Found {
    /// The object, through a description that nobody else has.
    pub memory: OwnedHandle,
    /// What it is.
    pub identity: Identity,
    /// Its size in bytes.
    pub size: u64,
}

/// A memory object that has no name yet, of `length` zero bytes. None of them is there yet.
///
/// # Errors
///
/// The directory is full or does not exist, or is none of files in memory; no free descriptor.
///
/// # Crash
///
/// Nothing is left of an object that was not linked.
pub fn unnamed(length: u64) -> Result<OwnedHandle, Error> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let make = || rustix::fs::open(DIRECTORY, flags, OWNER_ONLY);
    // Without the directory this is "not found", which about a name means something else.
    let memory = seam::retry("open(O_TMPFILE)", make)
        .map_err(|e| Error::new(ErrorKind::Os, "making shared memory in /dev/shm").with_source(io::Error::from(e)))?;
    map::set_length(&memory, length)?;
    Ok(memory)
}

impl Entry {
    /// The name, which holds nothing but letters, digits, `.`, `_` and `-`; the caller has looked.
    pub fn of(name: &str) -> Entry {
        let user = rustix::process::geteuid().as_raw();
        let prefix = format!("{DIRECTORY}/{}", prefix(user));
        Entry { start: prefix.len(), path: prefix + name, user }
    }

    /// The name without the prefix.
    pub fn name(&self) -> &str {
        &self.path[self.start..]
    }

    /// Gives `memory`, which has no name yet, this name; `false` if something has it.
    ///
    /// # Errors
    ///
    /// The directory is full, or there is no `/proc`.
    pub fn link(&self, memory: BorrowedHandle<'_>) -> Result<bool, Error> {
        let failed = |e| {
            let cause = io::Error::from(e);
            Error::new(ErrorKind::Os, "naming shared memory").with_source(cause)
        };
        // The file creation mask may have taken rights that the owner needs.
        let stat = seam::call("fstat", || rustix::fs::fstat(memory)).map_err(failed)?;
        if Mode::from_raw_mode(stat.st_mode) != OWNER_ONLY {
            seam::call("fchmod", || rustix::fs::fchmod(memory, OWNER_ONLY)).map_err(failed)?;
        }
        let unnamed = format!("/proc/thread-self/fd/{}", memory.as_raw_fd());
        let link = || rustix::fs::linkat(CWD, unnamed.as_str(), CWD, self.path.as_str(), AtFlags::SYMLINK_FOLLOW);
        match seam::retry("linkat", link) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(e) => Err(failed(e)),
        }
    }

    /// Opens what has this name: another description at each call; `None` if nothing has it.
    ///
    /// # Errors
    ///
    /// It is no file, or belongs to another user; no free descriptor.
    pub fn open(&self) -> Result<Option<Found>, Error> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
        let memory = match seam::retry("open", || rustix::fs::open(self.path.as_str(), flags, Mode::empty())) {
            Ok(memory) => memory,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(strange("is no shared memory")),
            Err(e) => return Err(Error::os("opening shared memory", io::Error::from(e))),
        };
        let stat = seam::call("fstat", || rustix::fs::fstat(&memory)).map_err(looking)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(strange("is no shared memory"));
        }
        if stat.st_uid != self.user {
            return Err(strange("belongs to another user"));
        }
        // All of the mode: `from_raw_mode` drops what says that it is a file.
        if Mode::from_raw_mode(stat.st_mode) != OWNER_ONLY {
            return Err(strange("may be used by others"));
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        Ok(Some(Found { memory, identity: Identity::from_stat(&stat), size }))
    }

    /// What has this name; `None` if nothing has.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub fn identity(&self) -> Result<Option<Identity>, Error> {
        match seam::call("fstatat", || rustix::fs::statat(CWD, self.path.as_str(), AtFlags::SYMLINK_NOFOLLOW)) {
            Ok(stat) => Ok(Some(Identity::from_stat(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(looking(e)),
        }
    }

    /// Removes the name if `identity` has it; whether it had. The caller has the object's attach lock: so nobody gives the
    /// name to another object between the look and the removal.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub fn unlink(&self, identity: Identity) -> Result<bool, Error> {
        if self.identity()? != Some(identity) {
            return Ok(false);
        }
        match seam::retry("unlink", || rustix::fs::unlink(self.path.as_str())) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(Error::os("removing the name of shared memory", io::Error::from(e))),
        }
    }

    /// Whether `memory`, which came by another way, is a file of this name's user.
    ///
    /// # Errors
    ///
    /// The operating system refused.
    pub fn may_be(&self, memory: BorrowedHandle<'_>) -> Result<bool, Error> {
        let stat: Stat = seam::call("fstat", || rustix::fs::fstat(memory)).map_err(looking)?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(is_file && stat.st_uid == self.user && self.identity()? == Some(Identity::from_stat(&stat)))
    }
}

/// All names of the user that this process acts for.
///
/// # Errors
///
/// The directory cannot be read.
pub fn list() -> Result<Vec<Entry>, Error> {
    let failed = |e| Error::new(ErrorKind::Os, "listing shared memory").with_source(io::Error::from(e));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = seam::retry("open", || rustix::fs::open(DIRECTORY, flags, Mode::empty())).map_err(failed)?;
    let mut directory = rustix::fs::Dir::new(directory).map_err(failed)?;
    let prefix = prefix(rustix::process::geteuid().as_raw());
    let mut entries = Vec::new();
    while let Some(entry) = seam::retry("getdents64", || directory.next().transpose()).map_err(failed)? {
        let name = entry.file_name().to_str().ok().and_then(|file| file.strip_prefix(&prefix));
        entries.extend(name.map(Entry::of));
    }
    Ok(entries)
}

fn prefix(user: u32) -> String {
    format!("multiprocess-{user}-")
}

fn looking(e: Errno) -> Error {
    Error::new(ErrorKind::Os, "looking at shared memory").with_source(io::Error::from(e))
}

fn strange(what: &str) -> Error {
    Error::new(ErrorKind::Damaged, format!("opening shared memory: what has the name {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn entry(what: &str) -> Entry {
        Entry::of(&format!("test-{}-{what}", std::process::id()))
    }

    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let entry = entry("strange");
        rustix::fs::symlink("/dev/null", &entry.path).unwrap();
        assert_eq!(entry.open().unwrap_err().kind(), ErrorKind::Damaged);
        rustix::fs::unlink(&entry.path).unwrap();
        rustix::fs::mkdir(&entry.path, Mode::RWXU).unwrap();
        assert_eq!(entry.open().unwrap_err().kind(), ErrorKind::Damaged);
        rustix::fs::rmdir(&entry.path).unwrap();
        rustix::fs::mknodat(CWD, &entry.path, FileType::Fifo, OWNER_ONLY, 0).unwrap();
        assert_eq!(entry.open().unwrap_err().kind(), ErrorKind::Damaged);
        rustix::fs::unlink(&entry.path).unwrap();
    }

    #[test]
    fn another_object_of_the_name_is_not_removed() {
        let entry = entry("other");
        let (one, two) = (unnamed(1).unwrap(), unnamed(1).unwrap());
        assert!(entry.link(two.as_fd()).unwrap());
        assert!(!entry.unlink(Identity::of(&one).unwrap()).unwrap());
        assert!(entry.unlink(Identity::of(&two).unwrap()).unwrap());
        assert!(!entry.unlink(Identity::of(&two).unwrap()).unwrap());
    }
}
