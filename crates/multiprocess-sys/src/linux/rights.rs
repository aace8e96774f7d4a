//! What the calling thread may do, so that a child never gets more.
//!
//! A fork server keeps the rights that the program had when the server was made. Before each start the rights of the thread
//! that starts are compared with them. Rights belong to the *thread* on Linux (credentials(7), capabilities(7), seccomp(2),
//! namespaces(7)); the C library keeps the user and groups of all threads alike, everything else may differ.
//!
//! Not seen: Landlock domains and the labels of security modules, which the kernel does not show.

use super::status::Status;
use crate::{Error, ErrorKind, seam};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::thread::Pid;
use std::cell::Cell;
use std::ffi::CStr;
use std::sync::OnceLock;

/// The rights of a thread at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// User, groups, no_new_privs, seccomp.
    identity: String,
    /// Inheritable, permitted, effective, bounding, ambient.
    capabilities: [u64; 5],
    /// Root directory, session and namespaces.
    places: Vec<u64>,
}

/// Not the user namespace: only a process with one thread can change it (unshare(2), setns(2)), and whoever keeps a fork server
/// has two. Not the mount namespace: the root's mount belongs to it.
const NAMESPACES: [&CStr; 6] = [c"cgroup", c"ipc", c"net", c"pid_for_children", c"time_for_children", c"uts"];

impl Rights {
    /// The calling thread's rights now.
    ///
    /// # Errors
    ///
    /// There is no `/proc`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::rights::Rights;
    ///
    /// let rights = Rights::of_this_thread()?;
    /// assert!(rights.cover(&rights));
    /// assert_eq!(Rights::decode(&rights.encode())?, rights);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn of_this_thread() -> Result<Rights, Error> {
        Rights::from_status(Status::of_this_thread()?)
    }

    pub(super) fn from_status(status: Status) -> Result<Rights, Error> {
        let Status { identity, capabilities, .. } = status;
        Ok(Rights { identity, capabilities, places: places(capabilities[PERMITTED])? })
    }

    /// Whether a thread with these rights may do all that one with `other` may: the same identity and places, and no
    /// capability less.
    pub fn cover(&self, other: &Rights) -> bool {
        let covered = self.capabilities.iter().zip(&other.capabilities).all(|(mine, its)| its & !mine == 0);
        covered && self.identity == other.identity && self.places == other.places
    }

    /// Gives up the capabilities that `wanted` does not have: an exec gives root all of them back (capabilities(7)).
    ///
    /// # Errors
    ///
    /// The kernel refused.
    pub fn give_up_beyond(wanted: &Rights) -> Result<(), Error> {
        use rustix::thread::{CapabilitySet, CapabilitySets};
        let failed = |e| Error::os("giving up capabilities", e);
        let now = seam::call("capget", || rustix::thread::capabilities(None)).map_err(failed)?;
        let [inheritable, permitted, effective, ..] = wanted.capabilities.map(CapabilitySet::from_bits_retain);
        let less = CapabilitySets {
            effective: now.effective & effective,
            permitted: now.permitted & permitted,
            inheritable: now.inheritable & inheritable,
        };
        if less == now {
            return Ok(());
        }
        seam::call("capset", || rustix::thread::set_capabilities(None, less)).map_err(failed)
    }

    /// As bytes for another process.
    pub fn encode(&self) -> Vec<u8> {
        let words = self.capabilities.iter().chain(&self.places);
        let mut bytes = (self.identity.len() as u64).to_ne_bytes().to_vec();
        bytes.extend_from_slice(self.identity.as_bytes());
        words.for_each(|word| bytes.extend_from_slice(&word.to_ne_bytes()));
        bytes
    }

    /// What [`encode`](Rights::encode) made.
    ///
    /// # Errors
    ///
    /// The bytes are something else.
    pub fn decode(bytes: &[u8]) -> Result<Rights, Error> {
        let decoded = || {
            let (length, rest) = bytes.split_first_chunk::<8>()?;
            let (identity, rest) = rest.split_at_checked(usize::try_from(u64::from_ne_bytes(*length)).ok()?)?;
            let (words, []) = rest.as_chunks::<8>() else { return None };
            let words: Vec<u64> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
            let (capabilities, places) = words.split_first_chunk::<5>()?;
            let identity = String::from_utf8(identity.to_vec()).ok()?;
            Some(Rights { identity, capabilities: *capabilities, places: places.to_vec() })
        };
        decoded().ok_or_else(|| Error::new(ErrorKind::Damaged, "reading what another process may do"))
    }
}

/// The index of the process namespace of children.
const CHILDREN: usize = 3;
/// The index of the permitted capabilities.
const PERMITTED: usize = 1;
const SYS_ADMIN: u64 = 1 << 21;

thread_local! {
    /// The namespaces of this thread, once they cannot change any more, and the thread's number: a forked copy has another.
    static FIXED: Cell<Option<(Pid, [u64; NAMESPACES.len()])>> = const { Cell::new(None) };
}

fn places(permitted: u64) -> Result<Vec<u64>, Error> {
    let failed = |e| Error::os("reading where this thread lives", e);
    let mut places = Vec::with_capacity(5 + NAMESPACES.len());
    let flags = StatxFlags::INO | StatxFlags::MNT_ID;
    let root =
        seam::call("statx", || rustix::fs::statx(rustix::fs::CWD, c"/", AtFlags::empty(), flags)).map_err(failed)?;
    places.extend([u64::from(root.stx_dev_major), u64::from(root.stx_dev_minor), root.stx_ino, root.stx_mnt_id]);
    places.push(session());
    places.extend(namespaces(permitted)?);
    Ok(places)
}

/// The session, or 0 if its leader lives outside this process namespace (pid_namespaces(7)).
fn session() -> u64 {
    // SAFETY: getsid(2) with 0 asks for the caller's own session; it writes nothing.
    u64::from(unsafe { libc::getsid(0) }.unsigned_abs())
}

/// A thread may change its namespaces only with CAP_SYS_ADMIN (setns(2), unshare(2)), and what is not permitted to it now will
/// not be again before an exec. So those of a thread without it are read once.
fn namespaces(permitted: u64) -> Result<[u64; NAMESPACES.len()], Error> {
    let thread = rustix::thread::gettid();
    if permitted & SYS_ADMIN != 0 {
        FIXED.set(None);
        return read_namespaces();
    }
    if let Some((owner, known)) = FIXED.get()
        && owner == thread
    {
        return Ok(known);
    }
    let namespaces = read_namespaces()?;
    FIXED.set(Some((thread, namespaces)));
    Ok(namespaces)
}

fn read_namespaces() -> Result<[u64; NAMESPACES.len()], Error> {
    let open =
        || rustix::fs::open(c"/proc/thread-self/ns", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let directory = seam::retry("open", open).map_err(|e| Error::os("reading where this thread lives", e))?;
    Ok(NAMESPACES.map(|name| {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
        // A kernel without that kind of namespace has no such link, and nobody can leave the one that all are in.
        let link = rustix::fs::readlinkat_raw(&directory, name, &mut buffer[..]);
        link.map_or(0, |(link, _)| digits(link))
    }))
}

/// The number in `uts:[4026531838]`.
fn digits(link: &[u8]) -> u64 {
    let digits = link.iter().filter(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u64, &byte| number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')))
}

/// Whether new processes of a thread with these rights come into another process namespace than its own.
///
/// # Errors
///
/// There is no `/proc`.
pub fn children_live_elsewhere(rights: &Rights) -> Result<bool, Error> {
    static OWN: OnceLock<u64> = OnceLock::new();
    let own = match OWN.get() {
        Some(own) => *own,
        None => {
            // A process never leaves its own; a forked copy may have begun in another, but then its parent knew nothing yet, or
            // is refused here without need.
            let link =
                std::fs::read_link("/proc/self/ns/pid").map_err(|e| Error::os("reading where this thread lives", e))?;
            *OWN.get_or_init(|| digits(link.as_os_str().as_encoded_bytes()))
        }
    };
    let place = rights.places.len() - NAMESPACES.len() + CHILDREN;
    Ok(rights.places.get(place) != Some(&own))
}
