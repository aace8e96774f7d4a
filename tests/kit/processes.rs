//! The processes of this machine as the kernel lists them: who is whose child, in which state, and where it sleeps.

pub use rustix::process::Signal;

use rustix::process::{Pid, kill_process};
use std::fs;
use std::path::Path;

/// The name that the library's fork server shows in the process list.
pub const FORK_SERVER: &str = "mp-server";

/// The name of a child that the fork server has made in advance.
pub const SPARE_CHILD: &str = "mp-spare";

/// One process (or thread) as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its id.
    pub pid: u32,
    /// The id of its parent.
    pub parent: u32,
    /// The id of its process group.
    pub group: u32,
    /// One letter: `R` runs, `S` sleeps, `T` is stopped, `Z` has ended and nobody has asked for its status.
    pub state: char,
    /// Its name in the process list, at most 15 characters.
    pub name: String,
    /// The kernel function it sleeps in, `0` or `unknown` where the kernel does not say.
    pub sleeps_in: String,
}

impl Running {
    /// Whether it has ended without having been waited for.
    pub fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// Whether it is one of the library's own live helpers of this process: its fork server or the child made in advance.
    pub fn is_own_helper(&self) -> bool {
        let known = self.name == FORK_SERVER || self.name == SPARE_CHILD;
        known && !self.is_zombie() && self.parent == std::process::id()
    }
}

/// Every process that can be seen.
///
/// # Examples
///
/// ```
/// assert!(multiprocess_tests::processes::all().iter().any(|process| process.pid == std::process::id()));
/// ```
pub fn all() -> Vec<Running> {
    listed(Path::new("/proc"))
}

/// The process `pid`, if there is one.
pub fn find(pid: u32) -> Option<Running> {
    read(&Path::new("/proc").join(pid.to_string()))
}

/// The letter for the state of `pid`, as [`Running::state`] has it. Cheaper than [`find`], for whoever asks a thousand times.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(name_end + 2).map(|byte| char::from(*byte))
}

/// How many bytes of memory of its own this process has in use.
///
/// # Panics
///
/// When the kernel does not say.
pub fn own_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("a process can read its own state");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the kernel counts memory");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<usize>().expect("memory is counted in kilobytes");
    kilobytes << 10
}

/// The children of this process, ended ones that nobody waited for included.
pub fn children() -> Vec<Running> {
    all().into_iter().filter(|process| process.parent == std::process::id()).collect()
}

/// The children of this process other than the library's own helpers.
pub fn started_children() -> Vec<Running> {
    children().into_iter().filter(|process| !process.is_own_helper()).collect()
}

/// The fork server of this process, if it has one that runs.
pub fn fork_server() -> Option<Running> {
    children().into_iter().find(|process| process.name == FORK_SERVER && !process.is_zombie())
}

/// The children of `ancestor`, their children, and so on.
pub fn descendants(ancestor: u32) -> Vec<Running> {
    let all = all();
    let mut found: Vec<Running> = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

/// The threads of this process.
pub fn own_threads() -> Vec<Running> {
    listed(Path::new("/proc/self/task"))
}

/// Sends `signal` to the process `pid`; that it has ended meanwhile is no failure.
///
/// # Panics
///
/// When `pid` is not the id of a process.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id is positive");
    // The only failure that can happen to a descendant of ours is that it is gone, which is what was wanted.
    let _ = kill_process(pid, signal);
}

/// Every entry of `folder` that is a process or thread and still there when it is read.
fn listed(folder: &Path) -> Vec<Running> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let numbered = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(numbered))
        .filter_map(|entry| read(&entry.path()))
        .collect()
}

/// Reads one process from its folder. The name may hold spaces and parentheses, so the fields are counted from its end.
fn read(folder: &Path) -> Option<Running> {
    let stat = String::from_utf8_lossy(&fs::read(folder.join("stat")).ok()?).into_owned();
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let sleeps_in = fs::read_to_string(folder.join("wchan")).unwrap_or_else(|_| "unknown".to_owned());
    Some(Running { pid: pid.parse().ok()?, parent, group, state, name: name.to_owned(), sleeps_in })
}
