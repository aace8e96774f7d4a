//! Where the standard streams of a child lead.

use multiprocess_sys::handle::OwnedHandle;

/// Where a standard stream of a child leads; the same names as in [`std::process::Stdio`], which cannot be looked into.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{Process, Stdio};
///
/// let child = Process::new(|| println!("nobody hears this"), ()).stdout(Stdio::null()).start()?;
/// child.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stdio(pub(crate) Wish);

/// See [`Stdio`].
#[derive(Debug)]
pub(crate) enum Wish {
    Inherit,
    Null,
    Piped,
    Handle(OwnedHandle),
}

impl Stdio {
    /// To where this process's own leads at the time of the start.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, Stdio};
    ///
    /// Process::new(|| println!("here"), ()).stdout(Stdio::inherit()).start()?.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inherit() -> Self {
        Stdio(Wish::Inherit)
    }

    /// Nowhere: `/dev/null`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, Stdio};
    ///
    /// let child = Process::new(|| std::io::stdin().lines().count(), ()).stdin(Stdio::null()).start()?;
    /// assert_eq!(child.join()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn null() -> Self {
        Stdio(Wish::Null)
    }

    /// Into a pipe, whose other end the [`Child`](crate::Child) has.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, Stdio};
    ///
    /// let child = Process::new(|| {}, ()).stdout(Stdio::piped()).start()?;
    /// assert!(child.stdout.is_some() && child.stdin.is_none());
    /// child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn piped() -> Self {
        Stdio(Wish::Piped)
    }
}

impl<T: Into<OwnedHandle>> From<T> for Stdio {
    fn from(handle: T) -> Self {
        Stdio(Wish::Handle(handle.into()))
    }
}
