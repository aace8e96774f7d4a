//! Where a listener is to be found.

use multiprocess_sys::listener::Place;
use multiprocess_sys::{Error, ErrorKind, process};
use std::fmt;
use std::path::{Path, PathBuf};

/// How addresses of named pipes begin, which another system has.
const NAMED_PIPE: &str = r"\\.\";

/// Where a [`Listener`](crate::Listener) is to be found: a path in the file system, or an abstract name, which no file has and which
/// goes with the listener.
///
/// Text is a path, unless it begins with a zero character: then what follows is an abstract name, as for Python. Either has at
/// most 107 bytes.
///
/// A path is protected as its folder is, and by its mode: only its owner may connect. An abstract name is seen by every process
/// of the same network namespace; whoever connects to it, or takes it first, is checked all the same, see
/// [`Listener`](crate::Listener).
///
/// # Examples
///
/// ```
/// use multiprocess_channel::Address;
///
/// assert_eq!(Address::from("/run/jobs").to_string(), "/run/jobs");
/// assert_eq!(Address::from("\0jobs"), Address::abstract_name("jobs"));
/// assert_eq!(Address::abstract_name("jobs").to_string(), "@jobs");
/// ```
///
/// # Persistence
///
/// The file of a listener is removed when that is dropped. A killed listener leaves it behind; the next one at this address
/// replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(Place);

impl Address {
    /// The address in the file system.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::Address;
    ///
    /// assert_eq!(Address::path("/run/jobs"), "/run/jobs".into());
    /// ```
    pub fn path(path: impl Into<PathBuf>) -> Address {
        Address(Place::Path(path.into()))
    }

    /// The address that is no file.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::Address;
    ///
    /// assert!(Address::abstract_name(b"jobs").as_path().is_none());
    /// ```
    pub fn abstract_name(name: impl AsRef<[u8]>) -> Address {
        Address(Place::Abstract(name.as_ref().to_vec()))
    }

    /// An abstract name that nobody else has and nobody can guess.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::Address;
    ///
    /// assert_ne!(Address::unique()?, Address::unique()?);
    /// # Ok::<(), multiprocess_channel::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The kernel has no random number to give.
    pub fn unique() -> Result<Address, Error> {
        process::random().map(|number| Address::abstract_name(format!("multiprocess-{number:032x}")))
    }

    /// The path, if it is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::Address;
    ///
    /// assert_eq!(Address::from("/run/jobs").as_path().unwrap(), "/run/jobs");
    /// ```
    pub fn as_path(&self) -> Option<&Path> {
        match &self.0 {
            Place::Path(path) => Some(path),
            Place::Abstract(_) => None,
        }
    }

    /// The place, if addresses of this kind exist on this system.
    pub(crate) fn place(&self) -> Result<&Place, Error> {
        match &self.0 {
            Place::Path(path) if path.to_string_lossy().starts_with(NAMED_PIPE) => {
                let what = "using as an address a named pipe, which this system does not have:";
                Err(Error::new(ErrorKind::InvalidName, what).with_object(self.to_string()))
            }
            place => Ok(place),
        }
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Address {
        match text.strip_prefix('\0') {
            Some(name) => Address::abstract_name(name),
            None => Address::path(text),
        }
    }
}

impl From<String> for Address {
    fn from(text: String) -> Address {
        Address::from(text.as_str())
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Address {
        Address::path(path)
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Address {
        Address::path(path)
    }
}

impl From<&PathBuf> for Address {
    fn from(path: &PathBuf) -> Address {
        Address::path(path)
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Address {
        address.clone()
    }
}

/// An abstract name is shown behind an `@`, as the tools of the system do.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Path(path) => path.display().fmt(f),
            Place::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}
