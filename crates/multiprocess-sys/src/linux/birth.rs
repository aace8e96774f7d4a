//! When a process was born (proc_pid_stat(5), field 22), which together with its number says who it is.

/// A process's number, and its birth as one word: the lower 40 bits of its start time in clock ticks after boot, above 24 bits
/// that tell its namespaces of numbers and of times apart. Zero is "unknown".
///
/// # Examples
///
/// ```
/// use multiprocess_sys::birth::Birth;
///
/// let own = Birth::of_this_process();
/// assert!(own.may_live(own.id(), own.word()));
/// assert_eq!(own.number_here(own.id(), own.word()), own.id());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    id: u32,
    word: u64,
}

const NAMESPACES: u64 = (1 << 24) - 1;

impl Birth {
    /// This process. Without a `/proc` of its own namespace the birth is unknown.
    pub fn of_this_process() -> Birth {
        let id = std::process::id();
        Birth { id, word: word(id).unwrap_or(0) }
    }

    /// The number, in the process's own namespace.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The birth.
    pub fn word(&self) -> u64 {
        self.word
    }

    /// Whether another process, which said of itself that it is `id` with the birth `word`, may still live. `false` is sure.
    /// What cannot be known (another namespace, no `/proc`) may live.
    pub fn may_live(&self, id: u32, word: u64) -> bool {
        if !self.is_comparable(id, word) {
            return true;
        }
        let start = match std::fs::read(format!("/proc/{id}/stat")) {
            Ok(stat) => start_time(&stat),
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => return is_hidden(id),
            Err(_) => return true,
        };
        start.is_none_or(|start| compose(start, 0) == word & !NAMESPACES)
    }

    /// The number by which this process knows another one, which said of itself that it is `id` with the birth `word`; 0 if
    /// it lives in another namespace or that is unknown.
    pub fn number_here(&self, id: u32, word: u64) -> u32 {
        if self.is_comparable(id, word) { id } else { 0 }
    }

    fn is_comparable(&self, id: u32, word: u64) -> bool {
        id != 0 && self.word != 0 && word != 0 && (self.word ^ word) & NAMESPACES == 0
    }
}

/// Whether there is such a process although `/proc` does not show it (the mount option `hidepid`).
fn is_hidden(id: u32) -> bool {
    let pid = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

fn word(id: u32) -> Option<u64> {
    // `/proc` may be that of another namespace, where the number means somebody else.
    let shown = std::fs::read_link("/proc/self").ok()?;
    if shown.to_str() != Some(id.to_string().as_str()) {
        return None;
    }
    let stat = std::fs::read("/proc/self/stat").ok()?;
    let numbers = rustix::fs::stat("/proc/self/ns/pid").ok()?.st_ino;
    // An older kernel has no namespaces of times.
    let times = rustix::fs::stat("/proc/self/ns/time").map_or(0, |stat| stat.st_ino);
    let namespaces = (numbers ^ times.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    // Never zero, which would be "unknown".
    Some(compose(start_time(&stat)?, namespaces.max(1)))
}

fn compose(start: u64, namespaces: u64) -> u64 {
    start << 24 | namespaces & NAMESPACES
}

/// The 22nd field. The second is a name in parentheses, which may hold anything.
fn start_time(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[end + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_process_is_dead_and_a_stranger_may_live() {
        let own = Birth::of_this_process();
        assert_ne!(own.word(), 0);
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let stat = std::fs::read(format!("/proc/{}/stat", child.id())).unwrap();
        let birth = compose(start_time(&stat).unwrap(), own.word() & NAMESPACES);
        assert!(own.may_live(child.id(), birth));
        assert!(!own.may_live(child.id(), birth + (1 << 24)), "another process of that number");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!own.may_live(child.id(), birth));
        assert!(own.may_live(child.id(), birth ^ 1), "another namespace");
        assert!(own.may_live(child.id(), 0), "unknown");
        assert_eq!(own.number_here(child.id(), birth ^ 1), 0);
    }

    #[test]
    fn a_strange_name_does_not_confuse() {
        let stat = b"7 (a) b) 1 2 (c) S 1 7 7 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 4711 0";
        assert_eq!(start_time(stat), Some(4711));
        assert_eq!(start_time(b""), None);
    }
}
