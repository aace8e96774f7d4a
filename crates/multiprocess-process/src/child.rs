//! A started process, and getting its result.

use crate::join_error::JoinError;
use crate::octets;
use crate::process::StartMethod;
use crate::protocol::{FAILED, PANICKED, VALUE};
use crate::registry::{Kept, Life};
use crate::start::Started;
use multiprocess_parcel::{PanicReport, Parcel, RemoteError, unpack_data};
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::handle::{AsHandle, BorrowedHandle};
use multiprocess_sys::process::Signal;
use multiprocess_sys::transport::{Message, Received, Socket};
use multiprocess_sys::waitable::{Source, Waitable};
use multiprocess_sys::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, RawFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A started process.
///
/// Everything but [`join`](Child::join) takes `&self`, so that one thread may wait while another kills. Dropping it lets the
/// process run on, leaves no zombie, and never kills.
///
/// It has the handle of the process (on Linux its pidfd), which can be read once the process has ended, so it goes into
/// poll, mio or tokio.
///
/// # Examples
///
/// ```
/// use multiprocess_process::spawn;
/// use std::time::Duration;
///
/// let child = spawn(|| std::thread::park(), ())?;
/// assert!(child.is_alive());
/// assert!(child.wait_timeout(Duration::ZERO)?.is_none());
/// child.terminate()?;
/// assert!(!child.wait()?.success());
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[doc(alias = "sentinel")]
#[must_use = "dropping a `Child` lets the process run on, unwatched"]
pub struct Child<R> {
    /// The end to write of a standard input that is [piped](crate::Stdio::piped).
    pub stdin: Option<ChildStdin>,
    /// The end to read of a standard output that is piped.
    pub stdout: Option<ChildStdout>,
    /// The end to read of a standard error that is piped.
    pub stderr: Option<ChildStderr>,
    bond: Option<Bond>,
    life: Arc<Life>,
    result: PhantomData<fn() -> R>,
}

/// What is needed to get the result, and what is to be done when nobody wants it any more.
pub(crate) struct Bond {
    /// There until the drop.
    socket: Option<Kept<Socket>>,
    life: Arc<Life>,
    refills: bool,
}

impl<R> Child<R> {
    pub(crate) fn new(started: Started, method: StartMethod) -> Child<R> {
        let Started { life, socket, pipes: [stdin, stdout, stderr] } = started;
        let refills = method == StartMethod::ForkServer;
        Child {
            stdin: stdin.map(ChildStdin::from),
            stdout: stdout.map(ChildStdout::from),
            stderr: stderr.map(ChildStderr::from),
            bond: Some(Bond { socket: Some(socket), life: Arc::clone(&life), refills }),
            life,
            result: PhantomData,
        }
    }

    /// Its number.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let child = spawn(|| std::process::id(), ())?;
    /// let pid = child.pid();
    /// assert_eq!(child.join()?, pid);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ident")]
    pub fn pid(&self) -> u32 {
        self.life.pid
    }

    /// Its name.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Process;
    ///
    /// let child = Process::new(|| {}, ()).name("worker").start()?;
    /// assert_eq!(child.name(), "worker");
    /// child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.life.name
    }

    /// Whether it ends with this process.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let child = spawn(|| {}, ())?;
    /// assert!(!child.is_daemon());
    /// child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_daemon(&self) -> bool {
        self.life.daemon
    }

    /// Whether it still runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// assert!(child.is_alive());
    /// child.kill()?;
    /// child.wait()?;
    /// assert!(!child.is_alive());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_alive(&self) -> bool {
        self.life.is_alive()
    }

    /// How it ended, if it has.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// assert_eq!(child.try_wait()?, None);
    /// child.kill()?;
    /// child.wait()?;
    /// assert!(child.try_wait()?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nobody knows: somebody else in this program has waited for it; or the program closed its descriptor.
    #[doc(alias = "exitcode")]
    pub fn try_wait(&self) -> Result<Option<ExitStatus>, Error> {
        self.life.status()
    }

    /// Waits until it has ended. Its result stays to be joined. A child that reads a piped `stdin` to its end does not end before
    /// that is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let child = spawn(|| 42, ())?;
    /// assert!(child.wait()?.success());
    /// assert_eq!(child.join()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_wait`](Child::try_wait).
    pub fn wait(&self) -> Result<ExitStatus, Error> {
        self.life.wait(Deadline::NEVER)?.ok_or_else(|| Error::new(ErrorKind::Other, "waiting for a child: it runs on"))
    }

    /// Waits until it has ended; `None` if it still runs after `timeout`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    /// use std::time::Duration;
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// assert_eq!(child.wait_timeout(Duration::from_millis(5))?, None);
    /// child.kill()?;
    /// assert!(child.wait_timeout(Duration::from_secs(60))?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_wait`](Child::try_wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<ExitStatus>, Error> {
        self.life.wait(Deadline::after(timeout))
    }

    /// Waits until it has ended; `None` if it still runs at `deadline`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    /// use std::time::{Duration, Instant};
    ///
    /// let end = Instant::now() + Duration::from_secs(60);
    /// for child in [spawn(|| {}, ())?, spawn(|| {}, ())?] {
    ///     assert!(child.wait_deadline(end)?.is_some()); // a minute for both together
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_wait`](Child::try_wait).
    pub fn wait_deadline(&self, deadline: Instant) -> Result<Option<ExitStatus>, Error> {
        self.life.wait(Deadline::at(deadline))
    }

    /// Interrupts it, as Ctrl-C does. Nothing happens to one that has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let child = spawn(|| std::thread::sleep(std::time::Duration::from_secs(60)), ())?;
    /// child.interrupt()?;
    /// assert_eq!(child.join().unwrap_err().signal(), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// It may not be signalled (it has changed its user), or the program closed its descriptor.
    pub fn interrupt(&self) -> Result<(), Error> {
        self.life.signal(Signal::Interrupt)
    }

    /// Asks it to end (`SIGTERM`). Nothing happens to one that has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// child.terminate()?;
    /// assert_eq!(child.join().unwrap_err().signal(), Some(15));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`interrupt`](Child::interrupt).
    pub fn terminate(&self) -> Result<(), Error> {
        self.life.signal(Signal::Terminate)
    }

    /// Ends it at once (`SIGKILL`). Nothing happens to one that has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// child.kill()?;
    /// child.kill()?; // once more makes no difference
    /// assert_eq!(child.join().unwrap_err().signal(), Some(9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`interrupt`](Child::interrupt).
    pub fn kill(&self) -> Result<(), Error> {
        self.life.signal(Signal::Kill)
    }

    /// Asks it to end, and ends it when `grace` has passed; how it ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    /// use std::time::Duration;
    ///
    /// let child = spawn(|| std::thread::park(), ())?;
    /// assert!(!child.stop(Duration::from_secs(5))?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`interrupt`](Child::interrupt) and [`try_wait`](Child::try_wait).
    pub fn stop(&self, grace: Duration) -> Result<ExitStatus, Error> {
        self.terminate()?;
        if let Some(status) = self.wait_timeout(grace)? {
            return Ok(status);
        }
        self.kill()?;
        self.wait()
    }

    pub(crate) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Takes out what is needed to join it later without knowing its type.
    pub(crate) fn take_bond(&mut self) -> Option<Bond> {
        self.bond.take()
    }
}

impl<R: DeserializeOwned> Child<R> {
    /// Waits until it has ended; the value that its function returned.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let child = spawn(|words: Vec<String>| words.concat(), (vec!["a".to_owned(), "b".to_owned()],))?;
    /// assert_eq!(child.join()?, "ab");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The function panicked, the process ended without a result, or the result could not be carried over.
    pub fn join(mut self) -> Result<R, JoinError> {
        // It may wait for the end of its input.
        drop(self.stdin.take());
        let bond = self.bond.take().ok_or_else(|| {
            JoinError::transfer(Error::new(ErrorKind::Closed, "joining a child that a scope has joined"))
        })?;
        decode(bond.finish()?)
    }

    /// As [`join`](Child::join), without blocking the thread. If the future is dropped, the process runs on.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::spawn;
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    /// let sum = runtime.block_on(async {
    ///     let (left, right) = (spawn(|| 1, ())?, spawn(|| 2, ())?);
    ///     Ok::<_, Box<dyn std::error::Error>>(left.join_async().await? + right.join_async().await?)
    /// })?;
    /// assert_eq!(sum, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`join`](Child::join).
    ///
    /// # Panics
    ///
    /// There is no tokio runtime with its I/O enabled.
    #[cfg(feature = "tokio")]
    pub async fn join_async(mut self) -> Result<R, JoinError> {
        drop(self.stdin.take());
        let process = multiprocess_sys::handle::duplicate(self.as_fd()).map_err(JoinError::transfer)?;
        // What is said against it is about types that lie about their descriptor; its successor is younger than the tokio that
        // programs have.
        #[allow(deprecated)]
        let process = tokio::io::unix::AsyncFd::new(process).map_err(|e| JoinError::transfer(e.into()))?;
        let ended = process.readable().await.map(drop);
        ended.map_err(|e| JoinError::transfer(e.into()))?;
        drop(process);
        self.join()
    }
}

pub(crate) fn decode<R: DeserializeOwned>(parcel: Parcel) -> Result<R, JoinError> {
    octets::unpack(parcel).map_err(JoinError::transfer)
}

impl Bond {
    /// Waits until the child has ended; its packed value.
    ///
    /// What it says is in the socket by then, for no message makes it wait for a reader. Its end is noticed by its pidfd, not by
    /// the end of the socket: a copy of that may live on in a process that it forked.
    pub(crate) fn finish(self) -> Result<Parcel, JoinError> {
        let ended = self.life.wait(Deadline::NEVER);
        let received = self.socket.as_ref().map(|socket| socket.get().and_then(Socket::try_receive));
        match received.transpose().map_err(JoinError::transfer)? {
            Some(Received::Message(message)) => outcome(message),
            _ => match ended.map_err(JoinError::transfer)? {
                Some(status) => Err(JoinError::Exited(status)),
                None => Err(JoinError::transfer(self.life.unknown())),
            },
        }
    }
}

impl Drop for Bond {
    fn drop(&mut self) {
        let runtime = self.life.runtime();
        runtime.registry().close_buried();
        match self.life.ending() {
            // Joined, or about to be forgotten: nobody else will wait for it.
            Ok(None) => {
                if let Ok(process) = self.life.process.get() {
                    runtime.watch(self.life.pid, process);
                }
            }
            // A start has come to its end, and the next may be near. The socket is closed first: the kernel looks for lost sockets
            // whenever one is closed while another lies in a message, as the spare child's will.
            Ok(Some(_)) if self.refills && runtime.is_intact() => {
                drop(self.socket.take());
                runtime.refill();
            }
            _ => {}
        }
    }
}

/// What a child said last: its packed value, or why there is none.
pub(crate) fn outcome(message: Message) -> Result<Parcel, JoinError> {
    match message.kind {
        VALUE => Ok(Parcel { bytes: message.body, handles: message.handles, ..Parcel::default() }),
        PANICKED => {
            Err(unpack_data::<PanicReport>(&message.body).map_or_else(JoinError::transfer, JoinError::Panicked))
        }
        FAILED => Err(unpack_data::<RemoteError>(&message.body).map_or_else(JoinError::transfer, JoinError::Transfer)),
        _ => {
            Err(JoinError::transfer(Error::new(ErrorKind::Damaged, "reading a child's result: it is of no known kind")))
        }
    }
}

impl<R> AsHandle for Child<R> {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.life.as_fd()
    }
}

impl<R> AsRawFd for Child<R> {
    fn as_raw_fd(&self) -> RawFd {
        self.life.as_fd().as_raw_fd()
    }
}

/// Ready once it has ended.
impl<R> Waitable for Child<R> {
    fn source(&self) -> Result<Source<'_>, Error> {
        self.life.source()
    }
}

impl<R> fmt::Debug for Child<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("name", &self.name())
            .field("pid", &self.pid())
            .field("daemon", &self.is_daemon())
            .field("alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}
