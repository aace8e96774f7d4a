//! Describing a process before it is started.

use crate::child::Child;
use crate::current::current;
use crate::function::{ChildEntry, Function, Run, must_not_capture};
use crate::octets;
use crate::start::Plan;
use crate::stdio::Stdio;
use multiprocess_parcel::{Message, Parcel, pack};
use multiprocess_sys::settings::Settings;
use multiprocess_sys::{Error, ErrorKind};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Starts `f(args)` in a process of its own.
///
/// `f` is a function or a closure that captures nothing; its arguments are always a tuple. They are copied to the child,
/// and the value that `f` returns is copied back; nothing else is shared.
///
/// # Examples
///
/// ```
/// use multiprocess_process::spawn;
///
/// fn add(a: u64, b: u64) -> u64 {
///     a + b
/// }
///
/// let child = spawn(add, (2, 3))?;
/// assert_eq!(child.join()?, 5);
/// let child = spawn(|x: u64| x + 1, (41,))?;
/// assert_eq!(child.join()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`Process::start`].
///
/// # Crash
///
/// A child lives on when the process that started it dies, unless it is a [daemon](Process::daemon).
pub fn spawn<F, A>(f: F, args: A) -> Result<Child<F::Output>, Error>
where
    F: Function<A>,
    A: Message,
    F::Output: Message,
{
    const { must_not_capture::<F>() };
    Process::new(f, args).start()
}

/// A process that has not been started.
///
/// It knows only the type of its result, so processes of different functions fit into one `Vec`.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{Process, Stdio};
/// use std::io::Read;
///
/// fn shout(text: String) {
///     println!("{} says {text}!", std::env::var("WHO").unwrap());
/// }
///
/// let mut child = Process::new(shout, ("hello".to_owned(),))
///     .name("shouter")
///     .env("WHO", "somebody")
///     .stdout(Stdio::piped())
///     .start()?;
/// let mut text = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut text)?;
/// child.join()?;
/// assert_eq!(text, "somebody says hello!\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a process runs only when started"]
pub struct Process<R> {
    entry: &'static ChildEntry,
    arguments: Result<Parcel, Error>,
    name: Option<String>,
    lineage: String,
    daemon: bool,
    method: StartMethod,
    clear_environment: bool,
    variables: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    streams: [Stdio; 3],
    settings: Option<Settings>,
    #[cfg(feature = "tracing")]
    forwards_logs: bool,
    result: PhantomData<fn() -> R>,
}

impl<R> Process<R> {
    /// A process that will run `f(args)`. What cannot be sent of the arguments is an error of [`start`](Process::start).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Process;
    ///
    /// let process = Process::new(|a: u64, b: u64| a + b, (2, 3));
    /// assert_eq!(process.start()?.join()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new<F, A>(f: F, args: A) -> Self
    where
        F: Function<A, Output = R>,
        A: Message,
        R: Message,
    {
        const { must_not_capture::<F>() };
        let _ = f; // a value of a type without one: the type says all
        Process::of(ChildEntry::of_function::<F, A>(), octets::pack(args))
    }

    /// A process that will run a struct's [`Run`].
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, Run};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Doubler(u64);
    ///
    /// impl Run for Doubler {
    ///     type Output = u64;
    ///     fn run(self) -> u64 {
    ///         self.0 * 2
    ///     }
    /// }
    ///
    /// assert_eq!(Process::from_run(Doubler(21)).start()?.join()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_run<T: Run<Output = R>>(run: T) -> Self {
        Process::of(ChildEntry::of_run::<T>(), pack(&run))
    }

    fn of(entry: &'static ChildEntry, arguments: Result<Parcel, Error>) -> Self {
        Process {
            entry,
            arguments,
            name: None,
            lineage: current().next_lineage(),
            daemon: current().is_daemon(),
            method: StartMethod::ForkServer,
            clear_environment: false,
            variables: Vec::new(),
            directory: None,
            streams: [Stdio::inherit(), Stdio::inherit(), Stdio::inherit()],
            settings: None,
            #[cfg(feature = "tracing")]
            forwards_logs: true,
            result: PhantomData,
        }
    }

    /// Names it; otherwise it is called `Process-1`, `Process-2` and so on, and `Process-1:1` if the first one starts it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, current};
    ///
    /// let child = Process::new(|| current().name().to_owned(), ()).name("worker").start()?;
    /// assert_eq!(child.join()?, "worker");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether it ends when this process ends, however this process ends. Without this it does as the process that made it does.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Process;
    ///
    /// let child = Process::new(|| std::thread::park(), ()).daemon(true).start()?;
    /// assert!(child.is_daemon()); // it is gone when this program is
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = daemon;
        self
    }

    /// Sets a variable of its environment, which is otherwise this process's at the time of the start.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Process;
    ///
    /// let child = Process::new(|| std::env::var("LEVEL").ok(), ()).env("LEVEL", "high").start()?;
    /// assert_eq!(child.join()?.as_deref(), Some("high"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((key.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Sets several variables.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Process;
    ///
    /// let sum = || std::env::var("A").unwrap() + &std::env::var("B").unwrap();
    /// assert_eq!(Process::new(sum, ()).envs([("A", "1"), ("B", "2")]).start()?.join()?, "12");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, vars: impl IntoIterator<Item = (K, V)>) -> Self {
        let owned = |(key, value): (K, V)| (key.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self.variables.extend(vars.into_iter().map(owned));
        self
    }

    /// Leaves a variable out.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Process;
    ///
    /// let child = Process::new(|| std::env::var_os("PATH").is_some(), ()).env_remove("PATH").start()?;
    /// assert!(!child.join()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.variables.push((key.as_ref().to_owned(), None));
        self
    }

    /// Leaves out all variables, also those set before.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Process;
    ///
    /// let child = Process::new(|| std::env::vars_os().count(), ()).env_clear().env("ONLY", "1").start()?;
    /// assert_eq!(child.join()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn env_clear(mut self) -> Self {
        self.clear_environment = true;
        self.variables.clear();
        self
    }

    /// Its current directory, which is otherwise this process's at the time of the start.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Process;
    /// use std::path::Path;
    ///
    /// let child = Process::new(|| std::env::current_dir().unwrap(), ()).current_dir("/").start()?;
    /// assert_eq!(child.join()?, Path::new("/"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.directory = Some(dir.as_ref().to_owned());
        self
    }

    /// Its standard input.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, Stdio};
    /// use std::io::Write;
    ///
    /// let child = Process::new(|| std::io::stdin().lines().count(), ()).stdin(Stdio::piped());
    /// let mut child = child.start()?;
    /// child.stdin.as_mut().unwrap().write_all(b"one\ntwo\n")?;
    /// assert_eq!(child.join()?, 2); // closes the pipe first
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stdin(mut self, stdio: impl Into<Stdio>) -> Self {
        self.streams[0] = stdio.into();
        self
    }

    /// Its standard output.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, Stdio};
    /// use std::io::Read;
    ///
    /// let mut child = Process::new(|| println!("done"), ()).stdout(Stdio::piped()).start()?;
    /// let mut text = String::new();
    /// child.stdout.take().unwrap().read_to_string(&mut text)?;
    /// assert_eq!(text, "done\n");
    /// child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stdout(mut self, stdio: impl Into<Stdio>) -> Self {
        self.streams[1] = stdio.into();
        self
    }

    /// Its standard error.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, Stdio};
    ///
    /// let child = Process::new(|| eprintln!("nobody reads this"), ()).stderr(Stdio::null()).start()?;
    /// child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stderr(mut self, stdio: impl Into<Stdio>) -> Self {
        self.streams[2] = stdio.into();
        self
    }

    /// What it finds set, instead of what the calling thread has at the time of the start: for those who start processes from a
    /// thread of their own, on behalf of somebody.
    #[doc(hidden)]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Whether its `tracing` events come out here, with its name and number in them: by default they do if this process has set a global
    /// subscriber before the start. A child that sets one of its own must be started with `false`, as there can be only one. With
    /// the feature `tracing`.
    ///
    /// What comes out is what the subscriber here asks for: the most verbose level that it wants at the time of the start goes with
    /// the child, for which anything beyond costs nothing; all else about its filters is asked here, for each event. A panic of the
    /// child comes as an event with the target `multiprocess::panic` and the level `ERROR`. `log` records come with the rest if
    /// the function calls `tracing_log::LogTracer::init()`, as in any program.
    ///
    /// The events that a child has made before its end are out when [`join`](Child::join) returns; see also
    /// [`flush_logs`](crate::flush_logs). A parent that is stopped, or whose subscriber is slow, does not hold its children up:
    /// events that find no room are lost, and how many there were is told by an event with the target `multiprocess::logs`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::Process;
    ///
    /// let child = Process::new(|| tracing::subscriber::set_global_default(Own).is_ok(), ()).forward_logs(false).start()?;
    /// assert!(child.join()?);
    /// # use tracing::{Event, Metadata, Subscriber, span::{Attributes, Id, Record}};
    /// # struct Own;
    /// # impl Subscriber for Own {
    /// #     fn enabled(&self, _: &Metadata<'_>) -> bool { false }
    /// #     fn new_span(&self, _: &Attributes<'_>) -> Id { Id::from_u64(1) }
    /// #     fn record(&self, _: &Id, _: &Record<'_>) {}
    /// #     fn record_follows_from(&self, _: &Id, _: &Id) {}
    /// #     fn event(&self, _: &Event<'_>) {}
    /// #     fn enter(&self, _: &Id) {}
    /// #     fn exit(&self, _: &Id) {}
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tracing")]
    pub fn forward_logs(mut self, forward: bool) -> Self {
        self.forwards_logs = forward;
        self
    }

    /// How it is started.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{Process, StartMethod};
    ///
    /// let child = Process::new(|| 42, ()).start_method(StartMethod::Spawn).start()?;
    /// assert_eq!(child.join()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "set_start_method")]
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.method = method;
        self
    }

    /// Starts it.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_process::{ErrorKind, Process};
    ///
    /// assert_eq!(Process::new(|| 42, ()).start()?.join()?, 42);
    /// let error = Process::new(|| 42, ()).env("A=B", "").start().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidName);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An argument cannot be sent ([`ErrorKind::Encode`]); the function lies outside the program's executable
    /// ([`ErrorKind::OutsideExecutable`]); a directory does not exist, or a variable has an impossible name; there are no more
    /// processes, descriptors or memory; or the program may not start processes this way (it is set-user-id, or was
    /// started through the dynamic loader).
    ///
    /// # Crash
    ///
    /// If this process is killed meanwhile, the child runs with all that was asked for, or never runs the function; a daemon
    /// ends in any case.
    ///
    /// # Platform
    ///
    /// Linux: a clone of the [fork server](StartMethod::ForkServer), or clone(2) with `CLONE_VFORK` and execve(2).
    pub fn start(self) -> Result<Child<R>, Error> {
        let Process { name, lineage, variables, arguments, .. } = self;
        if let Some((key, _)) = variables.iter().find(|(key, value)| !is_variable(key, value.as_deref())) {
            let text = "starting a process: no variable of an environment can have this name or value";
            return Err(Error::new(ErrorKind::InvalidName, text).with_object(key.to_string_lossy()));
        }
        let plan = Plan {
            entry: self.entry,
            arguments: arguments?,
            name: name.unwrap_or_else(|| format!("Process-{lineage}")),
            lineage,
            daemon: self.daemon,
            method: self.method,
            clear_environment: self.clear_environment,
            variables,
            directory: self.directory,
            streams: self.streams,
            settings: self.settings,
            #[cfg(feature = "tracing")]
            forwards_logs: self.forwards_logs,
        };
        plan.start().map(|started| Child::new(started, self.method))
    }
}

/// A name without `=`, not empty, and no zero byte in either (environ(7)).
fn is_variable(key: &OsStr, value: Option<&OsStr>) -> bool {
    let key = key.as_bytes();
    let value = value.map_or(&[][..], OsStr::as_bytes);
    !key.is_empty() && !key.contains(&b'=') && !key.contains(&0) && !value.contains(&0)
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("daemon", &self.daemon)
            .field("start_method", &self.method)
            .finish_non_exhaustive()
    }
}

/// How a process is started. Programs behave the same with either.
///
/// # Examples
///
/// ```
/// use multiprocess_process::{Process, StartMethod};
///
/// for method in [StartMethod::ForkServer, StartMethod::Spawn] {
///     let child = Process::new(|| std::process::id(), ()).start_method(method).start()?;
///     assert_eq!(child.pid(), child.join()?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartMethod {
    /// As a clone of a small process that was started from the program's executable and has run nothing of its `main`. The
    /// default, and several times faster than the other.
    ForkServer,
    /// By starting the program's executable again.
    Spawn,
}
